"""Orders: what is refused, what is asked, and what becomes of those that are taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.paper.client import AAPL, ACCOUNT, OTHER_ACCOUNT, SAP, PaperClient, an_order
from tests.paper.conftest import StartPaper

PLACE = f"/iserver/account/{ACCOUNT}/orders"


@pytest.fixture
async def desk(client: PaperClient) -> PaperClient:
    """A primed client in a market where AAPL stands at 200."""
    await client.prime()
    await client.pin(AAPL, 199.99, 200.01, 200.0)
    return client


async def held(client: PaperClient, conid: int = AAPL) -> float:
    rows = await client.get(f"/portfolio/{ACCOUNT}/position/{conid}")
    return float(rows[0]["position"]) if rows else 0.0


async def test_the_account_list_comes_before_orders(client: PaperClient) -> None:
    answer = await client.call("POST", PLACE, json={"orders": [an_order()]})
    assert (answer.status, answer.json["error"]) == (400, "Please query /accounts first")


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"quantity": "1"}, 400, "orders request includes parameter with incorrect type"),
        ({"side": "buy"}, 400, "Invalid Side (must be 'BUY' or 'SELL')."),
        ({"orderType": "LIMIT"}, 400, "Unknown order type"),
        ({"conid": None}, 400, "conid or conidex is required"),
        ({"conid": 999999999}, 200, "no sec defs returned for 999999999"),
        ({"price": None}, 200, "Invalid order price fields"),
        ({"price": -1}, 200, "Invalid order price fields"),
        ({"tif": None}, 200, "null time in force is not supported for this order"),
        ({"quantity": 0}, 200, "Invalid order quantity"),
        ({"price": 450}, 200, "We cannot accept an order at the limit price you selected"),
        ({"quantity": 100_000}, 200, "Your order is not accepted"),
        ({"acctId": "DU1"}, 400, "Account DU1 is not available"),
        ({"parentId": "nobody"}, 200, "Parent order nobody doesn't exist"),
        # The first fault counts: types, then side, then type, then contract.
        ({"side": "buy", "orderType": "LIMIT", "conid": None}, 400, "Invalid Side"),
        ({"orderType": "LIMIT", "conid": None, "tif": None}, 400, "Unknown order type"),
    ],
)
async def test_what_is_refused(desk: PaperClient, changes: dict[str, Any], status: int, text: str) -> None:
    answer = await desk.call("POST", PLACE, json={"orders": [an_order(**changes)]})
    if text.startswith("Your order"):
        assert answer.json["error"].startswith(text)
    elif text.startswith("Parent"):
        assert await desk.confirm(answer.json) == ({"error": text}, [])
    assert answer.status == status
    assert answer.json["error"].startswith(text)
    assert (await desk.paper.acontrol("/state", method="GET"))["orders"] == []


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"orders": []}', '{"orders": [1]}', '{"orders": [NaN]}'])
async def test_bodies_that_are_no_orders(desk: PaperClient, body: str) -> None:
    answer = await desk.call("POST", PLACE, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert "error" in answer.json


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"price": 199.0}, []),
        ({"price": 190.0}, ["o163"]),
        ({"price": 170.0}, ["o163", "o10153"]),
        ({"price": 199.005}, ["o382"]),
        ({"price": 150.0, "quantity": 501}, ["o163", "o383", "o10153"]),
        ({"price": 200.0, "quantity": 501}, ["o383", "o451"]),
        ({"orderType": "MKT", "price": None}, ["o10151"]),
        ({"orderType": "STP", "price": 210.0}, ["o10331"]),
        ({"orderType": "STP", "price": 190.0}, ["o10331", "o403"]),
        ({"orderType": "MKT", "price": None, "quantity": None, "cashQty": 450}, ["o10151", "o10164", "o10223"]),
    ],
)
async def test_what_is_asked(desk: PaperClient, changes: dict[str, Any], asked: list[str]) -> None:
    answer, questions = await desk.confirm(await desk.place(**changes))
    assert sorted(questions) == sorted(asked)
    assert isinstance(answer[0]["order_id"], str)
    assert answer[0]["encrypt_message"] == "1"


async def test_an_order_without_market_data_is_asked_about(desk: PaperClient) -> None:
    await desk.pin(SAP, 219.9, 220.1, 220.0)
    _, asked = await desk.confirm(await desk.place(conid=SAP, price=219.0))
    assert asked == ["o354"]


async def test_a_question_is_answered_once(desk: PaperClient) -> None:
    question = (await desk.place(price=190.0))[0]
    assert question["isSuppressed"] is False
    assert (await desk.post(f"/iserver/reply/{question['id']}", {"confirmed": True}))[0]["order_id"]
    again = await desk.call("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})
    assert (again.status, again.json) == (400, {"error": f"reply id not found: '{question['id']}'"})


@pytest.mark.parametrize("path", ["/tickle", "/portfolio/accounts", "/no/such/route"])
async def test_any_other_request_invalidates_the_question(desk: PaperClient, path: str) -> None:
    question = (await desk.place(price=190.0))[0]
    await desk.call("GET", path)
    reply = await desk.call("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})
    assert (reply.status, reply.json) == (400, {"error": f"reply id not found: '{question['id']}'"})
    assert (await desk.paper.acontrol("/state", method="GET"))["orders"] == []


async def test_the_control_endpoint_invalidates_it_too(start: StartPaper) -> None:
    with start("--stale-reply-status", "503", "--primed") as paper:
        async with PaperClient(paper) as client:
            question = (await client.place(orderType="MKT", price=None))[0]
            await paper.acontrol("/replies/invalidate")
            assert (
                await client.call("POST", f"/iserver/reply/{question['id']}", json={"confirmed": True})
            ).status == 503


async def test_a_question_can_be_declined(desk: PaperClient) -> None:
    question = (await desk.place(price=190.0))[0]
    answer = await desk.post(f"/iserver/reply/{question['id']}", {"confirmed": False})
    assert answer == {"error": "Order not confirmed "}


async def test_suppressed_questions_are_not_asked(desk: PaperClient) -> None:
    assert (await desk.call("POST", "/iserver/questions/suppress", json={"messageIds": []})).status == 500
    submitted = await desk.post("/iserver/questions/suppress", {"messageIds": ["o163", "ZZZZZ"]})
    assert submitted == {"status": "submitted"}
    assert (await desk.confirm(await desk.place(price=170.0)))[1] == ["o10153"]
    await desk.post("/iserver/questions/suppress/reset")
    assert (await desk.confirm(await desk.place(price=170.0)))[1] == ["o163", "o10153"]


async def test_a_client_order_id_is_unique_for_a_day(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0, cOID="mine")
    assert (await desk.live(order_id))["order_ref"] == "mine"
    again = await desk.place(price=199.0, cOID="mine")
    assert again == {"error": "Order couldn't be submitted: Local order ID=mine is already registered."}
    assert (await desk.call("POST", PLACE, json={"orders": [an_order(cOID="x" * 65)]})).status == 400
    await desk.paper.acontrol("/clock/advance", {"seconds": 23 * 3600, "keep_alive": True})
    assert "error" in await desk.place(price=199.0, cOID="mine")


async def test_the_first_live_orders_are_empty_and_so_are_forced_ones(client: PaperClient) -> None:
    await client.get("/iserver/accounts")
    await client.pin(AAPL, 199.99, 200.01)
    order_id = await client.placed(price=199.0)
    assert await client.get("/iserver/account/orders") == {"orders": [], "snapshot": False}
    assert await client.live(order_id)
    assert await client.get("/iserver/account/orders?force=true") == {"orders": [], "snapshot": False}
    assert await client.live(order_id)


async def test_filters_stay_until_forced(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0)
    await desk.until_status(order_id, "Submitted")
    assert (await desk.get("/iserver/account/orders?filters=filled"))["orders"] == []
    assert await desk.live(order_id) is None
    await desk.get("/iserver/account/orders?force=true")
    assert await desk.live(order_id)


async def test_a_working_order_as_the_rows_show_it(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0, cOID="shown")
    row = await desk.until_status(order_id, "Submitted")
    assert (row["orderId"], row["sizeAndFills"], row["remainingQuantity"]) == (order_id, "0/1", 1.0)
    assert (row["price"], row["timeInForce"], row["orderType"]) == ("199.00", "CLOSE", "Limit")
    assert len(row["lastExecutionTime"]) == 12
    status = await desk.get(f"/iserver/account/order/status/{order_id}")
    assert (status["order_id"], status["side"], status["order_ccp_status"]) == (order_id, "B", "0")
    assert (await desk.call("GET", "/iserver/account/order/status/999999999")).status == 503
    await desk.post("/iserver/account", {"acctId": OTHER_ACCOUNT})
    assert (await desk.call("GET", f"/iserver/account/order/status/{order_id}")).status == 503
    assert await desk.live(order_id) is None
    mine = await desk.get(f"/iserver/account/orders?accountId={ACCOUNT}")
    assert [row["orderId"] for row in mine["orders"]] == [order_id]


async def test_a_fill_moves_position_cash_and_trades(desk: PaperClient) -> None:
    assert await desk.get("/iserver/account/trades") == []
    cash = (await desk.get(f"/portfolio/{ACCOUNT}/ledger"))["USD"]["cashbalance"]
    order_id = await desk.placed(orderType="MKT", price=None, quantity=10, cOID="bought")
    row = await desk.until_status(order_id, "Filled")
    assert (row["avgPrice"], row["sizeAndFills"], row["price"]) == ("200.01", "10", "")
    assert await held(desk) == 110
    await desk.paper.acontrol("/clock/advance", {"seconds": 2})
    trade = (await desk.get("/iserver/account/trades"))[0]
    assert (trade["side"], trade["size"], trade["price"], trade["order_ref"]) == ("B", 10.0, "200.01", "bought")
    assert (trade["commission"], trade["net_amount"], trade["order_id"]) == ("1.00", 2000.1, order_id)
    after = (await desk.get(f"/portfolio/{ACCOUNT}/ledger"))["USD"]["cashbalance"]
    assert after == pytest.approx(cash - 2000.1 - 1)


async def test_the_commission_comes_late(start: StartPaper) -> None:
    with start("--speed", "0.01", "--primed") as paper:
        async with PaperClient(paper) as client:
            await client.get("/iserver/account/trades")
            await client.placed(orderType="MKT", price=None)
            await paper.acontrol("/clock/advance", {"seconds": 0.6})
            trade = (await client.get("/iserver/account/trades"))[0]
            assert "commission" not in trade
            await paper.acontrol("/clock/advance", {"seconds": 1})
            assert (await client.get("/iserver/account/trades"))[0] == trade | {"commission": "1.00"}


async def test_a_large_order_fills_in_parts(desk: PaperClient) -> None:
    order_id = await desk.placed(orderType="MKT", price=None, quantity=1000)
    await desk.until_status(order_id, "Filled")
    await desk.get("/iserver/account/trades")
    trades = await desk.get("/iserver/account/trades")
    assert len(trades) > 1
    assert len({trade["execution_id"] for trade in trades}) == len(trades)
    assert sum(trade["size"] for trade in trades) == 1000


async def test_a_limit_waits_for_its_price(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0)
    await desk.until_status(order_id, "Submitted")
    await desk.pin(AAPL, 198.9, 198.95)
    assert (await desk.until_status(order_id, "Filled"))["avgPrice"] == "198.95"


async def test_a_stop_waits_for_its_trigger(desk: PaperClient) -> None:
    order_id = await desk.placed(orderType="STP", side="SELL", price=195.0)
    await desk.paper.acontrol("/clock/advance", {"seconds": 5})
    assert (await desk.live(order_id))["status"] == "PreSubmitted"
    await desk.pin(AAPL, 194.9, 194.95)
    assert (await desk.until_status(order_id, "Filled"))["avgPrice"] == "194.90"


async def test_a_trailing_stop_follows_the_market(desk: PaperClient) -> None:
    order_id = await desk.placed(orderType="TRAIL", side="SELL", price=None, trailingAmt=2.0, trailingType="amt")
    for price in (205.0, 203.5):
        await desk.pin(AAPL, price, price)
        await desk.paper.acontrol("/clock/advance", {"seconds": 1})
    assert (await desk.live(order_id))["stop_price"] == "203.00"
    await desk.pin(AAPL, 202.9, 202.95)
    await desk.until_status(order_id, "Filled")


async def test_ioc_cancels_what_is_left(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0, tif="IOC")
    row = await desk.until_status(order_id, "Cancelled")
    assert "order_cancellation_by_system_reason" in row


async def test_day_orders_expire_and_gtc_orders_stay(desk: PaperClient) -> None:
    day, gtc = await desk.placed(price=199.0), await desk.placed(price=199.0, tif="GTC")
    await desk.until_status(day, "Submitted")
    await desk.paper.acontrol("/clock/advance", {"seconds": 23.9 * 3600, "keep_alive": True})
    await desk.paper.acontrol("/session/login")
    await desk.paper.acontrol("/clock/advance", {"seconds": 3600, "keep_alive": True})
    await desk.prime()
    assert (await desk.live(day))["status"] == "Cancelled"
    assert (await desk.live(gtc))["status"] == "Submitted"


async def test_cancelling(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0)
    await desk.until_status(order_id, "Submitted")
    answer = await desk.call("DELETE", f"/iserver/account/{ACCOUNT}/order/{order_id}")
    assert answer.json == {
        "msg": "Request was submitted",
        "order_id": order_id,
        "conid": AAPL,
        "account": ACCOUNT,
    }
    await desk.until_status(order_id, "Cancelled")
    for path in ("/123456", f"/{order_id}"):
        again = await desk.call("DELETE", f"/iserver/account/{ACCOUNT}/order{path}")
        assert "error" in again.json
    elsewhere = await desk.call("DELETE", f"/iserver/account/{OTHER_ACCOUNT}/order/{order_id}")
    assert elsewhere.json == {"error": f"OrderID {order_id} doesn't exist"}


async def test_cancelling_everything(desk: PaperClient) -> None:
    orders = [await desk.placed(price=199.0) for _ in range(2)]
    answer = await desk.call("DELETE", f"/iserver/account/{ACCOUNT}/order/-1")
    assert (answer.json["conid"], answer.json["account"]) == (-1, None)
    for order_id in orders:
        await desk.until_status(order_id, "Cancelled")


async def test_modifying(desk: PaperClient) -> None:
    order_id = await desk.placed(price=199.0, cOID="changed")
    path = f"/iserver/account/{ACCOUNT}/order/{order_id}"
    answer, asked = await desk.confirm(await desk.post(path, an_order(price=198.0, quantity=5)))
    assert (answer[0]["order_id"], asked) == (str(order_id), ["o10138"])
    row = await desk.until_status(order_id, "Submitted")
    assert (row["price"], row["totalSize"], row["order_ref"]) == ("198.00", 5.0, "changed")
    await desk.pin(AAPL, 197.0, 197.0)
    await desk.until_status(order_id, "Filled")
    assert "error" in await desk.post(path, an_order(price=196.0))
    unknown = await desk.post(f"/iserver/account/{ACCOUNT}/order/123456", an_order())
    assert unknown == {"error": "OrderID 123456 doesn't exist"}


def bracket(name: str) -> dict[str, Any]:
    return {
        "orders": [
            an_order(price=199.0, quantity=10, cOID=name),
            an_order(side="SELL", price=204.0, quantity=10, parentId=name, tif="GTC"),
            an_order(side="SELL", orderType="STP", price=195.0, quantity=10, parentId=name, tif="GTC"),
        ]
    }


async def test_a_bracket_fills_one_way_out(desk: PaperClient) -> None:
    rows, _ = await desk.confirm(await desk.post(PLACE, bracket("b1")))
    parent, profit, loss = (int(row["order_id"]) for row in rows)
    await desk.until_status(parent, "Submitted")
    await desk.pin(AAPL, 205.0, 205.0)
    await desk.paper.acontrol("/clock/advance", {"seconds": 2})
    assert {(await desk.live(leg))["status"] for leg in (profit, loss)} == {"PreSubmitted"}
    await desk.pin(AAPL, 198.99, 199.0)
    await desk.until_status(parent, "Filled")
    assert (await desk.live(profit))["status"] == "Submitted"
    await desk.pin(AAPL, 204.0, 204.01)
    await desk.until_status(profit, "Filled")
    await desk.until_status(loss, "Cancelled")
    assert await held(desk) == 100


async def test_cancelling_a_parent_cancels_its_children(desk: PaperClient) -> None:
    rows, _ = await desk.confirm(await desk.post(PLACE, bracket("b2")))
    await desk.call("DELETE", f"/iserver/account/{ACCOUNT}/order/{rows[0]['order_id']}")
    for row in rows:
        await desk.until_status(int(row["order_id"]), "Cancelled")


async def test_one_cancels_the_other(desk: PaperClient) -> None:
    group = {"orders": [an_order(price=199.0, isSingleGroup=True), an_order(price=198.0, isSingleGroup=True)]}
    first, second = (int(row["order_id"]) for row in await desk.post(PLACE, group))
    await desk.pin(AAPL, 198.5, 198.6)
    await desk.until_status(first, "Filled")
    await desk.until_status(second, "Cancelled")


async def test_a_preview_places_nothing(desk: PaperClient) -> None:
    body = {"orders": [an_order(price=200.0, quantity=10)]}
    preview = await desk.post(f"{PLACE}/whatif", body)
    assert preview["warn"].startswith("21/")
    assert preview["amount"]["amount"] == "2,000.00 USD (10 Shares)"
    assert preview["position"] == {"current": "100", "change": "10", "after": "110"}
    await desk.get(f"/iserver/marketdata/snapshot?conids={AAPL}&fields=31")
    assert (await desk.post(f"{PLACE}/whatif", body))["warn"] is None
    assert (await desk.call("POST", f"{PLACE}/whatif", json={"orders": [an_order(conid=0)]})).status == 400
    assert (await desk.paper.acontrol("/state", method="GET"))["orders"] == []


async def test_market_hours(start: StartPaper) -> None:
    # A Saturday: nothing trades until Monday 9:30 in New York.
    flags = ("--market-hours", "--primed", "--start", "2026-03-07T15:00:00Z")
    with start(*flags) as paper:
        async with PaperClient(paper) as client:
            order_id = await client.placed(orderType="MKT", price=None, tif="GTC")
            await paper.acontrol("/clock/advance", {"seconds": 3600, "keep_alive": True})
            assert (await client.live(order_id))["status"] == "PreSubmitted"
            for _ in range(2):
                await paper.acontrol("/clock/advance", {"seconds": 23 * 3600, "keep_alive": True})
                await paper.acontrol("/session/login")
            await client.prime()
            assert (await client.live(order_id))["status"] == "Filled"


async def test_fractions_are_for_stocks_in_the_us(desk: PaperClient) -> None:
    bmw = 29612281
    rules = {
        conid: await desk.post("/iserver/contract/rules", {"conid": conid, "isBuy": True}) for conid in (AAPL, bmw)
    }
    assert (rules[AAPL]["fraqInt"], rules[bmw]["fraqInt"]) == (4, 0)
    assert "limit" in rules[AAPL]["fraqTypes"]
    assert rules[bmw]["fraqTypes"] == []
    taken = await desk.post(PLACE, {"orders": [an_order(quantity=0.5, price=199.0)]})
    assert taken[0]["order_id"]
    answer = await desk.call("POST", PLACE, json={"orders": [an_order(conid=bmw, quantity=1.5, price=84.0)]})
    assert answer.json["error"] == "Fractional-sized order cannot be placed for this instrument"
    assert len((await desk.paper.acontrol("/state", method="GET"))["orders"]) == 1
