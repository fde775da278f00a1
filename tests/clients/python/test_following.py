"""Following events: each once and in order, whatever the server and the network do, with and without an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import grpc
import pytest
from google.rpc import error_details_pb2

import bezant
from bezant.v1 import events_service_pb2 as pb
from tests.clients.python.scripted import HANG, Failure, ScriptedServer
from tests.clients.python.silent import SilentWay, silent_way

ORDERS, TRADES, QUOTES = pb.EVENT_TOPIC_ORDERS, pb.EVENT_TOPIC_TRADES, pb.EVENT_TOPIC_MARKETDATA
_SECS = 30.0
_SILENCE_SECS = 1.0
_GONE = Failure(grpc.StatusCode.UNAVAILABLE)
_IMPATIENT = (("grpc.keepalive_time_ms", 100), ("grpc.http2.ping_timeout_ms", 200))

Item = pb.Event | bezant.EventsMissed
Topic: TypeAlias = pb.EventTopic.ValueType | pb.TopicSubscription
Follow = Callable[[ScriptedServer, Iterable[Topic], int], list[Item]]


def _sync(server: ScriptedServer, topics: Iterable[Topic], count: int) -> list[Item]:
    with bezant.connect(server.target) as client, bezant.follow_events(client, topics) as events:
        return [next(events) for _ in range(count)]


def _aio(server: ScriptedServer, topics: Iterable[Topic], count: int) -> list[Item]:
    async def run() -> list[Item]:
        async with (
            asyncio.timeout(_SECS),
            bezant.aio.connect(server.target) as client,
            bezant.aio.follow_events(client, topics) as events,
        ):
            return [await anext(events) for _ in range(count)]

    return asyncio.run(run())


@pytest.fixture(params=[_sync, _aio], ids=["sync", "aio"])
def follow(request: pytest.FixtureRequest) -> Follow:
    chosen: Follow = request.param
    return chosen


def _position(cursor: int, topic: pb.EventTopic.ValueType = ORDERS, conid: int = 0) -> pb.TopicPosition:
    return pb.TopicPosition(topic=topic, conid=conid, cursor=cursor)


def _started(*positions: pb.TopicPosition) -> pb.StreamEventsResponse:
    return pb.StreamEventsResponse(started=pb.StreamStarted(positions=positions, reset_epoch=1))


def _event(cursor: int, topic: pb.EventTopic.ValueType = ORDERS, conid: int = 0) -> pb.StreamEventsResponse:
    return pb.StreamEventsResponse(event=pb.Event(topic=topic, conid=conid, cursor=cursor))


def _heartbeat(*positions: pb.TopicPosition) -> pb.StreamEventsResponse:
    return pb.StreamEventsResponse(heartbeat=pb.StreamHeartbeat(positions=positions))


def _expired(head_cursor: int, **topic: str) -> Failure:
    return Failure(
        grpc.StatusCode.OUT_OF_RANGE,
        reason="CURSOR_EXPIRED",
        metadata={"head_cursor": str(head_cursor), "reset_epoch": "7", **topic},
    )


def _cursors(items: Iterable[Item]) -> list[int]:
    return [item.cursor for item in items if isinstance(item, pb.Event)]


def _asked(server: ScriptedServer) -> list[dict[tuple[int, int], int | None]]:
    """The cursors of each request that came."""
    return [
        {
            (each.topic, each.conid): each.after_cursor if each.HasField("after_cursor") else None
            for each in call.request.topics
        }
        for call in server.calls("StreamEvents")
    ]


class TestGoingOn:
    def test_events_and_nothing_else_from_now_on(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), _heartbeat(_position(5)), _event(6), HANG)

        assert _cursors(follow(server, [ORDERS], 2)) == [5, 6]

        assert _asked(server) == [{(ORDERS, 0): None}]

    @pytest.mark.parametrize(
        "end",
        [
            _GONE,
            Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="SLOW_READER", metadata={"cursors": "orders=6"}),
            # What becomes of a stream that a proxy resets.
            Failure(grpc.StatusCode.INTERNAL, message="Received RST_STREAM with error code 2"),
            pb.StreamEventsResponse(end=pb.StreamEnd(reason="shutdown", positions=[_position(6)])),
        ],
        ids=["unavailable", "slow reader", "reset", "end"],
    )
    def test_behind_the_last_event_after_an_interruption(
        self, server: ScriptedServer, follow: Follow, end: Failure | pb.StreamEventsResponse
    ) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), _event(6), end)
        server.answer("StreamEvents", _started(_position(6)), _event(7), _GONE)
        server.answer("StreamEvents", _started(_position(7)), _event(8), HANG)

        assert _cursors(follow(server, [ORDERS], 4)) == [5, 6, 7, 8]

        assert _asked(server) == [{(ORDERS, 0): None}, {(ORDERS, 0): 6}, {(ORDERS, 0): 7}]

    def test_a_repeated_event_is_not_given_again(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), _event(6), _GONE)
        server.answer("StreamEvents", _started(_position(4)), _event(5), _event(6), _event(7), HANG)

        assert _cursors(follow(server, [ORDERS], 3)) == [5, 6, 7]

    def test_where_the_server_was_when_nothing_had_happened_yet(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _started(_position(4)), _heartbeat(_position(9)), _GONE)
        server.answer("StreamEvents", _started(_position(9)), _GONE)
        server.answer("StreamEvents", _started(_position(9)), _event(10), HANG)

        assert _cursors(follow(server, [ORDERS], 1)) == [10]

        assert _asked(server)[1:] == [{(ORDERS, 0): 9}, {(ORDERS, 0): 9}]

    def test_each_topic_and_contract_by_itself(self, server: ScriptedServer, follow: Follow) -> None:
        wanted: list[Topic] = [
            ORDERS,
            pb.TopicSubscription(topic=QUOTES, conid=8314, after_cursor=0),
            pb.TopicSubscription(topic=QUOTES, conid=265598, after_cursor=3),
        ]
        begin = _started(_position(4), _position(1, QUOTES, 8314), _position(3, QUOTES, 265598))
        server.answer("StreamEvents", begin, _event(4, QUOTES, 265598), _event(2, QUOTES, 8314), _event(5), _GONE)
        server.answer("StreamEvents", begin, _event(6), HANG)

        assert _cursors(follow(server, wanted, 4)) == [4, 2, 5, 6]

        assert _asked(server) == [
            {(ORDERS, 0): None, (QUOTES, 8314): 0, (QUOTES, 265598): 3},
            {(ORDERS, 0): 5, (QUOTES, 8314): 2, (QUOTES, 265598): 4},
        ]

    def test_no_sooner_than_the_server_asks_for(self, server: ScriptedServer, follow: Follow) -> None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(700)
        server.answer("StreamEvents", _started(_position(4)), _event(5), Failure(_GONE.code, details=[retry]))
        server.answer("StreamEvents", _started(_position(5)), _event(6), HANG)

        follow(server, [ORDERS], 2)

        first, second = server.calls("StreamEvents")
        assert second.arrived_at - first.arrived_at > 0.7

    def test_a_refusal_ends_it(self, server: ScriptedServer) -> None:
        refused = Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="EVENTS_DISABLED")
        server.answer("StreamEvents", _started(_position(4)), _event(5), refused)
        with bezant.connect(server.target) as client, bezant.follow_events(client, [ORDERS]) as events:
            next(events)
            with pytest.raises(bezant.BezantError, match="EVENTS_DISABLED"):
                next(events)
            assert list(events) == []


class TestSilence:
    """A connection that dies without a word is noticed by pings that nobody answers."""

    @pytest.fixture
    def way(self, server: ScriptedServer) -> Iterator[SilentWay]:
        server.answer("StreamEvents", _started(_position(4)), _event(5), HANG)
        server.answer("StreamEvents", _started(_position(5)), _event(6), HANG)
        with silent_way(server.target) as way:
            yield way

    def test_and_events_go_on(self, way: SilentWay) -> None:
        with (
            bezant.connect(way.target, options=_IMPATIENT) as client,
            bezant.follow_events(client, [ORDERS]) as events,
        ):
            first = next(events)
            way.die()
            assert _cursors([first, next(events)]) == [5, 6]

    async def test_and_events_go_on_with_an_event_loop(self, way: SilentWay) -> None:
        async with (
            bezant.aio.connect(way.target, options=_IMPATIENT) as client,
            bezant.aio.follow_events(client, [ORDERS]) as events,
        ):
            first = await anext(events)
            way.die()
            assert _cursors([first, await anext(events)]) == [5, 6]


class TestQuiet:
    """A connection that lives, and a server that says nothing on it, not even with heartbeats."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bezant._waits._LONGEST_SILENCE_SECS", _SILENCE_SECS)

    def test_is_left_and_events_go_on(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), HANG)
        server.answer("StreamEvents", HANG)
        server.answer("StreamEvents", _started(_position(5)), _event(6), HANG)

        assert _cursors(follow(server, [ORDERS], 2)) == [5, 6]

        assert _asked(server) == [{(ORDERS, 0): None}, {(ORDERS, 0): 5}, {(ORDERS, 0): 5}]
        first, second, third = (call.arrived_at for call in server.calls("StreamEvents"))
        assert _SILENCE_SECS < second - first < 10 * _SILENCE_SECS
        assert _SILENCE_SECS < third - second < 10 * _SILENCE_SECS
        assert all(server.ended.acquire(timeout=_SECS) for _ in range(3))

    def test_at_the_beginning_is_an_error(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", HANG)
        with pytest.raises(bezant.BezantError, match="nothing for 1 seconds") as caught:
            follow(server, [ORDERS], 1)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        assert server.ended.acquire(timeout=_SECS)

    def test_is_nothing_while_nobody_waits(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), _event(6), HANG)
        with bezant.connect(server.target) as client, bezant.follow_events(client, [ORDERS]) as events:
            first = next(events)
            time.sleep(2 * _SILENCE_SECS)
            assert _cursors([first, next(events)]) == [5, 6]
            assert len(server.calls("StreamEvents")) == 1

    def test_is_watched_for_until_the_block_ends(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(_position(4)), HANG)
        others = threading.enumerate()
        with bezant.connect(server.target) as client, bezant.follow_events(client, [ORDERS]):
            (watch,) = (each for each in threading.enumerate() if each.name == "bezant-events" and each not in others)
        watch.join(_SECS)
        assert not watch.is_alive()


