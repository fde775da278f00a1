"""Matches working orders against the random walk, step by step."""

from __future__ import annotations

from bezant_server.paper.clock import Clock
from bezant_server.paper.hours import TradingHours
from bezant_server.paper.order_state import PENDING_CANCEL, Order
from bezant_server.paper.orders import OrderDesk
from bezant_server.paper.prices import STEP_SECONDS, Market, Quote

_LONGEST_WALK = 20_000


class Matcher:
    """Fills what crosses the market.

    Each step offers the size at the top of the book, so that larger orders fill in parts. A jump of more than
    20,000 steps (83 minutes) is looked at in as many evenly spaced steps.
    """

    def __init__(self, desk: OrderDesk, market: Market, clock: Clock, hours: TradingHours) -> None:
        self._desk = desk
        self._market = market
        self._clock = clock
        self._hours = hours
        self._done = market.step_at(clock.now())
        clock.every(STEP_SECONDS, self.run)

    def run(self) -> None:
        """Match every step up to the present."""
        now = self._clock.now()
        last = self._market.step_at(now)
        stride = max(1, (last - self._done) // _LONGEST_WALK)
        for step in range(self._done + stride, last + 1, stride):
            working = self._desk.working()
            if not working:
                break
            when = self._market.time_of(step)
            for order in working:
                if order.working_from <= when and not order.is_final:
                    self._match(order, step, when)
        self._done = last

    def _match(self, order: Order, step: int, when: float) -> None:
        if order.expires_at is not None and when >= order.expires_at:
            self._desk.expired(order, "The order's time in force has ended")
            return
        if not self._hours.is_open(order.spec, when):
            return
        quote = self._market.quote(order.spec.instrument, step)
        if order.waits_for_trigger:
            if not self._reached(order, quote):
                return
            self._desk.triggered(order, when)
        elif order.status != PENDING_CANCEL:
            self._desk.open_for_trading(order)
        price = _crossing_price(order, quote)
        if price is not None:
            offered = quote.ask_size if order.spec.side == "BUY" else quote.bid_size
            whole = order.spec.all_or_none or order.spec.instrument.sec_type == "CASH"
            self._desk.filled(order, order.remaining if whole else min(order.remaining, offered), price, when)
        if order.spec.tif in {"IOC", "OPG"} and not order.is_final:
            self._desk.expired(order, "The remainder could not be filled at once")

    @staticmethod
    def _reached(order: Order, quote: Quote) -> bool:
        spec, buying = order.spec, order.spec.side == "BUY"
        if spec.trailing_amount is not None:
            reference = quote.mark
            gap = spec.trailing_amount if spec.trailing_type == "amt" else reference * spec.trailing_amount / 100
            candidate = reference + gap if buying else reference - gap
            current = order.trail_stop if order.trail_stop is not None else spec.stop_price
            if current is None:
                order.trail_stop = candidate
            else:
                order.trail_stop = min(current, candidate) if buying else max(current, candidate)
        stop = order.trail_stop if order.trail_stop is not None else spec.stop_price
        if stop is None:
            return False
        return quote.last >= stop if buying else quote.last <= stop


def _crossing_price(order: Order, quote: Quote) -> float | None:
    """The price at which an order would trade at this quote, if it would."""
    spec, buying = order.spec, order.spec.side == "BUY"
    touch = quote.ask if buying else quote.bid
    if spec.order_type == "MIDPRICE":
        touch = round(quote.mid, spec.instrument.decimals + 1)
    limit = spec.limit_price
    if limit is None:
        return touch
    return touch if (touch <= limit if buying else touch >= limit) else None
