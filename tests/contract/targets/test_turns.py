"""Batches at the same time: those of one account follow one another, those of several go on together."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.stack import wait_until
from tests.support.targets import ORDERS, Stock, Trading


def targets(stocks: list[Stock], quantity: int = 12) -> list[dict[str, Any]]:
    return [{"symbol": stock.symbol, "quantity": quantity, "limit_price": 99.5} for stock in stocks]


def test_batches_of_an_account_never_interleave(trading: Trading) -> None:
    """The second is compared with what the first has ordered: what both ask for is ordered once."""
    common = [trading.stock() for _ in range(3)]
    own = [[trading.stock() for _ in range(2)] for _ in range(3)]
    trading.fault(ORDERS, method="POST", delay_seconds=0.05)
    with ThreadPoolExecutor() as pool:
        batches = list(pool.map(lambda stocks: trading.submit(*targets(stocks + common)), own))
    orders = sorted(trading.paper.state()["orders"], key=lambda row: row["orderId"])
    ids = {batch["batch_id"] for batch in batches}
    mine = [batch_id for row in orders if (batch_id := row.get("order_ref", "--").split("-")[1]) in ids]
    assert [batch_id for batch_id, _ in itertools.groupby(mine)] == list(dict.fromkeys(mine))
    assert sorted(mine.count(batch_id) for batch_id in ids) == [2, 2, 5]
    for stock in common:
        assert [row["totalSize"] for row in trading.orders(stock.conid)] == [2]
    working = sorted(tuple(result["working_qty"] for result in batch["results"][2:]) for batch in batches)
    assert working == [(0, 0, 0), (2, 2, 2), (2, 2, 2)]


def test_a_cancellation_ends_a_batch_that_is_being_placed(trading: Trading) -> None:
    """What was sent is cancelled, and the rest is not sent any more."""
    stocks = [trading.stock() for _ in range(3)]
    before = trading.read("orders")["batches"]
    trading.fault(ORDERS, method="POST", delay_seconds=0.3)
    with ThreadPoolExecutor() as pool:
        placing = pool.submit(trading.submit, *targets(stocks))
        wait_until(lambda: len(trading.sent()) == 1, "the first order")
        (head,) = (batch for batch in trading.read("orders")["batches"] if batch not in before)
        cancelled = trading.cancelled(head["batch_id"])
        batch = placing.result()
    placed = [result for result in batch["results"] if result["ibkr_order_id"]]
    assert 1 <= len(placed) < len(stocks)
    assert cancelled["results"] == [{"ibkr_order_id": each["ibkr_order_id"], "cancelled": True} for each in placed]
    assert {each.get("error") for each in batch["results"][len(placed) :]} == {
        "not placed: the batch was cancelled before its turn"
    }
    assert len(trading.sent()) == len(placed)


def test_a_cancellation_does_not_wait_for_another_batch_of_the_account(trading: Trading) -> None:
    stocks = [trading.stock() for _ in range(3)]
    working = trading.submitted(trading.stock().symbol, 12, limit_price=99.5)
    trading.begin()
    trading.fault(ORDERS, method="POST", delay_seconds=1)
    with ThreadPoolExecutor() as pool:
        placing = pool.submit(trading.submit, *targets(stocks))
        wait_until(lambda: len(trading.sent()) == 1, "the first order")
        assert trading.cancelled(working["batch_id"])["results"] == [
            {"ibkr_order_id": working["ibkr_order_id"], "cancelled": True}
        ]
        assert not placing.done()
        placing.result()


def test_a_batch_that_is_being_placed_is_shown_when_it_is_placed(trading: Trading) -> None:
    stocks = [trading.stock() for _ in range(3)]
    before = trading.read("orders")["batches"]
    trading.fault(ORDERS, method="POST", delay_seconds=0.2)
    with ThreadPoolExecutor() as pool:
        placing = pool.submit(trading.submit, *targets(stocks))
        wait_until(lambda: len(trading.sent()) == 1, "the first order")
        (head,) = (batch for batch in trading.read("orders")["batches"] if batch not in before)
        shown = trading.batch(head["batch_id"])
        batch = placing.result()
    assert [order["ibkr_order_id"] for order in shown["orders"]] == [
        result["ibkr_order_id"] for result in batch["results"]
    ]


def test_accounts_do_not_wait_for_each_other(trading: Trading) -> None:
    """A batch of one account is done while a longer one of another is under way."""
    stocks = [trading.stock() for _ in range(6)]
    slow, quick = trading.account(), trading.account()
    trading.fault(f"/iserver/account/{slow}/orders$", method="POST", delay_seconds=0.3)
    with ThreadPoolExecutor() as pool:
        placing = pool.submit(trading.submit, *targets(stocks), account=slow)
        wait_until(lambda: len(trading.sent()) == 1, "the first order")
        assert trading.submit(*targets(stocks[:1]), account=quick)["results"][0]["status"] == "PreSubmitted"
        assert not placing.done()
        assert {result["status"] for result in placing.result()["results"]} == {"PreSubmitted"}
    assert [order["acctId"] for order in trading.sent()].index(quick) < len(stocks)
