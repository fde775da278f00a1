"""Quotes: a value and what it means, apart."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant.v1 import quote_pb2
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.marketdata import decode
from bezant_server.marketdata.fields import FIELDS, Kind

PRICES = st.decimals(min_value=0, max_value=10**9, places=4, allow_nan=False)
SUFFIXES = {"": 0, "K": 3, "M": 6, "B": 9}


def quote(**fields: str) -> quote_pb2.Quote:
    return decode.quote(Row({"conid": 1, **{name.removeprefix("f"): value for name, value in fields.items()}}, ""))


@pytest.mark.parametrize(
    ("text", "price", "meaning"),
    [
        ("193.18", "193.18", quote_pb2.LAST_PRICE_MEANING_TRADE),
        ("C192.26", "192.26", quote_pb2.LAST_PRICE_MEANING_PRIOR_CLOSE),
        ("H192.26", "192.26", quote_pb2.LAST_PRICE_MEANING_HALTED),
        ("1,234.50", "1234.50", quote_pb2.LAST_PRICE_MEANING_TRADE),
        ("-0.25", "-0.25", quote_pb2.LAST_PRICE_MEANING_TRADE),
    ],
)
def test_the_last_price_and_its_meaning(text: str, price: str, meaning: int) -> None:
    read = quote(f31=text)
    assert (read.last_price, read.last_price_meaning, read.raw[31]) == (price, meaning, text)


@pytest.mark.parametrize("text", ["n/a", "C", "", "12x", "1,23", "--"])
def test_what_is_no_price_stands_in_raw_alone(text: str) -> None:
    read = quote(f31=text)
    assert not read.HasField("last_price")
    assert read.last_price_meaning == quote_pb2.LAST_PRICE_MEANING_UNSPECIFIED
    assert read.raw.get(31, "") == text


def test_sizes_percents_and_greeks() -> None:
    read = quote(f87="1.2M", f88="1,300", f83="0.54%", f7308="0.45", f7184="1", f6457="265598", f7283="23.4%")
    assert (read.volume, read.bid_size, read.change_percent) == ("1200000", "1300", "0.54")
    assert (read.delta, read.can_be_traded, read.underlying_conid) == (0.45, True, 265598)
    assert read.option_implied_volatility_percent == 23.4


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("RpB", quote_pb2.MARKET_DATA_AVAILABILITY_REAL_TIME),
        ("DPB", quote_pb2.MARKET_DATA_AVAILABILITY_DELAYED),
        ("ZB", quote_pb2.MARKET_DATA_AVAILABILITY_FROZEN),
        ("Y", quote_pb2.MARKET_DATA_AVAILABILITY_FROZEN_DELAYED),
        ("N", quote_pb2.MARKET_DATA_AVAILABILITY_NOT_SUBSCRIBED),
        ("i", quote_pb2.MARKET_DATA_AVAILABILITY_NOT_ACKNOWLEDGED),
        ("?", quote_pb2.MARKET_DATA_AVAILABILITY_UNSPECIFIED),
    ],
)
def test_availability(code: str, expected: int) -> None:
    read = quote(f6509=code)
    assert (read.availability, read.raw_availability) == (expected, code)
    assert read.has_book_top == ("B" in code)


@given(price=PRICES, mark=st.sampled_from(["", "C", "H"]), suffix=st.sampled_from(list(SUFFIXES)), commas=st.booleans())
def test_every_mark_number_and_suffix(price: Decimal, mark: str, suffix: str, *, commas: bool) -> None:
    digits = f"{price:,f}" if commas else f"{price:f}"
    read = quote(f31=f"{mark}{digits}{suffix}")
    assert Decimal(read.last_price) == price.scaleb(SUFFIXES[suffix])
    if not suffix:
        assert read.last_price == f"{price:f}"


@given(number=st.sampled_from(list(FIELDS)), text=st.text(min_size=1))
def test_any_text_in_any_field(number: int, text: str) -> None:
    read = decode.quote(Row({"conid": 1, str(number): text}, ""))
    assert read.raw[number] == text


def test_the_example_of_ibkrs_documentation() -> None:
    row = document.parse(
        b'{"conid":265598,"conidEx":"265598","31":"193.18","84":"193.06","86":"193.14","6509":"RpB","83":0.04,'
        b'"_updated":1702334859712,"topic":"smd+265598","server_id":"q6"}'
    )
    read = decode.quote(Row(row, ""))
    assert (read.conid, read.bid_price, read.ask_price, read.change_percent) == (265598, "193.06", "193.14", "0.04")
    assert read.updated_at.ToMilliseconds() == 1702334859712
    assert set(read.raw) == {31, 84, 86, 6509, 83}


def test_every_field_is_a_field_of_the_message() -> None:
    described = quote_pb2.Quote.DESCRIPTOR.fields_by_name
    for field in FIELDS.values():
        kind = described[field.name]
        expected = {Kind.DOUBLE: kind.TYPE_DOUBLE, Kind.BOOLEAN: kind.TYPE_BOOL, Kind.INTEGER: kind.TYPE_INT64}
        if field.kind is not Kind.AVAILABILITY:
            assert kind.type == expected.get(field.kind, kind.TYPE_STRING), field.name
