"""Statements of an account as IBKR renders them: ledger, summary, positions, P&L."""

from __future__ import annotations

from typing import Any

from bezant_server.paper.accounts import portfolio_account
from bezant_server.paper.book import BASE_CURRENCY, Account, Position, Valuation
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.instruments import Instrument

PAGE_SIZE = 100


def ledger(gateway: Gateway, account: Account) -> dict[str, dict[str, Any]]:
    """`/portfolio/{id}/ledger`: a row for each currency, and BASE over all of them."""
    rows: dict[str, dict[str, Any]] = {}
    currencies = sorted(
        {*account.cash, *(held.instrument.currency for held in account.positions.values())} - {BASE_CURRENCY}
    )
    for currency in (*currencies, BASE_CURRENCY):
        holdings = [held for held in account.positions.values() if held.instrument.currency == currency]
        rows[currency] = _ledger_row(gateway, account, currency, holdings, account.cash.get(currency, 0.0))
    base = _ledger_row(gateway, account, "BASE", [], 0.0)
    for currency, row in rows.items():
        rate = gateway.book.rate(currency)
        for key, value in row.items():
            if isinstance(value, float) and key != "exchangerate":
                base[key] = round(base[key] + value * rate, 2)
    base["realizedpnl"] = round(account.realized, 2)
    rows[BASE_CURRENCY]["endofbundle"] = 1
    return rows | {"BASE": base}


def _ledger_row(
    gateway: Gateway, account: Account, currency: str, holdings: list[Position], cash: float
) -> dict[str, Any]:
    values = dict.fromkeys(("STK", "OPT", "FUT"), 0.0)
    unrealized = 0.0
    for held in holdings:
        _, value, profit = gateway.book.position_figures(held)
        values[held.instrument.sec_type] = values.get(held.instrument.sec_type, 0.0) + value
        unrealized += profit
        if held.instrument.sec_type == "FUT":
            values["FUT"] += profit - value
    net = cash + sum(values.values())
    rate = 1 if currency in {"BASE", BASE_CURRENCY} else round(gateway.book.rate(currency), 6)
    return {
        "commoditymarketvalue": 0.0,
        "futuremarketvalue": 0.0,
        "settledcash": round(cash, 2),
        "exchangerate": rate,
        "sessionid": 1,
        "cashbalance": round(cash, 2),
        "corporatebondsmarketvalue": 0.0,
        "warrantsmarketvalue": 0.0,
        "netliquidationvalue": round(net, 2),
        "interest": 0.0,
        "unrealizedpnl": round(unrealized, 2),
        "stockmarketvalue": round(values["STK"], 2),
        "moneyfunds": 0.0,
        "currency": currency,
        "realizedpnl": round(sum(held.realized for held in holdings), 2),
        "funds": 0.0,
        "acctcode": account.account_id,
        "issueroptionsmarketvalue": 0.0,
        "key": "LedgerList",
        "timestamp": int(gateway.clock.now()),
        "severity": 0,
        "stockoptionmarketvalue": round(values["OPT"], 2),
        "futuresonlypnl": round(values["FUT"], 2),
        "tbondsmarketvalue": 0.0,
        "futureoptionmarketvalue": 0.0,
        "cashbalancefxsegment": 0.0,
        "secondkey": currency,
        "tbillsmarketvalue": 0.0,
        "dividends": 0.0,
        "cryptocurrencyvalue": 0.0,
    }


