"""Quotes and bars."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import marketdata_service_pb2 as pb
from bezant.v1 import marketdata_service_pb2_grpc as pb_grpc
from bezant.v1 import quote_pb2
from tests.support.grpc_errors import error_info, failure, reason, violated_fields
from tests.support.typed import AAPL, TypedServer, typed_server

MSFT, SAP, NOBODYS = 272093, 14204, 999999999
SNAPSHOT = "GET /v1/api/iserver/marketdata/snapshot"
HISTORY = "GET /v1/api/iserver/marketdata/history"


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return pb_grpc.MarketDataServiceStub(channel)


async def test_the_first_quote_is_whole_already(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        server.paper.control("/quotes", {"conid": AAPL, "bid": 230.0, "ask": 230.02, "last": 230.01})
        async with server.channel() as channel:
            stub: Any = pb_grpc.MarketDataServiceStub(channel)
            request = pb.GetQuotesRequest(conids=[AAPL, SAP], fields=[31, 84, 86, 88, 6509, 7762, 87])
            response = await stub.GetQuotes(request)
        apple, sap = response.quotes
        assert (apple.conid, apple.last_price, apple.bid_price, apple.ask_price) == (AAPL, "230.01", "230.00", "230.02")
        assert apple.last_price_meaning == quote_pb2.LAST_PRICE_MEANING_TRADE
        assert apple.availability == quote_pb2.MARKET_DATA_AVAILABILITY_REAL_TIME
        assert (apple.raw_availability, apple.has_snapshot, apple.is_consolidated) == ("RpB", False, True)
        assert sap.availability == quote_pb2.MARKET_DATA_AVAILABILITY_NOT_SUBSCRIBED
        assert apple.raw[84] == "230.00"
        assert apple.updated_at.seconds
        assert not apple.missing_fields
        assert "," not in apple.volume_exact


async def test_what_never_comes_is_named_and_not_waited_for_again(server: TypedServer, stub: Any) -> None:
    # Greeks of a stock.
    request = pb.GetQuotesRequest(conids=[AAPL], fields=[31, 7308, 7309])
    (quote,) = (await stub.GetQuotes(request)).quotes
    assert list(quote.missing_fields) == [7308, 7309]
    assert quote.last_price
    before = server.upstream_counts()[SNAPSHOT]
    (quote,) = (await stub.GetQuotes(request)).quotes
    assert list(quote.missing_fields) == [7308, 7309]
    assert server.upstream_counts()[SNAPSHOT] == before + 1


async def test_a_contract_that_ibkr_does_not_know_has_only_missing_fields(stub: Any) -> None:
    request = pb.GetQuotesRequest(conids=[AAPL, NOBODYS], fields=[31, 84])
    response = await stub.GetQuotes(request, timeout=4)
    assert [quote.conid for quote in response.quotes] == [AAPL, NOBODYS]
    assert list(response.quotes[1].missing_fields) == [31, 84]


async def test_many_conids_and_fields_are_split(tmp_path: Path) -> None:
    with typed_server(tmp_path, "--extra-positions", "150") as server:
        async with server.channel() as channel:
            stub: Any = pb_grpc.MarketDataServiceStub(channel)
            listed = (await stub.ListMarketDataFields(pb.ListMarketDataFieldsRequest())).fields
            conids = [700_000_000 + number for number in range(150)]
            request = pb.GetQuotesRequest(conids=conids, fields=[field.number for field in listed])
            response = await stub.GetQuotes(request, timeout=20)
        assert [quote.conid for quote in response.quotes] == conids
        assert all(quote.last_price and quote.company_name for quote in response.quotes)
        longest = [each for each in server.paper.requests()["recent"] if "marketdata/snapshot" in str(each)]
        assert longest


async def test_every_documented_field_has_a_number_and_a_place(stub: Any) -> None:
    fields = (await stub.ListMarketDataFields(pb.ListMarketDataFieldsRequest())).fields
    numbers = [field.number for field in fields]
    assert len(numbers) == len(set(numbers)) > 110
    names = set(quote_pb2.Quote.DESCRIPTOR.fields_by_name)
    assert {field.name for field in fields} <= names
    assert {field.number for field in fields if field.is_default} >= {31, 84, 86, 6509}


@pytest.mark.parametrize(
    ("bar", "period", "secs", "count"), [("1min", "1h", 60, 60), ("1h", "1d", 3600, 24), ("1d", "1m", 86_400, 30)]
)
async def test_bars_of_a_period(stub: Any, bar: str, period: str, secs: int, count: int) -> None:
    response = await stub.ListBars(pb.ListBarsRequest(conid=AAPL, bar=bar, period=period))
    assert (response.symbol, response.bar_secs, response.calls) == ("AAPL", secs, 1)
    assert abs(len(response.bars) - count) <= 1
    times = [each.start_time.seconds for each in response.bars]
    assert times == sorted(times)
    assert {after - before for before, after in itertools.pairwise(times)} == {secs}
    for each in response.bars:
        assert Decimal(each.low) <= min(Decimal(each.open), Decimal(each.close))
        assert Decimal(each.high) >= max(Decimal(each.open), Decimal(each.close))


async def test_a_long_range_is_several_calls_without_a_seam(stub: Any) -> None:
    end = 1_795_000_020
    request = pb.ListBarsRequest(
        conid=MSFT, bar="1min", start_time=Timestamp(seconds=end - 3 * 86_400), end_time=Timestamp(seconds=end)
    )
    response = await stub.ListBars(request, timeout=30)
    times = [each.start_time.seconds for each in response.bars]
    assert response.calls > 3
    assert {after - before for before, after in itertools.pairwise(times)} == {60}
    assert times[0] <= end - 3 * 86_400 < times[0] + 60
    assert times[-1] <= end


async def test_a_range_that_is_too_long_says_what_is_possible(server: TypedServer, stub: Any) -> None:
    before = server.upstream_counts().get(HISTORY, 0)
    error = await failure(stub.ListBars(pb.ListBarsRequest(conid=AAPL, bar="1min", period="1y")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violated_fields(error) == ["period"]
    assert "13 days" in str(error.details())
    assert server.upstream_counts().get(HISTORY, 0) == before


async def test_bars_of_another_size_are_refused(server: TypedServer, stub: Any) -> None:
    body = json.dumps({"symbol": "AAPL", "barLength": 14400, "data": [{"o": 1, "t": 1_795_000_000_000}]})
    server.paper.control("/faults", {"path": "/iserver/marketdata/history", "status": 200, "times": 1, "body": body})
    error = await failure(stub.ListBars(pb.ListBarsRequest(conid=AAPL, bar="5min", period="1d")))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "BAR_SIZE_CHANGED")
    assert error_info(error).metadata["bar_secs"] == "14400"


async def test_the_volume_is_in_shares(stub: Any) -> None:
    trades = await stub.ListBars(pb.ListBarsRequest(conid=AAPL, bar="1d", period="1w"))
    assert Decimal(trades.bars[0].volume) > 30_000_000
    middle = await stub.ListBars(pb.ListBarsRequest(conid=AAPL, bar="1d", period="1w", source=pb.BAR_SOURCE_MIDPOINT))
    assert Decimal(middle.bars[0].volume) == 0


async def test_a_cold_history_is_asked_again(server: TypedServer, stub: Any) -> None:
    server.paper.control("/faults", {"path": "/iserver/marketdata/history", "status": 500, "times": 1, "body": "{}"})
    assert (await stub.ListBars(pb.ListBarsRequest(conid=AAPL, bar="1h", period="1d"))).bars


async def test_a_contract_without_history(stub: Any) -> None:
    error = await failure(stub.ListBars(pb.ListBarsRequest(conid=NOBODYS, bar="1h", period="1d")))
    assert (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "HISTORY_UNAVAILABLE")


async def test_a_regulatory_snapshot_is_asked_for_once(server: TypedServer, stub: Any) -> None:
    response = await stub.GetRegulatorySnapshot(pb.GetRegulatorySnapshotRequest(conid=AAPL))
    assert response.quote.bid_price
    assert response.quote.ask_size
    assert (response.bid_exchange, response.has_delayed) == ("16", False)
    path = "GET /v1/api/md/regsnapshot"
    before = server.upstream_counts()[path]
    server.paper.control("/faults", {"path": "/md/regsnapshot", "times": 1, "close": True})
    await failure(stub.GetRegulatorySnapshot(pb.GetRegulatorySnapshotRequest(conid=AAPL)))
    assert server.upstream_counts()[path] <= before + 1
    error = await failure(stub.GetRegulatorySnapshot(pb.GetRegulatorySnapshotRequest(conid=SAP)))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "SNAPSHOT_REFUSED")


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetQuotes", pb.GetQuotesRequest(), "conids"),
        ("GetQuotes", pb.GetQuotesRequest(conids=[1, -1]), "conids[1]"),
        ("GetQuotes", pb.GetQuotesRequest(conids=list(range(1, 502))), "conids"),
        ("GetQuotes", pb.GetQuotesRequest(conids=[1], fields=[31, 12345]), "fields[1]"),
        ("ListBars", pb.ListBarsRequest(conid=1, bar="5mins", period="1d"), "bar"),
        ("ListBars", pb.ListBarsRequest(conid=1, bar="1d"), "period"),
        ("ListBars", pb.ListBarsRequest(conid=1, bar="1d", period="1001d"), "period"),
        ("ListBars", pb.ListBarsRequest(conid=1, bar="1d", period="1d", start_time=Timestamp(seconds=1)), "period"),
        (
            "ListBars",
            pb.ListBarsRequest(conid=1, bar="1d", start_time=Timestamp(seconds=2), end_time=Timestamp(seconds=1)),
            "start_time",
        ),
        ("GetRegulatorySnapshot", pb.GetRegulatorySnapshotRequest(), "conid"),
    ],
)
async def test_bad_input(stub: Any, method: str, request_: Any, field: str) -> None:
    error = await failure(getattr(stub, method)(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(error)
