"""API keys: who needs one, and what becomes of those that are taken away."""

from __future__ import annotations

import pytest

from tests.support.targets import Trading

GUARDED = [
    ("POST", "orders"),
    ("GET", "orders"),
    ("GET", "orders/a1b2c3d4e5f67890"),
    ("DELETE", "orders/a1b2c3d4e5f67890"),
    ("GET", "positions"),
]


def assert_unauthorized(trading: Trading, method: str, path: str, **how: object) -> str:
    body = {"orders": [{"symbol": "MSFT", "quantity": 1}]} if method == "POST" else None
    answer = trading.call(method, path, body, **how)  # type: ignore[arg-type]
    assert (answer.status, answer.json()["code"]) == (401, "unauthorized"), answer
    assert list(answer.json()) == ["code", "message"]
    assert "X-API-Key" in answer.json()["message"]
    assert trading.sent() == []
    return str(answer.json()["message"])


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_every_path_but_health_needs_a_key(trading: Trading, method: str, path: str) -> None:
    assert_unauthorized(trading, method, path, key=None)
    assert "nobody's" in assert_unauthorized(trading, method, path, key="bz_wrong")


def test_health_needs_none_and_does_not_mind_a_wrong_one(trading: Trading) -> None:
    assert trading.call("GET", "health", key=None).status == 200
    assert trading.call("GET", "health", key="bz_wrong").status == 200


@pytest.mark.parametrize("path", ["/health", "/v1/api/iserver/auth/status"])
def test_other_paths_need_none(trading: Trading, path: str) -> None:
    assert trading.edge.get(path).status == 200


def test_a_missing_key_comes_before_anything_else_that_is_wrong(trading: Trading) -> None:
    answer = trading.call("POST", "orders?unknown=1", b"nonsense", key=None)
    assert (answer.status, answer.json()["code"]) == (401, "unauthorized")


def test_keys_come_and_go_while_the_server_runs(trading: Trading) -> None:
    key = trading.keys.add("short-lived")
    assert trading.call("GET", "orders", key=key).status == 200
    trading.keys.remove("short-lived")
    assert_unauthorized(trading, "GET", "orders", key=key)
    assert trading.call("GET", "orders").status == 200


def test_two_keys_at_once(trading: Trading) -> None:
    key = trading.keys.add("another")
    assert "several" in assert_unauthorized(trading, "GET", "orders", headers=[("X-API-Key", key)])
    assert trading.call("GET", "orders", headers=[("x-api-key", trading.key)]).status == 200
    trading.keys.remove("another")


def test_a_key_reaches_neither_the_log_nor_the_gateway(trading: Trading) -> None:
    trading.call("GET", "orders", key="bz_of-somebody-else")
    trading.submit({"symbol": trading.stock().symbol, "quantity": 12, "limit_price": 99.5})
    log = trading.edge.server_log.read_text(encoding="utf-8")
    envoy_log = (trading.edge.server_log.parent / "envoy.log").read_text(encoding="utf-8")
    assert "API keys read" in log
    for text in (log, envoy_log):
        assert trading.key not in text
        assert "bz_of-somebody-else" not in text
    seen = trading.paper.requests()["recent"]
    assert seen
    assert not any("x-api-key" in each["header_names"] for each in seen)
