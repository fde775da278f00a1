"""Historical bars, sampled from the same walk that makes the quotes."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bezant_server.paper.clock import Clock
from bezant_server.paper.instruments import Instrument
from bezant_server.paper.prices import Market

_MAX_BARS = 1000
_KEPT_BARS = 50_000
_SAMPLES = 6
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_DAY_BEGINS = 8 * _HOUR
"""When a bar of a day or more begins, after midnight UTC: a recorded one of a US stock does at 4:00 in New York."""
_PERIOD_UNITS = {"min": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY, "m": 30 * _DAY, "y": 365 * _DAY}
_LARGEST = {"min": 30, "h": 8, "d": 1000, "w": 792, "m": 182, "y": 15}
_BARS = {
    "1min": 60, "2min": 120, "3min": 180, "5min": 300, "10min": 600, "15min": 900, "30min": 1800,
    "1h": _HOUR, "2h": 2 * _HOUR, "3h": 3 * _HOUR, "4h": 4 * _HOUR, "8h": 8 * _HOUR,
    "1d": _DAY, "1w": 7 * _DAY, "1m": 30 * _DAY,
}  # fmt: skip
# IBKR's step sizes: up to this period, the smallest bar allowed and the bar used when none (or a wrong one) is given.
_STEPS = (
    (_DAY, "1min", "1min"),
    (7 * _DAY, "10min", "15min"),
    (30 * _DAY, "1h", "30min"),
    (90 * _DAY, "2h", "1d"),
    (180 * _DAY, "4h", "1d"),
    (365 * _DAY, "8h", "1d"),
    (730 * _DAY, "1d", "1d"),
    (3 * 365 * _DAY, "1d", "1w"),
    (math.inf, "1w", "1w"),
)
_DEFAULT_PERIOD = "1w"


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What a client asks for, as text; nothing of it is refused, as IBKR refuses nothing of it."""

    period: str = ""
    bar: str = ""
    start_time: str = ""
    source: str = ""
    outside_rth: bool = False


class History:
    """Answers history requests."""

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._serial = 20_000
        self._complete = functools.lru_cache(maxsize=_KEPT_BARS)(self._sample)

    def bars(self, instrument: Instrument, query: HistoryQuery) -> dict[str, Any]:
        """The body of a history answer. `startTime` of a query is where the bars end."""
        period, seconds = _period(query.period)
        length = _bar_length(query.bar, seconds)
        end = _parse_time(query.start_time) or self._clock.now()
        count = min(max(1, math.ceil(seconds / length)), _MAX_BARS)
        last = math.ceil(end / length) - 1
        first = last - count + 1
        traded = query.source.lower() in {"", "last", "trades"}
        data = [self._bar(instrument, index * length, length, end, traded=traded) for index in range(first, last + 1)]
        high = max(data, key=lambda bar: float(bar["h"]))
        low = min(data, key=lambda bar: float(bar["l"]))
        factor = 10**instrument.decimals
        start = data[0]["t"]
        self._serial += 1

        def extreme(bar: dict[str, Any], key: str) -> str:
            return f"{round(bar[key] * factor)}/{bar['v']}/{(bar['t'] - start) // 60_000}"

        return {
            "serverId": str(self._serial),
            "symbol": instrument.symbol,
            "text": instrument.name,
            "priceFactor": factor,
            "startTime": f"{datetime.fromtimestamp(start / 1000, UTC):%Y%m%d-%H:%M:%S}",
            "high": extreme(high, "h"),
            "low": extreme(low, "l"),
            "timePeriod": period,
            "barLength": length,
            "mdAvailability": "S",
            "mktDataDelay": 0,
            "outsideRth": query.outside_rth,
            "tradingDayDuration": 1440,
            "volumeFactor": 1,
            "priceDisplayRule": 1,
            "priceDisplayValue": str(instrument.decimals),
            "chartPanStartTime": f"{datetime.fromtimestamp(end, UTC):%Y%m%d-%H:%M:%S}",
            "direction": -1,
            "negativeCapable": False,
            "messageVersion": 2,
            "data": data,
            "points": count - 1,
            "travelTime": 48,
        }

    def of_side(self, instrument: Instrument, query: HistoryQuery, *, bid: bool) -> dict[str, Any]:
        """The body of an HMDS answer: bars of the bid or of the ask, a tick below or above the price."""
        shift = -instrument.tick if bid else instrument.tick
        history = self.bars(instrument, query)
        data = [
            {"t": bar["t"], "v": 0}
            | {name: round(bar[name] + shift, instrument.decimals) for name in ("o", "c", "h", "l")}
            for bar in history["data"]
        ]
        first, last = data[0]["t"], data[-1]["t"] + history["barLength"] * 1000
        return {
            "bars": {
                "open": data[0]["o"],
                "startTime": f"{datetime.fromtimestamp(first / 1000, UTC):%Y%m%d}",
                "startTimeVal": first,
                "endTime": f"{datetime.fromtimestamp(last / 1000, UTC):%Y%m%d}",
                "endTimeVal": last,
                "points": len(data) - 1,
                "data": data,
                "mktDataDelay": 0,
            }
        }

    def _bar(self, instrument: Instrument, start: int, length: int, end: float, *, traded: bool) -> dict[str, Any]:
        complete = start + length <= end
        prices = self._complete(instrument, start, length) if complete else self._sample(instrument, start, length, end)
        # IBKR counts the shares of US stocks in lots of 100, whatever else is traded one by one.
        lot = 100 if instrument.sec_type == "STK" and instrument.is_us else 1
        volume = instrument.daily_volume * length / _DAY * (0.75 + (start // length * 2654435761 % 1000) / 2000)
        return {
            "o": prices[0],
            "c": prices[-1],
            "h": max(prices),
            "l": min(prices),
            "v": round(volume) / lot if traded else 0,
            "t": (start + (_DAY_BEGINS if length >= _DAY else 0)) * 1000,
        }

    def _sample(self, instrument: Instrument, start: int, length: int, end: float | None = None) -> tuple[float, ...]:
        """Prices within a bar. Its samples lie at fixed moments, so that a bar still forming only ever grows."""
        market = self._market
        last = start + length if end is None else min(start + length, end)
        moments = [start + length * place / _SAMPLES for place in range(_SAMPLES)]
        moments = [moment for moment in moments if moment < last] + [last]
        return tuple(instrument.round(market.price(instrument, market.step_at(moment))) for moment in moments)


def _period(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\d{1,4})(min|h|d|w|m|y)", text.strip())
    if not found or not 1 <= int(found[1]) <= _LARGEST[found[2]]:
        return _period(_DEFAULT_PERIOD)
    return text.strip(), int(found[1]) * _PERIOD_UNITS[found[2]]


def _bar_length(text: str, period: int) -> int:
    for longest, smallest, default in _STEPS:
        if period <= longest:
            length = _BARS.get(text.strip())
            return length if length and length >= _BARS[smallest] else _BARS[default]
    return _BARS["1w"]


def _parse_time(text: str) -> float | None:
    for pattern in ("%Y%m%d-%H:%M:%S", "%Y%m%d"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None
