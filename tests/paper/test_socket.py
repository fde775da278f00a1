"""The WebSocket: greeting, heartbeats, topics, and what happens when a session ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.paper.client import AAPL, ACCOUNT, SPY, PaperClient, PaperSocket
from tests.paper.conftest import StartPaper


async def advance(client: PaperClient, seconds: float) -> None:
    await client.paper.acontrol("/clock/advance", {"seconds": seconds, "keep_alive": True})


async def test_the_greeting(client: PaperClient) -> None:
    async with await client.connect() as socket:
        messages = [await socket.message() for _ in range(3)]
        assert {type(message) for message in messages} == {bytes}
        system, act, sts = (json.loads(message) for message in messages)
        assert system == {"topic": "system", "success": system["success"], "isFT": False, "isPaper": True}
        assert (act["topic"], act["args"]["selectedAccount"]) == ("act", ACCOUNT)
        assert sts["args"]["authenticated"] is True


async def test_frames_can_be_text(start: StartPaper) -> None:
    with start("--text-frames") as paper:
        async with PaperClient(paper) as client, await client.connect() as socket:
            assert isinstance(await socket.message(), str)


@pytest.mark.parametrize("form", ["api={id}", 'api={{"session":"{id}"}}', 'a=1; api={{"session": "{id}"}}; b=2'])
async def test_cookies_that_open_it(client: PaperClient, form: str) -> None:
    async with await client.connect(form.format(id=await client.session_id())) as socket:
        assert (await socket.frame())["topic"] == "system"


async def test_the_affinity_cookie_opens_it_too(client: PaperClient) -> None:
    cookie = (await client.call("POST", "/tickle")).headers["Set-Cookie"].partition(";")[0]
    async with await client.connect(cookie) as socket:
        assert (await socket.frame())["topic"] == "system"


@pytest.mark.parametrize("cookie", ["", "api=nonsense", 'api={"session":1}', "api={", "x-sess-uuid="])
async def test_without_a_session_it_waits(client: PaperClient, cookie: str) -> None:
    async with await client.connect(cookie) as socket:
        assert await socket.frame() == {"message": "waiting for session"}
        await socket.send("spl")
        await advance(client, 11)
        assert await socket.frame() == {"message": "waiting for session"}


async def test_subscriptions_before_the_greeting_are_dropped(start: StartPaper) -> None:
    with start("--greeting-delay", "60") as paper:
        async with PaperClient(paper) as client, await client.connect() as socket:
            await socket.send("ech+hb")
            await socket.send("spl")
            assert await socket.message() == "ech+hb"
            await socket.send("ech+hb")
            assert await socket.message() == "ech+hb"
            await advance(client, 61)
            topics = [(await socket.frame())["topic"] for _ in range(3)]
            assert topics == ["system", "act", "sts"]
            await advance(client, 10)
            assert (await socket.frame()).keys() == {"topic", "hb"}
            await socket.send("spl")
            assert (await socket.topic("spl"))["args"]


async def test_heartbeats_every_ten_seconds(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await advance(client, 10)
        first = (await socket.topic("system"))["hb"]
        await advance(client, 10)
        assert 10_000 <= (await socket.topic("system"))["hb"] - first < 20_000


async def test_tic_is_answered_four_times(client: PaperClient) -> None:
    session = await client.session_id()
    async with await client.greeted() as socket:
        await socket.send("tic")
        frames = [await socket.topic("tic") for _ in range(4)]
        assert all(frame == frames[0] for frame in frames)
        assert (frames[0]["id"], frames[0]["alive"]) == (session, True)


async def test_unknown_topics(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await socket.send("xyz+{}")
        assert await socket.frame() == {"error": "Topic unknown 'xyz'", "code": 1}
        await socket.send("smd+265598+{nonsense")
        assert "error" in await socket.frame()
        await socket.send("smd+0+{}")
        assert "error" in await socket.frame()


async def line(client: PaperClient, socket: PaperSocket, conid: int = AAPL) -> Any:
    await client.pin(conid, 200.0, 200.02, 200.0)
    await socket.send(f'smd+{conid}+{{"fields": ["31", "83", "84", "86"]}}')
    return await socket.topic(f"smd+{conid}")


async def test_market_data_is_complete_first_and_changes_after(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        frame = await line(client, socket)
        assert (frame["31"], frame["84"], frame["86"], frame["conid"]) == ("200.00", "200.00", "200.02", AAPL)
        assert isinstance(frame["83"], float)
        assert frame["6509"]
        await client.pin(AAPL, 200.01, 200.02, 200.0)
        change = await socket.topic(f"smd+{AAPL}")
        assert change["84"] == "200.01"
        assert not {"31", "86", "6509"} & set(change)
        await socket.send(f"umd+{AAPL}+{{}}")
        await client.pin(AAPL, 210.0, 210.02, 210.0)
        assert (await line(client, socket, SPY))["topic"] == f"smd+{SPY}"
        await advance(client, 5)
        await socket.send("xyz")
        while "error" not in (frame := await socket.frame()):
            assert frame["topic"] != f"smd+{AAPL}"


async def test_market_data_ends_silently_after_fifteen_minutes(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await line(client, socket)
        await line(client, socket, SPY)
        await advance(client, 600)
        await line(client, socket, SPY)
        await advance(client, 301)
        await client.pin(AAPL, 210.0, 210.02, 210.0)
        await client.pin(SPY, 210.0, 210.02, 210.0)
        assert (await socket.until(lambda frame: frame.get("31") == "210.00"))["conid"] == SPY
        await line(client, socket)


async def test_history_takes_one_of_five_slots(client: PaperClient) -> None:
    ask = f'smh+{AAPL}+{{"exchange":"SMART","period":"2h","bar":"5min","outsideRth":false,"source":"trades"}}'
    async with await client.greeted() as socket:
        for _ in range(5):
            await socket.send(ask)
            frame = await socket.topic(f"smh+{AAPL}")
            assert (len(frame["data"]), frame["points"]) == (24, 23)
        await socket.send(ask)
        assert "error" in await socket.topic(f"smh+{AAPL}")
        await socket.send(f"umh+{frame['serverId']}")
        assert await socket.until(
            lambda frame: frame == {"message": f"Unsubscribed {frame.get('message', '').split()[-1]}"}
        )
        await socket.send(ask)
        assert "data" in await socket.topic(f"smh+{AAPL}")


async def test_the_order_channel(client: PaperClient) -> None:
    await client.prime()
    await client.pin(AAPL, 199.99, 200.01, 200.0)
    async with await client.greeted() as socket:
        await socket.send("sor+{}")
        order_id = await client.placed(price=199.0)
        rows: list[Any] = []
        while not rows or rows[-1].get("status") != "Submitted":
            rows += (await socket.topic("sor"))["args"]
        assert [row.get("status") for row in rows] == [
            "Inactive", None, "PendingSubmit", "PreSubmitted", "Submitted",
        ]  # fmt: skip
        assert {row["orderId"] for row in rows} == {order_id}
        assert "ticker" in rows[0]
        assert set(rows[1]) == {"acct", "conid", "conidex", "orderId", "isEventTrading"}
        assert set(rows[2]) == {"acct", "orderId", "status", "order_ccp_status", "bgColor", "fgColor"}
        await client.call("DELETE", f"/iserver/account/{ACCOUNT}/order/{order_id}")
        cancelling = [(await socket.topic("sor"))["args"][0]["status"] for _ in range(2)]
        assert cancelling == ["PendingCancel", "Cancelled"]


async def test_fills_on_the_order_and_trade_channels(client: PaperClient) -> None:
    await client.prime()
    await client.pin(AAPL, 199.99, 200.01, 200.0)
    async with await client.greeted() as socket:
        await socket.send("sor+{}")
        await socket.send('str+{"realtimeUpdatesOnly":false,"days":1}')
        assert (await socket.topic("str"))["args"] == []
        await client.placed(orderType="MKT", price=None, quantity=1000)
        orders: list[Any] = []
        trades: list[Any] = []
        while not orders or orders[-1].get("status") != "Filled":
            frame = await socket.frame()
            {"sor": orders, "str": trades}.get(frame.get("topic", ""), []).extend(frame.get("args", []))
        fills = [row for row in orders if "filledQuantity" in row and "ticker" not in row]
        assert len(fills) > 1
        assert fills[0]["sizeAndFills"] == f"{fills[0]['filledQuantity']:g}/1000"
        assert (fills[-1]["sizeAndFills"], fills[-1]["remainingQuantity"]) == ("1000", 0.0)
        await advance(client, 2)
        while sum("commission" in trade for trade in trades) < len(fills):
            trades += (await socket.topic("str"))["args"]
        assert len(trades) == 2 * len(fills)


async def test_filters_of_live_orders_mute_the_channel(client: PaperClient) -> None:
    await client.prime()
    await client.pin(AAPL, 199.99, 200.01, 200.0)
    async with await client.greeted() as socket:
        await socket.send("sor+{}")
        await client.get("/iserver/account/orders?filters=Filled")
        await client.placed(price=199.0)
        await client.placed(orderType="MKT", price=None)
        assert (await socket.topic("sor"))["args"][0]["status"] == "Filled"


async def test_pnl(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await socket.send("spl+{}")
        first = (await socket.topic("spl"))["args"][f"{ACCOUNT}.Core"]
        assert {"rowType", "dpl", "nl", "upl", "mv"} <= set(first)
        await advance(client, 60)
        second = (await socket.topic("spl"))["args"][f"{ACCOUNT}.Core"]
        assert second["nl"] != first["nl"]


async def test_summary_and_ledger(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await socket.send(f'ssd+{ACCOUNT}+{{"keys":["NetLiquidation-S"]}}')
        rows = {row["key"]: row for row in (await socket.topic(f"ssd+{ACCOUNT}"))["result"]}
        assert set(rows) == {"AccountCode", "NetLiquidation-S"}
        assert rows["NetLiquidation-S"]["monetaryValue"] > 0
        await socket.send(f"usd+{ACCOUNT}+{{}}")
        await socket.until(lambda frame: frame == {"result": "unsubscribed from summary"})
        await socket.send(f"sld+{ACCOUNT}+{{}}")
        rows = {row["key"]: row for row in (await socket.topic(f"sld+{ACCOUNT}"))["result"]}
        assert set(rows) == {"LedgerListUSD", "LedgerListEUR", "LedgerListBASE"}
        assert rows["LedgerListEUR"]["cashbalance"] == 10_000
        await socket.send(f"uld+{ACCOUNT}+{{}}")
        await socket.until(lambda frame: frame == {"result": "unsubscribed from ledger"})


async def test_the_end_of_the_brokerage_session_is_told(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await line(client, socket)
        await client.paper.acontrol("/session/expire", {"layer": "brokerage"})
        assert (await socket.topic("sts"))["args"] == {"authenticated": False}
        await socket.send(f'smd+{AAPL}+{{"fields":["31"]}}')
        await socket.send("xyz")
        assert "error" in await socket.frame()
        await client.post("/iserver/auth/ssodh/init", {"publish": True, "compete": True})
        assert (await socket.topic("sts"))["args"] == {"authenticated": True}


async def test_competing_is_told(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await client.paper.acontrol("/session/compete", {"on": True})
        assert (await socket.topic("sts"))["args"] == {"competing": True, "authenticated": False}


async def test_the_end_of_single_sign_on_closes_it(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await client.paper.acontrol("/session/expire", {"layer": "sso"})
        assert (await socket.topic("sts"))["args"]["authenticated"] is False
        assert await socket.closed()


async def test_a_hundred_lines_at_once(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        for _ in range(100):
            await socket.send(f'smd+{AAPL}+{{"fields":["31"]}}')
        for _ in range(100):
            await socket.topic(f"smd+{AAPL}")