class TestBeginning:
    @pytest.mark.parametrize("failure", [_GONE, Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="EVENTS_DISABLED")])
    def test_what_cannot_be_followed_is_said_at_once(
        self, server: ScriptedServer, follow: Follow, failure: Failure
    ) -> None:
        server.answer("StreamEvents", failure)
        with pytest.raises(bezant.BezantError) as caught:
            follow(server, [ORDERS], 1)
        assert (caught.value.code, caught.value.reason) == (failure.code, failure.reason)

    @pytest.mark.parametrize(("heartbeat_secs", "patience_secs"), [(0, 45), (60, 180)])
    async def test_a_server_may_say_nothing_for_three_heartbeats(
        self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, heartbeat_secs: int, patience_secs: int
    ) -> None:
        server.answer("StreamEvents", HANG)
        loop = asyncio.get_running_loop()
        now = loop.time
        async with bezant.aio.connect(server.target) as client:
            events = bezant.aio.follow_events(client, [ORDERS], heartbeat_secs=heartbeat_secs)
            entering = asyncio.create_task(events.__aenter__())
            await asyncio.to_thread(server.wait_for, "StreamEvents", 1)
            monkeypatch.setattr(loop, "time", lambda: now() + patience_secs)
            with pytest.raises(bezant.BezantError, match=f"nothing for {patience_secs} seconds"):
                await entering

    def test_options_are_passed_on(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(), HANG)
        with (
            bezant.connect(server.target) as client,
            bezant.follow_events(client, [ORDERS], include_raw=True, account_ids=["DU8730189"], heartbeat_secs=3),
        ):
            request = server.received[0].request
        assert (request.include_raw, list(request.account_ids), request.heartbeat_secs) == (True, ["DU8730189"], 3)

    def test_topics_are_needed_and_named_once(self, server: ScriptedServer) -> None:
        with bezant.connect(server.target) as client:
            with pytest.raises(ValueError, match="topics names EVENT_TOPIC_ORDERS twice"):
                bezant.follow_events(client, [ORDERS, pb.TopicSubscription(topic=ORDERS)])
            with pytest.raises(ValueError, match="topics needs at least one"):
                bezant.follow_events(client, [])

    def test_positions_go_on_where_another_left(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), HANG)
        with bezant.connect(server.target) as client:
            with bezant.follow_events(client, [ORDERS]) as events:
                next(events)
                left = events.positions
            assert left == [pb.TopicSubscription(topic=ORDERS, after_cursor=5)]
            with bezant.follow_events(client, left):
                pass
        assert _asked(server)[1] == {(ORDERS, 0): 5}


