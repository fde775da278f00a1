"""The header Idempotency-Key: a request may be repeated, and is placed once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.support.edge import HttpAnswer
from tests.support.targets import MAIN, ORDERS, Trading, request


def post(trading: Trading, body: object, idempotency_key: str, *, key: str = "") -> HttpAnswer:
    return trading.call("POST", "orders", body, headers=[("Idempotency-Key", idempotency_key)], key=key)


@pytest.fixture
def name() -> str:
    """A key that was never used."""
    return f"key {uuid4()}"


def test_a_repetition_gets_the_first_answer(trading: Trading, name: str) -> None:
    """Byte for byte, though the order has gone on since."""
    account = trading.account()
    body = request({"symbol": "AAPL", "quantity": 2}, account=account)
    first = post(trading, body, name)
    assert first.status == 201
    trading.until_status(first.json()["batch_id"], "Filled")
    again = post(trading, body, name)
    assert (again.status, again.body) == (201, first.body)
    assert len(trading.sent()) == 1


def test_how_the_body_is_written_does_not_matter(trading: Trading, name: str) -> None:
    stock = trading.stock()
    first = post(trading, request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5}), name)
    written = (
        f'{{ "orders":[ {{"limit_price" : 99.50, "quantity": 12.0,\n"expected_price": null,'
        f'"symbol":"{stock.symbol.lower()}"}}],"account_id":"{MAIN}"}}'
    )
    again = post(trading, written.encode(), name)
    assert (again.status, again.body) == (201, first.body)
    assert len(trading.orders(stock.conid)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 13},
        {"limit_price": 99.4},
        {"limit_price": None},
        {"expected_price": 100},
        {"symbol": "MSFT"},
    ],
)
def test_another_body_is_a_conflict(trading: Trading, name: str, change: dict[str, object]) -> None:
    stock = trading.stock()
    target = {"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5}
    first = post(trading, request(target), name)
    answer = post(trading, request({**target, **change}), name)
    assert (answer.status, answer.json()["code"]) == (409, "idempotency_conflict"), answer
    assert list(answer.json()) == ["code", "message"]
    assert first.json()["batch_id"] in answer.json()["message"]
    assert len(trading.sent()) == 1


def test_another_account_is_a_conflict(trading: Trading, name: str) -> None:
    target = {"symbol": "NVDA", "quantity": 0}
    assert post(trading, request(target), name).status == 201
    answer = post(trading, request(target, account=trading.account()), name)
    assert (answer.status, answer.json()["code"]) == (409, "idempotency_conflict")


def test_repetitions_at_the_same_time(trading: Trading, name: str) -> None:
    stock = trading.stock()
    body = request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5})
    trading.fault(ORDERS, method="POST", delay_seconds=0.2)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: post(trading, body, name), range(4)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert len(trading.orders(stock.conid)) == 1
    assert len(trading.sent()) == 1


def test_other_bodies_at_the_same_time(trading: Trading, name: str) -> None:
    """For different accounts, which do not wait for each other: one is placed, the other a conflict."""
    accounts = [trading.account(), trading.account()]
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(
                lambda each: post(trading, request({"symbol": "AAPL", "quantity": 1}, account=each), name), accounts
            )
        )
    assert sorted(answer.status for answer in answers) == [201, 409]
    assert len(trading.sent()) == 1


def test_the_keys_of_another_client_are_its_own(trading: Trading, name: str) -> None:
    other = trading.keys.add("client-with-the-same-key")
    stock = trading.stock()
    body = request({"symbol": stock.symbol, "quantity": 12, "limit_price": 99.5})
    first, second = post(trading, body, name), post(trading, body, name, key=other)
    assert (first.status, second.status) == (201, 201)
    assert first.json()["batch_id"] != second.json()["batch_id"]
    assert second.json()["results"][0]["status"] == "no_change"
    trading.keys.remove("client-with-the-same-key")


def test_a_refused_request_does_not_use_the_key_up(trading: Trading, name: str) -> None:
    stock = trading.stock()
    assert post(trading, request({"symbol": stock.symbol}), name).status == 400
    answer = post(trading, request({"symbol": stock.symbol, "quantity": 10}), name)
    assert answer.status == 201


def test_without_a_key_every_request_is_a_batch(trading: Trading) -> None:
    ids = {trading.submit({"symbol": "NVDA", "quantity": 0})["batch_id"] for _ in range(3)}
    assert len(ids) == 3


def test_errors_of_orders_are_repeated_too(trading: Trading, name: str) -> None:
    """A declined order is not placed by a repetition, though it might be taken now."""
    stock = trading.stock()
    body = request({"symbol": stock.symbol, "quantity": 12, "limit_price": 96.0})
    first = post(trading, body, name)
    assert first.json()["results"][0]["status"] == "error"
    trading.quote(stock.conid, 97.0, 97.02)
    again = post(trading, json.dumps(body).encode(), name)
    assert again.body == first.body
    assert trading.orders(stock.conid) == []


@pytest.mark.parametrize("keys", [["schl\u00fcssel"], [""], ["one", "two"]])
def test_a_key_that_cannot_be_used_is_refused(trading: Trading, keys: list[str]) -> None:
    """Unnoticed, it would protect nothing."""
    body = request({"symbol": trading.stock().symbol, "quantity": 12, "limit_price": 99.5})
    answer = trading.call("POST", "orders", body, headers=[("Idempotency-Key", key) for key in keys])
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert "Idempotency-Key" in answer.json()["message"]
    assert trading.sent() == []
