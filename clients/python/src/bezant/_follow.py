"""Following events without an event loop."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from bezant._client import Client
from bezant._errors import BezantError
from bezant._progress import EventsMissed, Progress
from bezant.v1 import events_service_pb2 as pb


def follow_events(
    client: Client,
    topics: Iterable[pb.EventTopic.ValueType | pb.TopicSubscription],
    *,
    include_raw: bool = False,
    account_ids: Iterable[str] = (),
    heartbeat_secs: int = 0,
) -> FollowedEvents:
    """Events of topics, each once and in the order of its topic, whatever becomes of the connection.

        with follow_events(client, [pb.EVENT_TOPIC_ORDERS]) as events:
            for event in events:
                ...

    When the block is entered the server follows the topics: nothing that happens from then on is missed. After an
    interruption the iterator connects again, with growing waits between attempts, and goes on behind the last event
    that it gave; so it does when the server says nothing for 45 seconds, or three heartbeats if that is longer. Where
    the server does not hold what comes next any more, it gives an `EventsMissed` in its place.

    Args:
        client: where from.
        topics: a topic from now on, or a subscription that says its contract or where it begins.
        include_raw: whether to give the gateway's frames, too.
        account_ids: of the topics LEDGER and ACCOUNT_SUMMARY: those to subscribe; those of the session when empty.
        heartbeat_secs: how often a quiet stream shows that it lives: 1 to 300; 15 when 0.

    Raises:
        ValueError: a topic is named twice, or none is.
    """
    progress = Progress(topics, include_raw=include_raw, account_ids=account_ids, heartbeat_secs=heartbeat_secs)
    return FollowedEvents(client, progress)


class FollowedEvents(Iterator[pb.Event | EventsMissed]):
    """What `follow_events` gives. To be used in a `with` block, by one thread; any may `close` it."""

    def __init__(self, client: Client, progress: Progress) -> None:
        self._stub = client.events
        self._progress = progress
        self._call: Any = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        # Until when, by the monotonic clock, the message that is waited for may take.
        self._due = math.inf

    def __enter__(self) -> Self:
        """Follow the topics.

        Raises:
            BezantError: they cannot be followed, or the server cannot be reached or says nothing.
        """
        threading.Thread(target=self._watch, name="bezant-events", daemon=True).start()
        try:
            while not self._begins():
                pass
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __next__(self) -> pb.Event | EventsMissed:
        """The next event; it waits for one.

        Raises:
            BezantError: the server refuses to go on, and not for a while only.
        """
        while not self._closed.is_set():
            if (missed := self._progress.next_missed()) is not None:
                return missed
            try:
                while (message := self._read(self._call or self._open())) is not None:
                    if (event := self._progress.take(message)) is not None:
                        return event
            except BezantError as error:
                if not self._progress.goes_on(error):
                    self.close()
                    raise
            self._call = None
            self._closed.wait(self._progress.wait_secs())
        raise StopIteration

    @property
    def positions(self) -> list[pb.TopicSubscription]:
        """The topics, each behind what was given of it: with them another `follow_events` goes on here."""
        return self._progress.positions()

    def close(self) -> None:
        """End the stream; whoever waits for an event stops."""
        with self._lock:
            self._closed.set()
            if self._call is not None:
                self._call.cancel()

    def _begins(self) -> bool:
        """Whether the stream does. When a cursor has expired it does not, and whoever iterates is told of that."""
        try:
            if (message := self._read(self._open())) is not None:
                self._progress.take(message)
        except BezantError as error:
            if not self._progress.note_missed(error):
                raise
            return False
        return True

    def _read(self, call: Any) -> pb.StreamEventsResponse | None:
        """The next message; None when the stream has ended."""
        self._due = time.monotonic() + self._progress.patience_secs
        try:
            return next(call, None)
        except BezantError as error:
            if call.cancelled() and not self._closed.is_set():
                raise self._progress.silence() from error
            raise
        finally:
            self._due = math.inf

    def _watch(self) -> None:
        """Cancel a call that takes too long over a message, until this is closed."""
        patience_secs = self._progress.patience_secs
        while not self._closed.wait(min(self._due - time.monotonic(), patience_secs)):
            # Who reads opens another call under the lock, too: what is overdue here is still the call to cancel.
            with self._lock:
                if self._call is not None and time.monotonic() >= self._due:
                    self._due = math.inf
                    self._call.cancel()

    def _open(self) -> Iterator[pb.StreamEventsResponse]:
        with self._lock:
            if self._closed.is_set():
                return iter(())
            self._call = self._stub.StreamEvents(self._progress.request())
            return self._call  # type: ignore[no-any-return]
