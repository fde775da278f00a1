"""The balance pages of a brokerage account: every figure is text, rounded to whole units, with its currency behind it.

IBKR's OpenAPI description has the names, abbreviations and misspellings included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from bezant_server.paper.book import BASE_CURRENCY, Account
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.statements import ledger

Page = Callable[[Gateway, Account], dict[str, Any]]

_EMPTY_SEGMENTS = ("commodities", "Crypto at Paxos")


def available_funds(gateway: Gateway, account: Account) -> dict[str, Any]:
    """Funds by segment; the account holds nothing but securities."""
    worth = gateway.book.value(account)
    figures = {
        "current_available": worth.available_funds,
        "current_excess": worth.excess_liquidity,
        "Prdctd Pst-xpry Excss": 0.0,
        "Lk Ahd Avlbl Fnds": worth.available_funds,
        "Lk Ahd Excss Lqdty": worth.excess_liquidity,
        "overnight_available": worth.available_funds,
        "overnight_excess": worth.excess_liquidity,
    }
    page = _segments(figures)
    sma = _amount(worth.cash + worth.stocks - worth.gross * 0.5)
    page["total"] |= {
        "buying_power": _amount(worth.available_funds * 4),
        "leverage": "n/a",
        "Lk Ahd Nxt Chng": "@ 16:00:00",
        "day_trades_left": "Unlimited",
        "SMA": sma,
    }
    leverage = worth.gross / worth.net_liquidation if worth.net_liquidation else 0.0
    page["securities"] |= {"leverage": f"{leverage:.2f}", "SMA": sma}
    return page


def balances(gateway: Gateway, account: Account) -> dict[str, Any]:
    """What the account is worth, by segment."""
    worth = gateway.book.value(account)
    equity = worth.cash + worth.stocks
    page = _segments(
        {
            "net_liquidation": worth.net_liquidation,
            "equity_with_loan": equity,
            "cash": worth.cash,
            "MTD Interest": 0.0,
            "Pndng Dbt Crd Chrgs": 0.0,
        }
    )
    for name in ("total", "securities"):
        page[name] |= {
            "sec_gross_pos_val": _amount(worth.gross),
            "Rg T Eqty Wth Ln Vl": _amount(equity),
            "Prvs Dy Eqty Wth Ln Vl": _amount(equity - worth.daily_pnl),
        }
    page["total"]["Nt Lqdtn Uncrtnty"] = _amount(0.0)
    return page


def margins(gateway: Gateway, account: Account) -> dict[str, Any]:
    """What margin the positions need, by segment."""
    worth = gateway.book.value(account)
    initial, maintenance = worth.initial_margin, worth.maintenance_margin
    page = _segments(
        {
            "current_initial": initial,
            "current_maint": maintenance,
            "Prdctd Pst-xpry Mrgn @ Opn": 0.0,
            "Prjctd Lk Ahd Mntnnc Mrgn": maintenance,
            "projected_liquidity_inital_margin": initial,
            "projected_overnight_initial_margin": initial,
            "Prjctd Ovrnght Mntnnc Mrgn": maintenance,
        }
    )
    for name in ("total", "securities"):
        page[name]["RegT Margin"] = _amount(worth.gross * 0.5)
    return page


def market_value(gateway: Gateway, account: Account) -> dict[str, Any]:
    """What is held, by currency."""
    rows = ledger(gateway, account)
    return {
        (f"Total (in {BASE_CURRENCY})" if currency == "BASE" else currency): {
            "total_cash": _number(row["cashbalance"]),
            "settled_cash": _number(row["settledcash"]),
            "MTD Interest": "0",
            "stock": _number(row["stockmarketvalue"]),
            "options": _number(row["stockoptionmarketvalue"]),
            "futures": _number(row["futuresonlypnl"]),
            "future_options": "0",
            "funds": "0",
            "dividends_receivable": "0",
            "mutual_funds": "0",
            "money_market": "0",
            "bonds": "0",
            "Govt Bonds": "0",
            "t_bills": "0",
            "warrants": "0",
            "issuer_option": "0",
            "commodity": "0",
            "Notional CFD": "0",
            "cfd": "0",
            "Cryptocurrency": "0",
            "net_liquidation": _number(row["netliquidationvalue"]),
            "unrealized_pnl": _number(row["unrealizedpnl"]),
            "realized_pnl": _number(row["realizedpnl"]),
            "Exchange Rate": f"{row['exchangerate']:.6g}",
        }
        for currency, row in rows.items()
    }


PAGES: Mapping[str, Page] = MappingProxyType(
    {
        "available_funds": available_funds,
        "balances": balances,
        "margins": margins,
        "market_value": market_value,
    }
)
"""The pages by the last part of their path."""


def _segments(figures: Mapping[str, float]) -> dict[str, dict[str, str]]:
    full = {name: _amount(value) for name, value in figures.items()}
    empty = dict.fromkeys(figures, _amount(0.0))
    return {"total": dict(full), "securities": dict(full), **{name: dict(empty) for name in _EMPTY_SEGMENTS}}


def _amount(value: float) -> str:
    return f"{_number(value)} {BASE_CURRENCY}"


def _number(value: float) -> str:
    text = f"{value:,.0f}"
    return "0" if text == "-0" else text
