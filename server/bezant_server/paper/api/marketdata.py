"""Market-data endpoints."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bezant_server.paper.api.accounts import brokerage_of
from bezant_server.paper.fields import FieldTable
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.history import HistoryQuery
from bezant_server.paper.http import ApiError, Route, json_response, read_object
from bezant_server.paper.instruments import Instrument
from bezant_server.paper.session import BrokerageSession

_MAX_CONIDS, _MAX_FIELDS = 100, 50
_CONCURRENT_HISTORY = 5
_TRAVEL_SECONDS = 0.02
# IBKR's old documentation: what a snapshot holds when no field is named.
_DEFAULT_FIELDS = ("31", "82", "83", "84", "86", "7221", "7296")


class MarketDataApi:
    def __init__(self, gateway: Gateway, fields: FieldTable) -> None:
        self._gateway = gateway
        self._fields = fields
        self._history_running = 0

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/marketdata/snapshot", self.snapshot),
            Route("GET", "/iserver/marketdata/history", self.history),
            Route("POST", "/iserver/marketdata/unsubscribe", self.unsubscribe),
            Route("GET", "/iserver/marketdata/unsubscribeall", self.unsubscribe_all),
            Route("GET", "/md/regsnapshot", self.regulatory_snapshot),
            Route("POST", "/hmds/auth/init", self.open_hmds),
            Route("GET", "/hmds/history", self.hmds_history),
        ]

    async def snapshot(self, request: web.Request) -> web.Response:
        """The first sight of a conid opens its line and shows no field; so does the first sight of a field."""
        brokerage = brokerage_of(self._gateway, primed=True)
        conids = [part for part in request.query.get("conids", "").split(",") if part.strip()]
        if not conids:
            raise ApiError(400, "Bad Request: conids is required")
        fields = [name for name in request.query.get("fields", "").split(",") if name.strip()]
        if len(conids) > _MAX_CONIDS or len(fields) > _MAX_FIELDS:
            raise ApiError(400, f"Bad Request: at most {_MAX_CONIDS} conids and {_MAX_FIELDS} fields")
        wanted = [name.strip() for name in fields] or list(_DEFAULT_FIELDS)
        rows = [self._row(brokerage, conidex.strip(), wanted) for conidex in conids]
        return json_response([row for row in rows if row is not None])

    async def history(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        if self._gateway.pacing.enabled and self._history_running >= _CONCURRENT_HISTORY:
            return json_response({"error": "Too many concurrent history requests"}, 429)
        self._history_running += 1
        try:
            await asyncio.sleep(_TRAVEL_SECONDS)
            return self._history(request)
        finally:
            self._history_running -= 1

    async def open_hmds(self, _request: web.Request) -> web.Response:
        brokerage_of(self._gateway).hmds = True
        return json_response({"status": "submitted"})

    async def hmds_history(self, request: web.Request) -> web.Response:
        """404 until the bridge to the historical data is open; then bars of the bid and of the ask."""
        if not brokerage_of(self._gateway).hmds:
            raise ApiError(404, "Resource not found")
        instrument = self._instrument(request)
        kind = request.query.get("barType", "Last")
        if instrument is None or kind not in {"Bid", "Ask"}:
            return json_response({"error": "Chart data unavailable"}, 500)
        return json_response(self._gateway.history.of_side(instrument, _query(request), bid=kind == "Bid"))

    async def unsubscribe(self, request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        conid = (await read_object(request)).get("conid")
        if not isinstance(conid, int) or conid not in brokerage.lines:
            return json_response({"error": "unknown"}, 500)
        del brokerage.lines[conid]
        return json_response({"success": True})

    async def unsubscribe_all(self, _request: web.Request) -> web.Response:
        brokerage_of(self._gateway).lines.clear()
        return json_response({"unsubscribed": True})

    async def regulatory_snapshot(self, request: web.Request) -> web.Response:
        """The national best bid and offer, of US stocks only."""
        brokerage_of(self._gateway)
        instrument = self._instrument(request)
        if instrument is None or instrument.sec_type != "STK" or not instrument.is_us:
            raise ApiError(400, "Bad Request: no regulatory snapshot of this contract")
        values = self._fields.values(instrument, ("31", "84", "86", "7059"))
        quote = self._gateway.market.quote(instrument, self._gateway.step())
        return json_response(
            {
                "conid": instrument.conid,
                "conidEx": str(instrument.conid),
                "BboExchange": "9c0001",
                "HasDelayed": False,
                **values,
                "85": quote.ask_size,
                "88": quote.bid_size,
                "BestBidExch": 16,
                "BestAskExch": 16,
                "LastExch": 4,
                "7057": "Q",
                "7058": "Q",
                "7068": "Q",
            }
        )

    def _row(self, brokerage: BrokerageSession, conidex: str, wanted: list[str]) -> dict[str, Any] | None:
        text = conidex.partition("@")[0]
        instrument = (
            self._gateway.universe.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 12 else None
        )
        if instrument is None:
            return None
        row: dict[str, Any] = {"conidEx": conidex, "conid": instrument.conid}
        known = brokerage.lines.get(instrument.conid)
        if known is None:
            brokerage.lines[instrument.conid] = set(wanted)
            return row
        shown = [name for name in wanted if name in known]
        known.update(wanted)
        account = self._gateway.book.accounts.get(brokerage.selected_account)
        held = account.positions.get(instrument.conid) if account else None
        server_id = f"q{sorted(brokerage.lines).index(instrument.conid)}"
        values = self._fields.values(instrument, shown, held)
        if "83" in values:
            values["83"] = f"{values['83']:.2f}"
        return (
            row
            | {
                "_updated": int(self._gateway.clock.now() * 1000),
                "server_id": server_id,
                "6119": server_id,
                "6509": instrument.availability,
            }
            | values
        )

    def _history(self, request: web.Request) -> web.Response:
        instrument = self._instrument(request)
        if instrument is None:
            return json_response({"error": "Chart data unavailable"}, 500)
        if request.query.get("direction") == "1":
            return json_response({"error": "Chart data unavailable"})
        return json_response(self._gateway.history.bars(instrument, _query(request)))

    def _instrument(self, request: web.Request) -> Instrument | None:
        text = request.query.get("conid", "")
        return self._gateway.universe.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _query(request: web.Request) -> HistoryQuery:
    return HistoryQuery(
        period=request.query.get("period", ""),
        bar=request.query.get("bar", ""),
        start_time=request.query.get("startTime", ""),
        source=request.query.get("source", ""),
        outside_rth=request.query.get("outsideRth", "").lower() == "true",
    )
