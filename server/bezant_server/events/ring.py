"""A topic's newest events, by cursor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bezant_server.events.clock import rfc3339


@dataclass(frozen=True, slots=True)
class Event:
    """One captured frame.

    Attributes:
        cursor: its position in the topic; consecutive within a ring.
        topic: `orders`, `pnl`, `gap` or `marketdata:<conid>`.
        received_at_ms: when it arrived, milliseconds since 1970, UTC.
        reset_epoch: the epoch it arrived in.
        encoded: the event as JSON, made once at arrival; polls join these. The frame stands in it as it came.
        payload_start: where in `encoded` the frame begins.
    """

    cursor: int
    topic: str
    received_at_ms: int
    reset_epoch: int
    encoded: bytes
    payload_start: int

    @classmethod
    def of(cls, *, cursor: int, topic: str, received_at_ms: int, reset_epoch: int, payload: bytes) -> Event:
        """Prepare an event; `payload` is the text of a JSON object."""
        head = (
            f'{{"cursor":{cursor},"topic":"{topic}","received_at":"{rfc3339(received_at_ms)}",'
            f'"reset_epoch":{reset_epoch},"payload":'
        ).encode()
        return cls(cursor, topic, received_at_ms, reset_epoch, b"%b%b}" % (head, payload), len(head))

    @property
    def payload(self) -> bytes:
        """The frame's text, byte for byte."""
        return self.encoded[self.payload_start : -1]


class Ring:
    """A bounded ring of events with consecutive cursors.

    Args:
        topic: of every event in it.
        capacity: events held; the oldest makes room.
        first_cursor: of the first event.
    """

    def __init__(self, topic: str, *, capacity: int, first_cursor: int) -> None:
        self.topic = topic
        self.next_cursor = first_cursor
        self.has_dropped = False
        self._capacity = capacity
        # A list whose front is cut off in large pieces: slices by cursor cost only what they return.
        self._events: list[Event] = []
        self.watchers: set[asyncio.Event] = set()
        """Set whenever something is pushed."""

    def __len__(self) -> int:
        return min(len(self._events), self._capacity)

    @property
    def head_cursor(self) -> int:
        """The oldest cursor held; in an empty ring the next to be issued."""
        return self.next_cursor - len(self)

    @property
    def newest_cursor(self) -> int:
        """The newest cursor issued; in a ring that never held any, the one before the first."""
        return self.next_cursor - 1

    def push(self, payload: bytes, *, received_at_ms: int, reset_epoch: int) -> Event:
        """Append a frame."""
        event = Event.of(
            cursor=self.next_cursor,
            topic=self.topic,
            received_at_ms=received_at_ms,
            reset_epoch=reset_epoch,
            payload=payload,
        )
        events = self._events
        events.append(event)
        self.next_cursor += 1
        for watcher in self.watchers:
            watcher.set()
        if len(events) > self._capacity:
            self.has_dropped = True
            if len(events) >= 2 * self._capacity:
                del events[: -self._capacity]
        return event

    def after(self, cursor: int, limit: int) -> list[Event]:
        """At most `limit` events that follow `cursor`, which must lie between `head_cursor - 1` and `newest_cursor`."""
        start = len(self._events) - (self.newest_cursor - cursor)
        return self._events[start : start + limit]
