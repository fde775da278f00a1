"""Streams of events, through real gRPC: resumed, interrupted, overrun, many at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from bezant.v1 import events_service_pb2 as pb
from bezant.v1 import events_service_pb2_grpc as pb_grpc
from bezant.v1 import order_pb2
from tests.support.grpc_errors import error_info, reason, violated_fields
from tests.support.paper import start_paper
from tests.support.typed import AAPL, ACCOUNT, TypedServer, start_server, typed_server
from tests.typed.orders.trader import Trader, limit, market

ORDERS, PNL, MARKETDATA = pb.EVENT_TOPIC_ORDERS, pb.EVENT_TOPIC_PNL, pb.EVENT_TOPIC_MARKETDATA
_WAIT_SECS = 30.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TypedServer]:
    with typed_server(tmp_path, BEZANT_KEEPALIVE_SECS="3600") as running:
        await asyncio.to_thread(connected, running)
        yield running


def connected(server: TypedServer, times: int = 1) -> None:
    """Wait until the capture has subscribed so many times."""
    deadline = time.monotonic() + _WAIT_SECS
    while len(server.log_lines(logger="bezant_server.events.connector", message="subscribed")) < times:
        assert time.monotonic() < deadline, "the capture does not connect"
        time.sleep(0.05)


class Stream:
    """One stream, read message by message."""

    def __init__(self, channel: grpc.aio.Channel, *topics: pb.TopicSubscription, **options: Any) -> None:
        stub: Any = pb_grpc.EventsServiceStub(channel)
        self.call = stub.StreamEvents(pb.StreamEventsRequest(topics=topics, **options))

    async def next(self) -> pb.StreamEventsResponse:
        async with asyncio.timeout(_WAIT_SECS):
            message = await self.call.read()
        assert message is not grpc.aio.EOF
        response: pb.StreamEventsResponse = message
        return response

    async def started(self) -> pb.StreamStarted:
        return (await self.next()).started

    async def event(self) -> pb.Event:
        while True:
            message = await self.next()
            if message.HasField("event"):
                return message.event

    async def until(self, condition: Any) -> list[pb.Event]:
        """Events up to the first that meets a condition."""
        events = []
        while True:
            events.append(await self.event())
            if condition(events[-1]):
                return events


def topic(number: Any, **options: Any) -> pb.TopicSubscription:
    return pb.TopicSubscription(topic=number, **options)


def has_order(name: str, status: Any) -> Any:
    def met(event: pb.Event) -> bool:
        return any(
            each.order.client_order_id == name and each.order.status == status for each in event.order_update.orders
        )

    return met


FILLED = order_pb2.ORDER_STATUS_FILLED
SUBMITTED = order_pb2.ORDER_STATUS_SUBMITTED


async def test_orders_are_whole_after_each_change(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        stream = Stream(channel, topic(ORDERS), include_raw=True)
        await stream.started()
        await trader.place(market(client_order_id="whole", quantity="3"), agreed=("o10151",))
        events = await stream.until(has_order("whole", FILLED))
        states = [each for event in events for each in event.order_update.orders]
        assert len(states) > 2
        for state in states:
            assert state.complete
            assert (state.order.conid, state.order.client_order_id) == (AAPL, "whole")
            assert (state.order.side, state.order.total_quantity) == (order_pb2.ORDER_SIDE_BUY, "3.0")
        assert states[-1].order.is_terminal
        cursors = [event.cursor for event in events]
        assert cursors == list(range(cursors[0], cursors[0] + len(cursors)))
        assert all(event.raw.startswith(b'{"') and b'"sor"' in event.raw for event in events)
        assert all(event.received_at.seconds for event in events)


async def test_every_topic_is_typed(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        wanted = [number for number in pb.EventTopic.values() if number not in (0, MARKETDATA)]
        stream = Stream(channel, *(topic(number) for number in wanted), topic(MARKETDATA, conid=AAPL))
        started = await stream.started()
        assert len(started.positions) == len(wanted) + 1
        await trader.place(market(client_order_id="typed"), agreed=("o10151",))
        server.paper.control(
            "/socket/frame", {"frame": {"topic": "ntf", "args": {"id": "n1", "title": "T", "text": "<b>x</b>"}}}
        )
        server.paper.control("/socket/frame", {"frame": {"topic": "blt", "args": {"id": "b1", "message": "urgent"}}})
        seen: dict[str, pb.Event] = {}
        needed = {
            "order_update", "pnl_update", "quote", "execution_update", "session_update", "notification", "bulletin",
            "ledger_update", "account_summary_update",
        }  # fmt: skip
        async with asyncio.timeout(_WAIT_SECS):
            while not needed <= seen.keys():
                event = await stream.event()
                assert not event.decode_error, event
                seen[event.WhichOneof("payload") or ""] = event
                if needed - seen.keys() == {"session_update"}:
                    server.paper.control("/session/compete", {"on": True})
        assert seen["notification"].notification.text == "x"
        assert seen["bulletin"].bulletin.text == "urgent"
        assert seen["execution_update"].execution_update.executions[0].client_order_id == "typed"
        assert {row.account_id for row in seen["pnl_update"].pnl_update.rows} <= {ACCOUNT, "DUP203550"}
        assert seen["ledger_update"].ledger_update.account_id
        assert seen["quote"].conid == AAPL


async def test_a_reader_resumes_behind_its_cursor_without_a_seam(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        stream = Stream(channel, topic(ORDERS))
        await stream.started()
        await trader.accepted(limit(client_order_id="first"))
        before = await stream.until(has_order("first", SUBMITTED))
        stream.call.cancel()
        await trader.accepted(limit(client_order_id="second"))
        resumed = Stream(channel, topic(ORDERS, after_cursor=before[-1].cursor))
        assert (await resumed.started()).positions[0].cursor == before[-1].cursor
        after = await resumed.until(has_order("second", SUBMITTED))
        assert [event.cursor for event in after] == list(
            range(before[-1].cursor + 1, before[-1].cursor + 1 + len(after))
        )


_CLIENT = """
import asyncio, sys
import grpc
from bezant.v1 import events_service_pb2 as pb, events_service_pb2_grpc as pb_grpc

