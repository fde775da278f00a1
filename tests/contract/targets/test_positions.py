"""Positions: the stocks that an account holds now, all of them."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.stack import wait_until
from tests.support.targets import MAIN, SECOND, Trading

AAPL = 265598
AN_OPTION = 600_000_020
A_PAIR = 12087792


def fill(trading: Trading, conid: int, side: str, quantity: float, account: str) -> None:
    """Let an account buy or sell at the market, in another program."""
    order_id = trading.enter(conid, side, quantity, account=account, orderType="MKT", price=None)
    wait_until(
        lambda: any(row["orderId"] == order_id and row["status"] == "Filled" for row in trading.orders(conid)),
        "the fill",
    )


def held(trading: Trading, account: str) -> list[Any]:
    positions: list[Any] = trading.read(f"positions?account_id={account}")["positions"]
    return positions


def test_all_pages_are_read(trading: Trading) -> None:
    positions = held(trading, MAIN)
    symbols = [position["symbol"] for position in positions]
    assert len(positions) > 150
    assert len(set(symbols)) == len(symbols)
    assert {"AAPL", "MSFT", "SPY", "SAP", "X00000", "X00149"} <= set(symbols)


def test_another_account(trading: Trading) -> None:
    answer = trading.read(f"positions?account_id={SECOND}")
    assert answer["account_id"] == SECOND
    assert sorted(answer["positions"], key=lambda position: str(position["symbol"])) == [
        {"symbol": "AAPL", "quantity": 5, "avg_cost": 201.5, "conid": AAPL},
        {"symbol": "TSLA", "quantity": 10, "avg_cost": 241.0, "conid": 76792991},
    ]


def test_short_positions_and_fractions(trading: Trading) -> None:
    account = trading.account()
    fill(trading, AAPL, "SELL", 3, account)
    fill(trading, 272093, "BUY", 0.25, account)
    found = {position["symbol"]: position for position in held(trading, account)}
    assert (found["AAPL"]["quantity"], type(found["AAPL"]["quantity"])) == (-3, int)
    assert found["AAPL"]["avg_cost"] == 230.0
    assert found["MSFT"]["quantity"] == 0.25


def test_what_is_no_stock_is_left_out(trading: Trading) -> None:
    account = trading.account()
    fill(trading, AN_OPTION, "BUY", 1, account)
    fill(trading, AAPL, "BUY", 1, account)
    assert [position["symbol"] for position in held(trading, account)] == ["AAPL"]


def test_what_is_sold_again_is_left_out(trading: Trading) -> None:
    """The gateway goes on listing it until midnight, as a position of 0."""
    account = trading.account()
    fill(trading, AAPL, "BUY", 1, account)
    held(trading, account)
    rows = trading.edge.get(f"/v1/api/portfolio/{account}/positions/0").json()
    rows.append({**rows[0], "conid": 272093, "ticker": "MSFT", "contractDesc": "MSFT", "position": 0.0})
    trading.fault(f"/portfolio/{account}/positions/0", body=json.dumps(rows))
    assert [position["symbol"] for position in held(trading, account)] == ["AAPL"]


def test_an_empty_account(trading: Trading) -> None:
    answer = trading.read(f"positions?account_id={trading.account()}")
    assert (answer["positions"], answer["net_liquidation"]) == ([], 10000.0)


def test_amounts_have_a_point(trading: Trading) -> None:
    """So that readers in other languages get one type, whatever the amount is."""
    account = trading.account()
    body = trading.call("GET", f"positions?account_id={account}").body.decode()
    assert re.search(r'"net_liquidation":\s*10000\.0+[,}]', body), body
    trading.quote(AAPL, 230.0, 230.0)
    fill(trading, AAPL, "BUY", 1, account)
    body = trading.call("GET", f"positions?account_id={account}").body.decode()
    assert re.search(r'"avg_cost":\s*230\.0+,', body), body
    assert re.search(r'"quantity":\s*1,', body), body
