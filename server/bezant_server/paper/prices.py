"""Prices: a seeded random walk for each instrument, and quotes that a user pins over it.

A price is a pure function of (seed, conid, step); a step is 250 ms of virtual time, counted from the gateway's
start. The walk is a sum of linearly interpolated lattice noise, one lattice for each power of two of steps, with
amplitudes that grow as the square root of the spacing: at every scale from a quarter of a second to years it
moves as far as a Brownian walk would. Any step, past or future, costs the same, so a jump of a day and a
history of a year are cheap, and nobody's asking changes what others see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bezant_server.paper.instruments import Instrument, Universe

STEP_SECONDS = 0.25
_OCTAVES = 31
_STEPS_PER_SESSION = 6.5 * 3600 / STEP_SECONDS
_AMPLITUDE = 0.6
_MASK = (1 << 64) - 1
_DAY = 86_400
_LEVELS = 10
_UNIX_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()


def _mix(value: int) -> int:
    """One round of a 64-bit mixer: neighbouring inputs give unrelated outputs."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


@dataclass(frozen=True, slots=True)
class Quote:
    """Top of the book at one step; sizes in shares or contracts."""

    bid: float
    ask: float
    last: float
    bid_size: int
    ask_size: int
    last_size: int

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2

    @property
    def mark(self) -> float:
        """IBKR's mark price: the last, kept within bid and ask."""
        return min(max(self.last, self.bid), self.ask)


@dataclass(frozen=True, slots=True)
class Level:
    """A price of the book of orders; a size of 0 is none."""

    price: float
    bid_size: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class Pin:
    """A quote that replaces the walk's."""

    bid: float
    ask: float
    last: float


class _Walk:
    """The logarithm of one instrument's price relative to its start."""

    __slots__ = ("_amplitudes", "_keys", "_origin", "_segments", "seed")

    def __init__(self, seed: int, conid: int, volatility: float) -> None:
        per_step = volatility / math.sqrt(_STEPS_PER_SESSION)
        self.seed = _mix(_mix(seed & _MASK) ^ conid)
        self._keys = [_mix(self.seed + octave) for octave in range(_OCTAVES)]
        self._amplitudes = [_AMPLITUDE * per_step * math.sqrt(1 << octave) for octave in range(_OCTAVES)]
        # The lattice segment last used of each octave: neighbouring steps share all but the finest.
        self._segments: list[tuple[int | None, float, float]] = [(None, 0.0, 0.0)] * _OCTAVES
        self._origin = 0.0
        self._origin = self.at(0)

    def at(self, step: int) -> float:
        total = 0.0
        for octave in range(_OCTAVES):
            index = step >> octave
            segment = self._segments[octave]
            if segment[0] != index:
                segment = (index, self._lattice(octave, index), self._lattice(octave, index + 1))
                self._segments[octave] = segment
            share = (step - (index << octave)) / (1 << octave)
            total += segment[1] + (segment[2] - segment[1]) * share
        return total - self._origin

    def _lattice(self, octave: int, index: int) -> float:
        return (_mix(self._keys[octave] ^ (index & _MASK)) / (1 << 63) - 1.0) * self._amplitudes[octave]


class Market:
    """Quotes of every instrument at every step."""

    def __init__(self, universe: Universe, *, seed: int, start: float) -> None:
        self._universe = universe
        self._seed = seed
        self._start = start
        self._walks: dict[int, _Walk] = {}
        self._pins: dict[int, Pin] = {}

    def step_at(self, when: float) -> int:
        return math.floor((when - self._start) / STEP_SECONDS)

    def time_of(self, step: int) -> float:
        return self._start + step * STEP_SECONDS

    def pin(self, conid: int, pin: Pin) -> None:
        """Let a quote stand still until it is pinned anew or released."""
        self._pins[conid] = pin

    def unpin(self, conid: int) -> None:
        self._pins.pop(conid, None)

    def price(self, instrument: Instrument, step: int) -> float:
        """The unrounded fair price at a step, pins aside."""
        if instrument.sec_type == "OPT":
            return self._option_price(instrument, step)
        return instrument.price * math.exp(self._walk(instrument).at(step))

    def quote(self, instrument: Instrument, step: int) -> Quote:
        """The book at a step."""
        noise = _mix(self._walk(instrument).seed ^ (step & _MASK))
        lot = 100 if instrument.sec_type == "STK" else 1
        bid_size = lot * (1 + (noise & 7))
        ask_size = lot * (1 + ((noise >> 3) & 7))
        last_size = lot * (1 + ((noise >> 6) & 3))
        if pin := self._pins.get(instrument.conid):
            return Quote(pin.bid, pin.ask, pin.last, bid_size, ask_size, last_size)
        price = self.price(instrument, step)
        spread = instrument.tick * (1 + ((noise >> 8) & 1))
        bid = max(instrument.round(price - spread / 2), instrument.tick)
        ask = instrument.round(bid + spread)
        return Quote(bid, ask, ask if noise >> 9 & 1 else bid, bid_size, ask_size, last_size)

    def ladder(self, instrument: Instrument, step: int) -> list[Level]:
        """The book of orders at a step, the highest price first, with as many levels on each side."""
        quote = self.quote(instrument, step)
        asks = [(quote.ask + place * instrument.tick, 0, quote.ask_size * (place + 1)) for place in range(_LEVELS)]
        bids = [(quote.bid - place * instrument.tick, quote.bid_size * (place + 1), 0) for place in range(_LEVELS)]
        return [
            Level(instrument.round(price), bid_size, ask_size)
            for price, bid_size, ask_size in (*reversed(asks), *bids)
            if price > 0
        ]

    def last_before(self, instrument: Instrument, when: float) -> float:
        """The last price before a moment, such as the prior close, from the walk."""
        return max(instrument.round(self.price(instrument, self.step_at(when) - 1)), instrument.tick)

    def day_start(self, when: float) -> float:
        """The virtual midnight (UTC) at which the paper market's day began."""
        return when - when % _DAY

    def _walk(self, instrument: Instrument) -> _Walk:
        walk = self._walks.get(instrument.conid)
        if walk is None:
            walk = self._walks[instrument.conid] = _Walk(self._seed, instrument.conid, instrument.volatility)
        return walk

    def _option_price(self, option: Instrument, step: int) -> float:
        """Black-Scholes without interest, at the underlying's own volatility."""
        underlying = self._universe.get(option.underlying)
        if underlying is None or option.expiry is None:
            return option.tick
        spot = self.price(underlying, step)
        days = max((option.expiry.toordinal() - _UNIX_ORDINAL) - self.time_of(step) / _DAY + 1, 0.01)
        deviation = option.volatility * math.sqrt(days)
        d1 = math.log(spot / option.strike) / deviation + deviation / 2
        call = spot * _normal(d1) - option.strike * _normal(d1 - deviation)
        return max(call if option.right == "C" else call - spot + option.strike, option.tick)


def _normal(value: float) -> float:
    return (1 + math.erf(value / math.sqrt(2))) / 2
