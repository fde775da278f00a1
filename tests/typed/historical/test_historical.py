"""HistoricalDataService: what /ib tells, typed."""

from __future__ import annotations

import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import pytest

from bezant.v1 import historical_service_pb2 as pb
from bezant.v1 import historical_service_pb2_grpc as pb_grpc
from bezant_server import decimals
from tests.support.grpc_errors import error_info, failure, reason, violated_fields
from tests.support.typed import AAPL, TypedServer, typed_server

Code = grpc.StatusCode
HISTORY = "GET /v1/api/iserver/marketdata/history"
INIT = "POST /v1/api/iserver/auth/ssodh/init"
PRICES = ("open", "high", "low", "close")


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return pb_grpc.HistoricalDataServiceStub(channel)


async def test_the_connection(server: TypedServer, stub: Any) -> None:
    before = time.time()
    found = (await stub.GetDataConnection(pb.GetDataConnectionRequest())).connection
    assert (found.connected, found.ready, found.advice) == (True, True, "")
    assert (found.host, found.port) == ("127.0.0.1", server.paper.port)
    assert 1 <= found.client_id <= 9999
    assert before - 1 <= found.checked_at.ToMilliseconds() / 1000 <= time.time() + 1


async def test_a_connection_made_anew(server: TypedServer, stub: Any) -> None:
    before = (await stub.GetDataConnection(pb.GetDataConnectionRequest())).connection
    opened = server.upstream_counts().get(INIT, 0)
    after = (await stub.ReconnectData(pb.ReconnectDataRequest())).connection
    assert after.client_id != before.client_id
    assert (after.connected, after.ready) == (True, True)
    assert server.upstream_counts().get(INIT, 0) == opened


async def test_a_gateway_that_is_logged_out(tmp_path: Path) -> None:
    with typed_server(tmp_path, IB_CLIENT_ID="5", BEZANT_SESSION_LOGIN_SECS="0.2") as server:
        server.paper.control("/session/expire", {"layer": "sso"})
        async with server.channel() as channel:
            stub: Any = pb_grpc.HistoricalDataServiceStub(channel)
            for answer in (
                await stub.GetDataConnection(pb.GetDataConnectionRequest()),
                await stub.ReconnectData(pb.ReconnectDataRequest()),
            ):
                assert (answer.connection.connected, answer.connection.ready) == (False, False)
                assert answer.connection.client_id == 5
                assert "log in" in answer.connection.advice.lower()


async def test_bars(stub: Any) -> None:
    request = pb.ListHistoricalBarsRequest(symbol="aapl", duration="2 D", bar_size="1 hour")
    found = await stub.ListHistoricalBars(request)
    assert (found.conid, found.time_zone) == (AAPL, "US/Eastern")
    assert len(found.bars) in {48, 49}
    for bar in found.bars:
        for name in (*PRICES, "volume"):
            assert decimals.parse(getattr(bar, name)) is not None
        assert Decimal(bar.low) <= min(Decimal(bar.open), Decimal(bar.close))
        assert Decimal(bar.high) >= max(Decimal(bar.open), Decimal(bar.close))
        begins = datetime.fromtimestamp(bar.start_time.seconds, ZoneInfo(found.time_zone))
        assert bar.local_time == begins.strftime("%Y%m%d  %H:%M:%S")
    starts = [bar.start_time.seconds for bar in found.bars]
    assert starts == sorted(set(starts))


async def test_the_defaults(stub: Any) -> None:
    empty = await stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="AAPL"))
    request = pb.ListHistoricalBarsRequest(symbol="AAPL", duration="1 D", bar_size="1 hour", what_to_show="TRADES")
    spelled = await stub.ListHistoricalBars(request)
    assert list(empty.bars[:-1]) == list(spelled.bars[:-1])


async def test_bars_of_a_code_and_of_its_months(stub: Any) -> None:
    request = pb.ListHistoricalBarsRequest(symbol="UST10Y", duration="1 W", bar_size="1 day")
    nearest = await stub.ListHistoricalBars(request)
    assert nearest.time_zone == "US/Central"
    assert all(len(bar.local_time) == 8 for bar in nearest.bars)
    (contract,) = (await stub.ListContractDetails(pb.ListContractDetailsRequest(symbol="UST10Y"))).contracts
    assert contract.conid == nearest.conid
    error = await failure(stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="x", code="UST10YM25")))
    assert (error.code(), reason(error)) == (Code.NOT_FOUND, "CONTRACT_NOT_FOUND")
    assert "listed are 20" in str(error.details())


