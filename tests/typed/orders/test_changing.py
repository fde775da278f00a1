"""Orders that are modified, cancelled, listed; executions; warnings that are suppressed; prompts."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as pb
from tests.support.grpc_errors import failure, reason, violated_fields
from tests.support.typed import AAPL, ACCOUNT
from tests.typed.orders.trader import BUY, GTC, SELL, Trader, kinds, limit, market

UNKNOWN_STATUS: Any = 77
WORKING = (order_pb2.ORDER_STATUS_SUBMITTED, order_pb2.ORDER_STATUS_PRE_SUBMITTED)


async def working(trader: Trader, **changes: Any) -> str:
    order_id = await trader.accepted(limit(**changes))
    await trader.until(order_id, lambda order: order.status in WORKING)
    return order_id


async def test_a_change_keeps_the_rest_of_the_order(trader: Trader) -> None:
    order_id = await working(trader, quantity="5", time_in_force=GTC, client_order_id="kept")
    response = await trader.stub.ModifyOrder(
        pb.ModifyOrderRequest(account_id=ACCOUNT, order_id=order_id, limit_price="229.50")
    )
    assert kinds([response.outcome]) == ["accepted"]
    assert response.outcome.accepted.order_id == order_id
    order = await trader.order(order_id)
    assert (order.limit_price, order.total_quantity, order.time_in_force) == ("229.50", "5.0", GTC)


async def test_a_change_may_be_questioned(trader: Trader) -> None:
    order_id = await working(trader)
    change = pb.ModifyOrderRequest(account_id=ACCOUNT, order_id=order_id, quantity="3")
    response = await trader.stub.ModifyOrder(change)
    assert [each.message_id for each in response.outcome.needs_confirmation.warnings] == ["o10138"]
    change.agreed_message_ids.append("o10138")
    response = await trader.stub.ModifyOrder(change)
    assert kinds([response.outcome]) == ["accepted"]
    assert (await trader.order(order_id)).total_quantity == "3.0"


async def test_a_change_of_type_needs_its_price(trader: Trader) -> None:
    order_id = await working(trader)
    change = pb.ModifyOrderRequest(
        account_id=ACCOUNT, order_id=order_id, order_type=order_pb2.ORDER_TYPE_STOP_LIMIT, limit_price="240"
    )
    error = await failure(trader.stub.ModifyOrder(change))
    assert violated_fields(error) == ["stop_price"]


@pytest.mark.parametrize("act", ["modify", "cancel"])
async def test_an_order_that_is_not_there(trader: Trader, act: str) -> None:
    error = await failure(attempt(trader, act, "999999"))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")


@pytest.mark.parametrize("act", ["modify", "cancel"])
async def test_an_order_that_is_over(trader: Trader, act: str) -> None:
    order_id = await working(trader)
    await trader.stub.CancelOrder(pb.CancelOrderRequest(account_id=ACCOUNT, order_id=order_id))
    await trader.until(order_id, lambda order: order.status == order_pb2.ORDER_STATUS_CANCELLED)
    error = await failure(attempt(trader, act, order_id))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_OPEN")


async def test_an_order_of_another_program(trader: Trader) -> None:
    order_id = await working(trader)
    trader.server.paper.control(
        "/faults",
        {
            "path": f"/iserver/account/{ACCOUNT}/order/{order_id}",
            "method": "POST",
            "status": 200,
            "body": '{"error":"Order was placed by a different user and cannot be modified"}',
        },
    )
    error = await failure(attempt(trader, "modify", order_id))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_EDITABLE")


def attempt(trader: Trader, act: str, order_id: str) -> object:
    if act == "modify":
        return trader.stub.ModifyOrder(
            pb.ModifyOrderRequest(account_id=ACCOUNT, order_id=order_id, limit_price="229.00")
        )
    return trader.stub.CancelOrder(pb.CancelOrderRequest(account_id=ACCOUNT, order_id=order_id))


async def test_a_cancellation_whose_answer_is_lost(trader: Trader) -> None:
    order_id = await working(trader)
    path = f"/iserver/account/{ACCOUNT}/order/{order_id}"
    trader.server.paper.control("/faults", {"path": path, "method": "DELETE", "times": 1, "truncate": True})
    response = await trader.stub.CancelOrder(pb.CancelOrderRequest(account_id=ACCOUNT, order_id=order_id))
    assert response.outcome_unknown
    await trader.until(order_id, lambda order: order.status == order_pb2.ORDER_STATUS_CANCELLED)


async def test_all_orders_of_a_contract_are_cancelled(trader: Trader) -> None:
    ids = {await working(trader) for _ in range(3)}
    response = await trader.stub.CancelAllOrders(pb.CancelAllOrdersRequest(account_id=ACCOUNT, conid=AAPL))
    assert not response.incomplete
    assert ids <= {each.order_id for each in response.cancellations if each.requested}
    for order_id in ids:
        await trader.until(order_id, lambda order: order.status == order_pb2.ORDER_STATUS_CANCELLED)
    response = await trader.stub.CancelAllOrders(pb.CancelAllOrdersRequest(account_id=ACCOUNT))
    assert [each for each in response.cancellations if each.requested] == []


async def test_orders_are_filtered_here_and_paged(trader: Trader) -> None:
    ids = [await working(trader, limit_price=f"229.{number}0") for number in range(3)]
    request = pb.ListOrdersRequest(account_id=ACCOUNT, statuses=list(WORKING), conid=AAPL, side=BUY, page_size=2)
    first = await trader.stub.ListOrders(request)
    assert len(first.orders) == 2
    assert not first.incomplete
    listed = list(first.orders)
    while first.next_page_token:
        request.page_token = first.next_page_token
        first = await trader.stub.ListOrders(request)
        listed += first.orders
    assert set(ids) <= {order.order_id for order in listed}
    assert {order.status for order in listed} <= set(WORKING)
    recent = trader.server.paper.requests()["recent"]
    assert not any("filters" in str(each) for each in recent)
    sells = await trader.stub.ListOrders(pb.ListOrdersRequest(account_id=ACCOUNT, side=SELL, statuses=list(WORKING)))
    assert {order.side for order in sells.orders} <= {SELL}


async def test_the_empty_first_answer_is_hidden(lone_trader: Trader) -> None:
    """As after a new session, when the gateway begins to load."""
    order_id = await lone_trader.accepted(limit())
    lone_trader.server.paper.control(
        "/faults",
        {"path": "/iserver/account/orders", "times": 1, "status": 200, "body": '{"orders":[],"snapshot":false}'},
    )
    response = await lone_trader.stub.ListOrders(pb.ListOrdersRequest(account_id=ACCOUNT))
    assert [order.order_id for order in response.orders] == [order_id]
    assert not response.incomplete


async def test_a_list_that_the_gateway_does_not_complete_says_so(trader: Trader) -> None:
    trader.server.paper.control(
        "/faults", {"path": "/iserver/account/orders", "status": 200, "body": '{"orders":[],"snapshot":false}'}
    )
    response = await trader.stub.ListOrders(pb.ListOrdersRequest(account_id=ACCOUNT), timeout=5)
    assert (response.incomplete, list(response.orders)) == (True, [])


async def test_executions(trader: Trader) -> None:
    (outcome,) = await trader.place(market(quantity="2", client_order_id="executed"), agreed=("o10151",))
    order_id = outcome.accepted.order_id
    await trader.until(order_id, lambda order: order.status == order_pb2.ORDER_STATUS_FILLED)
    async with asyncio.timeout(30):
        while True:
            response = await trader.stub.ListExecutions(pb.ListExecutionsRequest(account_id=ACCOUNT, days=1))
            mine = [each for each in response.executions if each.order_id == order_id]
            if mine and all(each.HasField("commission") for each in mine):
                break
            await asyncio.sleep(0.1)
    assert sum(float(each.quantity) for each in mine) == 2
    assert {(each.conid, each.client_order_id, each.side) for each in mine} == {(AAPL, "executed", 1)}
    assert all(each.execution_id and each.executed_at.seconds for each in mine)
    times = [each.executed_at.seconds for each in response.executions]
    assert times == sorted(times, reverse=True)


async def test_warnings_are_suppressed_and_asked_again(lone_trader: Trader) -> None:
    await lone_trader.stub.SuppressWarnings(pb.SuppressWarningsRequest(message_ids=["o10151"]))
    assert kinds(await lone_trader.place(market())) == ["accepted"]
    await lone_trader.stub.ResetSuppressedWarnings(pb.ResetSuppressedWarningsRequest())
    assert kinds(await lone_trader.place(market())) == ["needs_confirmation"]


async def test_a_prompt_is_answered(trader: Trader) -> None:
    response = await trader.stub.AnswerPrompt(
        pb.AnswerPromptRequest(order_id="123456789", request_id="22170", option="Use on this order")
    )
    assert response.message == "Success"


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("ModifyOrder", pb.ModifyOrderRequest(account_id=ACCOUNT, order_id="x", limit_price="1"), "order_id"),
        ("ModifyOrder", pb.ModifyOrderRequest(account_id=ACCOUNT, order_id="1"), "quantity"),
        ("ModifyOrder", pb.ModifyOrderRequest(account_id=ACCOUNT, order_id="1", limit_price="x"), "limit_price"),
        ("CancelOrder", pb.CancelOrderRequest(account_id=ACCOUNT), "order_id"),
        ("CancelOrder", pb.CancelOrderRequest(order_id="1"), "account_id"),
        ("CancelAllOrders", pb.CancelAllOrdersRequest(), "account_id"),
        ("ConfirmOrder", pb.ConfirmOrderRequest(reply_id="a/b"), "reply_id"),
        ("ListOrders", pb.ListOrdersRequest(account_id=ACCOUNT, statuses=[UNKNOWN_STATUS]), "statuses[0]"),
        ("ListOrders", pb.ListOrdersRequest(account_id=ACCOUNT, page_token="x"), "page_token"),
        ("GetOrder", pb.GetOrderRequest(account_id=ACCOUNT), "order_id"),
        ("GetOrder", pb.GetOrderRequest(client_order_id="x"), "account_id"),
        ("ListExecutions", pb.ListExecutionsRequest(days=8), "days"),
        ("SuppressWarnings", pb.SuppressWarningsRequest(), "message_ids"),
        ("SuppressWarnings", pb.SuppressWarningsRequest(message_ids=["Price"]), "message_ids[0]"),
        ("AnswerPrompt", pb.AnswerPromptRequest(order_id="1", request_id="2"), "option"),
    ],
)
async def test_bad_input(trader: Trader, method: str, request_: object, field: str) -> None:
    error = await failure(getattr(trader.stub, method)(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(error)


async def test_an_unknown_client_order_id(trader: Trader) -> None:
    error = await failure(
        trader.stub.GetOrder(pb.GetOrderRequest(account_id=ACCOUNT, client_order_id="never-sent"), timeout=20)
    )
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")


async def test_a_preview_that_is_refused(trader: Trader) -> None:
    trader.server.paper.control(
        "/faults", {"path": f"/iserver/account/{ACCOUNT}/orders/whatif", "status": 200, "body": '{"error":"no way"}'}
    )
    error = await failure(trader.stub.PreviewOrders(pb.PreviewOrdersRequest(account_id=ACCOUNT, orders=[limit()])))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_REFUSED")
    assert "no way" in str(error.details())
