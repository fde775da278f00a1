"""What every server stream has in common: something wakes it, a quiet one beats, and all end when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.timestamp_pb2 import Timestamp

from bezant_server.inputs import Checks

HEARTBEAT_SECS = 15
LONGEST_HEARTBEAT_SECS = 300


class OpenStreams:
    """The streams that are open.

    Attributes:
        closing: whether the server stops: streams say what there is to say, and end.
    """

    def __init__(self) -> None:
        self.closing = False
        self._news: set[asyncio.Event] = set()

    def close(self) -> None:
        """The server stops."""
        self.closing = True
        for news in self._news:
            news.set()

    @contextmanager
    def open(self) -> Iterator[asyncio.Event]:
        """A stream, and what wakes it."""
        news = asyncio.Event()
        self._news.add(news)
        try:
            yield news
        finally:
            self._news.discard(news)


class Pulse:
    """When a stream wakes, and when a quiet one beats.

    Args:
        news: wakes it.
        heartbeat_secs: how long it may be quiet; 0 for the default.
    """

    def __init__(self, news: asyncio.Event, heartbeat_secs: int) -> None:
        self._news = news
        self._interval = heartbeat_secs or HEARTBEAT_SECS
        self._loop = asyncio.get_running_loop()
        self._beat_at = self._loop.time() + self._interval

    def listen(self) -> None:
        """From here on, whatever happens is news."""
        self._news.clear()

    def spoke(self) -> None:
        """The stream has said something."""
        self._beat_at = self._loop.time() + self._interval

    def beats(self) -> bool:
        """Whether it is time to beat; if so, it is done."""
        due = self._loop.time() >= self._beat_at
        if due:
            self.spoke()
        return due

    async def wait(self, *, until: float | None = None) -> None:
        """Wait for news, or until it is time to beat, or until a moment of the loop's clock."""
        end = self._beat_at if until is None else min(self._beat_at, until)
        try:
            async with asyncio.timeout_at(end):
                await self._news.wait()
        except TimeoutError:
            return


def check_heartbeat(checks: Checks, seconds: int) -> None:
    """Check a request's `heartbeat_secs`."""
    in_range = 0 <= seconds <= LONGEST_HEARTBEAT_SECS
    checks.holds("heartbeat_secs", in_range, f"must be 1 to {LONGEST_HEARTBEAT_SECS}", seconds)


def now() -> Timestamp:
    """The time of the machine."""
    moment = Timestamp()
    moment.GetCurrentTime()
    return moment
