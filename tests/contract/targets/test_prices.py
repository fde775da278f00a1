"""Order types and limit prices, as they are sent to the gateway."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.targets import Trading

BMW = 29612281


def sent(trading: Trading) -> Any:
    """The only order that was sent, its numbers digit for digit."""
    bodies = [each["body"] for each in trading.paper.requests()["recent"] if each["path"].endswith("/orders")]
    (body,) = (body for body in bodies if body)
    (order,) = json.loads(body, parse_float=str)["orders"]
    return order


@pytest.mark.parametrize("written", ["150.50", "150.5", "150", "150.500"])
def test_a_limit_price_is_sent_exactly_as_it_is_written(trading: Trading, written: str) -> None:
    stock = trading.stock()
    trading.quote(stock.conid, 151.0, 151.02)
    body = f'{{"orders": [{{"symbol": "{stock.symbol}", "quantity": 12, "limit_price": {written}}}]}}'
    answer = trading.call("POST", "orders", body.encode())
    assert (answer.status, answer.json()["results"][0]["status"]) == (201, "PreSubmitted")
    order = sent(trading)
    assert str(order["price"]) == written
    assert (order["orderType"], order["side"], order["quantity"], order["tif"]) == ("LMT", "BUY", 2, "DAY")
    assert order["outsideRTH"] is False
    (row,) = trading.orders(stock.conid)
    assert Decimal(row["price"]) == Decimal(written)


@pytest.mark.parametrize(("symbol", "price", "step"), [("AAPL", 229.905, "0.01"), ("BMW", 83.91, "0.02")])
def test_a_limit_price_off_the_tick(trading: Trading, symbol: str, price: float, step: str) -> None:
    """The order is an error, and the one behind it is placed."""
    batch = trading.submit(
        {"symbol": symbol, "quantity": 3, "limit_price": price},
        {"symbol": "MSFT", "quantity": 3, "limit_price": 419},
        account=trading.account(),
    )
    off, good = batch["results"]
    assert (off["status"], off["ibkr_order_id"], off["delta"]) == ("error", None, 3)
    assert str(price) in off["error"]
    assert step in off["error"]
    assert good["status"] == "PreSubmitted"
    assert sent(trading)["price"] == 419


@pytest.mark.parametrize(
    ("symbol", "quantity", "prices", "price"),
    [
        ("AAPL", 1, (229.87, 0.05), "229.98"),
        ("AAPL", 1, (229.00, 0.25), "229.57"),
        ("AAPL", -1, (230.50, 0.1), "230.27"),
        ("AAPL", -1, (230.50, 0), "230.5"),
        ("BMW", 1, (83.5, 0.5), "83.9"),
        ("BMW", -1, (84.5, 0.3), "84.26"),
    ],
)
def test_a_tolerance_is_rounded_to_the_better_side(
    trading: Trading, symbol: str, quantity: int, prices: tuple[float, float], price: str
) -> None:
    expected, tolerance = prices
    result = trading.submitted(
        symbol, quantity, account=trading.account(), expected_price=expected, tolerance_pct=tolerance
    )
    assert (result["order_type"], result["status"]) == ("LMT", "PreSubmitted"), result
    assert result["action"] == ("BUY" if quantity > 0 else "SELL")
    order = sent(trading)
    assert (order["orderType"], Decimal(order["price"])) == ("LMT", Decimal(price))


def test_a_tolerance_that_leaves_no_price(trading: Trading) -> None:
    result = trading.submitted("AAPL", 1, account=trading.account(), expected_price=0.004, tolerance_pct=1)
    assert result["status"] == "error"
    assert "tolerance" in result["error"]
    assert trading.sent() == []


@pytest.mark.parametrize("prices", [{}, {"expected_price": 200.0}])
def test_without_a_limit_or_a_tolerance_it_is_a_market_order(trading: Trading, prices: dict[str, float]) -> None:
    result = trading.submitted("AAPL", 1, account=trading.account(), **prices)
    assert (result["order_type"], result["status"]) == ("MKT", "PreSubmitted")
    order = sent(trading)
    assert order["orderType"] == "MKT"
    assert "price" not in order


def test_a_limit_price_wins_over_a_tolerance(trading: Trading) -> None:
    prices = {"limit_price": 229.5, "expected_price": 228.0, "tolerance_pct": 0.5}
    assert trading.submitted("AAPL", 1, account=trading.account(), **prices)["order_type"] == "LMT"
    assert Decimal(sent(trading)["price"]) == Decimal("229.5")


@pytest.mark.parametrize(
    ("quantity", "error"),
    [(0.5, None), (0.1234, None), (0.12345, "steps of 0.0001")],
)
def test_fractions_of_a_share_that_has_them(trading: Trading, quantity: float, error: str | None) -> None:
    result = trading.submitted("AAPL", quantity, account=trading.account())
    assert (result["delta"], result["qty"], result["desired_pos"]) == (quantity, quantity, quantity)
    if error is None:
        assert (result["status"], sent(trading)["quantity"]) == ("PreSubmitted", str(quantity))
    else:
        assert result["status"] == "error"
        assert error in result["error"]
        assert trading.sent() == []


def test_fractions_of_a_share_that_has_none(trading: Trading) -> None:
    result = trading.submitted("BMW", 1.5, account=trading.account())
    assert (result["status"], result["qty"], result["ibkr_order_id"]) == ("error", 1.5, None)
    assert "whole shares" in result["error"]
    assert trading.sent() == []


def test_a_whole_number_may_be_written_with_a_point(trading: Trading) -> None:
    account = trading.account()
    body = f'{{"account_id": "{account}", "orders": [{{"symbol": "BMW", "quantity": 2.0, "limit_price": 83.0}}]}}'
    answer = trading.call("POST", "orders", body.encode())
    (result,) = answer.json()["results"]
    assert (result["status"], result["qty"], type(result["qty"])) == ("PreSubmitted", 2, int)
    assert str(sent(trading)["quantity"]) == "2"
    assert trading.orders(BMW)[-1]["totalSize"] == 2