class TestMissed:
    def test_what_cannot_be_had_any_more_is_told_in_its_place(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), _GONE)
        server.answer("StreamEvents", _expired(90))
        server.answer("StreamEvents", _started(_position(89)), _event(90), _event(91), HANG)

        items = follow(server, [ORDERS], 4)

        missed = bezant.EventsMissed(topic=ORDERS, conid=0, after_cursor=5, head_cursor=90, reset_epoch=7)
        assert items[1] == missed
        assert _cursors(items) == [5, 90, 91]
        assert _asked(server)[1:] == [{(ORDERS, 0): 5}, {(ORDERS, 0): 89}]

    def test_of_several_topics_the_one_that_the_server_names(self, server: ScriptedServer, follow: Follow) -> None:
        wanted: list[Topic] = [ORDERS, *(pb.TopicSubscription(topic=QUOTES, conid=conid) for conid in (8314, 265598))]
        begin = _started(_position(4), _position(20, QUOTES, 8314), _position(30, QUOTES, 265598))
        server.answer("StreamEvents", begin, _event(5), _event(31, QUOTES, 265598), _GONE)
        server.answer("StreamEvents", _expired(90, topic="EVENT_TOPIC_MARKETDATA", conid="265598"))
        server.answer("StreamEvents", _expired(7, topic="EVENT_TOPIC_ORDERS", conid="0"))
        server.answer("StreamEvents", _started(), _event(7), _event(21, QUOTES, 8314), HANG)

        items = follow(server, wanted, 6)

        assert items[2:4] == [
            bezant.EventsMissed(QUOTES, 265598, after_cursor=31, head_cursor=90, reset_epoch=7),
            bezant.EventsMissed(ORDERS, 0, after_cursor=5, head_cursor=7, reset_epoch=7),
        ]
        assert _cursors(items) == [5, 31, 7, 21]
        # The server is asked for all of them each time, and for none by itself.
        assert _asked(server)[1:] == [
            {(ORDERS, 0): 5, (QUOTES, 8314): 20, (QUOTES, 265598): 31},
            {(ORDERS, 0): 5, (QUOTES, 8314): 20, (QUOTES, 265598): 89},
            {(ORDERS, 0): 6, (QUOTES, 8314): 20, (QUOTES, 265598): 89},
        ]

    @pytest.mark.parametrize(
        "topic",
        [{}, {"topic": "EVENT_TOPIC_PNL", "conid": "0"}, {"topic": "EVENT_TOPIC_ORDERS", "conid": "1"}],
        ids=["none", "another topic", "another contract"],
    )
    def test_of_several_topics_none_is_guessed(
        self, server: ScriptedServer, follow: Follow, topic: dict[str, str]
    ) -> None:
        server.answer("StreamEvents", _started(_position(4), _position(20, TRADES)), _event(5), _GONE)
        server.answer("StreamEvents", _expired(90, **topic))

        with pytest.raises(bezant.BezantError) as caught:
            follow(server, [ORDERS, TRADES], 2)

        assert caught.value.reason == "CURSOR_EXPIRED"

    def test_at_the_beginning_the_other_topics_are_followed_at_once(
        self, server: ScriptedServer, follow: Follow
    ) -> None:
        server.answer("StreamEvents", _expired(3, topic="EVENT_TOPIC_ORDERS", conid="0"))
        server.answer(
            "StreamEvents", _started(_position(2), _position(20, TRADES)), _event(21, TRADES), _event(3), HANG
        )

        items = follow(server, [pb.TopicSubscription(topic=ORDERS, after_cursor=1000), TRADES], 3)

        # Cursors that are lower than the one that has expired are no repetition.
        assert items[0] == bezant.EventsMissed(ORDERS, 0, after_cursor=1000, head_cursor=3, reset_epoch=7)
        assert _cursors(items) == [21, 3]
        assert _asked(server) == [{(ORDERS, 0): 1000, (TRADES, 0): None}, {(ORDERS, 0): 2, (TRADES, 0): None}]

    def test_a_server_that_serves_no_cursor_is_not_asked_for_ever(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _expired(3))
        with pytest.raises(bezant.BezantError, match="CURSOR_EXPIRED"):
            follow(server, [pb.TopicSubscription(topic=ORDERS, after_cursor=1000)], 1)

    def test_positions_do_not_pass_over_what_was_not_told_yet(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _expired(90))
        server.answer("StreamEvents", _started(_position(89)), HANG)
        wanted = pb.TopicSubscription(topic=ORDERS, after_cursor=5)
        with bezant.connect(server.target) as client, bezant.follow_events(client, [wanted]) as events:
            assert events.positions == [wanted]
            assert isinstance(next(events), bezant.EventsMissed)
            assert events.positions == [pb.TopicSubscription(topic=ORDERS, after_cursor=89)]


