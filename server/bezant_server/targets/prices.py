"""Limit prices, on the contract's tick."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from bezant.v1 import types_pb2

_PERCENT = Decimal(100)


class NoTick(Exception):
    """IBKR does not tell the price steps of the contract."""


def is_on_tick(price: Decimal, increments: Iterable[types_pb2.PriceIncrement]) -> bool:
    """Whether a price is one of the contract's steps.

    Raises:
        NoTick: they are not known.
    """
    return price % tick(price, increments) == 0


def tolerated(
    expected: Decimal, tolerance: Decimal, increments: Iterable[types_pb2.PriceIncrement], *, buying: bool
) -> Decimal:
    """The worst price that a tolerance allows, rounded to the contract's step on the better side.

    Args:
        expected: the price it is measured from.
        tolerance: in percent.
        increments: the contract's price steps.
        buying: for a purchase it lies above the expected price and is rounded down, for a sale the other way round.

    Raises:
        NoTick: the steps are not known.
    """
    factor = (_PERCENT + (tolerance if buying else -tolerance)) / _PERCENT
    limit = expected * factor
    step = tick(limit, increments)
    return (limit / step).to_integral_value(ROUND_FLOOR if buying else ROUND_CEILING) * step


def tick(price: Decimal, increments: Iterable[types_pb2.PriceIncrement]) -> Decimal:
    """The price step at a price.

    Raises:
        NoTick: it is not known.
    """
    steps = sorted((Decimal(each.lower_edge or "0"), Decimal(each.increment or "0")) for each in increments)
    reached = [step for edge, step in steps if edge <= price]
    if not reached or reached[-1] <= 0:
        raise NoTick
    return reached[-1]
