"""The topics of one WebSocket: what is subscribed, and the frames that each subscription sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bezant_server.paper.api.orders import trade_row, trade_rows
from bezant_server.paper.book import Trade
from bezant_server.paper.fields import FieldTable
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.history import HistoryQuery
from bezant_server.paper.instruments import Instrument
from bezant_server.paper.order_state import FILTERS, Order, live_row
from bezant_server.paper.statements import amounts, ledger, pnl

MARKET_DATA_SECONDS = 15 * 60
LEDGER_SECONDS = 10.0
MAX_HISTORY_SLOTS = 5

Frame = dict[str, Any]
Send = Callable[[Frame], None]


@dataclass(slots=True)
class _Line:
    """One market-data subscription; it ends silently after fifteen minutes."""

    instrument: Instrument
    conidex: str
    fields: tuple[str, ...]
    expires_at: float
    server_id: str
    sent: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Ladder:
    """The price ladder that an account shows."""

    target: str
    instrument: Instrument
    sent: dict[int, dict[str, Any]] = field(default_factory=dict)


class Topics:
    """Subscriptions of one socket. They are gone with it, and those of the brokerage session with that."""

    def __init__(self, gateway: Gateway, fields: FieldTable, send: Send) -> None:
        self._gateway = gateway
        self._fields = fields
        self._send = send
        self._lines: dict[str, _Line] = {}
        self._histories: set[str] = set()
        self._ladders: dict[str, _Ladder] = {}
        self._orders: frozenset[str] | None = None
        self._trades = False
        self._pnl: dict[str, dict[str, Any]] | None = None
        self._summaries: dict[str, dict[str, Any]] = {}
        self._ledgers: dict[str, dict[str, Any]] = {}
        self._wanted: dict[str, frozenset[str]] = {}
        self._next_ledger = 0.0
        self._serial = 0
        self._verbs: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "smd": self._open_line,
            "umd": self._close_line,
            "smh": self._open_history,
            "umh": self._close_history,
            "sbd": self._open_ladder,
            "ubd": self._close_ladder,
            "sor": self._open_orders,
            "uor": lambda _target, _args: self._close_orders(),
            "str": self._open_trades,
            "utr": lambda _target, _args: self._close_trades(),
            "spl": lambda _target, _args: self._open_pnl(),
            "upl": lambda _target, _args: self._close_pnl(),
            "ssd": self._open_summary,
            "usd": self._close_summary,
            "sld": self._open_ledger,
            "uld": self._close_ledger,
        }

    @property
    def market_data(self) -> list[str]:
        """What of markets is subscribed, as the client asked for it."""
        return [
            *(f"smd+{target}" for target in self._lines),
            *(f"sbd+{each.target}" for each in self._ladders.values()),
        ]

    # What the client says.

    def handle(self, text: str) -> None:
        """Obey one subscription message; what is not understood is answered with an error frame."""
        verb, target, args = _parse(text)
        handler = self._verbs.get(verb)
        if handler is None or args is None:
            self._send({"error": f"Topic unknown '{text[:3]}'", "code": 1})
        elif verb[1:] in _BROKERAGE_TOPICS and self._gateway.session.brokerage is None:
            return
        else:
            handler(target, args)

    # What the clock and the books say.

    def tick(self) -> None:
        """Send what has changed since the last tick."""
        if self._gateway.session.brokerage is not None:
            self._tick_market_data()
            for ladder in self._ladders.values():
                self._send_ladder(ladder)
        now = self._gateway.clock.now()
        if now >= self._next_ledger:
            self._next_ledger = now + LEDGER_SECONDS
            for account in self._ledgers:
                self._send_ledger(account)

    def tick_slowly(self) -> None:
        """Send what changes at most once a second: P&L and summaries."""
        if self._pnl is not None:
            self._send_pnl()
        for account in self._summaries:
            self._send_summary(account)

    def order_changed(self, order: Order, payload: dict[str, Any]) -> None:
        """An order event; muted by this subscription's filters and by those of the last live-orders call."""
        brokerage = self._gateway.session.brokerage
        if self._orders is None or brokerage is None:
            return
        if self._orders and order.status not in self._orders:
            return
        if brokerage.order_filters and order.status not in brokerage.order_filters:
            return
        self._send({"topic": "sor", "args": [payload]})

    def traded(self, trade: Trade) -> None:
        if self._trades and self._gateway.session.brokerage is not None:
            self._send({"topic": "str", "args": [trade_row(self._gateway, trade)]})

    def brokerage_lost(self) -> None:
        """Forget the subscriptions that live in the brokerage session."""
        self._lines.clear()
        self._histories.clear()
        self._ladders.clear()
        self._orders = None
        self._trades = False

    # Market data.

    def _open_line(self, target: str, args: dict[str, Any]) -> None:
        instrument = self._instrument(target)
        if instrument is None:
            self._send({"topic": f"smd+{target}", "error": "no sec defs returned"})
            return
        wanted = args.get("fields")
        fields = tuple(str(name) for name in wanted) if isinstance(wanted, list) and wanted else ("31", "84", "86")
        old = self._lines.get(target)
        expires_at = self._gateway.clock.now() + MARKET_DATA_SECONDS
        if old is not None:
            old.expires_at = expires_at
            old.fields = tuple(dict.fromkeys((*old.fields, *fields)))
            old.sent = {}
        else:
            self._lines[target] = _Line(instrument, target, fields, expires_at, f"q{self._next_serial()}")
        self._send_line(self._lines[target])

    def _close_line(self, target: str, _args: dict[str, Any]) -> None:
        self._lines.pop(target, None)

    def _tick_market_data(self) -> None:
        now = self._gateway.clock.now()
        for target, line in list(self._lines.items()):
            if now >= line.expires_at:
                del self._lines[target]
            else:
                self._send_line(line)

    def _send_line(self, line: _Line) -> None:
        values = self._fields.values(line.instrument, line.fields)
        changed = {name: value for name, value in values.items() if line.sent.get(name) != value}
        first = not line.sent
        if not changed and not first:
            return
        line.sent |= values
        frame: Frame = {
            "server_id": line.server_id,
            "conidEx": line.conidex,
            "conid": line.instrument.conid,
            "_updated": int(self._gateway.clock.now() * 1000),
            "6119": line.server_id,
        }
        if first:
            frame["6509"] = line.instrument.availability
        self._send(frame | changed | {"topic": f"smd+{line.conidex}"})

    # History.

    def _open_history(self, target: str, args: dict[str, Any]) -> None:
        instrument = self._instrument(target)
        if instrument is None or len(self._histories) >= MAX_HISTORY_SLOTS:
            reason = "no sec defs returned" if instrument is None else "too many concurrent history requests"
            self._send({"topic": f"smh+{target}", "error": reason})
            return
        query = HistoryQuery(
            period=str(args.get("period", "")),
            bar=str(args.get("bar", "")),
            source=str(args.get("source", "")),
            outside_rth=bool(args.get("outsideRth", False)),
        )
        body = self._gateway.history.bars(instrument, query)
        self._histories.add(body["serverId"])
        self._send(body | {"topic": f"smh+{target}"})

    def _close_history(self, target: str, _args: dict[str, Any]) -> None:
        self._histories.discard(target)
        self._send({"message": f"Unsubscribed {target}"})

    # Price ladders.

    def _open_ladder(self, target: str, _args: dict[str, Any]) -> None:
        """`ACCOUNT+CONID[+EXCHANGE]`; it takes the place of the one that the account showed."""
        account, _, contract = target.partition("+")
        instrument = self._instrument(contract.partition("+")[0])
        if instrument is None or account not in self._gateway.book.accounts:
            reason = "no sec defs returned" if instrument is None else "unknown account"
            self._send({"topic": f"sbd+{target}", "error": reason})
            return
        ladder = self._ladders[account] = _Ladder(f"{account}+{instrument.conid}", instrument)
        self._send_ladder(ladder)

    def _close_ladder(self, target: str, _args: dict[str, Any]) -> None:
        self._ladders.pop(target, None)

    def _send_ladder(self, ladder: _Ladder) -> None:
        market, step = self._gateway.market, self._gateway.step()
        quote = market.quote(ladder.instrument, step)
        changed: list[dict[str, Any]] = []
        for number, level in enumerate(market.ladder(ladder.instrument, step)):
            is_last = level.price == quote.last
            price = ladder.instrument.format(level.price)
            row: dict[str, Any] = {
                "row": number,
                "focus": int(is_last),
                "price": f"{quote.last_size} @ {price}" if is_last else price,
            }
            if level.bid_size:
                row["bid"] = str(level.bid_size)
            if level.ask_size:
                row["ask"] = str(level.ask_size)
            if ladder.sent.get(number) != row:
                ladder.sent[number] = row
                changed.append(row)
        if changed:
            self._send({"topic": f"sbd+{ladder.target}", "data": changed})

    # Orders and trades.

    def _open_orders(self, _target: str, args: dict[str, Any]) -> None:
        wanted = args.get("filters")
        names = {str(name).lower().replace("_", "") for name in wanted} if isinstance(wanted, list) else set()
        self._orders = frozenset(status for name, status in FILTERS.items() if name.replace("_", "") in names)
        open_orders = [order for order in self._gateway.desk.orders.values() if not order.is_final]
        shown = [order for order in open_orders if not self._orders or order.status in self._orders]
        if shown:
            self._send({"topic": "sor", "args": [live_row(order) for order in shown]})

    def _close_orders(self) -> None:
        self._orders = None

    def _open_trades(self, _target: str, args: dict[str, Any]) -> None:
        self._trades = True
        self._send({"topic": "str", "args": []})
        realtime = args.get("realtimeUpdatesOnly", args.get("realtime_updates_only", False))
        days = args.get("days", 1)
        if not realtime and isinstance(days, int):
            rows = trade_rows(self._gateway, days=min(max(days, 1), 7))
            if rows:
                self._send({"topic": "str", "args": rows})

    def _close_trades(self) -> None:
        self._trades = False

    # Account channels.

    def _open_pnl(self) -> None:
        self._pnl = {}
        self._send_pnl()

    def _close_pnl(self) -> None:
        self._pnl = None

    def _send_pnl(self) -> None:
        rows = pnl(self._gateway)
        seen = self._pnl or {}
        changed: dict[str, dict[str, Any]] = {}
        for key, row in rows.items():
            delta = {name: value for name, value in row.items() if seen.get(key, {}).get(name) != value}
            if delta:
                changed[key] = delta | {"rowType": row["rowType"]}
        self._pnl = rows
        if changed:
            self._send({"topic": "spl", "args": changed})

    def _open_summary(self, target: str, args: dict[str, Any]) -> None:
        if target in self._gateway.book.accounts:
            self._summaries[target] = {}
            self._wanted[f"ssd+{target}"] = _keys(args)
            self._send_summary(target)
        else:
            self._send({"topic": f"ssd+{target}", "error": "unknown account"})

    def _close_summary(self, target: str, _args: dict[str, Any]) -> None:
        self._summaries.pop(target, None)
        self._send({"result": "unsubscribed from summary"})

    def _send_summary(self, account_id: str) -> None:
        account = self._gateway.book.accounts[account_id]
        stamp = int(self._gateway.clock.now())
        seen = self._summaries[account_id]
        rows: dict[str, Any] = {"AccountCode": {"value": account_id}}
        for key, value in amounts(self._gateway.book.value(account)).items():
            name = _SUMMARY_NAMES.get(key)
            if name is not None and self._wants(f"ssd+{account_id}", f"{name}-S"):
                rows[f"{name}-S"] = {"currency": "USD", "monetaryValue": round(value, 2)}
        result = [
            {"key": key, "timestamp": stamp, "severity": 0, **row} for key, row in rows.items() if seen.get(key) != row
        ]
        self._summaries[account_id] = rows
        if result:
            if all(row["key"] != "AccountCode" for row in result):
                result.append({"key": "AccountCode", "timestamp": stamp, "severity": 0, "value": account_id})
            self._send({"result": result, "topic": f"ssd+{account_id}"})

    def _open_ledger(self, target: str, args: dict[str, Any]) -> None:
        if target in self._gateway.book.accounts:
            self._ledgers[target] = {}
            self._wanted[f"sld+{target}"] = _keys(args)
            self._next_ledger = self._gateway.clock.now() + LEDGER_SECONDS
            self._send_ledger(target)
        else:
            self._send({"topic": f"sld+{target}", "error": "unknown account"})

    def _close_ledger(self, target: str, _args: dict[str, Any]) -> None:
        self._ledgers.pop(target, None)
        self._send({"result": "unsubscribed from ledger"})

    def _send_ledger(self, account_id: str) -> None:
        rows = ledger(self._gateway, self._gateway.book.accounts[account_id])
        seen = self._ledgers[account_id]
        stamp = int(self._gateway.clock.now())
        result: list[dict[str, Any]] = []
        for currency, row in rows.items():
            figures = {_LEDGER_NAMES[key]: row[key] for key in _LEDGER_NAMES}
            key = f"LedgerList{currency}"
            if not self._wants(f"sld+{account_id}", key):
                continue
            entry: dict[str, Any] = {"key": key, "timestamp": stamp}
            if seen.get(key) != figures:
                entry |= figures | {"acctCode": account_id, "secondKey": currency, "severity": 0}
            seen[key] = figures
            result.append(entry)
        self._send({"result": result, "topic": f"sld+{account_id}"})

    # Helpers.

    def _instrument(self, target: str) -> Instrument | None:
        text = target.partition("@")[0]
        return self._gateway.universe.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 12 else None

    def _wants(self, topic: str, key: str) -> bool:
        wanted = self._wanted.get(topic)
        return not wanted or key in wanted

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial


