"""Following events on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

from bezant._errors import BezantError
from bezant._progress import EventsMissed, Progress
from bezant.aio._client import Client
from bezant.v1 import events_service_pb2 as pb


def follow_events(
    client: Client,
    topics: Iterable[pb.EventTopic.ValueType | pb.TopicSubscription],
    *,
    include_raw: bool = False,
    account_ids: Iterable[str] = (),
    heartbeat_secs: int = 0,
) -> FollowedEvents:
    """As `bezant.follow_events`, for `async with` and `async for`.

    To stop waiting, cancel: a wait that was cancelled, as by `asyncio.timeout`, has lost no event, and the iterator can
    be asked again.
    """
    progress = Progress(topics, include_raw=include_raw, account_ids=account_ids, heartbeat_secs=heartbeat_secs)
    return FollowedEvents(client, progress)


class FollowedEvents(AsyncIterator[pb.Event | EventsMissed]):
    """What `follow_events` gives. To be used in an `async with` block, by one task."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._stub = client.events
        self._progress = progress
        self._call: Any = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        """Follow the topics.

        Raises:
            BezantError: they cannot be followed, or the server cannot be reached or says nothing.
        """
        try:
            while not await self._begins():
                pass
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    async def __anext__(self) -> pb.Event | EventsMissed:
        """The next event; it waits for one.

        Raises:
            BezantError: the server refuses to go on, and not for a while only.
        """
        while not self._is_closed:
            if (missed := self._progress.next_missed()) is not None:
                return missed
            try:
                while (message := await self._read(self._call or self._open())) is not None:
                    if (event := self._progress.take(message)) is not None:
                        return event
            except BezantError as error:
                if not self._progress.goes_on(error):
                    self._close()
                    raise
            self._call = None
            await asyncio.sleep(self._progress.wait_secs())
        raise StopAsyncIteration

    @property
    def positions(self) -> list[pb.TopicSubscription]:
        """The topics, each behind what was given of it: with them another `follow_events` goes on here."""
        return self._progress.positions()

    async def _begins(self) -> bool:
        """Whether the stream does. When a cursor has expired it does not, and whoever iterates is told of that."""
        try:
            if (message := await self._read(self._open())) is not None:
                self._progress.take(message)
        except BezantError as error:
            if not self._progress.note_missed(error):
                raise
            return False
        return True

    async def _read(self, call: AsyncIterable[pb.StreamEventsResponse]) -> pb.StreamEventsResponse | None:
        """The next message; None when the stream has ended."""
        try:
            async with asyncio.timeout(self._progress.patience_secs):
                return await anext(aiter(call), None)
        except TimeoutError as error:
            raise self._progress.silence() from error

    def _open(self) -> AsyncIterator[pb.StreamEventsResponse]:
        self._call = self._stub.StreamEvents(self._progress.request())
        return self._call  # type: ignore[no-any-return]

    def _close(self) -> None:
        self._is_closed = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
