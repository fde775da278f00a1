"""Portfolio and account statements."""

from __future__ import annotations

import pytest

from tests.paper.client import AAPL, ACCOUNT, OTHER_ACCOUNT, SAP, SPY, PaperClient


async def test_the_account_list_comes_first(client: PaperClient) -> None:
    assert (await client.call("GET", f"/portfolio/{ACCOUNT}/summary")).status == 503
    accounts = await client.get("/portfolio/accounts")
    assert [account["id"] for account in accounts] == [ACCOUNT, OTHER_ACCOUNT]
    assert {account["type"] for account in accounts} == {"DEMO"}
    assert await client.get(f"/portfolio/{ACCOUNT}/summary")


@pytest.mark.parametrize("rest", ["meta", "summary", "ledger", "allocation", "positions/0", "position/265598"])
async def test_an_unknown_account_is_401(client: PaperClient, rest: str) -> None:
    await client.prime()
    assert (await client.call("GET", f"/portfolio/INVALID/{rest}")).status == 401


async def test_positions_get_their_definition_on_the_second_call(client: PaperClient) -> None:
    await client.prime()
    first, second = [await client.get(f"/portfolio/{ACCOUNT}/positions/0") for _ in range(2)]
    assert [row["conid"] for row in first] == [row["conid"] for row in second]
    assert {(row["strike"], row["multiplier"], "ticker" in row) for row in first} == {(0.0, None, False)}
    assert {row["strike"] for row in second} == {"0"}
    assert {row["ticker"] for row in second} == {"AAPL", "SPY", "MSFT", "SAP"}
    sap = next(row for row in second if row["conid"] == SAP)
    assert sap["currency"] == "EUR"
    assert sap["baseMktValue"] > sap["mktValue"]
    assert await client.get(f"/portfolio/{ACCOUNT}/positions/1") == []


async def test_positions_are_cached_until_invalidated(client: PaperClient) -> None:
    await client.prime()
    for _ in range(3):
        before = await client.get(f"/portfolio/{ACCOUNT}/positions/0")
    price = before[0]["mktPrice"] + 10
    await client.pin(AAPL, price, price)
    assert await client.get(f"/portfolio/{ACCOUNT}/positions/0") == before
    fresh = await client.get(f"/portfolio2/{ACCOUNT}/positions")
    assert (fresh[0]["conid"], fresh[0]["marketPrice"]) == (str(AAPL), price)
    assert await client.post(f"/portfolio/{ACCOUNT}/positions/invalidate") == {"message": "success"}
    assert (await client.get(f"/portfolio/{ACCOUNT}/positions/0"))[0]["mktPrice"] == price


async def test_one_position(client: PaperClient) -> None:
    await client.prime()
    held = await client.get(f"/portfolio/{ACCOUNT}/position/{SPY}")
    assert held[0]["position"] == 50
    assert await client.get(f"/portfolio/{ACCOUNT}/position/999999999") == []
    everywhere = await client.get(f"/portfolio/positions/{AAPL}")
    assert {account: rows[0]["position"] for account, rows in everywhere.items()} == {
        ACCOUNT: 100,
        OTHER_ACCOUNT: 5,
    }


async def test_the_statements_agree(client: PaperClient) -> None:
    await client.prime()
    for conid, price in ((AAPL, 200), (SPY, 500), (272093, 400), (SAP, 200), (12087792, 1.1)):
        await client.pin(conid, price, price)
    ledger = await client.get(f"/portfolio/{ACCOUNT}/ledger")
    assert set(ledger) == {"USD", "EUR", "BASE"}
    assert ledger["USD"]["stockmarketvalue"] == 100 * 200 + 50 * 500 + 20 * 400
    assert ledger["EUR"]["cashbalance"] == 10_000
    assert ledger["BASE"]["currency"] == "BASE"
    summary = await client.get(f"/portfolio/{ACCOUNT}/summary")
    net = summary["netliquidation"]["amount"]
    assert net == pytest.approx(ledger["BASE"]["netliquidationvalue"], abs=1)
    assert summary["accountcode"] == summary["accountcode"] | {"value": ACCOUNT, "amount": 0.0}
    brokerage = await client.get(f"/iserver/account/{ACCOUNT}/summary")
    assert brokerage["netLiquidationValue"] == pytest.approx(net, abs=1)
    assert brokerage["cashBalances"][-1]["currency"] == "Total (in USD)"
    assert (await client.call("GET", "/iserver/account/INVALID/summary")).status == 400
    allocation = await client.get(f"/portfolio/{ACCOUNT}/allocation")
    assert allocation["assetClass"]["long"]["STK"] > 0


async def test_partitioned_pnl_is_empty_first(client: PaperClient) -> None:
    assert await client.get("/iserver/account/pnl/partitioned") == {"upnl": {}}
    rows = (await client.get("/iserver/account/pnl/partitioned"))["upnl"]
    assert set(rows) == {f"{ACCOUNT}.Core", f"{OTHER_ACCOUNT}.Core"}
    assert {"rowType", "dpl", "nl", "upl", "el", "mv"} <= set(rows[f"{ACCOUNT}.Core"])