_BROKERAGE_TOPICS = frozenset({"bd", "md", "mh", "or", "tr"})

_SUMMARY_NAMES = {
    "accruedcash": "AccruedCash",
    "availablefunds": "AvailableFunds",
    "buyingpower": "BuyingPower",
    "equitywithloanvalue": "EquityWithLoanValue",
    "excessliquidity": "ExcessLiquidity",
    "grosspositionvalue": "GrossPositionValue",
    "initmarginreq": "InitMarginReq",
    "maintmarginreq": "MaintMarginReq",
    "netliquidation": "NetLiquidation",
    "totalcashvalue": "TotalCashValue",
}

_LEDGER_NAMES = {
    "cashbalance": "cashbalance",
    "cashbalancefxsegment": "cashBalanceFXSegment",
    "commoditymarketvalue": "commodityMarketValue",
    "corporatebondsmarketvalue": "corporateBondsMarketValue",
    "dividends": "dividends",
    "exchangerate": "exchangeRate",
    "funds": "funds",
    "stockoptionmarketvalue": "optionMarketValue",
    "interest": "interest",
    "issueroptionsmarketvalue": "issueOptionsMarketValue",
    "moneyfunds": "moneyFunds",
    "netliquidationvalue": "netLiquidationValue",
    "realizedpnl": "realizedPnl",
    "unrealizedpnl": "unrealizedPnl",
    "settledcash": "settledCash",
    "stockmarketvalue": "stockMarketValue",
    "tbillsmarketvalue": "tBillsMarketValue",
    "tbondsmarketvalue": "tBondsMarketValue",
    "warrantsmarketvalue": "warrantsMarketValue",
}


def _keys(args: dict[str, Any]) -> frozenset[str]:
    """The `keys` a subscription names; none means all."""
    keys = args.get("keys")
    return frozenset(str(key) for key in keys) if isinstance(keys, list) else frozenset()


def _parse(text: str) -> tuple[str, str, dict[str, Any] | None]:
    """`TOPIC[+TARGET][+{json}]` into its parts; the arguments are None when they are not a JSON object."""
    head, brace, tail = text.partition("{")
    verb, _, target = head.strip().rstrip("+").partition("+")
    if not brace:
        return verb, target, {}
    try:
        args = json.loads(brace + tail)
    except ValueError:
        return verb, target, None
    return verb, target, args if isinstance(args, dict) else None
