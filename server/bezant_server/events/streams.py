"""Streams that follow topics: what is held behind a cursor, then what happens, without a seam.

A reader has no queue of its own. It reads the rings, which are bounded, each at its own cursor, and is woken when
something is pushed. So it costs nothing while it is slow, and is overrun only when a ring has dropped what it has yet
to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bezant_server.cpapi import document
from bezant_server.errors import CursorExpired, SlowReader
from bezant_server.events.history import History
from bezant_server.events.poll import expired
from bezant_server.events.ring import Event, Ring
from bezant_server.events.topics import GAP, MARKETDATA, ORDER_UPDATES, ORDERS

_AT_ONCE = 100
_PAGE = 500
_FLUSH_TRIES = 20
_FLUSH_SECS = 0.1


@dataclass(frozen=True, slots=True)
class Given:
    """An event to be given.

    Attributes:
        event: the event, or the last of those that were merged.
        merged: how many more were merged into it.
        payload: the merged frame; None when nothing was merged.
    """

    event: Event
    merged: int = 0
    payload: bytes | None = None


@dataclass(slots=True)
class Follow:
    """A topic that is followed.

    Attributes:
        ring: its events.
        cursor: of the last event that was given.
        topic: fields of an error that name the topic to the reader.
    """

    ring: Ring
    cursor: int
    topic: Mapping[str, str | int]

    @property
    def is_behind(self) -> bool:
        """Whether something is there to be given."""
        return self.cursor < self.ring.newest_cursor

    async def check(self, after: int | None, *, history: History | None, reset_epoch: int) -> None:
        """Begin behind a cursor; None for now on, 0 for the oldest held.

        Raises:
            CursorExpired: it cannot be served.
        """
        ring = self.ring
        if after is None:
            self.cursor = ring.newest_cursor
        elif after == 0:
            if ring.has_dropped:
                raise self._expired(reset_epoch, "the ring has dropped older events")
            self.cursor = ring.head_cursor - 1
        elif after > ring.newest_cursor:
            raise self._expired(reset_epoch, f"cursor {after} is ahead of the newest, {ring.newest_cursor}")
        elif after >= ring.head_cursor - 1 or (history is not None and await history.knows(ring.topic, after)):
            self.cursor = after
        else:
            raise self._expired(reset_epoch, f"cursor {after} is older than what is held")

    def _expired(self, reset_epoch: int, what: str) -> CursorExpired:
        return expired(self.ring, reset_epoch, what, self.topic)

    async def from_history(self, history: History, reset_epoch: int) -> AsyncIterator[Given]:
        """What the ring does not hold any more.

        Raises:
            CursorExpired: a part of it is lost to the history, too.
        """
        tries = 0
        while self.cursor < self.ring.head_cursor - 1:
            page = await history.page(self.ring.topic, since_ms=0, after_cursor=self.cursor, limit=_PAGE)
            page = [event for event in page if self.cursor < event.cursor < self.ring.head_cursor]
            for event in page:
                self.cursor = event.cursor
                yield Given(event)
            if page:
                continue
            if not self.ring.has_dropped:
                # All that an earlier process has stored.
                self.cursor = self.ring.head_cursor - 1
                return
            tries += 1
            if tries >= _FLUSH_TRIES:
                raise self._expired(reset_epoch, f"what follows cursor {self.cursor} is not stored")
            await asyncio.sleep(_FLUSH_SECS)

    def held(self, until: int) -> Iterator[Given]:
        """What the ring holds up to a cursor, each event by itself."""
        while self.cursor < min(until, self.ring.newest_cursor):
            if self.cursor < self.ring.head_cursor - 1:
                raise _Overrun
            for event in self.ring.after(self.cursor, _AT_ONCE):
                self.cursor = event.cursor
                yield Given(event)

    def live(self) -> Iterator[Given]:
        """What has happened. Of quotes the newest, when several wait."""
        if self.ring.topic.startswith(MARKETDATA):
            yield from self._conflated()
        else:
            yield from self.held(self.ring.newest_cursor)

    def _conflated(self) -> Iterator[Given]:
        dropped = max(self.ring.head_cursor - 1 - self.cursor, 0)
        self.cursor += dropped
        pending: list[Event] = []
        for event in self.ring.after(self.cursor, self.ring.newest_cursor - self.cursor):
            if _is_gap(event):
                if pending or dropped:
                    yield _merge(pending, dropped) if pending else Given(event, merged=dropped)
                    pending, dropped = [], 0
                self.cursor = event.cursor
                yield Given(event)
            else:
                pending.append(event)
        if pending:
            self.cursor = pending[-1].cursor
            yield _merge(pending, dropped)


class _Overrun(Exception):
    """The ring has dropped what was yet to be given."""


async def replay(follows: Sequence[Follow], history: History | None, *, reset_epoch: int) -> AsyncIterator[Given]:
    """What lies behind the cursors, topic by topic.

    Raises:
        CursorExpired, SlowReader: a part of it is not held any more.
    """
    for follow in follows:
        until = follow.ring.newest_cursor
        if history is not None:
            async for given in follow.from_history(history, reset_epoch):
                yield given
        for given in _unless_overrun(follow.held(until), follows):
            yield given


def news_of(follows: Sequence[Follow]) -> Iterator[Given]:
    """What has happened since.

    Raises:
        SlowReader: what was yet to be given is not held any more.
    """
    for follow in follows:
        yield from _unless_overrun(follow.live(), follows)


def cursors(follows: Sequence[Follow]) -> str:
    """Where to resume, in text."""
    names = {ORDER_UPDATES: ORDERS}
    return ",".join(f"{names.get(follow.ring.topic, follow.ring.topic)}={follow.cursor}" for follow in follows)


def _unless_overrun(events: Iterator[Given], follows: Sequence[Follow]) -> Iterator[Given]:
    try:
        yield from events
    except _Overrun:
        raise SlowReader(cursors(follows)) from None


def _merge(pending: Sequence[Event], dropped: int) -> Given:
    """One quote out of several frames: each has what changed."""
    last = pending[-1]
    if len(pending) == 1:
        return Given(last, merged=dropped)
    merged: dict[str, object] = {}
    for event in pending:
        content = document.parse(event.payload)
        if isinstance(content, dict):
            merged |= content
    return Given(last, merged=len(pending) - 1 + dropped, payload=document.dump(merged))


def _is_gap(event: Event) -> bool:
    return event.payload.startswith(b'{"topic":"%b"' % GAP.encode())
