"""Orders and executions, from recordings and IBKR's examples."""

from __future__ import annotations

import pytest

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as pb
from bezant_server.cpapi.document import Row
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import NoSession, NotAuthenticated, UpstreamNotPrimed, UpstreamStatus
from bezant_server.orders import answers, decode, vocabulary
from bezant_server.orders.answers import Placed, Question, Refused, Unclear
from tests.support.samples import sample

PATH = "/iserver/account/DU1/orders"


def test_a_live_order() -> None:
    order = decode.order(Row(sample("orders/recorded_live_order"), ""))
    assert (order.order_id, order.client_order_id, order.account_id) == ("473740665", "my-coid", "DU1")
    assert (order.conid, order.symbol, order.security_type) == (756733, "SPY", "STK")
    assert (order.status, order.raw_status, order.is_terminal) == (
        order_pb2.ORDER_STATUS_PRE_SUBMITTED,
        "PreSubmitted",
        False,
    )
    assert (order.order_type, order.time_in_force) == (order_pb2.ORDER_TYPE_LIMIT, order_pb2.TIME_IN_FORCE_GTC)
    assert (order.limit_price, order.average_price, order.total_quantity) == ("457.00", "647.09", "1.0")
    assert order.last_changed_at.ToJsonString() == "2024-01-03T20:10:41Z"


def test_the_status_of_an_order() -> None:
    order = decode.order_status(sample("orders/recorded_order_status"))
    assert (order.order_id, order.side, order.limit_price) == ("1210386759", order_pb2.ORDER_SIDE_BUY, "457.00")
    assert (order.filled_quantity, order.remaining_quantity) == ("0.0", "1.0")
    assert (order.editable, order.cancellable) == (True, True)


def test_an_execution() -> None:
    execution = decode.execution(Row(sample("orders/recorded_trade"), ""))
    assert execution.execution_id == "0000e0d5.6576fd38.01.01"
    assert (execution.price, execution.quantity, execution.commission) == ("192.26", "5.0", "1.01")
    assert (execution.net_amount, execution.side) == ("961.3", order_pb2.ORDER_SIDE_SELL)
    assert (execution.order_id, execution.client_order_id) == ("17437897932", "Order123")
    assert execution.executed_at.seconds == 1702317649


def test_a_preview() -> None:
    preview = decode.preview(sample("orders/recorded_preview"))
    assert (preview.amount.amount, preview.amount.currency_code) == ("1977.60", "USD")
    assert (preview.commission.amount, preview.total.amount) == ("1", "1978.60")
    assert (preview.equity.current, preview.equity.change) == ("215415594", "-1")
    assert preview.warning.startswith("21/You are trying to submit")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LIMIT", order_pb2.ORDER_TYPE_LIMIT),
        ("Stop Limit", order_pb2.ORDER_TYPE_STOP_LIMIT),
        ("STOP_LIMIT", order_pb2.ORDER_TYPE_STOP_LIMIT),
        ("TRAILLMT", order_pb2.ORDER_TYPE_TRAILING_STOP_LIMIT),
        ("Trailing Stop", order_pb2.ORDER_TYPE_TRAILING_STOP),
        ("MidPrice", order_pb2.ORDER_TYPE_MIDPRICE),
        ("MOC", order_pb2.ORDER_TYPE_MARKET_ON_CLOSE),
        ("Snapshot", order_pb2.ORDER_TYPE_UNSPECIFIED),
    ],
)
def test_types_however_they_are_spelled(text: str, expected: int) -> None:
    assert vocabulary.order_type(text) == expected


def read(body: str, status: int = 200) -> answers.Answer:
    return answers.read(UpstreamResponse(status, (), body.encode()), PATH)


def test_orders_that_were_taken() -> None:
    answer = read('[{"order_id":"1","order_status":"PreSubmitted","encrypt_message":"1","local_order_id":"a"}]')
    assert isinstance(answer, Placed)
    ((name, placed),) = answer.orders
    assert isinstance(placed, pb.OrderAccepted)
    assert (name, placed.order_id, placed.status) == ("a", "1", order_pb2.ORDER_STATUS_PRE_SUBMITTED)


def test_a_question() -> None:
    answer = read('[{"id":"9-9","message":["<b>Sure?</b>\\nReally"],"messageIds":["o163"],"messageOptions":["Yes"]}]')
    assert isinstance(answer, Question)
    assert (answer.reply_id, set(answer.message_ids)) == ("9-9", {"o163"})
    assert answer.message.warnings[0].text == "Sure? Really"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ('{"error":"We cannot accept an order at the limit price"}', 200, "We cannot accept"),
        ('{"error":"x","action":"order_cannot_be_created","cqe":{}}', 200, "x"),
        ('{"error":"Unknown order type","statusCode":400}', 400, "Unknown order type"),
        ("<html>", 400, "the gateway answered 400"),
        ('{"orderId":1,"reqId":"2","text":"Use it?","options":["Yes"],"prompt":true}', 200, "Use it?"),
    ],
)
def test_refusals(body: str, status: int, reason: str) -> None:
    answer = read(body, status)
    assert isinstance(answer, Refused)
    assert answer.message.reason.startswith(reason)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 200),
        ("[]", 200),
        ("{}", 200),
        ("null", 200),
        ("<html>", 200),
        ('[{"order_status":"Submitted"}]', 200),
        ('[{"order_id":{}}]', 200),
        ('{"error":"Service Unavailable"}', 503),
        ("", 500),
        ("", 302),
    ],
)
def test_what_does_not_say_is_unknown(body: str, status: int) -> None:
    assert isinstance(read(body, status), Unclear)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ('{"error":"Unauthorized"}', 401, NotAuthenticated),
        ('{"error":"Bad Request: no bridge"}', 400, NoSession),
        ('{"error":"Please query /accounts first"}', 400, UpstreamNotPrimed),
        ("", 429, UpstreamStatus),
    ],
)
def test_an_order_that_the_gateway_did_not_look_at_is_an_error(body: str, status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(body, status)
