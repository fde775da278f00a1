"""Orders whose answer is lost: nobody knows whether they were placed, and none is placed twice."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import wait_until
from tests.support.targets import ORDERS, UNKNOWN_FIRST, Stock, Trading, start_trading


@pytest.fixture(scope="module")
def lossy_trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    folder = tmp_path_factory.mktemp("lossy")
    with start_trading(folder, BEZANT_REQUEST_TIMEOUT_SECS="1", BEZANT_TARGET_SEARCH_SECS="6") as running:
        yield running


@pytest.fixture
def lossy(lossy_trading: Trading) -> Trading:
    """A server that waits a second for an answer, and looks a few seconds for an order."""
    lossy_trading.mend()
    lossy_trading.begin()
    return lossy_trading


def lost(trading: Trading, **fault: Any) -> tuple[Stock, Any]:
    """An order whose answer is lost by a fault, and what its sender is told."""
    stock = trading.stock()
    trading.fault(ORDERS, method="POST", times=1, **fault)
    result = trading.submitted(stock.symbol, 15, limit_price=99.5)
    assert (result["status"], result["ibkr_order_id"], result["delta"]) == ("error", None, 5)
    assert result["error"].startswith(UNKNOWN_FIRST), result
    return stock, result


def assert_found(trading: Trading, stock: Stock, result: Any) -> None:
    """Asking for the batch finds the order; there is one."""
    order = trading.until_status(result["batch_id"], "Submitted")
    (row,) = trading.orders(stock.conid)
    assert order["ibkr_order_id"] == row["orderId"]
    assert "error" not in order
    assert trading.submitted(stock.symbol, 15, limit_price=99.5)["status"] == "no_change"
    assert len(trading.sent()) == 1


def test_the_gateway_took_it(lossy: Trading) -> None:
    stock, result = lost(lossy, truncate=True)
    assert len(lossy.orders(stock.conid)) == 1
    assert_found(lossy, stock, result)


def test_the_gateway_takes_it_late(lossy: Trading) -> None:
    stock, result = lost(lossy, delay_seconds=2)
    assert lossy.orders(stock.conid) == []
    wait_until(lambda: len(lossy.orders(stock.conid)) == 1, "the order at the gateway")
    assert_found(lossy, stock, result)


def test_while_it_is_unknown_nothing_is_ordered_of_that_contract(lossy: Trading) -> None:
    """Of another contract something is, in the same batch."""
    stock, result = lost(lossy, delay_seconds=4)
    other = lossy.stock()
    batch = lossy.submit(
        {"symbol": stock.symbol, "quantity": 15, "limit_price": 99.5},
        {"symbol": other.symbol, "quantity": 11, "limit_price": 99.5},
    )
    blocked, good = batch["results"]
    assert (blocked["status"], blocked["delta"], blocked["ibkr_order_id"]) == ("error", 5, None)
    assert result["batch_id"] in blocked["error"]
    assert good["status"] == "PreSubmitted"
    shown = lossy.batch(result["batch_id"])["orders"][0]
    assert (shown["status"], shown["error"]) == ("error", result["error"])
    assert len(lossy.sent()) == 2
    wait_until(lambda: len(lossy.orders(stock.conid)) == 1, "the order at the gateway")
    order = lossy.until_status(result["batch_id"], "Submitted")
    assert order["ibkr_order_id"] == lossy.orders(stock.conid)[0]["orderId"]
    assert len(lossy.orders(stock.conid)) == 1


def test_the_gateway_never_had_it(lossy: Trading) -> None:
    """After some time without a sight of it, it counts as not placed, and may be ordered again."""
    stock, result = lost(lossy, close=True)
    shown = lossy.batch(result["batch_id"])["orders"][0]
    assert (shown["status"], shown["error"]) == ("error", result["error"])
    (order,) = lossy.until(result["batch_id"], lambda orders: not orders[0]["error"].startswith(UNKNOWN_FIRST))
    assert order["status"] == "error"
    assert order["error"].startswith("not placed")
    assert lossy.orders(stock.conid) == []
    again = lossy.submitted(stock.symbol, 15, limit_price=99.5)
    assert (again["status"], again["delta"]) == ("PreSubmitted", 5)
    assert len(lossy.orders(stock.conid)) == 1


def test_it_is_looked_for_without_being_asked(lossy: Trading) -> None:
    """The database knows what became of it, though nobody asks for the batch."""
    stock, result = lost(lossy, truncate=True)

    def known() -> list[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(f"file:{lossy.state_db}?mode=ro", uri=True)) as database:
            return database.execute(
                "SELECT phase, order_id FROM orders WHERE batch_id = ?", (result["batch_id"],)
            ).fetchall()

    (row,) = lossy.orders(stock.conid)
    wait_until(lambda: known() == [("placed", str(row["orderId"]))], "the order in the database", lambda: str(known()))


def test_an_unknown_order_that_is_to_be_cancelled(lossy: Trading) -> None:
    stock, result = lost(lossy, delay_seconds=3)
    (cancellation,) = lossy.cancelled(result["batch_id"])["results"]
    assert (cancellation["ibkr_order_id"], cancellation["cancelled"]) == (None, False)
    assert cancellation["error"].startswith(UNKNOWN_FIRST)
    wait_until(lambda: len(lossy.orders(stock.conid)) == 1, "the order at the gateway")
    wait_until(lambda: lossy.cancelled(result["batch_id"])["results"][0]["cancelled"] is True, "the cancellation")
    lossy.until_status(result["batch_id"], "Cancelled")


def test_an_answer_to_a_confirmation_that_is_lost(lossy: Trading) -> None:
    account = lossy.account()
    lossy.fault("/iserver/reply/", times=1, truncate=True)
    result = lossy.submitted("AAPL", 1, account=account)
    assert result["status"] == "error"
    assert result["error"].startswith(UNKNOWN_FIRST)
    order = lossy.until_status(result["batch_id"], "Filled")
    assert order["filled_qty"] == 1
    assert lossy.submitted("AAPL", 1, account=account)["status"] == "no_change"
    assert len([row for row in lossy.orders(265598) if row["acct"] == account]) == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_of_the_gateway_is_no_answer(lossy: Trading, status: int) -> None:
    """It may have come after the order was taken."""
    stock, result = lost(lossy, status=status, body="<html>", content_type="text/html")
    assert lossy.orders(stock.conid) == []
    assert lossy.batch(result["batch_id"])["orders"][0]["error"].startswith(UNKNOWN_FIRST)
