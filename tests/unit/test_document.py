"""Reading the gateway's JSON: any value in any field gives a value or a decode error that names the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.cpapi import document
from bezant_server.cpapi.document import Amount, Row
from bezant_server.errors import UpstreamDecodeError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
READERS: list[Callable[[Row], Any]] = [
    lambda row: row.text("f"),
    lambda row: row.decimal("f"),
    lambda row: row.amount("f"),
    lambda row: row.double("f"),
    lambda row: row.integer("f"),
    lambda row: row.boolean("f"),
    lambda row: row.moment("f"),
    lambda row: row.row("f"),
    lambda row: row.rows("f"),
    lambda row: row.texts("f"),
    lambda row: row.entries("f"),
]


def row(text: str) -> Row:
    return Row(document.parse(text.encode()), "positions[3]")


@pytest.mark.parametrize("read", READERS)
@given(value=ANYTHING)
def test_any_value_is_read_or_refused_by_name(read: Callable[[Row], Any], value: Any) -> None:
    message = "'positions[3].f"
    try:
        read(row(json.dumps({"f": value})))
    except UpstreamDecodeError as error:
        message = error.message
    assert "'positions[3].f" in message


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", ["{}", '{"f": null}', '{"f": NaN}', '{"f": ""}'])
def test_what_is_absent(read: Callable[[Row], Any], text: str) -> None:
    if text != '{"f": ""}' or read in READERS[:7]:
        assert read(row(text)) in (None, "", [])


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15))
def test_digits_survive(number: Decimal) -> None:
    assert row(f'{{"f": {number:f}}}').decimal("f") == (f"{number:f}" if number else f"{abs(number):f}")


def test_the_gateways_spellings() -> None:
    sample = row('{"a": "994,831 USD", "b": "1.43", "c": 1.50, "d": "265598", "e": 3.0, "g": "true", "h": "Y"}')
    assert sample.amount("a") == Amount("994831", "USD")
    assert (sample.decimal("b"), sample.decimal("c")) == ("1.43", "1.50")
    assert (sample.integer("d"), sample.integer("e")) == (265598, 3)
    assert (sample.boolean("g"), sample.boolean("h")) == (True, True)
    assert sample.text("missing", "d") == "265598"


@pytest.mark.parametrize("text", ["Unlimited", "12 34", "USD"])
def test_text_that_is_no_number(text: str) -> None:
    with pytest.raises(UpstreamDecodeError, match="a number was due"):
        row(json.dumps({"f": text})).decimal("f")


def test_a_list_leaves_out_nulls_and_keeps_places() -> None:
    assert [each.place for each in document.rows([None, {}, {}], "rows")] == ["rows[1]", "rows[2]"]
    with pytest.raises(UpstreamDecodeError, match=r"'rows\[1\]'"):
        document.rows([{}, 1], "rows")


@given(ANYTHING)
def test_what_is_dumped_reads_the_same(value: Any) -> None:
    parsed = document.parse(json.dumps(value).encode())
    assert document.parse(document.dump(parsed)) == parsed


def test_decimals_are_dumped_digit_for_digit() -> None:
    assert document.dump({"price": Decimal("1.50"), "n": [1, True, None, "ü"]}) == (
        b'{"price":1.50,"n":[1,true,null,"\\u00fc"]}'
    )
