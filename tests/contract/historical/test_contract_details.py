"""GET /ib/contract-details: all that match, filtered by what is given."""

from __future__ import annotations

import pytest

from tests.contract.historical.face import Face, with_month

SBF = {
    "symbol": "AIR",
    "secType": "STK",
    "exchange": "SBF",
    "currency": "EUR",
    "localSymbol": "AIR",
    "conId": 29612193,
    "longName": "AIRBUS SE",
    "category": "Industrial",
    "timeZoneId": "Europe/Paris",
}
IBIS = {**SBF, "exchange": "IBIS", "conId": 29612200, "timeZoneId": "Europe/Berlin"}


def conids(face: Face, symbol: str, **query: str) -> list[int]:
    answer = face.read(f"contract-details/{symbol}", query)
    assert answer["count"] == len(answer["contracts"])
    return [contract["conId"] for contract in answer["contracts"]]


def test_several_matches_are_all_listed(face: Face) -> None:
    assert face.read("contract-details/AIR", {"currency": "EUR"}) == {
        "symbol": "AIR",
        "contracts": [SBF, IBIS],
        "count": 2,
    }


@pytest.mark.parametrize(
    ("symbol", "query", "expected"),
    [
        ("aapl", {}, [265598]),
        ("AIR", {"currency": "EUR", "exchange": "IBIS"}, [29612200]),
        ("AIR", {"currency": "eur", "exchange": "sbf"}, [29612193]),
        ("AIR", {"currency": "EUR", "exchange": "SMART"}, [29612193, 29612200]),
        ("AIR", {"currency": "EUR", "exchange": "CHIXEN"}, [29612193]),
        ("SAP", {}, [3691937]),
        ("SAP", {"currency": "EUR"}, [14204]),
        ("AAPL", {"exchange": "NASDAQ", "secType": "stk"}, [265598]),
        ("EUR.USD", {"secType": "CASH"}, [12087792]),
        ("EUR", {"secType": "CASH"}, [12087792]),
        ("SPX", {"secType": "IND"}, [416904]),
        ("SPX", {"secType": "IND", "exchange": "CBOE"}, [416904]),
    ],
)
def test_filters(face: Face, symbol: str, query: dict[str, str], expected: list[int]) -> None:
    assert conids(face, symbol, **query) == expected


@pytest.mark.parametrize(
    ("symbol", "query"),
    [
        ("NOSUCH", {}),
        ("AIR", {}),
        ("AAPL", {"currency": "EUR"}),
        ("AAPL", {"exchange": "LSE"}),
        ("AAPL", {"secType": "IND"}),
        ("AAPL", {"secType": "FUT"}),
        ("ES", {"secType": "FUT", "exchange": "EUREX"}),
        ("ES", {"secType": "CONTFUT", "currency": "EUR"}),
        ("AAPL", {"code": "NOSUCH"}),
    ],
)
def test_none(face: Face, symbol: str, query: dict[str, str]) -> None:
    face.refused(f"contract-details/{symbol}", query, status=404, code="contract_not_found")


def test_futures(face: Face) -> None:
    listed = face.edge.get("/v1/api/trsrv/futures?symbols=ES").json()["ES"]
    chain = [future["conid"] for future in sorted(listed, key=lambda future: future["expirationDate"])]
    assert conids(face, "ES", secType="FUT") == chain
    assert conids(face, "ES", secType="FUT", exchange="CME") == chain
    assert conids(face, "ES", secType="CONTFUT") == chain[:1]
    (nearest,) = face.read("contract-details/ES", {"secType": "CONTFUT"})["contracts"]
    assert (nearest["secType"], nearest["exchange"], nearest["timeZoneId"]) == ("FUT", "CME", "US/Central")
    assert nearest["localSymbol"].startswith("ES")
    assert nearest["category"] == ""


def test_codes(face: Face) -> None:
    """Of a code the product says what it is: type, exchange and currency have no say."""
    as_code = face.read("contract-details/UKGB")["contracts"]
    assert as_code == face.read("contract-details/x", {"code": "UKGB", "currency": "USD"})["contracts"]
    (gilt,) = as_code
    assert (gilt["symbol"], gilt["exchange"], gilt["currency"]) == ("R", "ICEEU", "GBP")
    assert (gilt["longName"], gilt["timeZoneId"]) == ("Long Gilt", "Europe/London")
    month = face.listed("R")[-1]
    (named,) = face.read(f"contract-details/{with_month('UKGB', month)}")["contracts"]
    assert named["localSymbol"] == f"R{with_month('', month)[0]}{month[3]}"
    refused = face.refused("contract-details/UKGBM25", status=404, code="contract_not_found")
    assert all(each in refused["message"] for each in face.listed("R"))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"secType": "OPT"}, "secType"),
        ({"secType": "stock"}, "secType"),
        ({"exchange": "SM ART"}, "exchange"),
        ({"exchange": "X" * 21}, "exchange"),
        ({"currency": "US"}, "currency"),
        ({"currency": "dollars and cents"}, "currency"),
    ],
)
def test_words_that_are_none(face: Face, query: dict[str, str], field: str) -> None:
    refused = face.refused("contract-details/AAPL", query, status=400, code="bad_request")
    assert refused["message"].startswith(f"{field}: ")
    assert face.asked("/v1/api/trsrv/stocks") == []


def test_unknown_and_repeated_parameters(face: Face) -> None:
    refused = face.refused("contract-details/AAPL", {"sectype": "STK"}, status=400, code="bad_request")
    assert refused["message"] == ("there is no query parameter 'sectype': known are code, secType, exchange, currency")
    answer = face.edge.get("/ib/contract-details/AAPL?currency=USD&currency=EUR")
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert "'currency' is given twice" in answer.json()["message"]
