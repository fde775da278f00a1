"""Callers who hang up: before a batch is on disk it is called off, afterwards it goes on."""

from __future__ import annotations

import json

from tests.support.edge import Connection
from tests.support.stack import wait_until
from tests.support.targets import LIVE, ORDERS, Trading, request

_LISTING = f"GET /v1/api{LIVE}"


def begin(trading: Trading, *symbols: str, account: str) -> Connection:
    """A connection on which a batch was asked for."""
    body = request(*({"symbol": symbol, "quantity": 2, "limit_price": 99.5} for symbol in symbols), account=account)
    connection = trading.edge.connect()
    headers = [("X-API-Key", trading.key), ("Content-Type", "application/json")]
    connection.write(trading.edge.request("POST", "/api/v1/orders", headers=headers, body=json.dumps(body).encode()))
    return connection


def test_a_batch_goes_on(trading: Trading) -> None:
    account = trading.account()
    symbols = [trading.stock().symbol for _ in range(3)]
    trading.fault(ORDERS, method="POST", delay_seconds=0.3)
    with begin(trading, *symbols, account=account):
        wait_until(lambda: len(trading.sent()) == 1, "the first order")
    (head,) = (batch for batch in trading.read("orders")["batches"] if batch["account_id"] == account)
    orders = trading.until(head["batch_id"], lambda orders: {each["status"] for each in orders} == {"Submitted"})
    assert [order["symbol"] for order in orders] == symbols
    assert all(type(order["ibkr_order_id"]) is int for order in orders)
    assert len(trading.sent()) == 3


def test_a_batch_that_is_not_on_disk_is_called_off(trading: Trading) -> None:
    account = trading.account()
    symbol = trading.stock().symbol
    trading.fault(f"{LIVE}$", delay_seconds=1, times=1)
    with begin(trading, symbol, account=account):
        wait_until(lambda: trading.paper.requests()["counts"].get(_LISTING, 0) == 1, "the listing")
    later = trading.submit({"symbol": symbol, "quantity": 0}, account=account)
    assert later["results"][0]["status"] == "no_change"
    batches = [batch["batch_id"] for batch in trading.read("orders")["batches"] if batch["account_id"] == account]
    assert batches == [later["batch_id"]]
    assert trading.sent() == []