@pytest.mark.parametrize("kind", ["MIDPOINT", "BID", "ASK"])
async def test_other_kinds_of_bars(stub: Any, kind: str) -> None:
    found = await stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="AAPL", what_to_show=kind))
    assert {Decimal(bar.volume) for bar in found.bars} == {0}


async def test_what_the_gateway_leaves_out_stays_absent(server: TypedServer, stub: Any) -> None:
    body = '{"barLength": 3600, "data": [{"o": 1.50, "t": 1795000000000}]}'
    server.paper.control("/faults", {"path": "/iserver/marketdata/history", "status": 200, "times": 1, "body": body})
    (bar,) = (await stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="AAPL"))).bars
    assert bar.open == "1.50"
    assert not any(bar.HasField(name) for name in ("high", "low", "close", "volume"))


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (pb.ListHistoricalBarsRequest(), ["symbol"]),
        (pb.ListHistoricalBarsRequest(symbol="AAPL", bar_size="30 secs"), ["bar_size"]),
        (
            pb.ListHistoricalBarsRequest(symbol="AAPL", duration="x", bar_size="y", what_to_show="z"),
            [
                "duration",
                "bar_size",
                "what_to_show",
            ],
        ),
        (pb.ListHistoricalBarsRequest(symbol="AAPL", duration="1 Y", bar_size="1 min"), ["duration"]),
        (pb.ListHistoricalBarsRequest(symbol="AAPL", bar_size="1 min", what_to_show="BID"), ["bar_size"]),
    ],
)
async def test_bad_words(server: TypedServer, stub: Any, request_: Any, fields: list[str]) -> None:
    before = server.upstream_counts().get(HISTORY, 0)
    error = await failure(stub.ListHistoricalBars(request_))
    assert (error.code(), reason(error)) == (Code.INVALID_ARGUMENT, "BAD_REQUEST")
    assert violated_fields(error) == fields
    assert all(field in str(error.details()) for field in fields)
    assert server.upstream_counts().get(HISTORY, 0) == before


async def test_no_bid_where_the_gateway_has_none(server: TypedServer, stub: Any) -> None:
    server.paper.control("/faults", {"path": "/hmds/history", "status": 500, "times": 2, "body": "{}"})
    error = await failure(stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="AAPL", what_to_show="BID")))
    assert (error.code(), violated_fields(error)) == (Code.INVALID_ARGUMENT, ["what_to_show"])


async def test_symbols_that_mean_nothing_or_too_much(stub: Any) -> None:
    error = await failure(stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="NOSUCH")))
    assert (error.code(), reason(error)) == (Code.NOT_FOUND, "CONTRACT_NOT_FOUND")
    error = await failure(stub.ListHistoricalBars(pb.ListHistoricalBarsRequest(symbol="AIR")))
    assert (error.code(), reason(error)) == (Code.FAILED_PRECONDITION, "AMBIGUOUS_SYMBOL")
    assert error_info(error).metadata["count"] == "2"


async def test_details(stub: Any) -> None:
    (apple,) = (await stub.ListContractDetails(pb.ListContractDetailsRequest(symbol="AAPL"))).contracts
    assert apple == pb.ContractDetails(
        symbol="AAPL",
        security_type="STK",
        exchange="NASDAQ",
        currency_code="USD",
        local_symbol="AAPL",
        conid=AAPL,
        long_name="APPLE INC",
        category="Technology",
        time_zone="US/Eastern",
    )
    several = await stub.ListContractDetails(pb.ListContractDetailsRequest(symbol="AIR", currency_code="EUR"))
    assert [each.exchange for each in several.contracts] == ["SBF", "IBIS"]
    error = await failure(stub.ListContractDetails(pb.ListContractDetailsRequest(symbol="NOSUCH")))
    assert (error.code(), reason(error)) == (Code.NOT_FOUND, "CONTRACT_NOT_FOUND")
    request = pb.ListContractDetailsRequest(symbol="A", security_type="OPT", exchange="?", currency_code="1")
    error = await failure(stub.ListContractDetails(request))
    assert violated_fields(error) == ["security_type", "exchange", "currency_code"]


async def test_products(stub: Any) -> None:
    products = (await stub.ListProducts(pb.ListProductsRequest())).products
    assert [each.code for each in products] == [
        *("UKGB", "UST10Y", "UST05Y", "UST30Y", "EURBBL", "EURSCA", "ITB10Y", "EURBND"),
    ]
    assert products[4] == pb.Product(
        code="EURBBL",
        symbol="FGBL",
        security_type="CONTFUT",
        exchange="EUREX",
        currency_code="EUR",
        ibkr_symbol="GBL",
        ibkr_exchange="EUREX",
        roll_days=3,
    )
    assert (products[0].ibkr_symbol, products[0].ibkr_exchange) == ("R", "ICEEU")
