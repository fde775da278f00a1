"""Prices on the contract's tick."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant.v1.types_pb2 import PriceIncrement
from bezant_server.targets.prices import NoTick, is_on_tick, tick, tolerated

CENTS = [PriceIncrement(lower_edge="0.0", increment="0.01")]
TWO_CENTS = [PriceIncrement(lower_edge="0", increment="0.02")]
STEPS = [
    PriceIncrement(lower_edge="1", increment="0.01"),
    PriceIncrement(lower_edge="0", increment="0.0001"),
    PriceIncrement(lower_edge="100", increment="0.05"),
]
NO_STEPS = [
    [],
    [PriceIncrement()],
    [PriceIncrement(lower_edge="0", increment="0")],
    [PriceIncrement(lower_edge="500", increment="0.01")],
]


@pytest.mark.parametrize(
    ("price", "step"),
    [("0.5", "0.0001"), ("0.9999", "0.0001"), ("1", "0.01"), ("99.99", "0.01"), ("100", "0.05"), ("5000", "0.05")],
)
def test_the_step_at_a_price(price: str, step: str) -> None:
    assert tick(Decimal(price), STEPS) == Decimal(step)


@pytest.mark.parametrize("increments", NO_STEPS)
def test_no_step(increments: list[PriceIncrement]) -> None:
    for question in (
        lambda: tick(Decimal(100), increments),
        lambda: is_on_tick(Decimal(100), increments),
        lambda: tolerated(Decimal(100), Decimal(1), increments, buying=True),
    ):
        with pytest.raises(NoTick):
            question()


@pytest.mark.parametrize(
    ("price", "increments", "on"),
    [
        ("150.50", CENTS, True),
        ("150.5", CENTS, True),
        ("150.505", CENTS, False),
        ("150.500000000000000000000000000001", CENTS, False),
        ("84.02", TWO_CENTS, True),
        ("84.03", TWO_CENTS, False),
        ("0.1234", STEPS, True),
        ("1.234", STEPS, False),
        ("100.03", STEPS, False),
        ("999999999.99", CENTS, True),
    ],
)
def test_being_on_a_step(price: str, increments: list[PriceIncrement], on: bool) -> None:
    assert is_on_tick(Decimal(price), increments) is on


@pytest.mark.parametrize(
    ("expected", "tolerance", "increments", "bought", "sold"),
    [
        ("150.00", "0.5", CENTS, "150.75", "149.25"),
        ("150.00", "0", CENTS, "150", "150"),
        ("150.004", "0", CENTS, "150.00", "150.01"),
        ("229.87", "0.05", CENTS, "229.98", "229.76"),
        ("83.5", "0.5", TWO_CENTS, "83.90", "83.10"),
        ("83.01", "0", TWO_CENTS, "83.00", "83.02"),
        ("99.99", "0.1", STEPS, "100.05", "99.90"),
        ("0.9999", "0.02", STEPS, "1.00", "0.9998"),
        ("10", "99.99", CENTS, "19.99", "0.01"),
        ("0.001", "1", CENTS, "0", "0.01"),
    ],
)
def test_tolerances(expected: str, tolerance: str, increments: list[PriceIncrement], bought: str, sold: str) -> None:
    prices = [tolerated(Decimal(expected), Decimal(tolerance), increments, buying=buying) for buying in (True, False)]
    assert prices == [Decimal(bought), Decimal(sold)]


@given(
    expected=st.decimals("0.01", "100000", places=4),
    tolerance=st.decimals("0", "99.99", places=2),
    step=st.sampled_from(["0.0001", "0.005", "0.01", "0.02", "0.05", "1"]),
)
def test_a_limit_is_never_worse_than_the_tolerance(expected: Decimal, tolerance: Decimal, step: str) -> None:
    increments = [PriceIncrement(lower_edge="0", increment=step)]
    bought = tolerated(expected, tolerance, increments, buying=True)
    sold = tolerated(expected, tolerance, increments, buying=False)
    for price in (bought, sold):
        assert is_on_tick(price, increments)
    most, least = expected * (100 + tolerance) / 100, expected * (100 - tolerance) / 100
    assert most - Decimal(step) < bought <= most
    assert least <= sold < least + Decimal(step)
