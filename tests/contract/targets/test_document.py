"""Each example of the trading API's document: the same paths, names, order of names, types and statuses.

`working_qty` is the one member more. The prices are those of the paper market.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.targets import MAIN, SECOND, Trading

RESULT = {
    "symbol": str,
    "current_pos": int,
    "working_qty": int,
    "desired_pos": int,
    "delta": int,
    "action": str,
    "qty": int,
    "order_type": str,
    "ibkr_order_id": int,
    "status": str,
}
PROGRESS = {
    "symbol": str,
    "ibkr_order_id": int,
    "status": str,
    "filled_qty": int,
    "avg_fill_price": float,
    "commission": float,
    "delta": int,
    "action": str,
}
POSITION = {"symbol": str, "quantity": int, "avg_cost": float, "conid": int}


def assert_members(value: dict[str, Any], types: dict[str, type]) -> None:
    """The same members in the same order, each of its type."""
    assert [(name, type(member)) for name, member in value.items()] == list(types.items())


def assert_now(moment: Any) -> None:
    """A moment as the document writes it, and not long ago."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", moment)
    then = datetime.fromisoformat(moment)
    assert timedelta() <= datetime.now(then.tzinfo) - then < timedelta(minutes=2)


def test_health(trading: Trading) -> None:
    answer = trading.call("GET", "health", key=None)
    assert answer.status == 200
    health = answer.json()
    assert list(health) == ["status", "accounts"]
    assert health["status"] == "ok"
    assert (health["accounts"][MAIN], health["accounts"][SECOND]) == (True, True)
    assert {type(each) for each in health["accounts"].values()} == {bool}


def test_submitting_targets_for_the_default_account(trading: Trading) -> None:
    """The document's curl example: one market order, one with a limit, and no account."""
    answer = trading.call(
        "POST",
        "orders",
        {"orders": [{"symbol": "AAPL", "quantity": 100}, {"symbol": "MSFT", "quantity": 50, "limit_price": 419.00}]},
    )
    assert answer.status == 201
    batch = answer.json()
    assert list(batch) == ["batch_id", "account_id", "submitted_at", "results"]
    assert re.fullmatch("[0-9a-f]{16}", batch["batch_id"])
    assert batch["account_id"] == MAIN
    assert_now(batch["submitted_at"])
    apple, microsoft = batch["results"]
    assert apple == {
        "symbol": "AAPL",
        "current_pos": 100,
        "working_qty": 0,
        "desired_pos": 100,
        "delta": 0,
        "action": None,
        "qty": 0,
        "order_type": None,
        "ibkr_order_id": None,
        "status": "no_change",
    }
    assert list(apple) == list(RESULT)
    assert_members(microsoft, RESULT)
    order_id = microsoft["ibkr_order_id"]
    assert microsoft == {
        "symbol": "MSFT",
        "current_pos": 20,
        "working_qty": 0,
        "desired_pos": 50,
        "delta": 30,
        "action": "BUY",
        "qty": 30,
        "order_type": "LMT",
        "ibkr_order_id": order_id,
        "status": "PreSubmitted",
    }
    assert trading.cancelled(batch["batch_id"]) == {
        "batch_id": batch["batch_id"],
        "results": [{"ibkr_order_id": order_id, "cancelled": True}],
    }


def test_the_full_request_of_the_document(trading: Trading) -> None:
    """Every member that a target has: the limit wins over the tolerance."""
    stock = trading.stock()
    target = {
        "symbol": stock.symbol,
        "quantity": 12,
        "limit_price": 99.50,
        "expected_price": 99.00,
        "tolerance_pct": 0.5,
    }
    batch = trading.submit(target)
    (result,) = batch["results"]
    assert_members(result, RESULT)
    assert (result["order_type"], result["delta"]) == ("LMT", 2)
    (sent,) = trading.sent()
    assert (sent["orderType"], sent["price"], sent["tif"]) == ("LMT", 99.5, "DAY")


def test_a_batch_that_is_filled(trading: Trading) -> None:
    account = trading.account()
    batch = trading.submit({"symbol": "AAPL", "quantity": 5}, {"symbol": "MSFT", "quantity": 2}, account=account)
    for result in batch["results"]:
        assert_members(result, RESULT)
        assert (result["order_type"], result["action"]) == ("MKT", "BUY")
    trading.until(batch["batch_id"], lambda orders: all(each["commission"] is not None for each in orders))
    polled = trading.batch(batch["batch_id"])
    assert list(polled) == ["batch_id", "account_id", "submitted_at", "orders"]
    assert {name: polled[name] for name in list(polled)[:3]} == {name: batch[name] for name in list(polled)[:3]}
    for order in polled["orders"]:
        assert_members(order, PROGRESS)
    assert polled["orders"] == [
        {
            "symbol": symbol,
            "ibkr_order_id": result["ibkr_order_id"],
            "status": "Filled",
            "filled_qty": quantity,
            "avg_fill_price": price,
            "commission": 1.0,
            "delta": quantity,
            "action": "BUY",
        }
        for (symbol, quantity, price), result in zip(
            (("AAPL", 5, 230.02), ("MSFT", 2, 420.02)), batch["results"], strict=True
        )
    ]


