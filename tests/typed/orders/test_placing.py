"""Orders that are placed: accepted, questioned, rejected."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as pb
from tests.support.grpc_errors import reason, violated_fields
from tests.support.typed import AAPL, ACCOUNT
from tests.typed.orders.trader import GTC, SELL, Trader, kinds, limit, market


async def test_an_order_is_accepted_and_found_by_both_ids(trader: Trader) -> None:
    (outcome,) = await trader.place(limit(client_order_id="both-ids"))
    assert kinds([outcome]) == ["accepted"]
    assert outcome.client_order_id == "both-ids"
    order = await trader.order(outcome.accepted.order_id)
    assert (order.conid, order.symbol, order.side) == (AAPL, "AAPL", order_pb2.ORDER_SIDE_BUY)
    assert (order.order_type, order.time_in_force) == (order_pb2.ORDER_TYPE_LIMIT, order_pb2.TIME_IN_FORCE_DAY)
    assert (order.limit_price, order.account_id) == ("229.90", ACCOUNT)
    found = await trader.stub.GetOrder(pb.GetOrderRequest(account_id=ACCOUNT, client_order_id="both-ids"))
    assert found.order.order_id == outcome.accepted.order_id
    assert found.order.total_quantity == "1.0"


async def test_a_client_order_id_is_made(trader: Trader) -> None:
    (outcome,) = await trader.place(limit())
    assert outcome.client_order_id
    assert trader.at_the_gateway(outcome.client_order_id) == 1


async def test_a_question_comes_back_and_is_confirmed(lone_trader: Trader) -> None:
    (outcome,) = await lone_trader.place(market(client_order_id="asked"))
    question = outcome.needs_confirmation
    (warning,) = question.warnings
    assert warning.message_id == "o10151"
    assert warning.text.startswith("Market Order Confirmation A Market Order is")
    assert "<h4>" in warning.raw_text
    assert list(question.options) == ["Yes", "No"]
    assert lone_trader.at_the_gateway("asked") == 0

    confirmed = await lone_trader.stub.ConfirmOrder(pb.ConfirmOrderRequest(reply_id=question.reply_id, confirmed=True))
    (outcome,) = confirmed.outcomes
    assert outcome.client_order_id == "asked"
    order = await lone_trader.until(outcome.accepted.order_id, lambda order: order.is_terminal)
    assert (order.status, order.filled_quantity) == (order_pb2.ORDER_STATUS_FILLED, "1.0")
    assert lone_trader.at_the_gateway("asked") == 1


async def test_a_question_is_declined(lone_trader: Trader) -> None:
    (outcome,) = await lone_trader.place(market(client_order_id="declined"))
    reply_id = outcome.needs_confirmation.reply_id
    response = await lone_trader.stub.ConfirmOrder(pb.ConfirmOrderRequest(reply_id=reply_id, confirmed=False))
    assert (response.declined, list(response.outcomes)) == (True, [])
    assert lone_trader.at_the_gateway("declined") == 0


async def test_agreed_warnings_are_confirmed_whole_chains_of_them(lone_trader: Trader) -> None:
    # 600 shares far from the market: o163, o383, o451 and o10153, one after the other.
    far = limit("280.00", quantity="600", client_order_id="chain")
    (outcome,) = await lone_trader.place(far, agreed=("o163", "o383", "o451", "o10153", "o1"))
    assert kinds([outcome]) == ["accepted"]
    assert lone_trader.at_the_gateway("chain") == 1


async def test_an_unlisted_warning_in_a_chain_comes_back(lone_trader: Trader) -> None:
    far = limit("280.00", quantity="600", client_order_id="unlisted")
    (outcome,) = await lone_trader.place(far, agreed=("o163", "o383"))
    assert [each.message_id for each in outcome.needs_confirmation.warnings] == ["o451"]
    assert lone_trader.at_the_gateway("unlisted") == 0


async def test_reads_do_not_void_what_was_agreed_to(lone_trader: Trader) -> None:
    """The gateway drops a question when any other call comes in between; the line is held instead."""

    async def read() -> None:
        async with asyncio.timeout(30):
            await lone_trader.stub.ListExecutions(pb.ListExecutionsRequest(), timeout=20)

    reads = [asyncio.create_task(read()) for _ in range(5)]
    outcomes = [
        (await lone_trader.place(market(client_order_id=f"held-{number}"), agreed=("o10151",)))[0]
        for number in range(3)
    ]
    await asyncio.gather(*reads)
    assert kinds(outcomes) == ["accepted"] * 3


async def test_orders_of_many_callers_do_not_void_each_other(unpaced_trader: Trader) -> None:
    """Without pacing, too: one action on orders is under way at a time."""
    placed = await asyncio.gather(
        *(unpaced_trader.place(market(client_order_id=f"crowd-{number}"), agreed=("o10151",)) for number in range(10))
    )
    assert kinds([outcomes[0] for outcomes in placed]) == ["accepted"] * 10
    assert [unpaced_trader.at_the_gateway(f"crowd-{number}") for number in range(10)] == [1] * 10


async def test_a_reply_that_expired(lone_trader: Trader) -> None:
    (outcome,) = await lone_trader.place(market(client_order_id="expired"))
    lone_trader.server.paper.control("/replies/invalidate")
    request = pb.ConfirmOrderRequest(reply_id=outcome.needs_confirmation.reply_id, confirmed=True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lone_trader.stub.ConfirmOrder(request)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.FAILED_PRECONDITION, "REPLY_EXPIRED")
    assert lone_trader.at_the_gateway("expired") == 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lone_trader.stub.ConfirmOrder(request)
    assert reason(caught.value) == "REPLY_EXPIRED"


async def test_a_rejection_says_why(trader: Trader) -> None:
    (outcome,) = await trader.place(limit("229.90", quantity="9000000"), agreed=("o383", "o451"))
    assert kinds([outcome]) == ["rejected"]
    assert "initial margin" in outcome.rejected.reason
    (outcome,) = await trader.place(limit(client_order_id="twice"))
    (outcome,) = await trader.place(limit(client_order_id="twice"))
    assert "already registered" in outcome.rejected.reason
    assert trader.at_the_gateway("twice") == 1


async def test_a_bracket_is_one_call(trader: Trader) -> None:
    parent = limit(client_order_id="bracket")
    stop = limit(
        side=SELL, order_type=order_pb2.ORDER_TYPE_STOP, limit_price=None, stop_price="200.00",
        time_in_force=GTC, parent_client_order_id="bracket",
    )  # fmt: skip
    target = limit("231.50", side=SELL, time_in_force=GTC, parent_client_order_id="bracket")
    outcomes = await trader.place(parent, stop, target, agreed=("o10331",))
    assert kinds(outcomes) == ["accepted"] * 3
    assert [outcome.client_order_id for outcome in outcomes] == ["bracket", "", ""]
    first = outcomes[0].accepted.order_id
    assert [outcome.accepted.parent_order_id for outcome in outcomes] == ["", first, first]
    listed = await trader.stub.ListOrders(pb.ListOrdersRequest(account_id=ACCOUNT))
    children = [order for order in listed.orders if order.parent_order_id == first]
    assert {order.order_type for order in children} == {order_pb2.ORDER_TYPE_STOP, order_pb2.ORDER_TYPE_LIMIT}
    assert {order.stop_price or order.limit_price for order in children} == {"200.00", "231.50"}


async def test_a_group_of_which_one_cancels_the_others(trader: Trader) -> None:
    outcomes = await trader.place(limit("229.00"), limit("228.00"), one_cancels_all=True)
    assert kinds(outcomes) == ["accepted"] * 2
    assert len({outcome.accepted.oca_group_id for outcome in outcomes}) == 1
    assert outcomes[0].accepted.oca_group_id


BAD: list[tuple[str, pb.PlaceOrdersRequest]] = [
    ("account_id", pb.PlaceOrdersRequest(orders=[limit()])),
    ("orders", pb.PlaceOrdersRequest(account_id=ACCOUNT)),
    ("orders", pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=[limit(), limit()])),
    ("orders", pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=[limit()] * 21, one_cancels_all=True)),
    ("one_cancels_all", pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=[limit()], one_cancels_all=True)),
    *(
        (f"orders[0].{field}", pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=[ticket]))
        for field, ticket in (
            ("conid", limit(conid=0)),
            ("conid", limit(conid=-5)),
            ("conidex", limit(conidex="265598@NYSE")),
            ("conidex", limit(conid=0, conidex="28812380;;;nonsense")),
            ("side", limit(side=None)),
            ("side", limit(side=7)),
            ("order_type", limit(order_type=None, limit_price=None)),
            ("time_in_force", limit(time_in_force=None)),
            ("quantity", limit(quantity=None)),
            ("quantity", limit(quantity="0")),
            ("quantity", limit(quantity="1e3")),
            ("quantity", limit(quantity="NaN")),
            ("cash_quantity", limit(cash_quantity="100")),
            ("currency_conversion", limit(quantity=None, fx_quantity="100")),
            ("limit_price", limit(limit_price=None)),
            ("limit_price", limit("-1")),
            ("limit_price", limit("1,5")),
            ("limit_price", market(limit_price="1")),
            ("stop_price", limit(stop_price="1")),
            ("stop_price", limit(order_type=order_pb2.ORDER_TYPE_STOP_LIMIT)),
            ("trailing_amount", limit(order_type=order_pb2.ORDER_TYPE_TRAILING_STOP, limit_price=None)),
            ("client_order_id", limit(client_order_id="x" * 65)),
            ("client_order_id", limit(client_order_id="a b")),
            ("client_order_id", limit(client_order_id="child", parent_client_order_id="472000000")),
            ("parent_client_order_id", limit(parent_client_order_id="nobody")),
            ("algorithm", limit(algorithm_parameters={"a": "b"})),
            ("algorithm_parameters[a]", limit(algorithm="Vwap", algorithm_parameters={"a": "\n"})),
        )
    ),
    (
        "agreed_message_ids[1]",
        pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=[limit()], agreed_message_ids=["o163", "Price limit"]),
    ),
]


@pytest.mark.parametrize(("field", "request_"), BAD)
async def test_bad_input_is_named_and_nothing_is_sent(trader: Trader, field: str, request_: Any) -> None:
    before = trader.server.upstream_counts().get(f"POST /v1/api/iserver/account/{ACCOUNT}/orders", 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await trader.stub.PlaceOrders(request_)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
    assert field in violated_fields(caught.value)
    assert trader.server.upstream_counts().get(f"POST /v1/api/iserver/account/{ACCOUNT}/orders", 0) == before


async def test_every_field_at_fault_is_named_at_once(trader: Trader) -> None:
    orders = [limit(), limit(conid=0, quantity="x", client_order_id="second")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await trader.place(*orders, one_cancels_all=True)
    assert violated_fields(caught.value) == ["orders[1].conid", "orders[1].quantity"]


async def test_an_account_that_is_not_the_logins(trader: Trader) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await trader.stub.PlaceOrders(pb.PlaceOrdersRequest(account_id="U7654321", orders=[limit()]))
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")


async def test_no_order_is_sent_while_the_session_is_not_ready(lone_trader: Trader) -> None:
    lone_trader.server.paper.control("/session/compete", {"on": True})
    await asyncio.to_thread(lone_trader.server.wait_for_log, message="the session is COMPETING")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lone_trader.place(limit(client_order_id="too-early"))
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_NOT_READY")
    assert lone_trader.at_the_gateway("too-early") == 0


async def test_a_preview_places_nothing(trader: Trader) -> None:
    request = pb.PreviewOrdersRequest(account_id=ACCOUNT, orders=[limit(quantity="10", client_order_id="preview")])
    preview = await trader.stub.PreviewOrders(request)
    assert (preview.amount.amount, preview.amount.currency_code) == ("2299.00", "USD")
    assert preview.raw_amount == "2,299.00 USD (10 Shares)"
    assert (preview.commission.amount, preview.total.amount) == ("1", "2300.00")
    assert preview.position.change == "10"
    assert preview.initial_margin.after
    assert not preview.warning
    assert trader.at_the_gateway("preview") == 0


async def test_one_audit_line_for_an_order(trader: Trader) -> None:
    await trader.place(limit(client_order_id="audited"))
    (line,) = await asyncio.to_thread(trader.server.wait_for_log, message="order", client_order_id="audited")
    assert (line["action"], line["outcome"], line["account"]) == ("place", "accepted", "DU…189")
    assert (line["conid"], line["side"], line["quantity"], line["order_type"]) == (str(AAPL), "BUY", "1", "LMT")
    assert line["order_id"]
