"""IBKR's warnings, confirmed and declined, and orders that it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.targets import Trading, start_trading

SAP_IN_FRANKFURT = 14204
DOCUMENTED = [
    ("o163", {"quantity": 12, "limit_price": 95.0}, "exceeds the Percentage constraint of 3%"),
    ("o383", {"quantity": 610, "limit_price": 99.5}, "Size Limit of 500"),
    ("o451", {"quantity": 460, "limit_price": 229.5}, "Total Value Limit of 100,000 USD"),
]


_DEAR = 229.5


def next_to_a_good_one(trading: Trading, target: dict[str, Any]) -> Any:
    """The result of a target that raises something; the one behind it must have been placed."""
    stock, good = trading.stock(), trading.stock()
    if target.get("limit_price") == _DEAR:
        trading.quote(stock.conid, 230.0, 230.02)
    batch = trading.submit(
        {"symbol": stock.symbol, **target}, {"symbol": good.symbol, "quantity": 11, "limit_price": 99.5}
    )
    result, other = batch["results"]
    assert (other["status"], type(other["ibkr_order_id"])) == ("PreSubmitted", int)
    assert trading.paper.state()["open_question"] is False
    return {"conid": stock.conid, "batch_id": batch["batch_id"], **result}


def test_a_market_order_is_confirmed(trading: Trading) -> None:
    account = trading.account()
    batch = trading.submitted("AAPL", 1, account=account)["batch_id"]
    assert trading.until_status(batch, "Filled")["filled_qty"] == 1
    replies = [each for each in trading.paper.requests()["recent"] if "/iserver/reply/" in each["path"]]
    assert [each["body"] for each in replies] == ['{"confirmed":true}']


def test_an_order_without_market_data_is_confirmed(trading: Trading) -> None:
    """The German listing has none; without the American one it is what the symbol means."""
    account = trading.account()
    german = {"name": "SAP SE", "assetClass": "STK", "contracts": [{"conid": 14204, "exchange": "IBIS", "isUS": False}]}
    trading.fault("/trsrv/stocks", body=json.dumps({"SAP": [german]}))
    result = trading.submitted("SAP", 1, account=account)
    assert result["status"] == "PreSubmitted", result
    trading.until_status(result["batch_id"], "Filled")
    assert [order["conid"] for order in trading.sent()] == [SAP_IN_FRANKFURT]
    replies = [each for each in trading.paper.requests()["recent"] if "/iserver/reply/" in each["path"]]
    assert len(replies) == 2


@pytest.mark.parametrize(("message_id", "target", "text"), DOCUMENTED)
def test_other_warnings_are_declined(trading: Trading, message_id: str, target: dict[str, Any], text: str) -> None:
    result = next_to_a_good_one(trading, target)
    assert (result["status"], result["ibkr_order_id"]) == ("error", None)
    assert result["delta"] == target["quantity"] - 10
    assert message_id in result["error"]
    assert text in result["error"]
    assert "<" not in result["error"]
    assert trading.orders(result["conid"]) == []
    replies = [each for each in trading.paper.requests()["recent"] if "/iserver/reply/" in each["path"]]
    assert [each["body"] for each in replies] == ['{"confirmed":false}']
    shown = trading.batch(result["batch_id"])["orders"][0]
    assert (shown["status"], shown["error"], shown["ibkr_order_id"]) == ("error", result["error"], None)
    assert (shown["filled_qty"], shown["avg_fill_price"], shown["commission"]) == (0, None, None)
    cancelled = trading.cancelled(result["batch_id"])["results"]
    assert len(cancelled) == 1


def test_a_market_order_that_raises_something_else_too_is_declined(trading: Trading) -> None:
    """The size is asked about before what would be confirmed."""
    result = next_to_a_good_one(trading, {"quantity": 610})
    assert (result["status"], result["order_type"]) == ("error", "MKT")
    assert "o383" in result["error"]
    assert trading.orders(result["conid"]) == []


def test_a_price_that_ibkr_refuses(trading: Trading) -> None:
    result = next_to_a_good_one(trading, {"quantity": 12, "limit_price": 250.0})
    assert (result["status"], result["ibkr_order_id"]) == ("error", None)
    assert "We cannot accept an order at the limit price" in result["error"]
    assert trading.orders(result["conid"]) == []


def test_an_order_that_the_account_cannot_pay(trading: Trading) -> None:
    stock = trading.stock()
    trading.quote(stock.conid, 900.0, 900.02)
    result = trading.submitted(stock.symbol, 60, account=trading.account(), limit_price=899.0)
    assert result["status"] == "error"
    assert "Your order is not accepted" in result["error"]
    assert trading.orders(stock.conid) == []


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    """Confirms other warnings than those of the default."""
    with start_trading(tmp_path_factory.mktemp("trusting"), BEZANT_CONFIRM_MESSAGE_IDS="o163,o383") as running:
        yield running


@pytest.mark.parametrize(("message_id", "target", "text"), DOCUMENTED[:2])
def test_other_warnings_can_be_confirmed(trusting: Trading, message_id: str, target: dict[str, Any], text: str) -> None:
    result = next_to_a_good_one(trusting, target)
    assert result["status"] == "PreSubmitted", (message_id, text, result)
    assert len(trusting.orders(result["conid"])) == 1


def test_what_is_not_in_the_list_is_declined(trusting: Trading) -> None:
    result = next_to_a_good_one(trusting, {"quantity": 12})
    assert (result["status"], result["order_type"]) == ("error", "MKT")
    assert "o10151" in result["error"]
    assert "Market Order Confirmation" in result["error"]


def test_a_partial_fill(trusting: Trading) -> None:
    """Some of an order is filled, then the market leaves, then the rest is cancelled."""
    stock = trusting.stock()
    trusting.quote(stock.conid, 9.98, 10.0)
    trusting.paper.control("/requests", method="DELETE")
    result = trusting.submitted(stock.symbol, 8010, limit_price=10.0)
    batch = result["batch_id"]
    (order,) = trusting.until(batch, lambda orders: orders[0]["filled_qty"] > 0)
    trusting.quote(stock.conid, 10.1, 10.12)
    assert order["status"] == "Submitted"
    (order,) = trusting.until(batch, lambda orders: orders[0]["commission"] is not None)
    assert (order["status"], order["avg_fill_price"]) == ("Submitted", 10.0)
    (row,) = trusting.orders(stock.conid)
    assert order["filled_qty"] == row["filledQuantity"]
    assert 0 < order["filled_qty"] < 8000
    again = trusting.submitted(stock.symbol, 8010, limit_price=10.0)
    assert again["current_pos"] + again["working_qty"] == 8010
    assert (again["delta"], again["status"]) == (0, "no_change")
    trusting.cancelled(batch)
    trusting.until_status(batch, "Cancelled")
    (order,) = trusting.until(batch, lambda orders: orders[0]["commission"] is not None)
    assert (order["filled_qty"], order["avg_fill_price"]) == (row["filledQuantity"], 10.0)
    trades = trusting.edge.get("/v1/api/iserver/account/trades?days=1").json()
    commissions = [float(trade["commission"]) for trade in trades if trade["order_id"] == row["orderId"]]
    assert order["commission"] == pytest.approx(sum(commissions))