def summary(gateway: Gateway, account: Account) -> dict[str, dict[str, Any]]:
    """`/portfolio/{id}/summary`: amounts in the base currency, texts in `value`."""
    worth = gateway.book.value(account)
    stamp = int(gateway.clock.now() * 1000)

    def amount(value: float, currency: str | None = BASE_CURRENCY) -> dict[str, Any]:
        return {
            "amount": round(value, 2),
            "currency": currency,
            "isNull": False,
            "timestamp": stamp,
            "value": None,
            "severity": 0,
        }

    def text(value: str) -> dict[str, Any]:
        return amount(0.0, None) | {"value": value}

    rows = {
        "accountcode": text(account.account_id),
        "accountready": text("true"),
        "accounttype": text("INDIVIDUAL"),
        "cushion": text(f"{worth.excess_liquidity / worth.net_liquidation:.6f}" if worth.net_liquidation else "0"),
        "daytradesremaining": text("-1"),
        "highestseverity": text("0"),
        "lookaheadnextchange": text("0"),
        "nlvandmargininreview": text("false"),
        "tradingtype-s": text("STKNOPT"),
        "segmenttitle-s": text("US Securities"),
        "segmenttitle-c": text("US Commodities"),
    }
    for key, value in amounts(worth).items():
        rows[key] = amount(value)
        rows[f"{key}-s"] = amount(value)
        rows[f"{key}-c"] = amount(0.0)
    return dict(sorted(rows.items()))


def amounts(worth: Valuation) -> dict[str, float]:
    """The summary's amounts by key."""
    initial, maintenance = worth.initial_margin, worth.maintenance_margin
    funds, excess = worth.available_funds, worth.excess_liquidity
    equity = worth.cash + worth.stocks
    return {
        "accruedcash": 0.0,
        "accrueddividend": 0.0,
        "availablefunds": funds,
        "buyingpower": funds * 4,
        "equitywithloanvalue": equity,
        "excessliquidity": excess,
        "fullavailablefunds": funds,
        "fullexcessliquidity": excess,
        "fullinitmarginreq": initial,
        "fullmaintmarginreq": maintenance,
        "grosspositionvalue": worth.gross,
        "initmarginreq": initial,
        "lookaheadavailablefunds": funds,
        "lookaheadexcessliquidity": excess,
        "lookaheadinitmarginreq": initial,
        "lookaheadmaintmarginreq": maintenance,
        "maintmarginreq": maintenance,
        "netliquidation": worth.net_liquidation,
        "postexpirationexcess": excess,
        "postexpirationmargin": 0.0,
        "previousdayequitywithloanvalue": equity - worth.daily_pnl,
        "regtequity": equity,
        "regtmargin": worth.gross * 0.5,
        "sma": equity - worth.gross * 0.5,
        "totalcashvalue": worth.cash,
    }


def pnl(gateway: Gateway) -> dict[str, dict[str, Any]]:
    """P&L by `<account>.Core`, as `pnl/partitioned` and the socket's `spl` show it."""
    rows: dict[str, dict[str, Any]] = {}
    for number, account in enumerate(gateway.book.accounts.values(), 1):
        worth = gateway.book.value(account)
        rows[f"{account.account_id}.Core"] = {
            "rowType": number,
            "dpl": round(worth.daily_pnl, 2),
            "nl": round(worth.net_liquidation, 2),
            "upl": round(worth.unrealized, 2),
            "uel": round(worth.excess_liquidity, 2),
            "el": round(worth.excess_liquidity, 2),
            "mv": round(worth.stocks + worth.options, 2),
        }
    return rows


def position_row(gateway: Gateway, account: str, held: Position, *, with_secdef: bool) -> dict[str, Any]:
    """A position of `/portfolio/{id}/positions`; its definition follows only from the second call on."""
    instrument = held.instrument
    mark, value, profit = gateway.book.position_figures(held)
    row: dict[str, Any] = {
        "acctId": account,
        "conid": instrument.conid,
        "contractDesc": instrument.description,
        "position": held.quantity,
        "mktPrice": round(mark, 8),
        "mktValue": round(value, 2),
        "currency": instrument.currency,
        "avgCost": round(held.average_cost, 8),
        "avgPrice": round(held.average_price, 8),
        "realizedPnl": round(held.realized, 2),
        "unrealizedPnl": round(profit, 2),
        "exchs": None,
        "expiry": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None,
        "putOrCall": instrument.right,
        "multiplier": None,
        "strike": instrument.strike,
        "exerciseStyle": None,
        "conExchMap": [],
        "assetClass": instrument.sec_type,
        "undConid": instrument.underlying,
        "model": "",
    }
    if instrument.currency != BASE_CURRENCY:
        rate = gateway.book.rate(instrument.currency)
        row |= {
            "baseMktValue": round(value * rate, 2),
            "baseMktPrice": round(mark * rate, 8),
            "baseAvgCost": round(held.average_cost * rate, 8),
            "baseAvgPrice": round(held.average_price * rate, 8),
            "baseRealizedPnl": round(held.realized * rate, 2),
            "baseUnrealizedPnl": round(profit * rate, 2),
        }
    if with_secdef:
        row |= secdef(instrument)
    return row


