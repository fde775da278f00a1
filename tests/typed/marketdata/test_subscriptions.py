"""Streams of quotes, bars and books of orders, through real gRPC."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest

from bezant.v1 import marketdata_service_pb2 as pb
from bezant.v1 import marketdata_service_pb2_grpc as pb_grpc
from bezant.v1 import quote_pb2
from tests.support.grpc_errors import error_info, failure, reason, violated_fields
from tests.support.typed import AAPL, ACCOUNT, TypedServer, typed_server

MSFT, NOBODYS = 272093, 999999999
_WAIT_SECS = 30.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TypedServer]:
    with typed_server(tmp_path, BEZANT_KEEPALIVE_SECS="3600") as running:
        pin(running, AAPL, 230.0)
        pin(running, MSFT, 410.0)
        await until(lambda: bool(running.log_lines(message="subscribed")))
        yield running


@pytest.fixture
async def stub(server: TypedServer) -> AsyncIterator[Any]:
    async with server.channel() as channel:
        yield pb_grpc.MarketDataServiceStub(channel)


def pin(server: TypedServer, conid: int, price: float) -> None:
    """Let a contract stand still."""
    quote = {"conid": conid, "bid": price, "ask": price + 0.02, "last": price + 0.01}
    server.paper.control("/quotes", quote)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECS
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "what was waited for does not happen"
        await asyncio.sleep(0.05)


async def following(call: Any, kind: str, condition: Callable[[Any], bool] = lambda _: True) -> Any:
    """The next message of a kind that meets a condition."""
    async with asyncio.timeout(_WAIT_SECS):
        while (message := await call.read()) is not grpc.aio.EOF:
            if message.HasField(kind) and condition(getattr(message, kind)):
                return getattr(message, kind)
    raise AssertionError(f"the stream ended without {kind}")


async def snapshots(call: Any, count: int) -> dict[int, quote_pb2.Quote]:
    found: dict[int, quote_pb2.Quote] = {}
    while len(found) < count:
        update = await following(call, "update")
        assert update.is_snapshot, "each contract starts with a snapshot"
        found[update.quote.conid] = update.quote
    return found


async def test_each_contract_starts_with_a_snapshot_and_goes_on_with_changes(server: TypedServer, stub: Any) -> None:
    call = stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL, MSFT], fields=[31, 84, 86]))
    found = await snapshots(call, 2)
    assert found.keys() == {AAPL, MSFT}
    apple = found[AAPL]
    assert (apple.last_price, apple.bid_price, apple.ask_price) == ("230.01", "230.00", "230.02")
    assert apple.availability == quote_pb2.MARKET_DATA_AVAILABILITY_REAL_TIME
    assert apple.updated_at.seconds
    assert not apple.missing_fields
    assert set(apple.raw) == {31, 84, 86, 6509}
    server.paper.control("/quotes", {"conid": AAPL, "bid": 230.0, "ask": 230.05, "last": 230.01})
    update = await following(call, "update")
    assert (update.quote.conid, update.is_snapshot, update.merged) == (AAPL, False, 0)
    assert dict(update.quote.raw) == {86: "230.05"}
    assert update.quote.ask_price == "230.05"


async def test_readers_share_a_line_and_each_gets_its_own_fields(server: TypedServer, stub: Any) -> None:
    usual = stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL], fields=[31]))
    await snapshots(usual, 1)
    special = stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL], fields=[55, 7308]))
    quote = (await snapshots(special, 1))[AAPL]
    assert quote.symbol == "AAPL"
    assert not quote.HasField("last_price")
    assert list(quote.missing_fields) == [7308]
    assert server.paper.state()["socket_market_data"] == [f"smd+{AAPL}"]
    pin(server, AAPL, 231.0)
    assert dict((await following(usual, "update")).quote.raw) == {31: "231.01"}


async def test_a_slow_reader_gets_the_newest_values_and_is_told(server: TypedServer, stub: Any) -> None:
    options = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    request = pb.SubscribeQuotesRequest(conids=[AAPL], fields=[31, 58])
    async with grpc.aio.insecure_channel(server.target, options=options) as slow:
        slow_stub: Any = pb_grpc.MarketDataServiceStub(slow)
        call = slow_stub.SubscribeQuotes(request)
        await snapshots(call, 1)
        witness = stub.SubscribeQuotes(request)
        await snapshots(witness, 1)
        # Nobody reads the first stream: what does not fit its window is never queued.
        for number in range(100):
            frame = {"topic": f"smd+{AAPL}", "conid": AAPL, "31": f"{number}.00", "58": f"{number}" + "x" * 3000}
            await server.paper.acontrol("/socket/frame", {"frame": frame})
        await following(witness, "update", lambda update: update.quote.last_price == "99.00")
        updates: list[pb.QuoteUpdate] = []
        while not updates or updates[-1].quote.last_price != "99.00":
            updates.append(await following(call, "update"))
        assert len(updates) < 100
        # The paper gateway's own market may have moved once or twice meanwhile.
        assert 100 <= len(updates) + sum(update.merged for update in updates) <= 103
        assert max(update.merged for update in updates) > 5


async def test_a_contract_that_is_refused_leaves_the_others(stub: Any) -> None:
    call = stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[NOBODYS, AAPL], fields=[31], heartbeat_secs=1))
    refused = await following(call, "refused")
    assert (refused.conid, refused.reason) == (NOBODYS, "no sec defs returned")
    assert (await following(call, "update")).quote.conid == AAPL
    heartbeat = await following(call, "heartbeat")
    assert list(heartbeat.waiting_conids) == [NOBODYS]
    assert heartbeat.sent_at.seconds


async def test_after_an_interruption_everything_starts_with_a_snapshot_again(server: TypedServer, stub: Any) -> None:
    call = stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL, MSFT], fields=[31]))
    await snapshots(call, 2)
    server.paper.control("/socket/drop")
    assert (await following(call, "resync")).at.seconds
    pin(server, AAPL, 250.0)
    found = await snapshots(call, 2)
    assert found[AAPL].last_price in ("230.01", "250.01")
    assert found[MSFT].last_price == "410.01"


async def test_a_line_outlives_its_readers_for_a_while_and_is_released(tmp_path: Path) -> None:
    variables = {"BEZANT_EVENTS_RELEASE_SECS": "1", "BEZANT_KEEPALIVE_SECS": "3600"}
    with typed_server(tmp_path, **variables) as server:
        async with server.channel() as channel:
            stub: Any = pb_grpc.MarketDataServiceStub(channel)
            call = stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL], fields=[31], heartbeat_secs=1))
            await snapshots(call, 1)
            for _ in range(3):
                await following(call, "heartbeat")
            assert server.paper.state()["socket_market_data"] == [f"smd+{AAPL}"]
            call.cancel()
            await until(lambda: server.paper.state()["socket_market_data"] == [])


async def test_streams_end_with_the_server(server: TypedServer, stub: Any) -> None:
    bars = pb.SubscribeBarsRequest(conid=AAPL, bar="1min", period="30min")
    calls = [
        stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL])),
        stub.SubscribeBars(bars),
        stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=AAPL)),
    ]
    await following(calls[0], "update")
    await following(calls[1], "snapshot")
    await following(calls[2], "update")
    server.process.send_signal(signal.SIGTERM)
    for call in calls:
        assert (await following(call, "end")).reason == "shutdown"
        assert await call.code() is grpc.StatusCode.OK


async def test_a_book_comes_whole_and_again_after_each_change(server: TypedServer, stub: Any) -> None:
    call = stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=AAPL, account_id=ACCOUNT))
    depth = (await following(call, "update")).depth
    assert (depth.conid, len(depth.bids), len(depth.asks)) == (AAPL, 10, 10)
    bids, asks = [[Decimal(level.price) for level in side] for side in (depth.bids, depth.asks)]
    assert (str(bids[0]), str(asks[0])) == ("230.00", "230.02")
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert all(Decimal(level.size) > 0 for level in (*depth.bids, *depth.asks))
    pin(server, AAPL, 240.0)
    depth = (await following(call, "update", lambda update: update.depth.bids[0].price == "240.00")).depth
    assert len(depth.bids) == len(depth.asks) == 10
    server.paper.control("/socket/drop")
    await following(call, "resync")
    assert (await following(call, "update")).depth.bids[0].price == "240.00"


async def test_an_account_shows_one_book_to_any_number_of_readers(server: TypedServer, stub: Any) -> None:
    first = stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=AAPL))
    second = stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=AAPL, account_id=ACCOUNT))
    for call in (first, second):
        await following(call, "update")
    error = await failure(stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=MSFT)).read())
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "DEPTH_IN_USE")
    assert error_info(error).metadata["conid"] == str(AAPL)
    for call in (first, second):
        call.cancel()
    await until(lambda: server.paper.state()["socket_market_data"] == [])
    third = stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=MSFT))
    assert (await following(third, "update")).depth.conid == MSFT


async def test_a_book_that_is_refused_says_why(stub: Any) -> None:
    call = stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=NOBODYS, heartbeat_secs=1))
    assert (await following(call, "refused")).reason == "no sec defs returned"
    assert list((await following(call, "heartbeat")).waiting_conids) == [NOBODYS]
    error = await failure(stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=AAPL, account_id="DU1")).read())
    assert reason(error) == "ACCOUNT_NOT_FOUND"


async def test_bars_form_and_are_completed(server: TypedServer, stub: Any) -> None:
    request = pb.SubscribeBarsRequest(conid=AAPL, bar="1min", period="30min", heartbeat_secs=1)
    calls = [stub.SubscribeBars(request) for _ in range(3)]
    bars = [(await following(call, "snapshot")).bars for call in calls]
    assert [len(each) for each in bars] == [30, 30, 30]
    newest = bars[0][-1].start_time.seconds
    await following(calls[0], "heartbeat")
    before = history_calls(server)
    await server.paper.acontrol("/clock/advance", {"seconds": 60, "keep_alive": True})
    for call in calls:
        complete = await following(call, "update", lambda update: update.is_complete)
        assert complete.bar.start_time.seconds == newest
        forming = await following(call, "update", lambda update: update.bar.start_time.seconds > newest)
        assert forming.bar.start_time.seconds == newest + 60
        assert Decimal(forming.bar.volume) > 0
    assert history_calls(server) - before <= 3, "one call serves all readers"
    assert (await following(calls[0], "heartbeat")).refreshed_at.seconds
    for call in calls:
        call.cancel()


async def test_bars_that_were_missed_are_fetched(server: TypedServer, stub: Any) -> None:
    call = stub.SubscribeBars(pb.SubscribeBarsRequest(conid=AAPL, bar="1min", period="30min"))
    newest = (await following(call, "snapshot")).bars[-1].start_time.seconds
    fault = {"path": "/iserver/marketdata/history", "status": 503, "times": 1}
    await server.paper.acontrol("/faults", fault)
    await server.paper.acontrol("/clock/advance", {"seconds": 300, "keep_alive": True})
    starts: list[int] = []
    while not starts or starts[-1] < newest + 300:
        starts.append((await following(call, "update")).bar.start_time.seconds)
    assert starts == [newest + 60 * number for number in range(6)]


async def test_so_many_kinds_of_bars_can_be_followed(stub: Any) -> None:
    kinds = ["1min", "2min", "3min", "5min", "10min", "15min", "30min", "1h", "2h", "3h"]
    calls = [stub.SubscribeBars(pb.SubscribeBarsRequest(conid=AAPL, bar=bar, period="1d")) for bar in kinds]
    for call in calls:
        await following(call, "snapshot")
    error = await failure(stub.SubscribeBars(pb.SubscribeBarsRequest(conid=AAPL, bar="4h", period="1d")).read())
    assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_FEEDS")
    again = stub.SubscribeBars(pb.SubscribeBarsRequest(conid=AAPL, bar="1h", period="1d"))
    await following(again, "snapshot")


async def test_input_is_checked_first(stub: Any) -> None:
    quotes = pb.SubscribeQuotesRequest(conids=[0, AAPL], fields=[31, 4], heartbeat_secs=301)
    bars = pb.SubscribeBarsRequest(conid=-1, bar="7min", period="1x", exchange="?", source=9)  # type: ignore[arg-type]
    depth = pb.SubscribeDepthRequest(account_id="?", exchange="a b", heartbeat_secs=-1)
    for call, fields in (
        (stub.SubscribeQuotes(quotes), ["conids[0]", "fields[1]", "heartbeat_secs"]),
        (stub.SubscribeBars(bars), ["conid", "period", "bar", "source", "exchange"]),
        (stub.SubscribeDepth(depth), ["conid", "account_id", "exchange", "heartbeat_secs"]),
    ):
        error = await failure(call.read())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert violated_fields(error) == fields


async def test_without_events_quotes_are_refused_and_bars_are_not(tmp_path: Path) -> None:
    with typed_server(tmp_path, BEZANT_EVENTS_ENABLED="false") as server:
        async with server.channel() as channel:
            stub: Any = pb_grpc.MarketDataServiceStub(channel)
            for call in (
                stub.SubscribeQuotes(pb.SubscribeQuotesRequest(conids=[AAPL])),
                stub.SubscribeDepth(pb.SubscribeDepthRequest(conid=AAPL)),
            ):
                assert reason(await failure(call.read())) == "EVENTS_DISABLED"
            bars = stub.SubscribeBars(pb.SubscribeBarsRequest(conid=AAPL, bar="1h", period="1d"))
            await following(bars, "snapshot")


def history_calls(server: TypedServer) -> int:
    return server.upstream_counts()["GET /v1/api/iserver/marketdata/history"]
