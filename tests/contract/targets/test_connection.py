"""A broker that does not answer: 500 with what happened as `cause`, and nothing is placed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.edge import HttpAnswer
from tests.support.stack import wait_until
from tests.support.targets import LIVE, ORDERS, Trading, request, start_trading


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    """A server that waits a second for an answer, and looks every second how the session is."""
    folder = tmp_path_factory.mktemp("frail")
    with start_trading(folder, BEZANT_REQUEST_TIMEOUT_SECS="1", BEZANT_KEEPALIVE_SECS="1") as running:
        yield running


def until_healthy(trading: Trading) -> None:
    wait_until(lambda: trading.read("health")["status"] == "ok", "health")


def assert_disconnected(answer: HttpAnswer, *causes: str) -> None:
    envelope = answer.json()
    assert (answer.status, envelope.get("code")) == (500, "broker_connection_error"), answer
    assert list(envelope) == ["code", "message", "cause"]
    assert envelope["message"]
    assert envelope["cause"] in causes


def assert_nothing_works(trading: Trading, batch_id: str, *causes: str) -> dict[str, Any]:
    """Every path that asks the broker says so; what the database knows is told."""
    stock = trading.stock()
    body = request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5})
    before = trading.read("orders")
    trading.paper.control("/requests", method="DELETE")
    for answer in (
        trading.call("POST", "orders", body, headers=[("Idempotency-Key", stock.symbol)]),
        trading.call("GET", f"orders/{batch_id}"),
        trading.call("GET", "positions"),
    ):
        assert_disconnected(answer, *causes)
    assert trading.sent() == []
    assert trading.read("orders") == before
    assert trading.call("GET", "orders/a1b2c3d4e5f67890").status == 404
    return body


def assert_can_be_repeated(trading: Trading, body: dict[str, Any]) -> None:
    """The key of a request of which nothing was sent is not used up."""
    key = body["orders"][0]["symbol"]
    answer = trading.call("POST", "orders", body, headers=[("Idempotency-Key", key)])
    assert (answer.status, answer.json()["results"][0]["status"]) == (201, "PreSubmitted"), answer


@pytest.fixture
def open_batch(frail: Trading) -> str:
    """A batch with an order that works."""
    frail.mend()
    frail.begin()
    return str(frail.submitted(frail.stock().symbol, 12, limit_price=99.5)["batch_id"])


def test_logged_out(frail: Trading, open_batch: str) -> None:
    frail.paper.control("/session/expire", {"layer": "sso"})
    wait_until(lambda: frail.read("health")["status"] == "degraded", "the end of the session")
    assert set(frail.read("health")["accounts"].values()) <= {False}
    body = assert_nothing_works(frail, open_batch, "not_authenticated", "session_not_ready")
    assert_disconnected(frail.call("DELETE", f"orders/{open_batch}"), "not_authenticated", "session_not_ready")
    frail.paper.control("/session/login")
    until_healthy(frail)
    assert_can_be_repeated(frail, body)
    assert frail.until_status(open_batch, "Submitted")


def test_a_session_that_is_taken_by_another_program(frail: Trading, open_batch: str) -> None:
    frail.paper.control("/session/compete", {"on": True})
    wait_until(lambda: frail.read("health")["status"] == "degraded", "the end of the session")
    stock = frail.stock()
    answer = frail.call("POST", "orders", request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5}))
    assert_disconnected(answer, "session_not_ready", "no_session")
    assert frail.sent() == [] or frail.orders(stock.conid) == []
    frail.paper.control("/session/compete", {"on": False})
    frail.edge.post("/v1/api/iserver/auth/ssodh/init", b'{"publish":true,"compete":true}')
    until_healthy(frail)
    assert frail.until_status(open_batch, "Submitted")


def test_unreachable(frail: Trading, open_batch: str) -> None:
    frail.paper.control("/gateway/away", {"seconds": 4})
    stock = frail.stock()
    before = frail.read("orders")
    for answer in (
        frail.call("POST", "orders", request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5})),
        frail.call("GET", f"orders/{open_batch}"),
        frail.call("DELETE", f"orders/{open_batch}"),
        frail.call("GET", "positions"),
    ):
        assert_disconnected(answer, "upstream_unreachable", "session_not_ready")
    assert frail.read("orders") == before
    until_healthy(frail)
    assert frail.until_status(open_batch, "Submitted")
    assert frail.orders(stock.conid) == []


def test_no_answer_in_time(frail: Trading, open_batch: str) -> None:
    frail.fault(f"{LIVE}$", delay_seconds=2)
    frail.fault("/portfolio/[^/]+/summary", delay_seconds=2)
    body = assert_nothing_works(frail, open_batch, "upstream_timeout")
    # What the orders are called is known all the same.
    assert [each["cancelled"] for each in frail.cancelled(open_batch)["results"]] == [True]
    frail.mend()
    assert_can_be_repeated(frail, body)


@pytest.mark.parametrize("path", ["/trsrv/stocks", "/trsrv/secdef", f"{LIVE}$", "/portfolio2/"])
@pytest.mark.parametrize("effect", [{"status": 500, "body": "{}"}, {"close": True}])
def test_each_question_that_a_batch_asks(frail: Trading, open_batch: str, path: str, effect: dict[str, Any]) -> None:
    """Whatever of it is not answered: nothing is sent, for the difference would be wrong."""
    stock = frail.stock()
    frail.begin()
    frail.fault(path, **effect)
    answer = frail.call("POST", "orders", request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5}))
    assert_disconnected(answer, "upstream_status", "upstream_http_error")
    assert frail.sent() == []
    assert open_batch == frail.read("orders")["batches"][0]["batch_id"]


def assert_not_believed(trading: Trading, path: str, body: str) -> None:
    """An answer of the gateway that tells less than is needed: nothing is ordered on the strength of it."""
    stock = trading.stock()
    before = trading.read("orders")
    trading.begin()
    trading.fault(path, body=body.replace("CONID", str(stock.conid)))
    answer = trading.call("POST", "orders", request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5}))
    assert_disconnected(answer, "upstream_decode_error")
    assert trading.sent() == []
    assert trading.read("orders") == before


@pytest.mark.parametrize(
    "body",
    ["null", "{}", "<html>", '[{"conid": "CONID", "position": "many"}]', '[{"conid": "CONID"}]', '[{"position": 5}]'],
)
def test_positions_that_make_no_sense(frail: Trading, body: str) -> None:
    """They are not taken for an account that holds nothing: what it holds would be bought again."""
    frail.mend()
    assert_not_believed(frail, "/portfolio2/", body)


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        '[{"orderId": 1, "conid": CONID, "status": "Submitted", "side": "BUY"}]',
        '[{"orderId": 1, "conid": CONID, "status": "Submitted", "remainingQuantity": 5}]',
        '[{"orderId": 1, "status": "Submitted", "side": "BUY", "remainingQuantity": 5}]',
    ],
)
def test_working_orders_that_make_no_sense(frail: Trading, body: str) -> None:
    """They are not taken for an account without working orders, nor half of one for nothing."""
    frail.mend()
    orders = f'{{"orders": {body}, "snapshot": true}}' if "orderId" in body else body
    assert_not_believed(frail, f"{LIVE}$", orders)


def test_a_login_that_ends_in_the_middle_of_a_batch(frail: Trading) -> None:
    """What was not taken is told as not placed, and stays so after the next login."""
    frail.mend()
    frail.begin()
    stocks = [frail.stock() for _ in range(3)]
    frail.fault(ORDERS, method="POST", delay_seconds=0.5, times=1)
    with ThreadPoolExecutor() as pool:
        placing = pool.submit(
            frail.submit, *({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5} for stock in stocks)
        )
        wait_until(lambda: len(frail.sent()) == 1, "the first order")
        frail.paper.control("/session/expire", {"layer": "sso"})
        batch = placing.result()
    for result in batch["results"]:
        assert (result["status"], result["ibkr_order_id"]) == ("error", None)
        assert result["error"].startswith("not placed")
    frail.paper.control("/session/login")
    until_healthy(frail)
    assert {order["status"] for order in frail.batch(batch["batch_id"])["orders"]} == {"error"}
    assert [frail.orders(stock.conid) for stock in stocks] == [[], [], []]
