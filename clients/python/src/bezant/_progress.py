"""How far a reader of events has come, and what the end of a stream means. It does no input or output."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc

from bezant._errors import BezantError
from bezant._waits import Waits, can_resume, patience_secs
from bezant.v1 import events_service_pb2 as pb

# Until they are told: twice the topics that a stream may have.
_MOST_MISSED = 200

Key = tuple[pb.EventTopic.ValueType, int]


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """Events of a topic that cannot be had any more. Look at the state of things through the other services.

    What is held begins with `head_cursor`, and the iterator goes on there.

    Attributes:
        topic: one of `EventTopic`.
        conid: the contract of the topic MARKETDATA; 0 otherwise.
        after_cursor: behind which the iterator was to go on; 0 for the oldest event there was.
        head_cursor: of the oldest event that is held.
        reset_epoch: the epoch now.
    """

    topic: pb.EventTopic.ValueType
    conid: int
    after_cursor: int
    head_cursor: int
    reset_epoch: int


class Progress:
    """The cursors of the topics that are followed.

    Args:
        topics: what is followed, and behind which cursors.
        include_raw: as in StreamEventsRequest.
        account_ids: as in StreamEventsRequest.
        heartbeat_secs: as in StreamEventsRequest.

    Attributes:
        patience_secs: how long a stream may say nothing.

    Raises:
        ValueError: a topic is named twice, or none is.
    """

    def __init__(
        self,
        topics: Iterable[pb.EventTopic.ValueType | pb.TopicSubscription],
        *,
        include_raw: bool,
        account_ids: Iterable[str],
        heartbeat_secs: int,
    ) -> None:
        self._cursors: dict[Key, int | None] = {}
        for each in topics:
            wanted = each if isinstance(each, pb.TopicSubscription) else pb.TopicSubscription(topic=each)
            key = (wanted.topic, wanted.conid)
            if key in self._cursors:
                raise ValueError(f"topics names {pb.EventTopic.Name(wanted.topic)} twice")
            self._cursors[key] = wanted.after_cursor if wanted.HasField("after_cursor") else None
        if not self._cursors:
            raise ValueError("topics needs at least one")
        self._options = pb.StreamEventsRequest(
            include_raw=include_raw, account_ids=account_ids, heartbeat_secs=heartbeat_secs
        )
        self.patience_secs = patience_secs(heartbeat_secs)
        self._missed: deque[EventsMissed] = deque()
        self._waits = Waits()

    def positions(self) -> list[pb.TopicSubscription]:
        """The topics, each with the cursor to go on behind; without one, from now on."""
        # Whoever goes on elsewhere is to be told there of what was missed and not told yet.
        cursors = dict(self._cursors)
        for missed in reversed(self._missed):
            cursors[missed.topic, missed.conid] = missed.after_cursor
        return _subscriptions(cursors)

    def request(self) -> pb.StreamEventsRequest:
        """What goes on where this stands."""
        request = pb.StreamEventsRequest(topics=_subscriptions(self._cursors))
        request.MergeFrom(self._options)
        return request

    def take(self, message: pb.StreamEventsResponse) -> pb.Event | None:
        """Note how far a message goes; its event, if it has one that was not given before."""
        kind = message.WhichOneof("message")
        if kind != "started":
            self._waits.reset()
        match kind:
            case "event":
                key = (message.event.topic, message.event.conid)
                if message.event.cursor <= (self._cursors.get(key) or 0):
                    return None
                self._cursors[key] = message.event.cursor
                return message.event
            case "started":
                self._advance(message.started.positions)
            case "heartbeat":
                self._advance(message.heartbeat.positions)
            case "end":
                self._advance(message.end.positions)
        return None

    def note_missed(self, error: BezantError) -> bool:
        """Note what was missed when a cursor has expired, and go on with what is held.

        False when the error says something else, or does not say which topic it is.
        """
        if error.reason != "CURSOR_EXPIRED" or len(self._missed) == _MOST_MISSED:
            return False
        key = self._expired(error)
        if key is None:
            return False
        head_cursor = int(error.metadata["head_cursor"])
        reset_epoch = int(error.metadata["reset_epoch"])
        self._missed.append(EventsMissed(*key, self._cursors[key] or 0, head_cursor, reset_epoch))
        self._cursors[key] = head_cursor - 1
        self._waits.reset()
        return True

    def next_missed(self) -> EventsMissed | None:
        """What is yet to be told of what was missed."""
        return self._missed.popleft() if self._missed else None

    def silence(self) -> BezantError:
        """What a stream ends with that says nothing for longer."""
        return BezantError(
            grpc.StatusCode.UNAVAILABLE, f"the server has said nothing for {self.patience_secs:g} seconds"
        )

    def goes_on(self, error: BezantError) -> bool:
        """Whether a stream that ended with it is opened again."""
        self._waits.heed(error)
        return can_resume(error) or self.note_missed(error)

    def wait_secs(self) -> float:
        """How long to wait until then."""
        return self._waits.next_secs()

    def _advance(self, positions: Iterable[pb.TopicPosition]) -> None:
        for position in positions:
            key = (position.topic, position.conid)
            self._cursors[key] = max(position.cursor, self._cursors.get(key) or 0)

    def _expired(self, error: BezantError) -> Key | None:
        if len(self._cursors) == 1:
            return next(iter(self._cursors))
        named = (error.metadata.get("topic"), error.metadata.get("conid"))
        return next((key for key in self._cursors if (pb.EventTopic.Name(key[0]), str(key[1])) == named), None)


def _subscriptions(cursors: Mapping[Key, int | None]) -> list[pb.TopicSubscription]:
    return [
        pb.TopicSubscription(topic=topic, conid=conid, after_cursor=cursor)
        for (topic, conid), cursor in cursors.items()
    ]
