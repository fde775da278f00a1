"""Reference data beside the definitions: algorithms, trading schedules, listings of an exchange, bond filters."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from bezant_server.paper.api.accounts import brokerage_of
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Route, json_response
from bezant_server.paper.instruments import Instrument

_DAYS = 6
_MOST_ALGOS = 8

_ALGORITHMS: tuple[dict[str, Any], ...] = (
    {
        "id": "Adaptive",
        "name": "Adaptive",
        "description": "<p>Seeks a fast fill at a good price.</p>",
        "parameters": [
            {
                "guiRank": 1,
                "defaultValue": "Normal",
                "name": "Adaptive order priority/urgency",
                "id": "adaptivePriority",
                "legalStrings": ["Urgent", "Normal", "Patient"],
                "required": "true",
                "valueClassName": "String",
            }
        ],
    },
    {
        "id": "Vwap",
        "name": "VWAP",
        "description": "<p>Follows the volume-weighted average price.</p>",
        "parameters": [
            {
                "guiRank": 1,
                "defaultValue": False,
                "name": "Attempt to never take liquidity",
                "id": "noTakeLiq",
                "required": "false",
                "valueClassName": "Boolean",
            },
            {
                "guiRank": 2,
                "name": "Max Percentage",
                "id": "maxPctVol",
                "minValue": 0.01,
                "maxValue": 50,
                "required": "false",
                "valueClassName": "Double",
            },
        ],
    },
    {"id": "Twap", "name": "TWAP", "description": "<p>Spreads an order evenly over time.</p>", "parameters": []},
)


class ReferenceApi:
    """The first answer about the algorithms of a contract is empty, while they are loaded."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._universe = gateway.universe
        self._asked: set[int] = set()

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/contract/{conid}/algos", self.algorithms),
            Route("GET", "/contract/trading-schedule", self.schedule),
            Route("GET", "/trsrv/secdef/schedule", self.venue_schedule),
            Route("GET", "/trsrv/all-conids", self.all_conids),
            Route("GET", "/iserver/secdef/bond-filters", self.bond_filters),
        ]

    async def algorithms(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        instrument = self._get(request.match_info["conid"])
        if instrument is None:
            raise ApiError(503, "Service Unavailable")
        if instrument.conid not in self._asked:
            self._asked.add(instrument.conid)
            return json_response({"algos": []})
        wanted = [name for name in request.query.get("algos", "").split(";") if name]
        if len(wanted) > _MOST_ALGOS:
            raise ApiError(400, f"Bad Request: at most {_MOST_ALGOS} algos")
        left_out = set()
        if request.query.get("addDescription") != "1":
            left_out.add("description")
        if request.query.get("addParams") != "1":
            left_out.add("parameters")
        return json_response(
            {
                "algos": [
                    {name: value for name, value in algorithm.items() if name not in left_out}
                    for algorithm in _ALGORITHMS
                    if instrument.sec_type == "STK" and (not wanted or algorithm["id"] in wanted)
                ]
            }
        )

    async def schedule(self, request: web.Request) -> web.Response:
        """Seconds since 1970; weekends are left out."""
        instrument = self._get(request.query.get("conid", ""))
        if instrument is None:
            raise ApiError(400, "Bad Request: conid")
        zone = ZoneInfo(instrument.time_zone)
        today = datetime.fromtimestamp(self._gateway.clock.now(), UTC).astimezone(zone).date()
        schedules = {}
        for ahead in range(_DAYS):
            day = today + timedelta(days=ahead)
            if day.weekday() < 5:
                at = {
                    clock: int(datetime.combine(day, time(*clock), zone).timestamp())
                    for clock in ((4, 0), (9, 30), (16, 0), (20, 0))
                }
                schedules[f"{day:%Y%m%d}"] = {
                    "liquid_hours": [{"opening": at[9, 30], "closing": at[16, 0]}],
                    "extended_hours": [{"opening": at[4, 0], "closing": at[20, 0], "cancel_daily_orders": True}],
                }
        return json_response({"exchange_time_zone": zone.key, "schedules": schedules})

    async def venue_schedule(self, request: web.Request) -> web.Response:
        """By weekday, in local times; the week after 1 January 2000, a Saturday, stands for any."""
        if "conid" in request.query or not request.query.get("assetClass") or not request.query.get("symbol"):
            raise ApiError(400, "Bad Request: assetClass and symbol are required")
        found = [each for each in self._universe.search(request.query["symbol"]) if each.sec_type == "STK"]
        return json_response([_venue(instrument) for instrument in found])

    async def all_conids(self, request: web.Request) -> web.Response:
        exchange = request.query.get("exchange", "").upper()
        if not exchange:
            raise ApiError(400, "Bad Request: exchange is required")
        return json_response(
            [
                {"ticker": each.symbol, "conid": each.conid, "exchange": each.listing}
                for each in self._universe
                if each.sec_type == "STK" and each.listing == exchange
            ]
        )

    async def bond_filters(self, request: web.Request) -> web.Response:
        """There are no bonds in this market, so there is nothing to filter by."""
        brokerage_of(self._gateway)
        if request.query.get("symbol") != "BOND":
            raise ApiError(400, "Bad Request: symbol must be BOND")
        return json_response({"bondFilters": []})

    def _get(self, text: str) -> Instrument | None:
        return self._universe.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _venue(instrument: Instrument) -> dict[str, Any]:
    schedules: list[dict[str, Any]] = [
        {"clearingCycleEndTime": "0000", "tradingScheduleDate": f"2000010{day}", "sessions": [], "tradingtimes": []}
        for day in (1, 2)
    ]
    schedules += [
        {
            "clearingCycleEndTime": "1700",
            "tradingScheduleDate": f"2000010{day}",
            "sessions": [{"openingTime": "0930", "closingTime": "1600", "prop": "LIQUID"}],
            "tradingtimes": [{"openingTime": "0400", "closingTime": "2000", "cancelDayOrders": "Y"}],
        }
        for day in range(3, 8)
    ]
    return {
        "id": f"p{instrument.conid}",
        "tradeVenueId": f"v{instrument.conid}",
        "exchange": instrument.listing,
        "description": instrument.listing,
        "timezone": "America/New_York" if instrument.is_us else instrument.time_zone,
        "schedules": schedules,
    }
