"""Long stretches of history, out of as many calls as they take.

IBKR answers at most 1,000 bars, gives other bars than asked for where a period does not allow them, and takes what it
calls the start for the end (observed on live gateways).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from bezant.v1 import marketdata_service_pb2 as pb
from bezant_server.cpapi.document import Row
from bezant_server.errors import BadRequest, BarSizeChanged, HistoryUnavailable
from bezant_server.marketdata import decode
from bezant_server.session.typed import Need, TypedGateway

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
BARS: Mapping[str, int] = MappingProxyType(
    {
        **{f"{count}min": count * _MINUTE for count in (1, 2, 3, 5, 10, 15, 30)},
        **{f"{count}h": count * _HOUR for count in (1, 2, 3, 4, 8)},
        "1d": _DAY,
        "1w": 7 * _DAY,
        "1m": 30 * _DAY,
    }
)
"""Sizes of bars, in seconds; a month is about so long."""
_PERIOD = re.compile(r"([0-9]{1,4})(min|h|d|w|m|y)")
_UNITS = {"min": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY, "m": 30 * _DAY, "y": 365 * _DAY}
_LARGEST = {"min": 30, "h": 8, "d": 1000, "w": 792, "m": 182, "y": 15}
_CHUNKS = (
    # The smallest bar that a period allows, and that period (IBKR's table of step sizes).
    (_MINUTE, "1d"),
    (10 * _MINUTE, "1w"),
    (_HOUR, "1m"),
    (2 * _HOUR, "3m"),
    (4 * _HOUR, "6m"),
    (8 * _HOUR, "1y"),
    (_DAY, "2y"),
    (7 * _DAY, "15y"),
)
MOST_BARS = 1000
"""In an answer of the gateway."""
MOST_CALLS = 20
"""For one request."""
_COLD_TRIES = 3
_COLD_SECS = 1.0
_MONTHS = range(28 * _DAY, 31 * _DAY + 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which bars.

    Attributes:
        conid: the contract.
        bar: the size of a bar, a key of BARS.
        start: seconds since 1970; None when a period says how far back.
        end: seconds since 1970; None for now.
        period: as IBKR spells it; empty when `start` is given.
        source: in IBKR's words.
        outside_rth: whether hours outside of regular trading count.
        exchange: empty for all together.
    """

    conid: int
    bar: str
    start: float | None
    end: float | None
    period: str
    source: str
    outside_rth: bool
    exchange: str


def period_secs(text: str) -> int | None:
    """How long a period is; None when IBKR knows none such."""
    match = _PERIOD.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= _LARGEST[match[2]]:
        return None
    return int(match[1]) * _UNITS[match[2]]


def smallest_bar(period: str) -> int:
    """The smallest bar that a period allows, in seconds (IBKR's table of step sizes)."""
    length = period_secs(period) or 0
    return next((smallest for smallest, longest in _CHUNKS if length <= (period_secs(longest) or 0)), _CHUNKS[-1][0])


class Bars:
    """Reads history.

    Args:
        gateway: where it asks.
        now: seconds since 1970.
    """

    def __init__(self, gateway: TypedGateway, *, now: Callable[[], float]) -> None:
        self._gateway = gateway
        self._now = now
        self._lots: dict[int, int] = {}

    async def read(self, wanted: Wanted) -> pb.ListBarsResponse:
        """The bars, the oldest first.

        Raises:
            BadRequest: they are too many.
            BarSizeChanged: the gateway gives bars of another size.
            HistoryUnavailable: it has none.
        """
        end = self._now() if wanted.end is None else wanted.end
        start = end - (period_secs(wanted.period) or 0) if wanted.start is None else wanted.start
        chunk, at_once = _chunk(wanted, end - start)
        lot = await self._lot(wanted.conid)
        response = pb.ListBarsResponse(bar_secs=BARS[wanted.bar])
        found: dict[int, pb.Bar] = {}
        edge: float | None = wanted.end
        while response.calls < MOST_CALLS:
            row = await self._call(wanted, chunk, edge)
            response.calls += 1
            _describe(response, row, wanted)
            page = {bar.start_time.ToMilliseconds(): bar for bar in decode.bars(row, lot=lot)}
            fresh = {at: bar for at, bar in page.items() if at not in found}
            found |= fresh
            if at_once or not fresh or min(page) / 1000 <= start:
                break
            edge = min(page) / 1000
        oldest = 0 if at_once else math.floor(start / BARS[wanted.bar]) * BARS[wanted.bar]
        newest = math.inf if wanted.end is None else wanted.end
        response.bars.extend(bar for at, bar in sorted(found.items()) if oldest <= at / 1000 <= newest)
        return response

    async def _call(self, wanted: Wanted, chunk: str, edge: float | None) -> Row:
        query = [
            ("conid", str(wanted.conid)),
            ("period", chunk),
            ("bar", wanted.bar),
            ("outsideRth", str(wanted.outside_rth).lower()),
            ("source", wanted.source),
        ]
        if wanted.exchange:
            query.append(("exchange", wanted.exchange))
        if edge is not None:
            query.append(("startTime", f"{datetime.fromtimestamp(edge, UTC):%Y%m%d-%H:%M:%S}"))
        for attempt in range(_COLD_TRIES):
            try:
                return Row(await self._gateway.read("/iserver/marketdata/history", query=query), "")
            except HistoryUnavailable:
                # The first call for a contract in a session may fail while its history is loaded.
                if attempt == _COLD_TRIES - 1:
                    raise
                await asyncio.sleep(_COLD_SECS)
        raise AssertionError

    async def _lot(self, conid: int) -> int:
        """What the gateway counts as one in the volume of bars."""
        if conid not in self._lots:
            answer = await self._gateway.read("/trsrv/secdef", query=[("conids", str(conid))], need=Need.LOGIN)
            if len(self._lots) >= MOST_BARS:
                self._lots.clear()
            self._lots[conid] = decode.US_LOT if conid in decode.us_stocks(answer) else 1
        return self._lots[conid]


def _chunk(wanted: Wanted, span: float) -> tuple[str, bool]:
    """The period to ask for in each call, and whether one call is all."""
    size = BARS[wanted.bar]
    if wanted.period and span / size <= MOST_BARS and size >= smallest_bar(wanted.period):
        return wanted.period, True
    chunk = next(period for smallest, period in reversed(_CHUNKS) if size >= smallest)
    length = min(period_secs(chunk) or _DAY, MOST_BARS * size)
    if span > MOST_CALLS * length:
        possible = f"{MOST_CALLS * length // _DAY} days"
        raise BadRequest(
            f"{wanted.bar} bars of {span / _DAY:.0f} days take more than {MOST_CALLS} calls: at most {possible}",
            field="period" if wanted.period else "start_time",
        )
    return chunk, False


def _describe(response: pb.ListBarsResponse, row: Row, wanted: Wanted) -> None:
    given = row.integer("barLength")
    if given is not None and given != BARS[wanted.bar] and not (wanted.bar == "1m" and given in _MONTHS):
        raise BarSizeChanged(
            f"IBKR answered with bars of {given} s instead of {wanted.bar}: they do not go with this period",
            bar_secs=given,
        )
    response.symbol = row.text("symbol")
    response.description = row.text("text")
    response.is_delayed = bool(row.integer("mktDataDelay"))
