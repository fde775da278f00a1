"""The state for those who follow it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from bezant_server.session.machine import Snapshot

_MOST_UNREAD = 256


@dataclass(eq=False, slots=True)
class _Reader:
    """What somebody has not read yet. Who reads too slowly misses the oldest changes, never the newest."""

    unread: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=_MOST_UNREAD))
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Board:
    """Hands each change to each reader, in order."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()
        self._closed = False

    def publish(self, snapshot: Snapshot) -> None:
        """A change."""
        for reader in self._readers:
            reader.unread.append(snapshot)
            reader.news.set()

    def close(self) -> None:
        """No more changes: readers come to their end."""
        self._closed = True
        for reader in self._readers:
            reader.news.set()

    async def follow(self, first: Snapshot, *, heartbeat_secs: float) -> AsyncGenerator[Snapshot | None, None]:
        """`first`, then each change; None whenever nothing has changed for so long. Ends when the board is closed."""
        reader = _Reader(deque([first], maxlen=_MOST_UNREAD))
        self._readers.add(reader)
        try:
            while True:
                while reader.unread:
                    yield reader.unread.popleft()
                if self._closed:
                    return
                reader.news.clear()
                try:
                    async with asyncio.timeout(heartbeat_secs):
                        await reader.news.wait()
                except TimeoutError:
                    yield None
        finally:
            self._readers.discard(reader)