async def main():
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        request = pb.StreamEventsRequest(topics=[pb.TopicSubscription(topic=pb.EVENT_TOPIC_ORDERS)])
        async for message in pb_grpc.EventsServiceStub(channel).StreamEvents(request):
            if message.HasField("event"):
                print(message.event.cursor, flush=True)
            else:
                print("started", flush=True)

asyncio.run(main())
"""


async def test_a_client_that_is_killed_resumes(server: TypedServer) -> None:
    client = subprocess.Popen(  # noqa: ASYNC220  it is to be killed, which a program of asyncio's cannot wait for
        [sys.executable, "-c", _CLIENT, server.target], stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    try:
        assert await asyncio.to_thread(client.stdout.readline) == "started\n"
        async with server.channel() as channel:
            trader = Trader(server, channel)
            trader.quiet_market()
            await trader.accepted(limit(client_order_id="killed"))
            last = int(await asyncio.to_thread(client.stdout.readline))
            client.kill()
            await trader.accepted(limit(client_order_id="after-kill"))
            stream = Stream(channel, topic(ORDERS, after_cursor=last))
            await stream.started()
            events = await stream.until(has_order("after-kill", SUBMITTED))
            assert events[0].cursor == last + 1
            status = await pb_grpc.EventsServiceStub(channel).GetEventsStatus(pb.GetEventsStatusRequest())
            readers = {each.topic: each.readers for each in status.topics}
            assert readers[ORDERS] == 1
    finally:
        client.kill()
        client.wait()
        client.stdout.close()


async def test_a_gap_marks_a_reconnect_in_mid_stream(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        stream = Stream(channel, topic(ORDERS), topic(pb.EVENT_TOPIC_GAP), topic(MARKETDATA, conid=AAPL))
        epoch = (await stream.started()).reset_epoch
        server.paper.control("/socket/drop")
        seen: set[int] = set()
        async with asyncio.timeout(_WAIT_SECS):
            while seen < {ORDERS, pb.EVENT_TOPIC_GAP, MARKETDATA}:
                event = await stream.event()
                if event.WhichOneof("payload") == "gap":
                    assert event.gap.reason == "reconnected_after_disconnect"
                    assert event.gap.new_reset_epoch == event.reset_epoch > epoch
                    assert event.gap.disconnected_at.seconds
                    seen.add(event.topic)
        await trader.accepted(limit(client_order_id="after-gap"))
        await stream.until(has_order("after-gap", SUBMITTED))


async def test_a_stop_of_the_server_ends_streams_with_where_to_resume(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        stream = Stream(channel, topic(ORDERS), topic(PNL))
        await stream.started()
        await trader.accepted(limit(client_order_id="stopping"))
        last = (await stream.until(has_order("stopping", SUBMITTED)))[-1].cursor
        server.process.send_signal(signal.SIGTERM)
        while not (message := await stream.next()).HasField("end"):
            if message.event.topic == ORDERS:
                last = message.event.cursor
        assert message.end.reason == "shutdown"
        assert {position.topic: position.cursor for position in message.end.positions}[ORDERS] == last
        assert await stream.call.read() is grpc.aio.EOF
        assert await stream.call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("database", [False, True])
async def test_a_restart_of_the_server(tmp_path: Path, *, database: bool) -> None:
    """With a database a cursor lives on; without, it is expired, never "caught up"."""
    variables = {"BEZANT_PACING": "off", "BEZANT_KEEPALIVE_SECS": "3600"}
    if database:
        variables["BEZANT_EVENTS_DB_PATH"] = str(tmp_path / "events.db")
    with start_paper(tmp_path, "--primed") as paper:
        with start_server(paper, tmp_path, **variables) as server:
            await asyncio.to_thread(connected, server)
            async with server.channel() as channel:
                trader = Trader(server, channel)
                trader.quiet_market()
                stream = Stream(channel, topic(ORDERS))
                await stream.started()
                await trader.accepted(limit(client_order_id="one"))
                first = (await stream.event()).cursor
                rest = [event.cursor for event in await stream.until(has_order("one", SUBMITTED))]
        with start_server(paper, tmp_path, **variables) as server:
            await asyncio.to_thread(connected, server)
            async with server.channel() as channel:
                stream = Stream(channel, topic(ORDERS, after_cursor=first))
                if not database:
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await stream.next()
                    assert (caught.value.code(), reason(caught.value)) == (
                        grpc.StatusCode.OUT_OF_RANGE,
                        "CURSOR_EXPIRED",
                    )
                    assert int(error_info(caught.value).metadata["head_cursor"]) > first
                    assert error_info(caught.value).metadata["topic"] == "EVENT_TOPIC_ORDERS"
                    assert error_info(caught.value).metadata["conid"] == "0"
                    return
                await stream.started()
                assert [(await stream.event()).cursor for _ in rest] == rest
                trader = Trader(server, channel)
                await trader.accepted(limit(client_order_id="two"))
                after = await stream.until(has_order("two", SUBMITTED))
                cursors = [event.cursor for event in after]
                assert cursors == sorted(set(cursors))
                assert cursors[0] > rest[-1]


async def test_a_hundred_readers_share_one_subscription(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        streams = [Stream(channel, topic(ORDERS), topic(pb.EVENT_TOPIC_TRADES)) for _ in range(100)]
        await asyncio.gather(*(stream.started() for stream in streams))
        await trader.place(market(client_order_id="crowd"), agreed=("o10151",))
        given = await asyncio.gather(*(stream.until(has_order("crowd", FILLED)) for stream in streams))
        orders = [[event.cursor for event in events if event.topic == ORDERS] for events in given]
        assert all(cursors == orders[0] for cursors in orders)
        state = server.paper.state()
        assert state["sockets"] == 1
        for stream in streams:
            stream.call.cancel()


async def frames(server: TypedServer, count: int, *, conid: int = AAPL, start: int = 0) -> None:
    for number in range(start, start + count):
        frame = {"topic": f"smd+{conid}", "conid": conid, "31": f"{number}.00", "_updated": 1_795_000_000_000}
        await server.paper.acontrol("/socket/frame", {"frame": frame})


async def test_a_slow_reader_of_quotes_gets_the_newest_and_is_told(server: TypedServer) -> None:
    quiet = 4815747
    server.paper.control("/quotes", {"conid": quiet, "bid": 140.0, "ask": 140.02})
    options = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(server.target, options=options) as slow, server.channel() as quick:
        stream = Stream(slow, topic(MARKETDATA, conid=quiet), include_raw=True)
        await stream.started()
        witness = Stream(quick, topic(MARKETDATA, conid=quiet))
        await witness.started()
        # Nobody reads the first stream; what does not fit its window waits in the ring.
        pad = "x" * 3000
        for number in range(60):
            frame = {"topic": f"smd+{quiet}", "conid": quiet, "31": f"{number}.00", "58": pad}
            await server.paper.acontrol("/socket/frame", {"frame": frame})
        await witness.until(lambda event: event.quote.last_price == "59.00")
        events = await stream.until(lambda event: event.quote.last_price == "59.00")
        assert sum(event.merged for event in events) > 0
        assert len(events) + sum(event.merged for event in events) >= 60
        # The gateway's own quote is among them; what was sent here has a text.
        prices = [float(event.quote.last_price) for event in events if event.quote.text]
        assert prices == sorted(prices)


async def test_a_slow_reader_of_orders_is_never_skipped(tmp_path: Path) -> None:
    with typed_server(tmp_path, BEZANT_EVENTS_ORDERS_CAP="20", BEZANT_KEEPALIVE_SECS="3600") as server:
        await asyncio.to_thread(connected, server)
        options = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
        async with grpc.aio.insecure_channel(server.target, options=options) as slow, server.channel() as quick:
            stream = Stream(slow, topic(ORDERS), include_raw=True)
            await stream.started()
            witness = Stream(quick, topic(ORDERS))
            await witness.started()
            for number in range(150):
                row = {"orderId": 1, "conid": 1, "side": "BUY", "totalSize": 1, "price": f"{number}.00"}
                frame = {"topic": "sor", "args": [row], "pad": "x" * 6000}
                await server.paper.acontrol("/socket/frame", {"frame": frame})
                await witness.event()
            cursors: list[int] = []

            async def read_on() -> None:
                while True:
                    cursors.append((await stream.next()).event.cursor)

            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read_on()
            assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_READER")
            assert cursors == list(range(cursors[0], cursors[0] + len(cursors)))
            assert error_info(caught.value).metadata["cursors"].endswith(f"={cursors[-1]}")


async def test_heartbeats_carry_the_positions(server: TypedServer) -> None:
    async with server.channel() as channel:
        stream = Stream(channel, topic(ORDERS), heartbeat_secs=1)
        started = await stream.started()
        while not (message := await stream.next()).HasField("heartbeat"):
            pass
        assert message.heartbeat.positions[0].cursor >= started.positions[0].cursor
        assert message.heartbeat.sent_at.seconds


async def test_a_frame_that_cannot_be_understood_is_given_as_it_came(server: TypedServer) -> None:
    async with server.channel() as channel:
        stream = Stream(channel, topic(PNL))
        await stream.started()
        server.paper.control("/socket/frame", {"frame": {"topic": "spl", "args": {"DU1.Core": {"dpl": {"what": 1}}}}})
        event = (await stream.until(lambda event: bool(event.decode_error)))[-1]
        assert "args.DU1.Core.dpl" in event.decode_error
        assert b'"what"' in event.raw
        assert event.WhichOneof("payload") in (None, "pnl_update")


async def test_polling_gives_the_same_events(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        stub: Any = pb_grpc.EventsServiceStub(channel)
        stream = Stream(channel, topic(ORDERS))
        begin = (await stream.started()).positions[0].cursor
        await trader.accepted(limit(client_order_id="polled"))
        streamed = await stream.until(has_order("polled", SUBMITTED))
        polled = await stub.ListEvents(pb.ListEventsRequest(topic=ORDERS, after_cursor=begin, limit=1000))
        assert list(polled.events)[: len(streamed)] == streamed
        nothing = await stub.ListEvents(pb.ListEventsRequest(topic=ORDERS, after_cursor=polled.next_cursor))
        assert (list(nothing.events), nothing.next_cursor) == ([], polled.next_cursor)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListEvents(pb.ListEventsRequest(topic=ORDERS, after_cursor=5))
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED")
        assert error_info(caught.value).metadata.keys() == {"head_cursor", "reset_epoch"}
        status = await stub.GetEventsStatus(pb.GetEventsStatusRequest())
        assert status.connected
        assert {each.topic for each in status.topics} >= set(pb.EventTopic.values()) - {0, MARKETDATA}


async def test_the_outcome_of_a_lost_order_is_told(server: TypedServer) -> None:
    async with server.channel() as channel:
        trader = Trader(server, channel)
        trader.quiet_market()
        stream = Stream(channel, topic(pb.EVENT_TOPIC_ORDER_OUTCOMES))
        await stream.started()
        path = f"/iserver/account/{ACCOUNT}/orders"
        server.paper.control("/faults", {"path": path, "method": "POST", "times": 1, "truncate": True})
        (outcome,) = await trader.place(limit(client_order_id="told"))
        assert outcome.WhichOneof("outcome") == "unknown"
        told = (await stream.event()).order_outcome_update
        assert (told.client_order_id, told.account_id, told.found) == ("told", ACCOUNT, True)
        assert told.order.client_order_id == "told"


async def test_events_that_are_off(tmp_path: Path) -> None:
    with typed_server(tmp_path, BEZANT_EVENTS_ENABLED="false") as server:
        async with server.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await Stream(channel, topic(ORDERS)).next()
            assert reason(caught.value) == "EVENTS_DISABLED"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.StreamEventsRequest(), "topics"),
        (pb.StreamEventsRequest(topics=[topic(0)]), "topics[0].topic"),
        (pb.StreamEventsRequest(topics=[topic(MARKETDATA)]), "topics[0].conid"),
        (pb.StreamEventsRequest(topics=[topic(ORDERS, conid=1)]), "topics[0].conid"),
        (pb.StreamEventsRequest(topics=[topic(ORDERS), topic(ORDERS)]), "topics[1]"),
        (pb.StreamEventsRequest(topics=[topic(ORDERS, after_cursor=-1)]), "topics[0].after_cursor"),
        (pb.StreamEventsRequest(topics=[topic(ORDERS)], heartbeat_secs=301), "heartbeat_secs"),
        (pb.StreamEventsRequest(topics=[topic(ORDERS)], account_ids=["?"]), "account_ids[0]"),
    ],
)
async def test_bad_input(channel: grpc.aio.Channel, request_: Any, field: str) -> None:
    stub: Any = pb_grpc.EventsServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StreamEvents(request_).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(caught.value)