def test_the_list_of_batches(trading: Trading) -> None:
    other = trading.keys.add("client2")
    batches = []
    for client, key in (("client1", ""), ("client2", other)):
        batch = trading.submit({"symbol": "AAPL", "quantity": 100}, key=key)
        batches.append(
            {
                "batch_id": batch["batch_id"],
                "account_id": MAIN,
                "client": client,
                "submitted_at": batch["submitted_at"],
            }
        )
    listed = trading.read("orders")
    assert list(listed) == ["batches"]
    assert listed["batches"][:2] == batches[::-1]
    assert list(listed["batches"][0]) == ["batch_id", "account_id", "client", "submitted_at"]
    trading.keys.remove("client2")


def test_no_more_than_a_hundred_batches_are_listed(trading: Trading) -> None:
    account = trading.account()
    first = trading.submit({"symbol": "AAPL", "quantity": 0}, account=account)["batch_id"]
    ids = [trading.submit({"symbol": "AAPL", "quantity": 0}, account=account)["batch_id"] for _ in range(100)]
    assert [each["batch_id"] for each in trading.read("orders")["batches"]] == ids[::-1]
    assert trading.batch(first)["batch_id"] == first


def test_positions(trading: Trading) -> None:
    positions = trading.read("positions")
    assert list(positions) == ["account_id", "positions", "net_liquidation", "updated_at"]
    assert positions["account_id"] == MAIN
    assert type(positions["net_liquidation"]) is float
    assert positions["net_liquidation"] > 250_000
    assert_now(positions["updated_at"])
    for position in positions["positions"]:
        assert_members(position, POSITION)
    (apple,) = (each for each in positions["positions"] if each["symbol"] == "AAPL")
    assert apple == {"symbol": "AAPL", "quantity": 100, "avg_cost": 187.25, "conid": 265598}


def test_cancelling_a_batch(trading: Trading) -> None:
    open_one, other = trading.stock(), trading.stock()
    batch = trading.submit(
        {"symbol": open_one.symbol, "quantity": 12, "limit_price": 99.5}, {"symbol": other.symbol, "quantity": 10}
    )
    answer = trading.call("DELETE", f"orders/{batch['batch_id']}")
    assert answer.status == 200
    assert list(answer.json()) == ["batch_id", "results"]
    order_id = batch["results"][0]["ibkr_order_id"]
    assert answer.json() == {
        "batch_id": batch["batch_id"],
        "results": [{"ibkr_order_id": order_id, "cancelled": True}],
    }
    trading.until(batch["batch_id"], lambda orders: [each["status"] for each in orders] == ["Cancelled", "no_change"])
    assert trading.cancelled(batch["batch_id"]) == {"batch_id": batch["batch_id"], "results": []}
    assert [row["status"] for row in trading.orders(open_one.conid)] == ["Cancelled"]


@pytest.mark.parametrize(
    ("method", "path", "key", "error"),
    [
        ("POST", "orders", "", (400, "bad_request")),
        ("GET", "positions?account_id=DU0000000", "", (400, "bad_request")),
        ("GET", "positions", None, (401, "unauthorized")),
        ("GET", "orders", "wrong", (401, "unauthorized")),
        ("GET", "orders/a1b2c3d4e5f67890", "", (404, "batch_not_found")),
        ("DELETE", "orders/a1b2c3d4e5f67890", "", (404, "batch_not_found")),
        ("GET", "orders/%00%2F..", "", (404, "batch_not_found")),
    ],
)
def test_errors(trading: Trading, method: str, path: str, key: str | None, error: tuple[int, str]) -> None:
    answer = trading.call(method, path, {"orders": [{}]} if method == "POST" else None, key=key)
    assert (answer.status, answer.json()["code"]) == error, answer
    assert list(answer.json()) == ["code", "message"]
    assert answer.json()["message"]


@pytest.mark.parametrize("path", ["health", "orders", "positions"])
def test_head(trading: Trading, path: str) -> None:
    answer = trading.call("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.header("content-length") or 0) > 10


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "health", "GET, HEAD"),
        ("PUT", "orders", "GET, HEAD, POST"),
        ("POST", "orders/a1b2c3d4e5f67890", "DELETE, GET, HEAD"),
        ("DELETE", "positions", "GET, HEAD"),
    ],
)
def test_other_methods(trading: Trading, method: str, path: str, allowed: str) -> None:
    answer = trading.call(method, path, {} if method in ("POST", "PUT") else None)
    assert (answer.status, answer.json()["code"]) == (405, "method_not_allowed")
    assert sorted((answer.header("allow") or "").split(", ")) == sorted(allowed.split(", "))


@pytest.mark.parametrize("path", ["", "unknown", "health/x", "orders/a/b"])
def test_paths_that_are_none(trading: Trading, path: str) -> None:
    answer = trading.call("GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
