"""Query parameters: what is taken, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server import params
from bezant_server.errors import BadRequest, MissingQueryParam

READERS: dict[str, Callable[[str], object]] = {
    "required": lambda text: params.required("x", text),
    "whole_number": lambda text: params.whole_number("x", text, default=0, minimum=1),
    "conids": lambda text: params.conids("x", text),
    "field_ids": lambda text: params.field_ids("x", text),
    "boolean": lambda text: params.boolean("x", text, default=False),
}


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_a_required_parameter_that_is_missing(text: str) -> None:
    with pytest.raises(MissingQueryParam) as caught:
        params.required("symbol", text)
    assert caught.value.field == "symbol"
    assert "'symbol'" in caught.value.message


def test_a_required_parameter() -> None:
    assert params.required("symbol", " AAPL ") == "AAPL"


@pytest.mark.parametrize(
    ("text", "number"), [("", 7), (" ", 7), ("0", 0), ("007", 7), (" 12 ", 12), ("9" * 18, 10**18 - 1)]
)
def test_whole_numbers(text: str, number: int) -> None:
    assert params.whole_number("page", text, default=7) == number


@pytest.mark.parametrize(
    "text", ["-1", "+1", "1.0", "1e3", "0x1", "one", "1 2", "1_000", "²", "\u0661", "9" * 19, "9" * 9999]
)
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(BadRequest, match="page") as caught:
        params.whole_number("page", text, default=0)
    assert caught.value.field == "page"
    assert len(caught.value.message) < 120


def test_a_minimum() -> None:
    assert params.whole_number("limit", "1", default=5, minimum=1) == 1
    with pytest.raises(BadRequest, match="limit must be 1 or more"):
        params.whole_number("limit", "0", default=5, minimum=1)


@pytest.mark.parametrize(
    ("text", "sent"), [("265598", "265598"), (" 1 , 2 ", "1,2"), ("1@NYSE,2", "1@NYSE,2"), ("1@ISLAND.X", "1@ISLAND.X")]
)
def test_conids(text: str, sent: str) -> None:
    assert params.conids("conids", text) == sent


@pytest.mark.parametrize("text", ["", ",", "1,", "a", "-1", "1@", "1@a b", "1;2", "1&x=2", "1@N@Y", "²"])
def test_what_are_no_conids(text: str) -> None:
    with pytest.raises(BadRequest, match="conids"):
        params.conids("conids", text)


@pytest.mark.parametrize("text", ["31", "31,84, 7762"])
def test_field_ids(text: str) -> None:
    assert params.field_ids("fields", text) == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "last", "31,,84", "31@NYSE", "-31", "1" * 10])
def test_what_are_no_field_ids(text: str) -> None:
    with pytest.raises(BadRequest, match="fields"):
        params.field_ids("fields", text)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("TRUE", True), ("1", True), ("false", False), (" False ", False), ("0", False)]
)
def test_booleans(text: str, value: bool) -> None:
    assert params.boolean("name", text, default=not value) is value
    assert params.boolean("name", "", default=value) is value


@pytest.mark.parametrize("text", ["yes", "2", "truefalse", "t"])
def test_what_is_no_boolean(text: str) -> None:
    with pytest.raises(BadRequest, match="name must be true or false"):
        params.boolean("name", text, default=False)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(text=st.text(max_size=60) | st.from_regex(r"[0-9@A-Z,. -]{0,30}"))
def test_any_text_is_read_or_refused_by_name(reader: Callable[[str], object], text: str) -> None:
    refusal = None
    try:
        reader(text)
    except BadRequest as error:
        refusal = error
    assert refusal is None or (refusal.field == "x" and "x" in refusal.message and len(refusal.message) < 200)
