"""Market-data fields: the values of IBKR's numbered fields for an instrument, formatted as on the wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bezant_server.paper.book import Position
from bezant_server.paper.clock import Clock
from bezant_server.paper.instruments import Instrument
from bezant_server.paper.prices import Market, Quote

_DAY = 86_400
_DAY_STEP = 900
_YEAR = 365 * _DAY
_YEAR_STEP = 4 * _DAY


@dataclass(frozen=True, slots=True)
class _Span:
    """Where an instrument's price has been from `begin` to a recent minute."""

    minute: int
    open: float
    close_before: float
    high: float
    low: float


class FieldTable:
    """Computes fields. A field that is unknown, or has no value for an instrument, is absent."""

    def __init__(self, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._spans: dict[tuple[int, bool], _Span] = {}

    def values(self, instrument: Instrument, fields: Iterable[str], position: Position | None = None) -> dict[str, Any]:
        """Values by field id, as strings save for those that IBKR sends as numbers."""
        now = self._clock.now()
        day = _Day(self, instrument, self._market.quote(instrument, self._market.step_at(now)), now)
        found: dict[str, Any] = {}
        for name in fields:
            value = _value(name, day, position)
            if value is not None:
                found[name] = value
        return found

    def span(self, instrument: Instrument, now: float, *, year: bool = False) -> _Span:
        """The day so far, or the year; looked at anew once a minute."""
        minute = int(now // 60)
        key = (instrument.conid, year)
        span = self._spans.get(key)
        if span is None or span.minute != minute:
            year_ago = (now - _YEAR) // _YEAR_STEP * _YEAR_STEP
            begin, width = (year_ago, _YEAR_STEP) if year else (self._market.day_start(now), _DAY_STEP)
            span = self._spans[key] = self._look(instrument, begin, now, width)
        return span

    def fraction_of_day(self, now: float) -> float:
        return (now - self._market.day_start(now)) / _DAY

    def _look(self, instrument: Instrument, begin: float, now: float, width: int) -> _Span:
        """Look at fixed moments, so that the answer does not depend on who asked before."""
        market = self._market
        moments = [begin, *(place * width for place in range(math.ceil(begin / width), math.ceil(now / width)))]
        prices = [instrument.round(market.price(instrument, market.step_at(moment))) for moment in moments]
        before = market.last_before(instrument, begin)
        return _Span(int(now // 60), prices[0], before, max(prices), min(prices))


@dataclass(frozen=True, slots=True)
class _Day:
    """An instrument's trading day so far."""

    table: FieldTable
    instrument: Instrument
    quote: Quote
    now: float

    def price(self, value: float) -> str:
        return self.instrument.format(value)

    @property
    def span(self) -> _Span:
        return self.table.span(self.instrument, self.now)

    @property
    def year(self) -> _Span:
        return self.table.span(self.instrument, self.now, year=True)

    @property
    def change(self) -> float:
        return self.quote.last - self.span.close_before

    @property
    def change_percent(self) -> float:
        return round(100 * self.change / self.span.close_before, 2)

    @property
    def volume(self) -> int:
        return int(self.instrument.daily_volume * self.table.fraction_of_day(self.now))


def _value(name: str, day: _Day, position: Position | None) -> Any:
    if instrument_value := _INSTRUMENT_FIELDS.get(name):
        return instrument_value(day.instrument)
    if day_value := _DAY_FIELDS.get(name):
        return day_value(day)
    if position is not None and (position_value := _POSITION_FIELDS.get(name)):
        return position_value(day, position)
    return None


def _compact(amount: float) -> str:
    for size, suffix in ((1_000_000, "M"), (1_000, "K")):
        if amount >= size:
            return f"{amount / size:.3g}{suffix}"
    return f"{amount:.0f}"


def _expiry(instrument: Instrument) -> str | None:
    return f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None


_INSTRUMENT_FIELDS: dict[str, Callable[[Instrument], Any]] = {
    "55": lambda it: it.symbol,
    "201": lambda it: it.right,
    "6004": lambda it: "SMART" if it.sec_type in {"STK", "OPT"} else it.listing,
    "6008": lambda it: it.conid,
    "6070": lambda it: it.sec_type,
    "6073": _expiry,
    "6457": lambda it: it.underlying or None,
    "6508": lambda it: f"&serviceID1=122&conid={it.conid}",
    "6509": lambda it: it.availability,
    "7051": lambda it: it.name,
    "7057": lambda it: "QZ" if it.sec_type == "STK" else None,
    "7058": lambda it: "Q" if it.sec_type == "STK" else None,
    "7068": lambda it: "QN" if it.sec_type == "STK" else None,
    "7094": lambda it: f"{it.conid}@SMART",
    "7184": lambda it: "0" if it.sec_type == "IND" else "1",
    "7219": lambda it: it.description,
    "7220": lambda it: it.description,
    "7221": lambda it: it.listing,
    "7280": lambda it: it.group,
    "7281": lambda it: it.category,
    "7282": lambda it: _compact(it.daily_volume) if it.daily_volume else None,
    "7714": _expiry,
    "7768": lambda it: "0" if it.sec_type == "IND" else "1",
}

_DAY_FIELDS: dict[str, Callable[[_Day], Any]] = {
    "31": lambda day: day.price(day.quote.last),
    "70": lambda day: day.price(max(day.span.high, day.quote.last)),
    "71": lambda day: day.price(min(day.span.low, day.quote.last)),
    "82": lambda day: f"{day.change:.{day.instrument.decimals}f}",
    "83": lambda day: day.change_percent,
    "84": lambda day: day.price(day.quote.bid),
    "85": lambda day: f"{day.quote.ask_size:,}",
    "86": lambda day: day.price(day.quote.ask),
    "87": lambda day: _compact(day.volume) if day.instrument.daily_volume else None,
    "88": lambda day: f"{day.quote.bid_size:,}",
    "7059": lambda day: f"{day.quote.last_size:,}",
    "7293": lambda day: day.price(max(day.year.high, day.quote.last)),
    "7294": lambda day: day.price(min(day.year.low, day.quote.last)),
    "7295": lambda day: day.price(day.span.open),
    "7296": lambda day: day.price(day.span.close_before),
    "7635": lambda day: day.price(day.quote.mark),
    "7682": lambda day: f"{day.quote.last - day.span.open:.{day.instrument.decimals}f}",
    "7741": lambda day: day.price(day.span.close_before),
    "7762": lambda day: str(day.volume) if day.instrument.daily_volume else None,
}

_POSITION_FIELDS: dict[str, Callable[[_Day, Position], Any]] = {
    "73": lambda day, held: f"{day.quote.mark * held.quantity * held.instrument.multiplier:.2f}",
    "74": lambda day, held: day.price(held.average_price),
    "75": lambda day, held: f"{_unrealized(day, held):.2f}",
    "76": lambda _day, held: f"{held.quantity:g}",
    "77": lambda day, held: f"{_unrealized(day, held):,.2f}",
    "78": lambda day, held: f"{day.change * held.quantity * held.instrument.multiplier:.2f}",
    "79": lambda _day, held: f"{held.realized:.2f}",
    "80": lambda day, held: f"{100 * (day.quote.mark / held.average_price - 1):.2f}",
    "7292": lambda _day, held: f"{held.quantity * held.average_cost:.2f}",
    "7920": lambda day, held: f"{day.change * held.quantity * held.instrument.multiplier:.6f}",
    "7921": lambda _day, held: f"{held.quantity * held.average_cost:.6f}",
}


def _unrealized(day: _Day, held: Position) -> float:
    return (day.quote.mark - held.average_price) * held.quantity * held.instrument.multiplier
