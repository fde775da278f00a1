"""Submissions out of JSON and out of messages: the same values, and the same digest for the same request."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant.v1 import targets_service_pb2 as pb
from bezant_server.errors import BadRequest
from bezant_server.targets.requests import Submission, Target, from_json, from_message

TARGET = {"symbol": "AAPL", "quantity": 100}


def of_json(*orders: dict[str, Any], **members: Any) -> Submission:
    return from_json(json.dumps({"orders": orders, **members}).encode(), idempotency_key="")


def of_text(target: str) -> Target:
    (found,) = from_json(f'{{"orders": [{target}]}}'.encode(), idempotency_key="").targets
    return found


def refused(request: pb.SubmitTargetsRequest) -> list[str]:
    """The fields at fault."""
    with pytest.raises(BadRequest) as caught:
        from_message(request)
    return [violation.field for violation in caught.value.violations]


def test_all_members() -> None:
    submission = from_json(
        b'{"account_id": "DU8730189", "orders": [{"symbol": "aapl", "quantity": -100.50, "limit_price": 150.50,'
        b' "expected_price": 150.00, "tolerance_pct": 0.5}]}',
        idempotency_key="once",
    )
    assert (submission.account, submission.idempotency_key) == ("DU8730189", "once")
    (target,) = submission.targets
    assert target == Target("AAPL", Decimal("-100.5"), Decimal("150.5"), Decimal(150), Decimal("0.5"))
    assert [str(each) for each in (target.limit_price, target.expected_price)] == ["150.50", "150.00"]


def test_both_faces_read_the_same() -> None:
    message = pb.SubmitTargetsRequest(
        account_id="DU8730189",
        targets=[
            pb.Target(symbol="aapl", quantity="100", limit_price="150.5"),
            pb.Target(symbol="MSFT", quantity="0.50", expected_price="420", tolerance_percent="1"),
        ],
    )
    submission = from_message(message)
    same = of_json(
        {"symbol": "AAPL", "quantity": 100.0, "limit_price": 150.5},
        {"symbol": "msft", "quantity": 0.5, "expected_price": 420, "tolerance_pct": 1},
        account_id="DU8730189",
    )
    assert submission == same
    assert submission.digest == same.digest


@pytest.mark.parametrize(
    ("written", "quantity"),
    [
        ("100", "100"),
        ("100.0", "100.0"),
        ("1e2", "100"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0.0001", "0.0001"),
        ("999999999.999", "999999999.999"),
        ("0.1", "0.1"),
    ],
)
def test_numbers_are_read_digit_by_digit(written: str, quantity: str) -> None:
    target = of_text(f'{{"symbol": "AAPL", "quantity": {written}}}')
    assert str(target.quantity) == quantity


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 101},
        {"quantity": -100},
        {"symbol": "MSFT"},
        {"limit_price": 100},
        {"expected_price": 100},
        {"expected_price": 100, "tolerance_pct": 1},
    ],
)
def test_the_digest_tells_requests_apart(change: dict[str, Any]) -> None:
    assert of_json({**TARGET, **change}).digest != of_json(TARGET).digest


def test_the_digest_tells_order_account_and_number_apart() -> None:
    other = {"symbol": "MSFT", "quantity": 1}
    digests = {
        of_json(TARGET).digest,
        of_json(TARGET, other).digest,
        of_json(other, TARGET).digest,
        of_json(TARGET, account_id="DU8730189").digest,
    }
    assert len(digests) == 4


def test_the_digest_does_not_tell_spellings_apart() -> None:
    written = of_json({"symbol": "AAPL", "quantity": 100, "limit_price": 1.5})
    for body in (
        b'{"orders":[{"limit_price":1.50,"quantity":1e2,"symbol":"aapl"}]}',
        b'{"account_id": null, "orders": [ {"symbol": "AAPL", "quantity": 100.0, "limit_price": 15e-1}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": 100, "limit_price": 1.5, "tolerance_pct": null}]}',
    ):
        assert from_json(body, idempotency_key="other").digest == written.digest


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (pb.Target(quantity="1"), "symbol"),
        (pb.Target(symbol="AAPL"), "quantity"),
        (pb.Target(symbol="AAPL", quantity="1e3"), "quantity"),
        (pb.Target(symbol="AAPL", quantity="+1"), "quantity"),
        (pb.Target(symbol="AAPL", quantity="NaN"), "quantity"),
        (pb.Target(symbol="AAPL", quantity="1000000000"), "quantity"),
        (pb.Target(symbol="AAPL", quantity="1", limit_price=""), "limit_price"),
        (pb.Target(symbol="AAPL", quantity="1", limit_price="0"), "limit_price"),
        (pb.Target(symbol="AAPL", quantity="1", limit_price="-1"), "limit_price"),
        (pb.Target(symbol="AAPL", quantity="1", expected_price="-1"), "expected_price"),
        (pb.Target(symbol="AAPL", quantity="1", tolerance_percent="1"), "tolerance_percent"),
        (pb.Target(symbol="AAPL", quantity="1", expected_price="1", tolerance_percent="100"), "tolerance_percent"),
        (pb.Target(symbol="AAPL", quantity="1", expected_price="1", tolerance_percent="-1"), "tolerance_percent"),
    ],
)
def test_fields_of_a_message(target: pb.Target, field: str) -> None:
    good = pb.Target(symbol="MSFT", quantity="1")
    assert refused(pb.SubmitTargetsRequest(targets=[good, target])) == [f"targets[1].{field}"]


def test_a_message_as_a_whole() -> None:
    assert refused(pb.SubmitTargetsRequest()) == ["targets"]
    many = [pb.Target(symbol=f"A{number}", quantity="1") for number in range(101)]
    assert refused(pb.SubmitTargetsRequest(targets=many)) == ["targets"]
    assert len(from_message(pb.SubmitTargetsRequest(targets=many[:100])).targets) == 100
    twice = [pb.Target(symbol=symbol, quantity="1") for symbol in ("AAPL", "aapl")]
    assert refused(pb.SubmitTargetsRequest(targets=twice)) == ["targets[1].symbol"]
    good = [pb.Target(symbol="AAPL", quantity="1")]
    assert refused(pb.SubmitTargetsRequest(targets=good, account_id="DU/1")) == ["account_id"]
    assert refused(pb.SubmitTargetsRequest(targets=good, idempotency_key="k" * 256)) == ["idempotency_key"]
    assert refused(pb.SubmitTargetsRequest(targets=good, idempotency_key="a\nb")) == ["idempotency_key"]


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(("account_id", "orders", "symbol", "quantity", "limit_price", "tolerance_pct", "x")),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_a_submission_or_a_bad_request(body: Any) -> None:
    with contextlib.suppress(BadRequest):
        assert from_json(json.dumps(body).encode(), idempotency_key="").targets


@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        from_json(body, idempotency_key="")
