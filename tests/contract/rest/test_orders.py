"""Placing and cancelling: the body must be JSON, and reaches the gateway once, byte for byte."""

from __future__ import annotations

import pytest

from tests.contract.rest.checks import assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import CLOSE, ScriptedGateway, answer

PATH = "/v1/api/iserver/account/DU1/orders"

DOCUMENTS = (
    b'{"orders":[{"conid":265598,"price":165.00,"quantity":1e2}]}',
    b' {\r\n\t"b" : 1 , "a" : 2 , "b" : 3 }\n ',
    b'{"n": 12345678901234567890123456789.000, "m": 1E400, "z": -0.0}',
    '{"text": "Zürich 東京 \\u00fc \\ud83d"}'.encode(),
    b'[{"deep": ' + b"[" * 50 + b"]" * 50 + b"}]",
    b"null",
    b'"text"',
)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
def test_an_order_is_forwarded_once_byte_for_byte(
    document: bytes, content_type: str | None, edge: Edge, gateway: ScriptedGateway
) -> None:
    gateway.on("POST", PATH, answer(200, b'[{"order_id": "1"}]'))
    headers = (("Content-Type", content_type),) if content_type else ()
    assert edge.post("/accounts/DU1/orders", document, headers=headers).body == b'[{"order_id": "1"}]'
    (call,) = gateway.arrivals
    assert (call.body, call.all("content-type")) == (document, ["application/json"])
    assert call.all("content-length") == [str(len(document))]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"orders": [}',
        b"{'orders': []}",
        b"orders=1",
        b"{} {}",
        b"NaN",
        b'{"price": Infinity}',
        b'{"a": "\xff"}',
        '{"orders": []}'.encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_json_is_refused_and_nothing_is_sent(
    body: bytes, edge: Edge, gateway: ScriptedGateway
) -> None:
    assert_envelope(edge.post("/accounts/DU1/orders", body), 400, "bad_request", naming="the body must be JSON")
    assert gateway.arrivals == []


def test_a_chunked_order_arrives_whole(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("POST", PATH, answer(200, b"[]"))
    with edge.connect() as connection:
        connection.write(edge.request("POST", "/accounts/DU1/orders", headers=(("Transfer-Encoding", "chunked"),)))
        connection.write(b'8\r\n{"orders\r\n5\r\n":[]}\r\n')
        connection.write(b"0\r\n\r\n")
        assert connection.read("POST").status == 200
    assert [call.body for call in gateway.arrivals] == [b'{"orders":[]}']


RETRY = (
    ("x-envoy-retry-on", "5xx,reset,connect-failure,gateway-error,retriable-4xx"),
    ("x-envoy-retry-grpc-on", "cancelled,unavailable,internal,deadline-exceeded,resource-exhausted"),
    ("x-envoy-max-retries", "3"),
    ("x-envoy-hedge-on-per-try-timeout", "true"),
    ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("grpc-timeout", "1n"),
)


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/accounts/DU1/orders"), ("DELETE", "/accounts/DU1/orders/5"), ("POST", "/v1/api/iserver/reply/x")],
)
def test_nothing_has_a_change_sent_twice(method: str, target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    """Whatever the caller asks of Envoy, and although the connection breaks on receipt."""
    gateway.on("*", "*", CLOSE)
    reply = edge.send(method, target, headers=RETRY, body=b"{}" if method == "POST" else None)
    assert_envelope(reply, 502, "upstream_http_error", naming="outcome is unknown")
    assert len(gateway.arrivals) == 1


def test_a_callers_deadline_does_not_cut_an_order_off(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("POST", PATH, answer(200, b"[]"))
    for _ in range(20):
        assert edge.post("/accounts/DU1/orders", b"{}", headers=RETRY).status == 200
    assert len(gateway.arrivals) == 20


def test_a_question_of_the_gateway_is_answered_through_the_fallback(edge: Edge, gateway: ScriptedGateway) -> None:
    question = b'[{"id":"07a13a5a","message":["Price exceeds the limit"],"isSuppressed":false}]'
    gateway.on("POST", PATH, answer(200, question))
    gateway.on("POST", "/v1/api/iserver/reply/07a13a5a", answer(200, b'[{"order_id":"9"}]'))
    assert edge.post("/accounts/DU1/orders", b'{"orders":[]}').body == question
    assert edge.post("/v1/api/iserver/reply/07a13a5a", b'{"confirmed":true}').body == b'[{"order_id":"9"}]'
    assert [call.body for call in gateway.arrivals] == [b'{"orders":[]}', b'{"confirmed":true}']
