"""Order endpoints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bezant_server.paper.api.accounts import brokerage_of
from bezant_server.paper.book import Trade
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Route, error_response, json_response, read_object
from bezant_server.paper.order_state import FILTERS, live_row, status_row
from bezant_server.paper.orders import UnknownReply
from bezant_server.paper.session import USER_NAME
from bezant_server.paper.validation import OrderRejected, OrderSpec

_MAX_SUPPRESSED = 51
_MAX_DAYS = 7
_NO_DATA = (
    "21/You are trying to submit an order without having market data for this instrument. \nIB strongly recommends "
    "against this kind of blind trading which may result in \nerroneous or unexpected trades."
)


class OrdersApi:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._desk = gateway.desk

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/account/orders", self.live),
            Route("GET", "/iserver/account/trades", self.trades),
            Route("GET", "/iserver/account/order/status/{order}", self.status),
            Route("POST", "/iserver/account/{account}/orders", self.place),
            Route("POST", "/iserver/account/{account}/orders/whatif", self.preview),
            Route("POST", "/iserver/account/{account}/order/{order}", self.modify),
            Route("DELETE", "/iserver/account/{account}/order/{order}", self.cancel),
            Route("POST", "/iserver/reply/{reply}", self.reply),
            Route("POST", "/iserver/questions/suppress", self.suppress),
            Route("POST", "/iserver/questions/suppress/reset", self.unsuppress),
            Route("POST", "/iserver/notification", self.notification),
        ]

    async def live(self, request: web.Request) -> web.Response:
        """The first call of a session, and every forced one, is empty; filters stay until then."""
        brokerage = brokerage_of(self._gateway, primed=True)
        if request.query.get("force", "").lower() == "true":
            brokerage.orders_primed = True
            brokerage.order_filters = frozenset()
            return json_response({"orders": [], "snapshot": False})
        names = [name for name in request.query.get("filters", "").split(",") if name and name != "sort_by_time"]
        if names:
            brokerage.order_filters = frozenset(_status_named(name) for name in names)
        if not brokerage.orders_primed:
            brokerage.orders_primed = True
            return json_response({"orders": [], "snapshot": False})
        account = request.query.get("accountId") or brokerage.selected_account
        wanted = [
            order
            for order in self._desk.orders.values()
            if order.spec.account == account
            and (not brokerage.order_filters or order.status in brokerage.order_filters)
        ]
        wanted.sort(key=lambda order: (order.is_final, -order.order_id))
        return json_response({"orders": [live_row(order) for order in wanted[:1000]], "snapshot": True})

    async def trades(self, request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        first, brokerage.trades_primed = not brokerage.trades_primed, True
        if first:
            return json_response([])
        account = request.query.get("accountId") or brokerage.selected_account
        rows = trade_rows(self._gateway, days=_days(request.query.get("days", "7")), account=account)
        return json_response(rows)

    async def status(self, request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        number = _order_id(request)
        if number == 0:
            raise ApiError(400, "Bad Request: no order id")
        order = self._desk.orders.get(number)
        if order is None or order.spec.account != brokerage.selected_account:
            raise ApiError(503, "Service Unavailable")
        return json_response(status_row(order))

    async def place(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway, primed=True)
        account = self._account(request)
        return json_response(self._desk.place(account, await read_object(request)))

    async def preview(self, request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        account = self._account(request)
        specs = self._desk.parse(account, await read_object(request))
        conid = specs[0].instrument.conid
        warned = conid not in brokerage.lines and "o354" not in brokerage.suppressed
        return json_response(self._preview(specs[0], warn=_NO_DATA if warned else None))

    async def modify(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway, primed=True)
        account = self._account(request)
        return json_response(self._desk.modify(account, _order_id(request), await read_object(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway, primed=True)
        account = self._account(request)
        number = _order_id(request)
        if number == -1:
            self._desk.cancel_all(account)
            return json_response({"msg": "Request was submitted", "order_id": -1, "conid": -1, "account": None})
        if number == 0:
            raise ApiError(400, "OrderID 0 doesn't exist")
        order = self._desk.cancel(account, number)
        return json_response(
            {
                "msg": "Request was submitted",
                "order_id": order.order_id,
                "conid": order.spec.instrument.conid,
                "account": account,
            }
        )

    async def reply(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        reply_id = request.match_info["reply"]
        confirmed = (await read_object(request)).get("confirmed") is True
        try:
            return json_response(self._desk.reply(reply_id, confirmed=confirmed))
        except UnknownReply:
            status = self._gateway.options.stale_reply_status
            if status == 503:
                return error_response(503, "Service Unavailable")
            return json_response({"error": f"reply id not found: '{reply_id}'"}, status)

    async def suppress(self, request: web.Request) -> web.Response:
        """Additive: a second call adds to the first."""
        brokerage = brokerage_of(self._gateway)
        names = (await read_object(request)).get("messageIds")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ApiError(500, "messageIds must not be empty")
        if len(names) > _MAX_SUPPRESSED:
            raise ApiError(400, f"messageIds must not hold more than {_MAX_SUPPRESSED} ids")
        brokerage.suppressed.update(names)
        return json_response({"status": "submitted"})

    async def unsuppress(self, _request: web.Request) -> web.Response:
        brokerage_of(self._gateway).suppressed.clear()
        return json_response({"status": "submitted"})

    async def notification(self, _request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        return web.Response(text="Success")

    def _account(self, request: web.Request) -> str:
        account = request.match_info["account"]
        if account not in self._gateway.book.accounts:
            raise ApiError(400, f"Account {account} is not available to this login")
        return account

    def _preview(self, spec: OrderSpec, warn: str | None) -> dict[str, Any]:
        gateway = self._gateway
        account = gateway.book.accounts[spec.account]
        worth = gateway.book.value(account)
        sign = 1 if spec.side == "BUY" else -1
        amount = self._desk.reserved_funds(spec)
        held = account.positions.get(spec.instrument.conid)
        before = held.quantity if held else 0.0
        unit = "Shares" if spec.instrument.sec_type == "STK" else "Contracts"

        def change(current: float, delta: float) -> dict[str, str]:
            return {
                "current": f"{current:,.0f}",
                "change": f"{delta:,.0f}",
                "after": f"{current + delta:,.0f}",
            }

        return {
            "amount": {
                "amount": f"{amount:,.2f} USD ({spec.quantity:g} {unit})",
                "commission": "1 USD",
                "total": f"{amount + sign:,.2f} USD",
            },
            "equity": change(worth.net_liquidation, -1),
            "initial": change(worth.initial_margin, sign * amount * 0.25),
            "maintenance": change(worth.maintenance_margin, sign * amount * 0.2275),
            "position": {
                "current": f"{before:g}",
                "change": f"{sign * spec.quantity:g}",
                "after": f"{before + sign * spec.quantity:g}",
            },
            "warn": warn,
            "error": None,
        }


def trade_rows(gateway: Gateway, *, days: int, account: str | None = None) -> list[dict[str, Any]]:
    """Executions of today and the days before, newest first."""
    begin = gateway.market.day_start(gateway.clock.now()) - (days - 1) * 86_400
    return [
        trade_row(gateway, trade)
        for trade in reversed(gateway.book.trades)
        if trade.time >= begin and account in {None, trade.account}
    ]


def trade_row(gateway: Gateway, trade: Trade) -> dict[str, Any]:
    """An execution; its commission is absent until IBKR has computed it."""
    instrument = trade.instrument
    when = datetime.fromtimestamp(trade.time, UTC)
    verb = "Bought" if trade.side == "BUY" else "Sold"
    row: dict[str, Any] = {
        "execution_id": trade.execution_id,
        "symbol": instrument.symbol,
        "supports_tax_opt": "1",
        "side": trade.side[0],
        "order_description": f"{verb} {trade.size:g} @ {instrument.format(trade.price)} on {trade.exchange}",
        "trade_time": f"{when:%Y%m%d-%H:%M:%S}",
        "trade_time_r": int(trade.time) * 1000,
        "size": trade.size,
        "price": instrument.format(trade.price),
        "submitter": USER_NAME,
        "exchange": trade.exchange,
        "net_amount": round(trade.size * trade.price * instrument.multiplier, 2),
        "account": trade.account,
        "accountCode": trade.account,
        "account_allocation_name": trade.account,
        "company_name": instrument.name,
        "contract_description_1": instrument.symbol,
        "sec_type": instrument.sec_type,
        "listing_exchange": instrument.wire_listing,
        "conid": instrument.conid,
        "conidEx": str(instrument.conid),
        "clearing_id": "IB",
        "clearing_name": "IB",
        "open_close": "???",
        "liquidation_trade": "0",
        "is_event_trading": "0",
        "order_id": trade.order_id,
    }
    if instrument.expiry:
        row["contract_description_2"] = instrument.description
    if trade.order_ref:
        row["order_ref"] = trade.order_ref
    if gateway.clock.now() >= trade.commission_at:
        row["commission"] = f"{trade.commission:.2f}"
    return row


def _status_named(name: str) -> str:
    key = name.strip()
    for filter_name, status in FILTERS.items():
        if key.lower().replace("_", "") == filter_name.replace("_", ""):
            return status
    return key


def _order_id(request: web.Request) -> int:
    text = request.match_info["order"]
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise OrderRejected(f"OrderID {text} doesn't exist")
    return int(text)


def _days(text: str) -> int:
    return min(max(int(text), 1), _MAX_DAYS) if text.isascii() and text.isdigit() and len(text) < 5 else _MAX_DAYS