class TestStopping:
    def test_leaving_ends_the_stream(self, server: ScriptedServer, follow: Follow) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), HANG)
        follow(server, [ORDERS], 1)
        assert server.ended.acquire(timeout=_SECS)

    def test_another_thread_stops_a_wait(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), HANG)
        with bezant.connect(server.target) as client, bezant.follow_events(client, [ORDERS]) as events:
            assert next(events) is not None
            stopper = threading.Thread(target=events.close)
            stopper.start()
            assert list(events) == []
            stopper.join()
            assert server.ended.acquire(timeout=_SECS)

    def test_another_thread_stops_the_attempts_to_connect(self, server: ScriptedServer) -> None:
        def stop(events: bezant.FollowedEvents) -> None:
            server.wait_for("StreamEvents", 3)
            events.close()

        server.answer("StreamEvents", _started(_position(4)), _GONE)
        server.answer("StreamEvents", _GONE)
        with bezant.connect(server.target) as client, bezant.follow_events(client, [ORDERS]) as events:
            stopper = threading.Thread(target=stop, args=(events,))
            stopper.start()
            assert list(events) == []
            stopper.join()

    async def test_a_cancelled_task_stops(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(_position(4)), HANG)
        entered = asyncio.Event()

        async def wait() -> None:
            async with bezant.aio.follow_events(client, [ORDERS]) as events:
                entered.set()
                await anext(events)

        async with bezant.aio.connect(server.target) as client:
            task = asyncio.create_task(wait())
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.ended.acquire, timeout=_SECS)

    async def test_a_wait_that_was_given_up_loses_nothing(self, server: ScriptedServer) -> None:
        server.answer("StreamEvents", _started(_position(4)), _event(5), HANG)
        server.answer("StreamEvents", _started(_position(5)), _event(6), HANG)
        async with (
            bezant.aio.connect(server.target) as client,
            bezant.aio.follow_events(client, [ORDERS]) as events,
        ):
            first = await anext(events)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(events)
            second = await anext(events)
        assert _cursors([first, second]) == [5, 6]
        assert _asked(server)[1] == {(ORDERS, 0): 5}
