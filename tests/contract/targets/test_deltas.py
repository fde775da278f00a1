"""What is missing to a target: the position, what working orders will bring, and what they will not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.targets.conftest import RunTrading
from tests.support.stack import wait_until
from tests.support.targets import HELD, LIVE, Trading

AAPL = 265598
BUY_AT, SELL_AT = 99.5, 100.5


def side_of(trading: Trading) -> tuple[str, Any] | None:
    """Side and quantity of what was sent, if anything was."""
    sent = trading.sent()
    assert len(sent) < 2
    return (sent[0]["side"], sent[0]["quantity"]) if sent else None


def hold(trading: Trading, account: str, quantity: int, conid: int = AAPL) -> None:
    """Let an account hold so much, bought or sold in another program."""
    order_id = trading.enter(
        conid, "BUY" if quantity > 0 else "SELL", abs(quantity), account=account, orderType="MKT", price=None
    )
    wait_until(
        lambda: any(row["orderId"] == order_id and row["status"] == "Filled" for row in trading.orders()), "the fill"
    )


@pytest.mark.parametrize(
    ("target", "order"),
    [
        (15, ("BUY", 5)),
        (4, ("SELL", 6)),
        (0, ("SELL", 10)),
        (-5, ("SELL", 15)),
        (HELD, None),
    ],
)
def test_from_a_long_position(trading: Trading, target: int, order: tuple[str, int] | None) -> None:
    stock = trading.stock()
    limit = SELL_AT if order and order[0] == "SELL" else BUY_AT
    result = trading.submitted(stock.symbol, target, limit_price=limit)
    assert (result["current_pos"], result["working_qty"], result["desired_pos"]) == (HELD, 0, target)
    assert result["delta"] == target - HELD
    assert side_of(trading) == order
    if order is None:
        assert (result["status"], result["action"], result["qty"], result["order_type"]) == ("no_change", None, 0, None)
    else:
        assert (result["status"], result["action"], result["qty"]) == ("PreSubmitted", *order)


@pytest.mark.parametrize(("target", "order"), [(0, ("BUY", 4)), (-6, ("SELL", 2)), (3, ("BUY", 7))])
def test_from_a_short_position(trading: Trading, target: int, order: tuple[str, int]) -> None:
    account = trading.account()
    hold(trading, account, -4)
    result = trading.submitted("AAPL", target, account=account)
    assert (result["current_pos"], result["delta"], result["action"]) == (-4, target + 4, order[0])
    assert side_of(trading) == order


@pytest.mark.parametrize(("target", "order"), [(3, ("BUY", 3)), (-3, ("SELL", 3)), (0, None)])
def test_from_nothing(trading: Trading, target: int, order: tuple[str, int] | None) -> None:
    result = trading.submitted("AAPL", target, account=trading.account())
    assert (result["current_pos"], result["delta"]) == (0, target)
    assert side_of(trading) == order


def test_symbols_are_not_case_sensitive(trading: Trading) -> None:
    stock = trading.stock()
    assert trading.submitted(stock.symbol.lower(), HELD)["symbol"] == stock.symbol


def test_the_listing_in_the_us_comes_first(trading: Trading) -> None:
    trading.submitted("SAP", 1, account=trading.account(), limit_price=239.0)
    assert [order["conid"] for order in trading.sent()] == [3691937]


def test_symbols_that_are_errors_of_their_order(trading: Trading) -> None:
    """An ambiguous and an unknown one: the rest of the batch goes on, in its order."""
    stock = trading.stock()
    batch = trading.submit(
        {"symbol": "AIR", "quantity": 1},
        {"symbol": "NOSUCH", "quantity": 1, "limit_price": 5},
        {"symbol": stock.symbol, "quantity": 11, "limit_price": BUY_AT},
    )
    ambiguous, unknown, good = batch["results"]
    for result, symbol in ((ambiguous, "AIR"), (unknown, "NOSUCH")):
        assert result == {
            "symbol": symbol,
            "current_pos": None,
            "working_qty": None,
            "desired_pos": 1,
            "delta": None,
            "action": None,
            "qty": 0,
            "order_type": None,
            "ibkr_order_id": None,
            "status": "error",
            "error": result["error"],
        }
    for part in ("29612193", "SBF", "29612200", "IBIS"):
        assert part in ambiguous["error"]
    assert "NOSUCH" in unknown["error"]
    assert good["status"] == "PreSubmitted"
    assert "error" not in good
    assert side_of(trading) == ("BUY", 1)
    shown = trading.batch(batch["batch_id"])["orders"]
    assert [order.get("error") for order in shown] == [ambiguous["error"], unknown["error"], None]


@pytest.mark.parametrize(("side", "working"), [("BUY", 3), ("SELL", -3)])
def test_working_orders_from_elsewhere_count(trading: Trading, side: str, working: int) -> None:
    stock = trading.stock()
    trading.enter(stock.conid, side, 3)
    result = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
    assert (result["current_pos"], result["working_qty"], result["delta"]) == (HELD, working, 5 - working)
    assert side_of(trading) == ("BUY", 5 - working)


def test_a_working_order_may_be_more_than_is_wanted(trading: Trading) -> None:
    stock = trading.stock()
    trading.enter(stock.conid, "BUY", 8)
    result = trading.submitted(stock.symbol, 15, limit_price=SELL_AT)
    assert (result["working_qty"], result["delta"], side_of(trading)) == (8, -3, ("SELL", 3))


def test_working_orders_of_other_accounts_do_not_count(trading: Trading) -> None:
    stock = trading.stock()
    trading.enter(stock.conid, "BUY", 3, account=trading.account())
    assert trading.submitted(stock.symbol, HELD)["status"] == "no_change"


@pytest.mark.parametrize(
    "order",
    [
        {"orderType": "STP", "price": 90.0},
        {"orderType": "STOP_LIMIT", "price": 89.0, "auxPrice": 90.0},
        {"orderType": "TRAIL", "price": 90.0, "trailingAmt": 5.0},
    ],
)
def test_stops_do_not_count(trading: Trading, order: dict[str, Any]) -> None:
    stock = trading.stock()
    trading.enter(stock.conid, "SELL", HELD, **order)
    result = trading.submitted(stock.symbol, HELD)
    assert (result["working_qty"], result["status"]) == (0, "no_change")


def test_of_a_bracket_only_the_parent_counts(trading: Trading) -> None:
    stock = trading.stock()
    parent = trading.enter(stock.conid, "BUY", 5)
    trading.enter(stock.conid, "SELL", 5, price=120.0, parentId=str(parent))
    trading.enter(stock.conid, "SELL", 5, orderType="STP", price=90.0, parentId=str(parent))
    result = trading.submitted(stock.symbol, HELD + 5)
    assert (result["working_qty"], result["status"]) == (5, "no_change")


def test_cancelled_orders_do_not_count(trading: Trading) -> None:
    stock = trading.stock()
    batch = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)["batch_id"]
    trading.cancelled(batch)
    trading.until_status(batch, "Cancelled")
    result = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
    assert (result["working_qty"], result["delta"]) == (0, 5)


def test_a_second_batch_sees_the_first(trading: Trading) -> None:
    stock = trading.stock()
    assert trading.submitted(stock.symbol, 15, limit_price=BUY_AT)["delta"] == 5
    again = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
    assert (again["working_qty"], again["delta"], again["status"]) == (5, 0, "no_change")
    assert side_of(trading) == ("BUY", 5)


def test_a_fill_that_is_not_booked_yet_is_not_ordered_again(run_trading: RunTrading) -> None:
    """IBKR shows an order as filled a moment before the position has it: here, until the orders were listed again."""
    with run_trading(BEZANT_TARGET_BOOKING_SECS="3") as trading:
        account = trading.account()
        first = trading.submitted("AAPL", 5, account=account)["batch_id"]
        trading.until_status(first, "Filled")
        trading.fault(f"/portfolio2/{account}/positions", body="[]")
        trading.begin()
        with ThreadPoolExecutor() as pool:
            again = pool.submit(trading.submitted, "AAPL", 5, account=account)
            wait_until(lambda: trading.asked(LIVE) > 0, "the list of orders")
            trading.mend()
            result = again.result()
        assert (result["current_pos"], result["working_qty"], result["status"]) == (5, 0, "no_change")
        assert trading.sent() == []


def test_a_list_of_orders_that_is_being_made_is_waited_for(trading: Trading) -> None:
    stock = trading.stock()
    trading.enter(stock.conid, "BUY", 5)
    trading.fault(f"{LIVE}$", body=json.dumps({"orders": [], "snapshot": False}), times=2)
    assert trading.submitted(stock.symbol, 15)["status"] == "no_change"


def test_cached_positions_are_not_believed(trading: Trading) -> None:
    account = trading.account()
    assert trading.edge.get(f"/v1/api/portfolio/{account}/positions/0").json() == []
    hold(trading, account, 2)
    assert trading.submitted("AAPL", 2, account=account)["status"] == "no_change"
    (position,) = trading.read(f"positions?account_id={account}")["positions"]
    assert position["quantity"] == 2
