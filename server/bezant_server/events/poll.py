"""The answer to one poll of a ring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bezant_server.errors import CursorExpired
from bezant_server.events.ring import Event, Ring


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What a poll found.

    Attributes:
        body: `{"events", "next_cursor", "reset_epoch"}` as JSON; None when there is nothing newer (204).
        next_cursor: the `since` of the next poll; a 204 carries it as `x-bezant-cursor`.
    """

    body: bytes | None
    next_cursor: int


def newer(ring: Ring, *, since: int, limit: int, reset_epoch: int) -> list[Event]:
    """Events newer than the cursor `since`; 0 asks for the oldest held.

    Raises:
        CursorExpired: the cursor is ahead of the newest issued or older than the ring, or `since` is 0 and the ring has
            dropped events since the process began: whoever starts there would miss a hole unknowingly.
    """
    if since == 0:
        if ring.has_dropped:
            raise expired(ring, reset_epoch, "the ring has dropped older events")
        since = ring.head_cursor - 1
    if since > ring.newest_cursor:
        raise expired(ring, reset_epoch, f"cursor {since} is ahead of the newest, {ring.newest_cursor}")
    if since < ring.head_cursor - 1:
        raise expired(ring, reset_epoch, f"cursor {since} is older than the ring's head, {ring.head_cursor}")
    return ring.after(since, limit)


def poll(ring: Ring, *, since: int, limit: int, reset_epoch: int) -> PollAnswer:
    """The answer to a poll for events newer than the cursor `since`.

    Raises:
        CursorExpired: see `newer`.
    """
    events = newer(ring, since=since, limit=limit, reset_epoch=reset_epoch)
    if not events and since:
        return PollAnswer(None, since)
    next_cursor = events[-1].cursor if events else ring.newest_cursor
    body = b'{"events":[%b],"next_cursor":%d,"reset_epoch":%d}' % (
        b",".join([event.encoded for event in events]),
        next_cursor,
        reset_epoch,
    )
    return PollAnswer(body, next_cursor)


def expired(ring: Ring, reset_epoch: int, what: str, topic: Mapping[str, str | int] | None = None) -> CursorExpired:
    """Why a cursor cannot be served; `topic` are the fields that name the ring's topic, where that is not clear."""
    head = ring.head_cursor
    return CursorExpired(
        f"{what}: events may have been missed; go on from since={head - 1}",
        head_cursor=head,
        reset_epoch=reset_epoch,
        topic=topic,
    )
