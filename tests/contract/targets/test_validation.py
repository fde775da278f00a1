"""What is wrong with a batch: found before anything is sent, every field named, in one answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.targets import Trading, request

GOOD = {"symbol": "MSFT", "quantity": 25}


def refused(trading: Trading, body: object, *, path: str = "orders") -> str:
    """The message of a refusal; nothing was sent, and there is no batch."""
    before = trading.read("orders")
    answer = trading.call("POST", path, body)
    envelope = answer.json()
    assert (answer.status, envelope["code"]) == (400, "bad_request"), envelope
    assert list(envelope) == ["code", "message"]
    assert trading.sent() == []
    assert trading.read("orders") == before
    return str(envelope["message"])


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"quantity": 1}, "symbol"),
        ({"symbol": None, "quantity": 1}, "symbol"),
        ({"symbol": "", "quantity": 1}, "symbol"),
        ({"symbol": 5, "quantity": 1}, "symbol"),
        ({"symbol": "AAPL\n", "quantity": 1}, "symbol"),
        ({"symbol": "A" * 41, "quantity": 1}, "symbol"),
        ({"symbol": "AAPL,MSFT", "quantity": 1}, "symbol"),
        ({"symbol": "AAPL"}, "quantity"),
        ({"symbol": "AAPL", "quantity": None}, "quantity"),
        ({"symbol": "AAPL", "quantity": "100"}, "quantity"),
        ({"symbol": "AAPL", "quantity": True}, "quantity"),
        ({"symbol": "AAPL", "quantity": [1]}, "quantity"),
        ({"symbol": "AAPL", "quantity": 1e9}, "quantity"),
        ({"symbol": "AAPL", "quantity": -1e9}, "quantity"),
        ({"symbol": "AAPL", "quantity": 10**40}, "quantity"),
        ({"symbol": "AAPL", "quantity": 1e-40}, "quantity"),
        ({"symbol": "AAPL", "quantity": 1, "limit_price": "150.50"}, "limit_price"),
        ({"symbol": "AAPL", "quantity": 1, "limit_price": False}, "limit_price"),
        ({"symbol": "AAPL", "quantity": 1, "limit_price": 0}, "limit_price"),
        ({"symbol": "AAPL", "quantity": 1, "limit_price": -150.5}, "limit_price"),
        ({"symbol": "AAPL", "quantity": 1, "limit_price": 1e9}, "limit_price"),
        ({"symbol": "AAPL", "quantity": 1, "expected_price": "150"}, "expected_price"),
        ({"symbol": "AAPL", "quantity": 1, "expected_price": 0}, "expected_price"),
        ({"symbol": "AAPL", "quantity": 1, "expected_price": -1}, "expected_price"),
        ({"symbol": "AAPL", "quantity": 1, "tolerance_pct": 0.5}, "tolerance_pct"),
        ({"symbol": "AAPL", "quantity": 1, "tolerance_pct": 0.5, "expected_price": None}, "tolerance_pct"),
        ({"symbol": "AAPL", "quantity": 1, "tolerance_pct": 0.5, "limit_price": 150}, "tolerance_pct"),
        ({"symbol": "AAPL", "quantity": 1, "tolerance_pct": -0.5, "expected_price": 150}, "tolerance_pct"),
        ({"symbol": "AAPL", "quantity": 1, "tolerance_pct": 100, "expected_price": 150}, "tolerance_pct"),
        ({"symbol": "AAPL", "quantity": 1, "tolerance_pct": "0.5", "expected_price": 150}, "tolerance_pct"),
        ({"symbol": "AAPL", "quantity": 1, "limitPrice": 150}, "limitPrice"),
        ({"symbol": "AAPL", "quantity": 1, "side": None}, "side"),
        ({"symbol": "AAPL", "quantity": 1, "": 1}, ""),
    ],
)
def test_a_target(trading: Trading, target: dict[str, Any], field: str) -> None:
    """The one at fault stands behind a good one, which is not placed either."""
    assert f"orders[1].{field}" in refused(trading, request(GOOD, target))


@pytest.mark.parametrize("row", [None, 1, "AAPL", [], ["AAPL", 1], True])
def test_a_target_that_is_no_object(trading: Trading, row: Any) -> None:
    assert "orders[1]" in refused(trading, {"orders": [GOOD, row]})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "orders"),
        ({"orders": None}, "orders"),
        ({"orders": []}, "orders"),
        ({"orders": {"symbol": "AAPL", "quantity": 1}}, "orders"),
        ({"orders": [GOOD], "account_id": 5}, "account_id"),
        ({"orders": [GOOD], "account_id": "DU 1"}, "account_id"),
        ({"orders": [GOOD], "account_id": "DU8730189/../DUP203550"}, "account_id"),
        ({"orders": [GOOD], "account": "DU8730189"}, "account"),
        ({"orders": [{"symbol": f"A{number}", "quantity": 1} for number in range(101)]}, "orders"),
        ({"orders": [{"symbol": "AAPL", "quantity": 1}, {"symbol": "AAPL", "quantity": 2}]}, "orders[1].symbol"),
        ({"orders": [{"symbol": "AAPL", "quantity": 1}, {"symbol": "aapl", "quantity": 1}]}, "orders[1].symbol"),
    ],
)
def test_a_batch(trading: Trading, body: Any, field: str) -> None:
    assert field in refused(trading, body)


def test_every_field_at_fault_is_named_at_once(trading: Trading) -> None:
    message = refused(
        trading,
        {
            "account_id": 5,
            "strategy": "x",
            "orders": [
                {"quantity": "1"},
                GOOD,
                {"symbol": "msft", "quantity": 1, "limit_price": -1, "tolerance_pct": 1, "tif": "GTC"},
            ],
        },
    )
    for field in (
        "account_id",
        "strategy",
        "orders[0].symbol",
        "orders[0].quantity",
        "orders[2].symbol",
        "orders[2].limit_price",
        "orders[2].tolerance_pct",
        "orders[2].tif",
    ):
        assert field in message
    assert "orders[1]" not in message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"orders=AAPL",
        b"\xff\xfe",
        b'{"orders": [{"symbol": "AAPL", "quantity": 1}]} trailing',
        b'{"orders": [{"symbol": "AAPL", "quantity": NaN}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": 1, "limit_price": NaN}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": Infinity}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": 1, "limit_price": -Infinity}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": 1e9999999999999999999}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": 1}], "orders": []}',
        b'{"orders": [{"symbol": "AAPL", "quantity": 1, "quantity": 2}]}',
        b'{"orders": [{"symbol": "AAPL", "quantity": ' + b"9" * 5000 + b"}]}",
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_json_object(trading: Trading, body: bytes) -> None:
    assert "body must be" in refused(trading, body)


def test_a_query_parameter(trading: Trading) -> None:
    assert "dry_run" in refused(trading, request(GOOD), path="orders?dry_run=true")
    for path in ("orders?limit=5", "orders/a1b2c3d4e5f67890?x=1", "positions?account=DU8730189", "health?x=1"):
        answer = trading.call("GET", path)
        assert (answer.status, answer.json()["code"]) == (400, "bad_request")


def test_an_idempotency_key_that_is_too_long(trading: Trading) -> None:
    answer = trading.call("POST", "orders", request(GOOD), headers=[("Idempotency-Key", "k" * 256)])
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert "idempotency_key" in answer.json()["message"]
    assert trading.sent() == []


def test_optional_members_may_be_null(trading: Trading) -> None:
    result = trading.submitted(
        "AAPL", 1, account=trading.account(), limit_price=None, expected_price=None, tolerance_pct=None
    )
    assert (result["order_type"], result["status"]) == ("MKT", "PreSubmitted")


def test_a_hundred_targets(trading: Trading) -> None:
    targets = [{"symbol": f"Q{number}", "quantity": 0} for number in range(100)]
    results = trading.submit(*targets)["results"]
    assert [result["symbol"] for result in results] == [target["symbol"] for target in targets]
    assert {result["status"] for result in results} == {"error"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"orders":[{"symbol":"\\ud800","quantity":1}]}',
        b'{"account_id":"\\ud800","orders":[{"symbol":"AAPL","quantity":1}]}',
        b'{"\\ud800":1,"orders":[{"symbol":"AAPL","quantity":1}]}',
        b'{"orders":[{"symbol":"AAPL","quantity":1}],"\\udfff":1,"\\udfff":2}',
    ],
)
def test_half_a_character(trading: Trading, body: bytes) -> None:
    """JSON can write what no encoding has; the refusal can be sent all the same."""
    answer = trading.call("POST", "orders", body)
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")


def test_unknown_fields_without_end(trading: Trading) -> None:
    body = {f"field{number}": 1 for number in range(100_000)} | {"orders": [{"symbol": "AAPL", "quantity": 1}]}
    answer = trading.call("POST", "orders", body)
    assert answer.status == 400
    assert "field0: is unknown" in answer.json()["message"]


def test_a_symbol_with_a_blank_behind_it_is_the_same(trading: Trading) -> None:
    body = {"orders": [{"symbol": "AAPL", "quantity": 1}, {"symbol": "aapl ", "quantity": 2}]}
    answer = trading.call("POST", "orders", body)
    assert (answer.status, answer.json()["message"]) == (400, "orders[1].symbol: is given twice, got 'AAPL'")
