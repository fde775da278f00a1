"""What is known of markets out of frames, whatever the frames are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.cpapi.document import Row
from bezant_server.marketdata import decode
from bezant_server.marketdata.ladder import Ladder
from bezant_server.marketdata.latest import Latest

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
_EXAMPLE = {
    "topic": "sbd+DU1+265598",
    "data": [
        {"row": 0, "focus": 0, "price": "191.55"},
        {"row": 1, "focus": 1, "price": "100 @ 191.54", "bid": "300"},
        {"row": 2, "focus": 0, "price": "191.56", "ask": "200"},
    ],
}


def frame(**members: Any) -> bytes:
    return json.dumps(members).encode()


def test_the_book_of_ibkrs_documentation() -> None:
    ladder = Ladder()
    ladder.take(json.dumps(_EXAMPLE).encode())
    depth = ladder.depth(265598)
    assert [(level.price, level.size) for level in depth.bids] == [("191.54", "300")]
    assert [(level.price, level.size) for level in depth.asks] == [("191.56", "200")]
    assert (depth.last_price, depth.last_size) == ("191.54", "100")


def test_a_row_takes_the_place_of_the_one_before() -> None:
    ladder = Ladder()
    ladder.take(json.dumps(_EXAMPLE).encode())
    ladder.take(frame(data=[{"row": 1, "focus": 0, "price": "191.53", "bid": "1,300"}]))
    depth = ladder.depth(265598)
    assert [(level.price, level.size) for level in depth.bids] == [("191.53", "1300")]
    assert not depth.HasField("last_price")
    ladder.interrupt()
    assert (ladder.has_begun, ladder.generation) == (False, 1)


def test_values_are_told_that_came_after_a_version() -> None:
    latest = Latest()
    latest.take(frame(**{"31": "1.0", "84": "0.9"}))
    before = latest.version
    latest.take(frame(**{"31": "1.0", "84": "0.8"}))
    assert latest.since(before, ("31", "84", "86")) == {"84": "0.8"}
    assert latest.missing(("31", "86")) == {"86"}


def test_a_refusal_lasts_until_something_comes() -> None:
    latest = Latest()
    latest.take(frame(error="no sec defs returned"))
    assert (latest.refusal, latest.has_begun) == ("no sec defs returned", False)
    latest.take(frame(**{"31": "1.0"}))
    assert (latest.refusal, latest.has_begun) == ("", True)


@pytest.mark.parametrize("junk", [b"", b"\xff", b"[]", b"7", b"null", b"[" * 100_000])
def test_what_is_no_object_says_nothing(junk: bytes) -> None:
    for live in (Latest(), Ladder()):
        live.take(junk)
        assert not live.has_begun


@given(st.dictionaries(st.sampled_from(["31", "84", "6509", "conidEx", "_updated", "error", "x"]), _JSON))
def test_any_value_in_any_field_of_a_quote(members: dict[str, Any]) -> None:
    latest = Latest()
    latest.take(json.dumps(members).encode())
    decode.quote(Row({"conid": 1, **latest.since(-1, ("31", "84", "6509", "conidEx", "_updated"))}, ""))


@given(st.lists(st.dictionaries(st.sampled_from(["row", "focus", "price", "bid", "ask"]), _JSON)) | _JSON)
def test_any_value_in_any_row_of_a_book(data: Any) -> None:
    ladder = Ladder()
    ladder.take(json.dumps({"data": data}).encode())
    ladder.depth(1)
