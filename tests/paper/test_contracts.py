"""Contract lookup."""

from __future__ import annotations

import pytest

from tests.paper.client import AAPL, ACCOUNT, PaperClient
from tests.paper.conftest import StartPaper

BONDS = {
    "R": ("ICEEU", "GBP", "Europe/London"),
    "ZN": ("CBOT", "USD", "US/Central"),
    "ZF": ("CBOT", "USD", "US/Central"),
    "ZB": ("CBOT", "USD", "US/Central"),
    "GBL": ("EUREX", "EUR", "Europe/Berlin"),
    "GBM": ("EUREX", "EUR", "Europe/Berlin"),
    "GBS": ("EUREX", "EUR", "Europe/Berlin"),
    "BTP": ("EUREX", "EUR", "Europe/Berlin"),
}


async def test_search_by_get_and_post(client: PaperClient) -> None:
    by_get = await client.get("/iserver/secdef/search?symbol=AAPL")
    by_post = await client.post("/iserver/secdef/search", {"symbol": "aapl", "name": False, "secType": "STK"})
    assert by_get == by_post
    assert by_get[0]["conid"] == str(AAPL)
    assert {"secType": "STK"} in by_get[0]["sections"]
    assert await client.get("/iserver/secdef/search?symbol=ZZZZ") == []
    assert (await client.get("/iserver/secdef/search?symbol=apple&name=true"))[0]["symbol"] == "AAPL"


async def test_strikes_need_a_search_first(client: PaperClient) -> None:
    path = f"/iserver/secdef/strikes?conid={AAPL}&sectype=OPT&month="
    assert await client.get(f"{path}JAN30") == {"call": [], "put": []}
    found = await client.get("/iserver/secdef/search?symbol=AAPL")
    month = next(section for section in found[0]["sections"] if section["secType"] == "OPT")["months"].split(";")[0]
    strikes = await client.get(path + month)
    assert strikes["call"] == strikes["put"] == sorted(strikes["call"])
    info = f"/iserver/secdef/info?conid={AAPL}&sectype=OPT&month={month}&strike={strikes['call'][0]}&right=P"
    option = (await client.get(info))[0]
    assert (option["right"], option["strike"]) == ("P", strikes["call"][0])
    assert (await client.call("GET", f"/iserver/secdef/info?conid={AAPL}&sectype=OPT&month=202701")).status == 400


async def test_definitions(client: PaperClient) -> None:
    assert (await client.get(f"/iserver/contract/{AAPL}/info"))["con_id"] == AAPL
    rules = (await client.get(f"/iserver/contract/{AAPL}/info-and-rules?isBuy=True"))["rules"]
    assert rules == await client.post("/iserver/contract/rules", {"conid": AAPL, "isBuy": True})
    assert ACCOUNT in rules["canTradeAcctIds"]
    assert (await client.call("GET", "/iserver/contract/999999999/info")).status == 400
    assert (await client.call("POST", "/iserver/contract/rules", json={"conid": 0})).status == 400
    secdef = (await client.get(f"/trsrv/secdef?conids={AAPL},999999999"))["secdef"]
    assert [row["ticker"] for row in secdef] == ["AAPL"]
    stocks = await client.get("/trsrv/stocks?symbols=AAPL,ZZZ")
    assert stocks["AAPL"][0]["contracts"][0]["conid"] == AAPL
    assert stocks["ZZZ"] == []
    futures = (await client.get("/trsrv/futures?symbols=ES"))["ES"]
    assert [row["expirationDate"] for row in futures] == sorted(row["expirationDate"] for row in futures)


async def test_currencies(client: PaperClient) -> None:
    assert (await client.get("/iserver/exchangerate?source=USD&target=USD"))["rate"] == 1
    there = (await client.get("/iserver/exchangerate?source=EUR&target=USD"))["rate"]
    assert 0.5 < there < 2
    pairs = (await client.get("/iserver/currency/pairs?currency=USD"))["USD"]
    assert "EUR.USD" in {pair["symbol"] for pair in pairs}


@pytest.mark.parametrize("symbol", BONDS)
async def test_chains_of_futures_on_bonds(client: PaperClient, symbol: str) -> None:
    exchange, currency, zone = BONDS[symbol]
    chain = (await client.get(f"/trsrv/futures?symbols={symbol}&exchange={exchange}"))[symbol]
    assert chain == (await client.get(f"/trsrv/futures?symbols={symbol}"))[symbol]
    assert (await client.get(f"/trsrv/futures?symbols={symbol}&exchange=NYSE"))[symbol] == []
    expiries = [future["expirationDate"] for future in chain]
    assert expiries == sorted(expiries)
    assert {expiry // 100 % 100 for expiry in expiries} == {3, 6, 9, 12}
    assert len({future["underlyingConid"] for future in chain}) == 1
    nearest = chain[0]
    info = await client.get(f"/iserver/contract/{nearest['conid']}/info")
    assert (info["symbol"], info["instrument_type"]) == (symbol, "FUT")
    assert (info["exchange"], info["currency"]) == (exchange, currency)
    year, month = divmod(nearest["expirationDate"] // 100, 100)
    assert info["local_symbol"] == f"{symbol}{'HMUZ'[month // 3 - 1]}{year % 10}"
    schedule = await client.get(f"/contract/trading-schedule?conid={nearest['conid']}")
    assert schedule["exchange_time_zone"] == zone


async def test_bonds_have_underlyings_of_their_own_and_no_expired_futures(start: StartPaper) -> None:
    with start("--start", "2026-12-09T12:00:00Z") as paper:
        async with PaperClient(paper) as client:
            chains = await client.get(f"/trsrv/futures?symbols={','.join(BONDS)}")
    assert len({chain[0]["underlyingConid"] for chain in chains.values()}) == len(BONDS)
    # The Bund of December has gone the day before, a Tuesday; the note of December is traded until the 18th, a Friday.
    assert [future["expirationDate"] for future in chains["GBL"]] == [20270308, 20270608, 20270908, 20271208]
    assert chains["ZN"][0]["expirationDate"] == 20261218
