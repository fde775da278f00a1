"""The grammar of decimals: digits survive exactly, whatever they look like."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server import decimals

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**20), max_value=10**20)


@pytest.mark.parametrize("text", ["0", "-0.5", "12", "007", "1.50", "9" * 30, "0." + "0" * 29 + "1"])
def test_the_grammar_allows(text: str) -> None:
    assert decimals.parse(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", ".5", "5.", "1e3", "1E3", "NaN", "Infinity", "1,000", "--1", "9" * 31, "\u0661", "0x1"],
)
def test_the_grammar_refuses(text: str) -> None:
    assert decimals.parse(text) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("-0.00"), "0.00"),
        (5, "5"),
        (Decimal("NaN"), None),
        (Decimal("1.7976931348623157E308"), None),
        (Decimal("1E-31"), None),
        (Decimal(0), "0"),
    ],
)
def test_a_number_in_the_grammar(number: Decimal | int, text: str | None) -> None:
    assert decimals.plain(number) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("994,831.50", "994831.50"),
        ("1,234,567", "1234567"),
        ("+1.2", "1.2"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1E3", "1000"),
        (" 12 ", "12"),
        ("1,23", None),
        ("1,2345", None),
        ("", None),
        (".", None),
        ("n/a", None),
        ("1e999", None),
    ],
)
def test_a_number_as_the_gateway_writes_it(text: str, number: str | None) -> None:
    assert decimals.read(text) == number


@given(NUMBERS)
def test_every_number_survives(number: Decimal) -> None:
    text = decimals.plain(number)
    if text is None:
        assert number.adjusted() < -decimals.MAX_DIGITS
    else:
        assert decimals.parse(text) == number
        assert decimals.read(f"{number:,f}") == text
