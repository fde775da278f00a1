"""Decimals between strings and Decimal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bezant
from bezant.v1.order_pb2 import Order
from bezant.v1.types_pb2 import Money

_WRITTEN = st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", fullmatch=True)


@given(_WRITTEN)
def test_what_is_written_is_kept(text: str) -> None:
    number = bezant.parse_decimal(text)
    sign, digits, exponent = number.as_tuple()
    assert sign == text.startswith("-")
    assert isinstance(exponent, int)
    assert -exponent == len(text.partition(".")[2])
    assert int("".join(map(str, digits))) == int(text.removeprefix("-").replace(".", ""))
    assert bezant.parse_decimal(bezant.format_decimal(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**15), max_value=10**15))
def test_what_is_computed_arrives(number: Decimal) -> None:
    assert Decimal(bezant.format_decimal(number)) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".5",
        "5.",
        "+1",
        "1e3",
        "1,000",
        " 1",
        "1\n",
        "NaN",
        "Infinity",
        "--1",
        "1.2.3",
        "٣",
        "1" * 31,
        "0." + "1" * 31,
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal: digits"):
        bezant.parse_decimal(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-30"), "0." + "0" * 29 + "1"),
        (Decimal("-0.1"), "-0.1"),
        (3, "3"),
        (0, "0"),
        (10**30 - 1, "9" * 30),
    ],
)
def test_numbers_are_written_out(number: Decimal | int, text: str) -> None:
    assert bezant.format_decimal(number) == text


@pytest.mark.parametrize(
    "number", [Decimal("NaN"), Decimal("-Infinity"), 10**30, Decimal("1E-31"), Decimal("1E+999999"), Decimal("0E-31")]
)
def test_numbers_out_of_bounds_are_refused(number: Decimal | int) -> None:
    with pytest.raises(ValueError, match="is not a decimal: digits"):
        bezant.format_decimal(number)


@pytest.mark.parametrize("number", [0.1, True, "1", None])
def test_what_is_no_exact_number_is_refused(number: object) -> None:
    with pytest.raises(TypeError, match="is not a Decimal or an int"):
        bezant.format_decimal(number)  # type: ignore[arg-type]


class TestFields:
    def test_a_field_is_read(self) -> None:
        assert bezant.get_decimal(Order(limit_price="230.020"), "limit_price") == Decimal("230.020")
        assert bezant.get_decimal(Money(amount="-5"), "amount") == Decimal(-5)

    def test_absent_is_none_and_not_zero(self) -> None:
        assert bezant.get_decimal(Order(), "limit_price") is None
        assert bezant.get_decimal(Money(), "amount") is None
        assert bezant.get_decimal(Order(limit_price="0"), "limit_price") == Decimal(0)

    def test_what_is_no_decimal_is_refused(self) -> None:
        with pytest.raises(ValueError, match="is not a decimal: digits"):
            bezant.get_decimal(Order(limit_price=""), "limit_price")

    @pytest.mark.parametrize("field", ["nothing", "conid", "last_changed_at"])
    def test_a_field_that_is_no_text_is_named(self, field: str) -> None:
        with pytest.raises(ValueError, match=f"Order has no text field '{field}'"):
            bezant.get_decimal(Order(), field)
