"""What a batch shows of its orders as they go on, and of those that others touch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.targets import LIVE, MAIN, Stock, Trading


def resting(trading: Trading) -> tuple[Stock, Any]:
    """An order that is not filled, and how the gateway lists it."""
    stock = trading.stock()
    result = trading.submitted(stock.symbol, 12, limit_price=99.5)
    trading.until_status(result["batch_id"], "Submitted")
    return stock, result


def show(trading: Trading, stock: Stock, **changes: object) -> None:
    """Let the gateway list the only order of a stock otherwise."""
    (row,) = trading.orders(stock.conid)
    trading.mend()
    trading.fault(f"{LIVE}$", body=json.dumps({"orders": [{**row, **changes}], "snapshot": True}))


@pytest.mark.parametrize(
    ("upstream", "shown"),
    [
        ("PendingSubmit", "PreSubmitted"),
        ("PreSubmitted", "PreSubmitted"),
        ("Submitted", "Submitted"),
        ("PendingCancel", "Submitted"),
        ("PreCancelled", "Submitted"),
        ("Filled", "Filled"),
        ("Cancelled", "Cancelled"),
        ("Inactive", "Inactive"),
        ("WarnState", "Inactive"),
    ],
)
def test_each_status(trading: Trading, upstream: str, shown: str) -> None:
    stock, result = resting(trading)
    show(trading, stock, status=upstream, order_ccp_status=upstream)
    (order,) = trading.batch(result["batch_id"])["orders"]
    assert order["status"] == shown
    assert "error" not in order
    (target,) = trading.batch(result["batch_id"])["orders"]
    assert target == order


def test_an_order_goes_from_pre_submitted_to_submitted_to_cancelled(trading: Trading) -> None:
    stock = trading.stock()
    result = trading.submitted(stock.symbol, 12, limit_price=99.5)
    assert result["status"] == "PreSubmitted"
    (order,) = trading.until(result["batch_id"], lambda orders: orders[0]["status"] != "PreSubmitted")
    assert (order["status"], order["filled_qty"]) == ("Submitted", 0)
    assert (order["avg_fill_price"], order["commission"]) == (None, None)
    trading.cancelled(result["batch_id"])
    seen = set()

    def is_over(orders: list[dict[str, Any]]) -> bool:
        seen.add(orders[0]["status"])
        return bool(orders[0]["status"] == "Cancelled")

    trading.until(result["batch_id"], is_over)
    assert seen <= {"Submitted", "Cancelled"}


def test_an_order_that_is_being_cancelled_is_open_until_that_is_final(trading: Trading) -> None:
    stock, result = resting(trading)
    show(trading, stock, status="PendingCancel", order_ccp_status="Pending Cancel")
    assert trading.batch(result["batch_id"])["orders"][0]["status"] == "Submitted"
    assert trading.cancelled(result["batch_id"])["results"][0]["ibkr_order_id"] == result["ibkr_order_id"]


def test_an_order_that_is_cancelled_elsewhere(trading: Trading) -> None:
    _, result = resting(trading)
    path = f"/v1/api/iserver/account/{MAIN}/order/{result['ibkr_order_id']}"
    assert trading.edge.send("DELETE", path).status == 200
    order = trading.until_status(result["batch_id"], "Cancelled")
    assert order["ibkr_order_id"] == result["ibkr_order_id"]
    assert trading.cancelled(result["batch_id"])["results"] == []


def test_why_ibkr_has_ended_an_order(trading: Trading) -> None:
    stock, result = resting(trading)
    reason = "The order's time in force has ended"
    show(trading, stock, status="Cancelled", order_ccp_status="Cancelled", order_cancellation_by_system_reason=reason)
    (order,) = trading.batch(result["batch_id"])["orders"]
    assert (order["status"], order["error"]) == ("Cancelled", reason)


def test_a_final_order_stays_as_it_was(trading: Trading) -> None:
    """IBKR lists orders of a day: those that are over are not forgotten with it."""
    account = trading.account()
    batch = trading.submitted("AAPL", 1, account=account)["batch_id"]
    (filled,) = trading.until(batch, lambda orders: orders[0]["commission"] is not None)
    trading.fault(f"{LIVE}$", body=json.dumps({"orders": [], "snapshot": True}))
    trading.fault("/iserver/account/trades", body="[]")
    assert trading.batch(batch)["orders"] == [filled]
    trading.fault("/iserver", status=500, body="")
    assert trading.batch(batch)["orders"] == [filled]


def test_an_open_order_that_is_not_listed_any_more_is_looked_for_among_the_executions(trading: Trading) -> None:
    account = trading.account()
    batch = trading.submitted("AAPL", 3, account=account)["batch_id"]
    trading.fault(f"{LIVE}$", body=json.dumps({"orders": [], "snapshot": True}))
    (order,) = trading.until(batch, lambda orders: orders[0]["commission"] is not None)
    assert (order["status"], order["filled_qty"], order["avg_fill_price"]) == ("Filled", 3, 230.02)
    assert order["commission"] == 1.0


def test_a_cancellation_that_ibkr_refuses(trading: Trading) -> None:
    _, result = resting(trading)
    trading.fault("/iserver/account/[^/]+/order/", method="DELETE", body='{"error": "Order cannot be cancelled now"}')
    (cancellation,) = trading.cancelled(result["batch_id"])["results"]
    assert list(cancellation) == ["ibkr_order_id", "cancelled", "error"]
    assert (cancellation["ibkr_order_id"], cancellation["cancelled"]) == (result["ibkr_order_id"], False)
    assert "cannot be cancelled" in cancellation["error"]


def test_a_cancellation_whose_answer_is_lost(trading: Trading) -> None:
    _, result = resting(trading)
    trading.fault("/iserver/account/[^/]+/order/", method="DELETE", truncate=True)
    (cancellation,) = trading.cancelled(result["batch_id"])["results"]
    assert cancellation["cancelled"] is False
    assert cancellation["error"]
    trading.mend()
    trading.until_status(result["batch_id"], "Cancelled")


def test_several_open_orders_are_cancelled_and_closed_ones_are_not_listed(trading: Trading) -> None:
    stocks = [trading.stock() for _ in range(3)]
    batch = trading.submit(*({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5} for stock in stocks))
    ids = [result["ibkr_order_id"] for result in batch["results"]]
    trading.edge.send("DELETE", f"/v1/api/iserver/account/{MAIN}/order/{ids[1]}")
    trading.until(batch["batch_id"], lambda orders: orders[1]["status"] == "Cancelled")
    assert trading.cancelled(batch["batch_id"])["results"] == [
        {"ibkr_order_id": ids[0], "cancelled": True},
        {"ibkr_order_id": ids[2], "cancelled": True},
    ]
