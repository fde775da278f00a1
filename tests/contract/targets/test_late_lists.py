"""IBKR's lists are late, in the making or cut: nothing is ordered twice for that, and no order is given up."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.targets.conftest import RunTrading
from tests.support.stack import wait_until
from tests.support.targets import LIVE, ORDERS, UNKNOWN_FIRST, Trading

IN_THE_MAKING = json.dumps({"orders": [], "snapshot": False})
COMPLETE_AND_EMPTY = json.dumps({"orders": [], "snapshot": True})
BUY_AT = 99.5


def test_a_list_that_is_never_ready_is_no_empty_list(trading: Trading) -> None:
    stock = trading.stock()
    trading.fault(f"{LIVE}$", body=IN_THE_MAKING)
    answer = trading.call("POST", "orders", {"orders": [{"symbol": stock.symbol, "quantity": 15}]})
    assert (answer.status, answer.json()["cause"]) == (500, "upstream_not_primed")
    assert trading.sent() == []


def test_an_order_that_is_not_listed_yet_counts(trading: Trading) -> None:
    stock = trading.stock()
    assert trading.submitted(stock.symbol, 15, limit_price=BUY_AT)["status"] == "PreSubmitted"
    trading.fault(f"{LIVE}$", body=COMPLETE_AND_EMPTY)
    again = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
    assert (again["working_qty"], again["status"]) == (5, "no_change")
    assert len(trading.orders(stock.conid)) == 1


def test_a_part_of_the_list_that_somebody_asked_for_is_not_the_list(trading: Trading) -> None:
    """IBKR goes on to list that part alone, whoever asks."""
    stock = trading.stock()
    trading.enter(stock.conid, "BUY", 5)
    trading.edge.get("/v1/api/iserver/account/orders?filters=filled")
    assert trading.submitted(stock.symbol, 15)["status"] == "no_change"


def test_an_order_that_is_filled_between_the_readings_is_counted_once(trading: Trading) -> None:
    """One that leads away from the target, too: missed, it would be made up for twice."""
    stock = trading.stock()
    trading.enter(stock.conid, "SELL", 10)
    trading.fault(f"/portfolio2/{trading_account(trading)}/positions", delay_seconds=1, times=1)
    with ThreadPoolExecutor() as pool:
        submitting = pool.submit(trading.submitted, stock.symbol, 10, limit_price=BUY_AT)
        wait_until(lambda: trading.asked("/positions") > 0, "the positions")
        trading.quote(stock.conid, 100.5, 100.52)
        wait_until(lambda: trading.orders(stock.conid)[0]["status"] == "Filled", "the fill")
        trading.quote(stock.conid, 100.0, 100.02)
        result = submitting.result()
    assert (result["current_pos"], result["working_qty"], result["delta"]) == (0, 0, 10)


def test_a_lost_order_is_not_given_up_for_a_list_that_is_not_complete(run_trading: RunTrading) -> None:
    with run_trading(BEZANT_TARGET_SEARCH_SECS="0.1", BEZANT_REQUEST_TIMEOUT_SECS="1") as trading:
        stock, other = trading.stock(), trading.stock()
        trading.enter(other.conid, "BUY", 1)
        trading.fault(ORDERS, method="POST", delay_seconds=2)
        lost = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
        assert lost["error"].startswith(UNKNOWN_FIRST)
        trading.mend()
        listed = [row for row in trading.orders() if row["conid"] == other.conid]
        trading.fault(f"{LIVE}$", body=json.dumps({"orders": listed, "snapshot": False}))
        for _ in range(5):
            (order,) = trading.batch(lost["batch_id"])["orders"]
            assert order["error"].startswith(UNKNOWN_FIRST)
        trading.mend()
        assert trading.until_status(lost["batch_id"], "Submitted")


def test_what_was_told_as_not_placed_is_told_as_placed_when_it_is_seen(run_trading: RunTrading) -> None:
    with run_trading(BEZANT_TARGET_SEARCH_SECS="0.1", BEZANT_REQUEST_TIMEOUT_SECS="1") as trading:
        stock = trading.stock()
        trading.fault(f"{LIVE}$", body=COMPLETE_AND_EMPTY)
        trading.fault(ORDERS, method="POST", delay_seconds=2)
        lost = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
        trading.until(lost["batch_id"], lambda orders: orders[0]["error"] == "not placed: IBKR lists no such order")
        trading.mend()
        assert trading.until_status(lost["batch_id"], "Submitted")


@pytest.mark.parametrize("body", [IN_THE_MAKING, COMPLETE_AND_EMPTY])
def test_a_working_order_does_not_end_with_a_list_that_lacks_it(trading: Trading, body: str) -> None:
    stock = trading.stock()
    placed = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
    trading.until_status(placed["batch_id"], "Submitted")
    trading.fault(f"{LIVE}$", body=body)
    for _ in range(4):
        assert [each["status"] for each in trading.batch(placed["batch_id"])["orders"]] == ["Submitted"]
    trading.mend()
    assert [each["cancelled"] for each in trading.cancelled(placed["batch_id"])["results"]] == [True]


def test_executions_that_make_no_sense_end_nothing(run_trading: RunTrading) -> None:
    with run_trading(BEZANT_REQUEST_TIMEOUT_SECS="1") as trading:
        stock = trading.stock()
        trading.fault(ORDERS, method="POST", delay_seconds=2)
        lost = trading.submitted(stock.symbol, 15, limit_price=BUY_AT)
        trading.mend()
        row = {"execution_id": "1", "order_ref": f"bz-{lost['batch_id']}-0", "account": trading_account(trading)}
        trading.fault("/iserver/account/trades$", body=json.dumps([row]))
        trading.fault(f"{LIVE}$", body=COMPLETE_AND_EMPTY)
        assert trading.batch(lost["batch_id"])["orders"][0]["filled_qty"] == 0
        trading.mend()
        assert trading.until_status(lost["batch_id"], "Submitted")
        assert trading.edge.server.poll() is None


def trading_account(trading: Trading) -> str:
    account: str = trading.read("positions")["account_id"]
    return account
