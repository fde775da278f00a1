"""Checks of typed requests, and page tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.errors import BadRequest
from bezant_server.inputs import Checks
from bezant_server.paging import Paging, paging


def violations(checks: Checks) -> dict[str, str]:
    with pytest.raises(BadRequest) as caught:
        checks.done()
    return {each.field: each.description for each in caught.value.violations}


def test_good_values_pass() -> None:
    checks = Checks()
    assert checks.account("account_id", "DU1234567") == "DU1234567"
    assert checks.conids("conids", [1, 2, 1], most=3) == [1, 2]
    assert str(checks.decimal("price", "1.50")) == "1.50"
    assert str(checks.day("start", "2026-02-28")) == "2026-02-28"
    checks.done()


def test_one_error_names_every_field_with_its_rule_and_what_was_given() -> None:
    checks = Checks()
    checks.account("account_id", "")
    checks.conid("orders[1].conid", 0)
    checks.decimal("orders[1].limit_price", "1e3")
    checks.decimal("orders[0].quantity", "-1", positive=True)
    checks.day("start", "2026-02-30")
    checks.text("symbol", "x" * 300)
    checks.currency("currency", "usd")
    said = violations(checks)
    assert list(said) == [
        "account_id",
        "orders[1].conid",
        "orders[1].limit_price",
        "orders[0].quantity",
        "start",
        "symbol",
        "currency",
    ]
    assert said["orders[1].limit_price"].endswith("got '1e3'")
    assert "above 0" in said["orders[0].quantity"]


def page(size: int, token: str, request: str = "ListThings") -> Paging:
    checks = Checks()
    found = paging(checks, page_size=size, page_token=token, request=request)
    checks.done()
    return found


@given(count=st.integers(0, 40), size=st.integers(1, 12))
def test_pages_follow_each_other_without_a_seam(count: int, size: int) -> None:
    elements, seen, token = list(range(count)), list[int](), ""
    while True:
        cut = page(size, token).cut(elements)
        seen.extend(cut.elements)
        token = cut.next_token
        if not token:
            break
        assert len(cut.elements) == size
    assert seen == elements


@pytest.mark.parametrize("spoil", [lambda t: t + "A", lambda t: t[:-1], lambda t: "BBBB" + t[4:], lambda t: "what?"])
def test_a_token_that_is_not_ours(spoil: object) -> None:
    token = page(1, "").cut([1, 2]).next_token
    with pytest.raises(BadRequest) as caught:
        page(1, spoil(token))  # type: ignore[operator]
    assert caught.value.field == "page_token"


def test_a_token_of_another_request() -> None:
    token = page(1, "", "ListThings DU1").cut([1, 2]).next_token
    with pytest.raises(BadRequest):
        page(1, token, "ListThings DU2")


def test_the_size_has_bounds() -> None:
    assert (page(0, "").size, page(5000, "").size) == (100, 1000)
    with pytest.raises(BadRequest) as caught:
        page(-1, "")
    assert caught.value.field == "page_size"
