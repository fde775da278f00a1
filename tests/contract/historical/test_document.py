"""Each example of the Python server's document: the same paths, parameters, names and types.

Two things differ, and are asserted to: `count` and `wap` of a bar are null, and the contract that the document names is
expired, so that it is not found and one that is listed stands in for it.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.historical.face import Face, with_month

BAR = {
    "time": str,
    "open": float,
    "high": float,
    "low": float,
    "close": float,
    "volume": int,
    "count": type(None),
    "wap": type(None),
}
CONTRACT = {
    "symbol": str,
    "secType": str,
    "exchange": str,
    "currency": str,
    "localSymbol": str,
    "conId": int,
    "longName": str,
    "category": str,
    "timeZoneId": str,
}
PRODUCTS = {
    "UKGB": ("G", "LIFFE", "GBP"),
    "UST10Y": ("ZN", "CBOT", "USD"),
    "UST05Y": ("ZF", "CBOT", "USD"),
    "UST30Y": ("ZB", "CBOT", "USD"),
    "EURBBL": ("FGBL", "EUREX", "EUR"),
    "EURSCA": ("FGBS", "EUREX", "EUR"),
    "ITB10Y": ("FBTP", "EUREX", "EUR"),
    "EURBND": ("GBL", "EUREX", "EUR"),
}


def shape(value: dict[str, Any]) -> dict[str, type]:
    """Names and types, in their order."""
    return {name: type(member) for name, member in value.items()}


def assert_shape(value: dict[str, Any], expected: dict[str, type]) -> None:
    assert list(shape(value).items()) == list(expected.items())


def assert_bars(answer: dict[str, Any], *, symbol: str, duration: str, bar_size: str) -> None:
    """An answer of market data, whole."""
    assert_shape(
        answer, {"symbol": str, "duration": str, "barSize": str, "data": list, "count": int, "durationMs": int}
    )
    assert (answer["symbol"], answer["duration"], answer["barSize"]) == (symbol, duration, bar_size)
    assert answer["count"] == len(answer["data"]) > 0
    assert answer["durationMs"] >= 0
    for bar in answer["data"]:
        assert_shape(bar, BAR)
        assert bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
        assert bar["volume"] > 0
    days = [bar["time"] for bar in answer["data"] if len(bar["time"]) == len("20240108")]
    assert days == sorted(set(days))


def test_health(face: Face) -> None:
    health = face.read("health")
    assert_shape(
        health,
        {
            "status": str,
            "connected": bool,
            "host": str,
            "port": int,
            "client_id": int,
            "ready": bool,
            "timestamp": str,
        },
    )
    assert (health["status"], health["connected"], health["ready"]) == ("healthy", True, True)
    assert (health["host"], health["port"]) == ("127.0.0.1", face.paper.port)
    assert 1 <= health["client_id"] <= 9999
    # Milliseconds and a Z, as JavaScript writes it.
    told = datetime.strptime(health["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert len(health["timestamp"]) == len("2024-01-15T10:30:01.000Z")
    assert abs(datetime.now(UTC) - told) < timedelta(seconds=30)


def test_reconnect(face: Face) -> None:
    before = face.read("health")
    after = face.read("reconnect", method="POST")
    assert list(shape(after).items()) == list(shape(before).items())
    assert (after["status"], after["connected"], after["ready"]) == ("healthy", True, True)
    assert after["client_id"] != before["client_id"]
    assert face.read("health")["client_id"] == after["client_id"]


def test_market_data_by_default(face: Face) -> None:
    answer = face.read("market-data/AAPL")
    assert_bars(answer, symbol="AAPL", duration="1 D", bar_size="1 hour")
    assert len(answer["data"]) in {24, 25}
    assert all(len(bar["time"]) == len("20240108  09:30:00") for bar in answer["data"])


def test_a_week_of_days(face: Face) -> None:
    answer = face.read("market-data/AAPL", {"duration": "1 W", "barSize": "1 day"})
    assert_bars(answer, symbol="AAPL", duration="1 W", bar_size="1 day")
    days = [datetime.strptime(bar["time"], "%Y%m%d").replace(tzinfo=UTC) for bar in answer["data"]]
    # The paper market has no weekends.
    assert len(days) == 7
    assert {after - before for before, after in itertools.pairwise(days)} == {timedelta(days=1)}
    assert all(30_000_000 < bar["volume"] < 80_000_000 for bar in answer["data"])


@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT", "BID", "ASK"])
@pytest.mark.parametrize(
    ("duration", "bar_size"),
    [
        ("1 D", "5 mins"),
        ("1 D", "15 mins"),
        ("1 D", "1 hour"),
        ("1 W", "1 hour"),
        ("1 M", "1 day"),
        ("1 Y", "1 day"),
    ],
)
def test_every_parameter_value_that_it_lists(face: Face, duration: str, bar_size: str, what: str) -> None:
    query = {"duration": duration, "barSize": bar_size, "whatToShow": what}
    answer = face.read("market-data/AAPL", query)
    assert (answer["duration"], answer["barSize"]) == (duration, bar_size)
    assert answer["count"] == len(answer["data"]) > 20
    for bar in answer["data"]:
        assert_shape(bar, BAR)
        assert (bar["volume"] > 0) is (what == "TRADES")


def test_a_minute(face: Face) -> None:
    answer = face.read("market-data/AAPL", {"duration": "1 D", "barSize": "1 min"})
    assert_bars(answer, symbol="AAPL", duration="1 D", bar_size="1 min")
    assert len(answer["data"]) in {1440, 1441}


def test_contract_details(face: Face) -> None:
    assert face.read("contract-details/AAPL") == {
        "symbol": "AAPL",
        "contracts": [
            {
                "symbol": "AAPL",
                "secType": "STK",
                "exchange": "NASDAQ",
                "currency": "USD",
                "localSymbol": "AAPL",
                "conId": 265598,
                "longName": "APPLE INC",
                "category": "Technology",
                "timeZoneId": "US/Eastern",
            }
        ],
        "count": 1,
    }


def test_contract_details_of_a_code(face: Face) -> None:
    answer = face.read("contract-details/EURBBL", {"code": "EURBBL"})
    assert_shape(answer, {"symbol": str, "contracts": list, "count": int})
    assert (answer["symbol"], answer["count"]) == ("EURBBL", 1)
    (contract,) = answer["contracts"]
    assert_shape(contract, CONTRACT)
    assert (contract["symbol"], contract["secType"]) == ("GBL", "FUT")
    assert (contract["exchange"], contract["currency"]) == ("EUREX", "EUR")
    assert (contract["longName"], contract["timeZoneId"]) == ("Euro Bund (10 Year Bond)", "Europe/Berlin")
    assert contract["localSymbol"].startswith("GBL")


def test_products(face: Face) -> None:
    answer = face.read("products")
    assert list(answer) == ["products", "count"]
    assert (answer["count"], type(answer["count"])) == (8, int)
    assert list(answer["products"].items()) == [
        (code, {"symbol": symbol, "secType": "CONTFUT", "exchange": exchange, "currency": currency})
        for code, (symbol, exchange, currency) in PRODUCTS.items()
    ]
    assert all(list(row) == ["symbol", "secType", "exchange", "currency"] for row in answer["products"].values())


def test_the_examples_by_product_code(face: Face) -> None:
    for code, duration in (("EURBBL", "1 W"), ("EURBBL", "1 M"), ("UST10Y", "1 M")):
        answer = face.read(f"market-data/{code}", {"duration": duration, "barSize": "1 day"})
        assert_bars(answer, symbol=code, duration=duration, bar_size="1 day")


def test_a_contract_of_a_month(face: Face) -> None:
    query = {"duration": "1 D", "barSize": "1 hour"}
    symbol = with_month("EURBBL", face.listed("GBL")[1])
    assert_bars(face.read(f"market-data/{symbol}", query), symbol=symbol, duration="1 D", bar_size="1 hour")
    expired = face.refused("market-data/EURBBLM25", query, status=404, code="contract_not_found")
    assert "EURBBL of 202506" in expired["message"]
    assert all(month in expired["message"] for month in face.listed("GBL"))
