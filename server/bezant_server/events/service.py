"""EventsService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import events_service_pb2 as pb
from bezant.v1 import events_service_pb2_grpc as pb_grpc
from bezant_server.errors import EventsDisabled, EventsHistoryDisabled
from bezant_server.events import decode, streams, subscriptions
from bezant_server.events.connector import ConnectorState
from bezant_server.events.history import History
from bezant_server.events.lines import Lines
from bezant_server.events.poll import newer
from bezant_server.events.ring import Ring
from bezant_server.events.streams import Follow, Given
from bezant_server.events.subscriptions import Subscriptions
from bezant_server.events.topics import ORDERS, Topics, marketdata_topic
from bezant_server.inputs import Checks
from bezant_server.rpc.call import Context
from bezant_server.rpc.streams import OpenStreams, Pulse, check_heartbeat, now

_LIMIT, _MOST = 100, 1000
_HISTORY_LIMIT, _HISTORY_MOST = 500, 5000
_MOST_TOPICS = 100
_DECODED = 4096
"""Events that are kept decoded."""
_MOST_ACCOUNTS = 10
_LARGEST_CURSOR = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Captured:
    """The parts of the capture that the service reads."""

    topics: Topics
    lines: Lines
    subscriptions: Subscriptions
    history: History | None
    connector: ConnectorState
    streams: OpenStreams
    accounts: Callable[[], Sequence[str]]


class EventsService(pb_grpc.EventsServiceServicer):
    """See the proto file.

    Args:
        captured: the capture; None while it is off.
    """

    def __init__(self, captured: Captured | None) -> None:
        self._captured = captured
        # Many read the same events.
        self._decoded = lru_cache(_DECODED)(lambda event, include_raw: decode.event(event, include_raw=include_raw))

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        captured = self._on()
        checks = Checks()
        _topic(checks, "topic", "conid", request.topic, request.conid)
        limit = _limit(checks, request.limit, _LIMIT, _MOST)
        _cursor(checks, "after_cursor", request.after_cursor)
        checks.done()
        ring = await _ring(captured, request.topic, request.conid, ())
        epoch = captured.topics.reset_epoch
        events = newer(ring, since=request.after_cursor, limit=limit, reset_epoch=epoch)
        return pb.ListEventsResponse(
            events=[self._decoded(event, request.include_raw) for event in events],
            next_cursor=events[-1].cursor if events else request.after_cursor or ring.newest_cursor,
            reset_epoch=epoch,
        )

    async def ListEventHistory(
        self, request: pb.ListEventHistoryRequest, context: Context
    ) -> pb.ListEventHistoryResponse:
        captured = self._on()
        checks = Checks()
        _topic(checks, "topic", "conid", request.topic, request.conid)
        limit = _limit(checks, request.limit, _HISTORY_LIMIT, _HISTORY_MOST)
        _cursor(checks, "after_cursor", request.after_cursor)
        checks.holds("after_time", request.HasField("after_time"), "is required")
        checks.done()
        if captured.history is None:
            raise EventsHistoryDisabled
        events = await captured.history.page(
            _ring_name(request.topic, request.conid),
            since_ms=request.after_time.ToMilliseconds(),
            after_cursor=request.after_cursor,
            limit=limit,
        )
        return pb.ListEventHistoryResponse(events=[self._decoded(event, request.include_raw) for event in events])

    async def GetEventsStatus(self, request: pb.GetEventsStatusRequest, context: Context) -> pb.GetEventsStatusResponse:
        captured = self._on()
        state, history = captured.connector, captured.history
        stats = None if history is None else history.stats()
        return pb.GetEventsStatusResponse(
            connected=state.connected,
            last_message_at=None if state.last_message_ms is None else _moment(state.last_message_ms),
            reconnect_count=state.reconnect_count,
            reset_epoch=captured.topics.reset_epoch,
            last_error=state.last_error or "",
            frames=dict(state.frames),
            # REST's ring of orders has the same events as the one of whole orders.
            topics=[_status(ring) for ring in captured.topics.all() if ring.topic != ORDERS],
            history_enabled=history is not None,
            history_queued=0 if stats is None else stats.queued,
            history_dropped=0 if stats is None else stats.dropped,
            history_error="" if stats is None else stats.last_error or "",
        )

    async def StreamEvents(
        self, request: pb.StreamEventsRequest, context: Context
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        captured = self._on()
        _check_stream(request)
        accounts = list(request.account_ids) or list(captured.accounts())[:_MOST_ACCOUNTS]
        follows = [await _follow(captured, wanted.topic, wanted.conid, accounts) for wanted in request.topics]
        for follow, wanted in zip(follows, request.topics, strict=True):
            after = wanted.after_cursor if wanted.HasField("after_cursor") else None
            await follow.check(after, history=captured.history, reset_epoch=captured.topics.reset_epoch)
        with captured.streams.open() as news:
            try:
                for follow in follows:
                    follow.ring.watchers.add(news)
                started = pb.StreamStarted(positions=_positions(follows), reset_epoch=captured.topics.reset_epoch)
                yield pb.StreamEventsResponse(started=started)
                async for given in streams.replay(follows, captured.history, reset_epoch=captured.topics.reset_epoch):
                    yield self._message(given, request)
                async for message in self._live(captured.streams, request, follows, news):
                    yield message
            finally:
                for follow in follows:
                    follow.ring.watchers.discard(news)

    async def _live(
        self, opened: OpenStreams, request: pb.StreamEventsRequest, follows: Sequence[Follow], news: asyncio.Event
    ) -> AsyncIterator[pb.StreamEventsResponse]:
        pulse = Pulse(news, request.heartbeat_secs)
        while True:
            pulse.listen()
            for given in streams.news_of(follows):
                pulse.spoke()
                yield self._message(given, request)
            if any(follow.is_behind for follow in follows):
                continue
            if opened.closing:
                yield pb.StreamEventsResponse(end=pb.StreamEnd(reason="shutdown", positions=_positions(follows)))
                return
            if pulse.beats():
                heartbeat = pb.StreamHeartbeat(sent_at=now(), positions=_positions(follows))
                yield pb.StreamEventsResponse(heartbeat=heartbeat)
            await pulse.wait()

    def _message(self, given: Given, request: pb.StreamEventsRequest) -> pb.StreamEventsResponse:
        if given.payload is None and not given.merged:
            return pb.StreamEventsResponse(event=self._decoded(given.event, request.include_raw))
        event = decode.event(given.event, include_raw=request.include_raw, merged=given.merged, payload=given.payload)
        return pb.StreamEventsResponse(event=event)

    def _on(self) -> Captured:
        if self._captured is None:
            raise EventsDisabled
        return self._captured


async def _follow(captured: Captured, topic: int, conid: int, accounts: Sequence[str]) -> Follow:
    ring = await _ring(captured, topic, conid, accounts)
    return Follow(
        ring, ring.newest_cursor, {"topic": pb.EventTopic.Name(pb.EventTopic.ValueType(topic)), "conid": conid}
    )


async def _ring(captured: Captured, topic: int, conid: int, accounts: Sequence[str]) -> Ring:
    """The ring of a topic, whose channel is subscribed if it is one that nobody has followed yet."""
    wanted = {
        pb.EVENT_TOPIC_TRADES: [subscriptions.TRADES],
        pb.EVENT_TOPIC_LEDGER: [subscriptions.ledger(account) for account in accounts],
        pb.EVENT_TOPIC_ACCOUNT_SUMMARY: [subscriptions.account_summary(account) for account in accounts],
    }
    if topic == pb.EVENT_TOPIC_MARKETDATA:
        return await captured.lines.read(conid)
    for channel in wanted.get(topic, ()):  # type: ignore[call-overload]
        await captured.subscriptions.want(channel)
    return captured.topics.fixed(decode.TOPICS[topic])


def _ring_name(topic: int, conid: int) -> str:
    return marketdata_topic(conid) if topic == pb.EVENT_TOPIC_MARKETDATA else decode.TOPICS[topic]


def _positions(follows: Sequence[Follow]) -> list[pb.TopicPosition]:
    positions = []
    for follow in follows:
        topic, conid = decode.topic_of(follow.ring.topic)
        positions.append(pb.TopicPosition(topic=topic, conid=conid, cursor=follow.cursor))
    return positions


def _status(ring: Ring) -> pb.TopicStatus:
    topic, conid = decode.topic_of(ring.topic)
    return pb.TopicStatus(
        topic=topic,
        conid=conid,
        held=len(ring),
        head_cursor=ring.head_cursor,
        newest_cursor=ring.newest_cursor,
        readers=len(ring.watchers),
    )


def _check_stream(request: pb.StreamEventsRequest) -> None:
    checks = Checks()
    checks.holds("topics", bool(request.topics), "needs at least one topic")
    checks.holds("topics", len(request.topics) <= _MOST_TOPICS, f"may have at most {_MOST_TOPICS}", len(request.topics))
    seen = set()
    for index, wanted in enumerate(request.topics[:_MOST_TOPICS]):
        place = f"topics[{index}]"
        _topic(checks, f"{place}.topic", f"{place}.conid", wanted.topic, wanted.conid)
        _cursor(checks, f"{place}.after_cursor", wanted.after_cursor)
        checks.holds(place, (wanted.topic, wanted.conid) not in seen, "must not be named twice")
        seen.add((wanted.topic, wanted.conid))
    checks.holds("account_ids", len(request.account_ids) <= _MOST_ACCOUNTS, f"may have at most {_MOST_ACCOUNTS}")
    for index, account in enumerate(request.account_ids[:_MOST_ACCOUNTS]):
        checks.account(f"account_ids[{index}]", account)
    check_heartbeat(checks, request.heartbeat_secs)
    checks.done()


def _topic(checks: Checks, field: str, conid_field: str, topic: int, conid: int) -> None:
    if not checks.holds(field, topic in decode.TOPICS, "must be one of EventTopic", topic):
        return
    if topic == pb.EVENT_TOPIC_MARKETDATA:
        checks.conid(conid_field, conid)
    else:
        checks.holds(conid_field, conid == 0, "must be 0 but for MARKETDATA", conid)


def _limit(checks: Checks, given: int, default: int, most: int) -> int:
    checks.holds("limit", given >= 0, "must not be negative", given)
    return min(given or default, most)


def _cursor(checks: Checks, field: str, cursor: int) -> None:
    checks.holds(field, 0 <= cursor <= _LARGEST_CURSOR, "must not be negative", cursor)


def _moment(ms: int) -> Timestamp:
    moment = Timestamp()
    moment.FromMilliseconds(ms)
    return moment
