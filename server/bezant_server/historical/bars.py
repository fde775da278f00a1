"""Bars of the past, of whatever a symbol or a code means."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bezant.v1 import historical_service_pb2 as pb
from bezant.v1 import marketdata_service_pb2 as marketdata_pb
from bezant_server.errors import BadRequest, UpstreamDecodeError
from bezant_server.historical import words
from bezant_server.historical.sides import SideBars
from bezant_server.historical.symbols import Symbols
from bezant_server.historical.words import Duration
from bezant_server.historical.zones import Zones
from bezant_server.inputs import Checks
from bezant_server.marketdata.bars import BARS, Bars, Wanted

_DAY = 86_400
_LAST_HOURS = "8h"
"""A period that one call answers for every size of bars below a day."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, as the caller spells it; defaults filled in."""

    symbol: str
    code: str
    duration: str
    bar_size: str
    what_to_show: str

    @classmethod
    def of(cls, *, symbol: str, code: str, duration: str, bar_size: str, what_to_show: str) -> Asked:
        """The request, with the default of what is empty."""
        return cls(
            symbol,
            code,
            duration or words.DEFAULT_DURATION,
            bar_size or words.DEFAULT_BAR_SIZE,
            what_to_show or words.DEFAULT_KIND,
        )


class HistoricalBars:
    """Reads bars.

    Args:
        symbols: what they are of.
        bars: those of trades and midpoints.
        sides: those of the bid and of the ask.
        zones: of exchanges.
    """

    def __init__(self, *, symbols: Symbols, bars: Bars, sides: SideBars, zones: Zones) -> None:
        self._symbols = symbols
        self._bars = bars
        self._sides = sides
        self._zones = zones

    async def read(self, asked: Asked) -> pb.ListHistoricalBarsResponse:
        """The bars, the oldest first.

        Raises:
            BadRequest: a word is unknown, or the gateway cannot do it; the message says what is possible.
            ContractNotFound, AmbiguousSymbol: of the symbol.
            HistoryUnavailable, BarSizeChanged: of the bars.
        """
        checks = Checks()
        self._symbols.check(checks, asked.symbol, asked.code)
        duration = words.duration(checks, asked.duration)
        bar = words.bar_size(checks, asked.bar_size)
        kind = words.kind(checks, asked.what_to_show)
        checks.done()
        conid = await self._symbols.conid(asked.symbol, asked.code)
        name = await self._zones.of(conid)
        zone = _zone(name)
        found = await self._read(conid, duration, bar, kind)
        if duration.seconds is not None:
            found = found[-math.ceil(duration.seconds / BARS[bar]) :]
        form = "%Y%m%d" if BARS[bar] >= _DAY else "%Y%m%d  %H:%M:%S"
        return pb.ListHistoricalBarsResponse(
            conid=conid, time_zone=name, bars=[_dated(each, zone, form) for each in found]
        )

    async def _read(self, conid: int, duration: Duration, bar: str, kind: str) -> list[marketdata_pb.Bar]:
        if kind in words.SIDES:
            return await self._sides.read(conid, kind=kind, period=duration.period, bar=bar)
        wanted = Wanted(
            conid=conid,
            bar=bar,
            start=None,
            end=None,
            period=duration.period,
            source=words.SOURCES[kind],
            outside_rth=False,
            exchange="",
        )
        try:
            return await self._traded(wanted)
        except BadRequest as error:
            raise BadRequest.at("duration", f"{error.message}, or larger bars") from None

    async def _traded(self, wanted: Wanted) -> list[marketdata_pb.Bar]:
        found = (await self._bars.read(wanted)).bars
        if found or BARS[wanted.bar] >= _DAY:
            return list(found)
        # A period of several calls is counted from now, and on a Sunday nothing may lie in it: Trader Workstation
        # counts from the last trade.
        last = (await self._bars.read(replace(wanted, period=_LAST_HOURS))).bars
        if not last:
            return []
        end = last[-1].start_time.ToMilliseconds() / 1000 + BARS[wanted.bar]
        return list((await self._bars.read(replace(wanted, end=end))).bars)


def _dated(bar: marketdata_pb.Bar, zone: ZoneInfo, form: str) -> pb.HistoricalBar:
    begins = datetime.fromtimestamp(bar.start_time.ToMilliseconds() / 1000, UTC).astimezone(zone)
    made = pb.HistoricalBar(local_time=begins.strftime(form), start_time=bar.start_time)
    for name in ("open", "high", "low", "close", "volume"):
        if bar.HasField(name):
            setattr(made, name, getattr(bar, name))
    return made


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UpstreamDecodeError(f"IBKR gives no time zone of the contract's exchange ('{name[:40]}')") from None
