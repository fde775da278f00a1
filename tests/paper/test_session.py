"""The brokerage session: how it comes, how it goes, and what goes with it."""

from __future__ import annotations

from tests.paper.client import AAPL, ACCOUNT, OTHER_ACCOUNT, PaperClient
from tests.paper.conftest import StartPaper


async def test_healthy_from_the_start(client: PaperClient) -> None:
    status = await client.get("/iserver/auth/status")
    assert (status["authenticated"], status["connected"], status["competing"]) == (True, True, False)
    tickle = await client.post("/tickle")
    assert len(tickle["session"]) == 32
    assert 0 < tickle["ssoExpires"] < 600_000
    assert tickle["hmds"] == {"error": "no bridge"}
    assert tickle["collission"] is False
    assert (await client.get("/tickle"))["session"] == tickle["session"]


async def test_established_follows_authenticated(client: PaperClient) -> None:
    await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    assert (await client.get("/iserver/auth/status"))["established"] is False
    await client.paper.acontrol("/clock/advance", {"seconds": 1})
    assert (await client.get("/iserver/auth/status"))["established"] is True


async def test_six_idle_minutes_end_the_brokerage_session(client: PaperClient) -> None:
    await client.prime()
    await client.paper.acontrol("/clock/advance", {"seconds": 350})
    assert (await client.post("/tickle"))["iserver"]["authStatus"]["authenticated"] is True
    await client.paper.acontrol("/clock/advance", {"seconds": 361})
    status = (await client.post("/tickle"))["iserver"]["authStatus"]
    assert (status["authenticated"], status["connected"]) == (False, True)
    bridge = await client.call("GET", "/iserver/accounts")
    assert (bridge.status, bridge.json["error"]) == (400, "Bad Request: no bridge")
    assert await client.get("/portfolio/accounts")
    await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    assert await client.get("/iserver/accounts")


async def test_a_day_ends_single_sign_on(client: PaperClient) -> None:
    await client.paper.acontrol("/clock/advance", {"seconds": 24 * 3600 + 1, "keep_alive": True})
    assert (await client.call("POST", "/tickle")).status == 401


async def test_a_competing_session_wins_until_it_is_taken_over(client: PaperClient) -> None:
    await client.paper.acontrol("/session/compete", {"on": True})
    status = await client.get("/iserver/auth/status")
    assert (status["authenticated"], status["competing"]) == (False, True)
    status = await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": False})
    assert (status["authenticated"], status["competing"]) == (False, True)
    status = await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    assert (status["authenticated"], status["competing"]) == (True, False)


async def test_opening_the_brokerage_session_can_take_its_time(start: StartPaper) -> None:
    with start("--init-delay", "30") as paper:
        async with PaperClient(paper) as client:
            body = {"publish": True, "compete": True}
            assert (await client.post("/iserver/auth/ssodh/init", body))["authenticated"] is False
            await paper.acontrol("/clock/advance", {"seconds": 31})
            assert (await client.get("/iserver/auth/status"))["authenticated"] is True


async def test_what_a_brokerage_session_knows_goes_with_it(client: PaperClient) -> None:
    await client.prime()
    await client.post("/iserver/account", {"acctId": OTHER_ACCOUNT})
    await client.post("/iserver/questions/suppress", {"messageIds": ["o10151"]})
    await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    state = await client.paper.acontrol("/state", method="GET")
    assert (state["selected_account"], state["suppressed"]) == (ACCOUNT, [])
    refused = await client.call("GET", f"/iserver/marketdata/snapshot?conids={AAPL}&fields=31")
    assert (refused.status, refused.json["error"]) == (400, "Please query /accounts first")


async def test_selecting_an_account(client: PaperClient) -> None:
    assert await client.post("/iserver/account", {"acctId": OTHER_ACCOUNT}) == {"set": True, "acctId": OTHER_ACCOUNT}
    assert await client.post("/iserver/account", {"acctId": OTHER_ACCOUNT}) == {"success": "Account already set"}
    assert (await client.call("POST", "/iserver/account", json={"acctId": "DU1"})).status == 500
    assert (await client.call("POST", "/iserver/account", json={})).status == 400
    assert (await client.get("/iserver/accounts"))["selectedAccount"] == OTHER_ACCOUNT