def position2_row(gateway: Gateway, held: Position) -> dict[str, Any]:
    """A position of `/portfolio2/{id}/positions`: never cached, and the conid is a string."""
    instrument = held.instrument
    mark, value, profit = gateway.book.position_figures(held)
    return {
        "position": held.quantity,
        "conid": str(instrument.conid),
        "avgCost": round(held.average_cost, 8),
        "avgPrice": round(held.average_price, 8),
        "currency": instrument.currency,
        "description": instrument.description,
        "isLastToLoq": False,
        "marketPrice": round(mark, 8),
        "marketValue": round(value, 2),
        "realizedPnl": round(held.realized, 2),
        "secType": instrument.sec_type,
        "timestamp": int(gateway.clock.now()),
        "unrealizedPnl": round(profit, 2),
        "assetClass": instrument.sec_type,
        "sector": instrument.sector,
        "group": instrument.group,
        "model": "",
    }


def secdef(instrument: Instrument) -> dict[str, Any]:
    """An instrument's definition, as positions and `/trsrv/secdef` carry it."""
    chinese = "".join(f"&#x{ord(letter):x};" for letter in "股票") if instrument.sec_type == "STK" else ""
    return {
        "time": 30,
        "chineseName": chinese or None,
        "allExchanges": instrument.exchanges.removeprefix("SMART,"),
        "listingExchange": instrument.listing,
        "countryCode": instrument.country,
        "name": instrument.name,
        "assetClass": instrument.sec_type,
        "expiry": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None,
        "lastTradingDay": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None,
        "group": instrument.group,
        "putOrCall": instrument.right,
        "sector": instrument.sector,
        "sectorGroup": instrument.category,
        "strike": f"{instrument.strike:g}",
        "ticker": instrument.symbol,
        "undConid": instrument.underlying,
        "multiplier": instrument.multiplier if instrument.multiplier != 1 else 0.0,
        "type": instrument.stock_type if instrument.sec_type == "STK" else "",
        "hasOptions": instrument.has_options,
        "fullName": instrument.description,
        "isUS": instrument.is_us,
        "incrementRules": [{"lowerEdge": 0.0, "increment": instrument.tick}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [{"decimalDigits": instrument.decimals, "lowerEdge": 0.0, "wholeDigits": 4}],
        },
        "isEventContract": False,
        "pageSize": PAGE_SIZE,
    }


def allocation(gateway: Gateway, accounts: list[Account]) -> dict[str, Any]:
    """Market value by asset class, sector and group, long and short, in the base currency."""
    shares: dict[str, dict[str, dict[str, float]]] = {
        kind: {"long": {}, "short": {}} for kind in ("assetClass", "sector", "group")
    }

    def add(kind: str, name: str, value: float) -> None:
        side = shares[kind]["long" if value >= 0 else "short"]
        side[name] = round(side.get(name, 0.0) + value, 2)

    for account in accounts:
        add("assetClass", "CASH", gateway.book.value(account).cash)
        for held in account.positions.values():
            _, value, _ = gateway.book.position_figures(held)
            value *= gateway.book.rate(held.instrument.currency)
            add("assetClass", held.instrument.sec_type, value)
            add("sector", held.instrument.sector or "Others", value)
            add("group", held.instrument.group or "Others", value)
    return shares


def account_objects(gateway: Gateway) -> list[dict[str, Any]]:
    """Every account of the login as the portfolio calls describe it."""
    return [portfolio_account(account) for account in gateway.book.accounts]
