"""The market scanner, over the stocks of the simulated market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web

from bezant_server.paper.api.accounts import brokerage_of
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Route, json_response, read_object
from bezant_server.paper.instruments import Instrument

_MOST_ROWS = 50
_LOCATIONS = {"STK.US.MAJOR": {"NASDAQ", "NYSE", "ARCA"}, "STK.EU": {"IBIS"}}
_SCANS = {
    "TOP_PERC_GAIN": ("Top % Gainers", "Chg%", True),
    "TOP_PERC_LOSE": ("Top % Losers", "Chg%", False),
    "HOT_BY_VOLUME": ("Hot by Volume", "Volume", True),
    "MOST_ACTIVE": ("Most Active", "Volume", True),
}


class ScannerApi:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._filters: Mapping[str, Callable[[Instrument], float]] = MappingProxyType(
            {"priceAbove": self._price, "priceBelow": self._price, "volumeAbove": self._volume}
        )

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/scanner/params", self.parameters),
            Route("POST", "/iserver/scanner/run", self.run),
        ]

    async def parameters(self, _request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        return json_response(
            {
                "scan_type_list": [
                    {"display_name": name, "code": code, "instruments": ["STK"]}
                    for code, (name, _, _) in _SCANS.items()
                ],
                "instrument_list": [{"display_name": "US Stocks", "type": "STK", "filters": list(self._filters)}],
                "filter_list": [
                    *(
                        {"group": code, "display_name": code, "code": code, "type": "non-range"}
                        for code in self._filters
                    ),
                    {
                        "group": "stkTypes",
                        "display_name": "Stock type",
                        "code": "stkTypes",
                        "type": "combo",
                        "combo_values": [{"default": True, "vendor": None}, {"default": False, "vendor": "inc:ETF"}],
                    },
                ],
                "location_tree": [
                    {
                        "display_name": "Stocks",
                        "type": "STK",
                        "locations": [{"display_name": code, "type": code, "locations": []} for code in _LOCATIONS],
                    }
                ],
            }
        )

    async def run(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        body = await read_object(request)
        scan, exchanges = _SCANS.get(str(body.get("type"))), _LOCATIONS.get(str(body.get("location")))
        if body.get("instrument") != "STK" or scan is None or exchanges is None:
            raise ApiError(500, "unknown scan")
        _, column, descending = scan
        measure = self._change if column == "Chg%" else self._volume
        found = [
            each
            for each in self._gateway.universe
            if each.sec_type == "STK" and each.listing in exchanges and self._passes(each, body.get("filter") or [])
        ]
        found.sort(key=measure, reverse=descending)
        rows: list[dict[str, Any]] = []
        for number, instrument in enumerate(found[:_MOST_ROWS]):
            row = {
                "server_id": str(number),
                "symbol": instrument.symbol,
                "conidex": str(instrument.conid),
                "con_id": instrument.conid,
                "available_chart_periods": "#R|1",
                "company_name": instrument.name,
                "scan_data": _shown(measure(instrument), column),
                "contract_description_1": instrument.symbol,
                "listing_exchange": instrument.wire_listing,
                "sec_type": "STK",
            }
            rows.append(row | ({"column_name": column} if not number else {}))
        return json_response({"contracts": rows, "scan_data_column_name": column})

    def _passes(self, instrument: Instrument, filters: Any) -> bool:
        if not isinstance(filters, list):
            raise ApiError(500, "unknown filter")
        for each in filters:
            code = each.get("code") if isinstance(each, dict) else None
            figure, value = self._filters.get(str(code)), each.get("value") if isinstance(each, dict) else None
            if figure is None or isinstance(value, bool) or not isinstance(value, int | float):
                raise ApiError(500, "unknown filter")
            above = str(code).endswith("Above")
            if (figure(instrument) > value) is not above:
                return False
        return True

    def _price(self, instrument: Instrument) -> float:
        return self._gateway.market.quote(instrument, self._gateway.step()).last

    def _change(self, instrument: Instrument) -> float:
        market = self._gateway.market
        before = market.last_before(instrument, market.day_start(self._gateway.clock.now()))
        return (self._price(instrument) / before - 1) * 100

    @staticmethod
    def _volume(instrument: Instrument) -> float:
        return float(instrument.daily_volume)


def _shown(value: float, column: str) -> str:
    if column == "Chg%":
        return f"{value:+.2f}%"
    return f"{value / 1e6:.3f}M" if value >= 1e6 else f"{value / 1e3:.3f}K"
