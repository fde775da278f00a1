"""The questions IBKR asks before it takes an order, and when it asks them.

IBKR's documentation lists the message ids; the limits behind them are the user's presets, here the values of
IBKR's sample texts. A small LMT order within 3 % of the market is asked nothing. What is asked, in this order:

========  ==================================================================================================
o354      no market data for the instrument (its field 6509 begins with N; SAP, in this market)
o163      LMT or STOP_LIMIT more than 3 % from the mark price
o382      a price off the instrument's tick
o383      more than 500 shares or contracts (currency pairs excepted)
o451      worth more than 100,000 USD
o10151    MKT
o10331    any stop or trailing order
o403      a stop that is already through the market
o10164    cash quantity, followed by o10223
o10153    a limit more than 10 % from the mark price: the mandatory price cap
o10138    a modification that more than doubles the size
========  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bezant_server.paper.instruments import Instrument
from bezant_server.paper.prices import Quote
from bezant_server.paper.validation import STOP_TYPES, OrderSpec

PRICE_LIMIT = 0.03
PRICE_CAP = 0.10
SIZE_LIMIT = 500
VALUE_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Question:
    """One precaution a client has to confirm."""

    message_id: str
    text: str


def questions_for(
    spec: OrderSpec, quote: Quote, *, rate: float, previous: OrderSpec | None = None
) -> Iterator[Question]:
    """What is asked about an order at this market; `previous` is the order it modifies, `rate` its currency's."""
    instrument = spec.instrument
    order = f"{spec.side} {spec.quantity:g} {instrument.symbol} {instrument.wire_listing}"
    if instrument.availability.startswith("N"):
        yield Question(
            "o354",
            "You are submitting an order without market data. We strongly recommend against this as it may "
            "result in erroneous and unexpected trades.\nAre you sure you want to submit this order?",
        )
    yield from _about_price(spec, quote, order)
    if spec.quantity > SIZE_LIMIT and instrument.sec_type != "CASH":
        yield Question(
            "o383",
            f"The following order {order} size exceeds the Size Limit of {SIZE_LIMIT}.\n"
            "Are you sure you want to submit this order?",
        )
    value = spec.quantity * (spec.limit_price or quote.mark) * instrument.multiplier * rate
    if value > VALUE_LIMIT:
        yield Question(
            "o451",
            f"The following order {order} value estimate of {value:,.2f} USD exceeds \n"
            f"the Total Value Limit of {VALUE_LIMIT:,} USD.\nAre you sure you want to submit this order?",
        )
    if spec.order_type == "MKT":
        yield Question(
            "o10151",
            "<h4>Market Order Confirmation</h4>A Market Order is an instruction to trade your order at any "
            "available price in the market, and is not guaranteed a specific execution price.",
        )
    if spec.order_type in STOP_TYPES:
        yield Question(
            "o10331",
            "You are about to submit a stop order. Please be aware of the various stop order types available "
            "and the risks associated with each one.\nAre you sure you want to submit this order?",
        )
    if _through_the_market(spec, quote):
        yield Question(
            "o403",
            "This order will most likely trigger and fill immediately.\nAre you sure you want to submit this order?",
        )
    if spec.cash_quantity:
        yield from _about_cash_quantity()
    if spec.limit_price is not None and _distance(spec.limit_price, quote) > PRICE_CAP:
        yield Question(
            "o10153",
            "<h4>Confirm Mandatory Cap Price</h4>To avoid trading at a price that is not consistent with a "
            "fair and orderly market, IB may set a cap (for a buy order) or sell order). THIS MAY CAUSE AN "
            "ORDER THAT WOULD OTHERWISE BE MARKETABLE TO NOT BE TRADED.",
        )
    if previous is not None and spec.quantity > 2 * previous.quantity:
        yield Question(
            "o10138",
            f"The following order {order} size modification exceeds the size modification limit of 100%.\n"
            "Are you sure you want to submit this order?",
        )


def _about_price(spec: OrderSpec, quote: Quote, order: str) -> Iterator[Question]:
    limit = spec.limit_price
    if limit is not None and _distance(limit, quote) > PRICE_LIMIT:
        yield Question(
            "o163",
            f'The following order "{order} @ {limit:g}" price exceeds \nthe Percentage constraint of 3%.\n'
            "Are you sure you want to submit this order?",
        )
    for price in (spec.price, spec.aux_price):
        if price is not None and _off_tick(price, spec.instrument):
            yield Question(
                "o382",
                f"The price {price:g} of the following order {order} exceeds the Tick Size Limit of "
                f"{spec.instrument.tick:g}.\nAre you sure you want to submit this order?",
            )
            return


def _about_cash_quantity() -> Iterator[Question]:
    yield Question(
        "o10164",
        "Traders are responsible for understanding cash quantity details, which are provided on a best efforts "
        "basis only.",
    )
    yield Question(
        "o10223",
        "<h4>Cash Quantity Order Confirmation</h4>Orders that express size using a monetary value (cash "
        "quantity) are provided on a non-guaranteed basis. The system simulates the order by cancelling it once "
        "the specified amount is spent (for buy orders) or collected (for sell orders).",
    )


def _distance(price: float, quote: Quote) -> float:
    return abs(price - quote.mark) / quote.mark


def _off_tick(price: float, instrument: Instrument) -> bool:
    ticks = price / instrument.tick
    return abs(ticks - round(ticks)) > 1e-6


def _through_the_market(spec: OrderSpec, quote: Quote) -> bool:
    stop = spec.stop_price
    if stop is None or spec.order_type not in {"STP", "STOP_LIMIT"}:
        return False
    return quote.last >= stop if spec.side == "BUY" else quote.last <= stop
