"""GET /health projects the brokerage session's state; what is no such state becomes an error of ours."""

from __future__ import annotations

import pytest

from tests.contract.rest.checks import assert_clean, assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import CLOSE, ScriptedGateway, answer, json_answer

STATUS = "/v1/api/iserver/auth/status"


@pytest.mark.parametrize(
    ("document", "health"),
    [
        (
            {"authenticated": True, "competing": False, "connected": True, "message": "", "MAC": "98:F2", "fail": ""},
            {"authenticated": True, "connected": True, "competing": False, "message": ""},
        ),
        (
            {"authenticated": False, "competing": True, "connected": True, "message": "competing session"},
            {"authenticated": False, "connected": True, "competing": True, "message": "competing session"},
        ),
        ({}, {"authenticated": False, "connected": False, "competing": False, "message": None}),
        (
            {"authenticated": "true", "connected": 1, "competing": None, "message": 5},
            {"authenticated": False, "connected": False, "competing": False, "message": None},
        ),
    ],
)
def test_the_state_has_four_members(
    document: object, health: dict[str, object], edge: Edge, gateway: ScriptedGateway
) -> None:
    gateway.on("POST", STATUS, json_answer(document))
    reply = edge.get("/health")
    assert (reply.status, reply.json()) == (200, health)
    assert list(reply.json()) == ["authenticated", "connected", "competing", "message"]
    assert reply.header("content-type") == "application/json"
    assert_clean(reply)
    assert [(call.method, call.target, call.body) for call in gateway.arrivals] == [("POST", STATUS, b"")]
    assert gateway.arrivals[0].header("content-length") == "0"


def test_head(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("POST", STATUS, json_answer({"authenticated": True}))
    get, head = edge.get("/health"), edge.send("HEAD", "/health")
    assert (head.status, head.body) == (200, b"")
    assert head.header("content-length") == str(len(get.body))


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (answer(401, b"", content_type=None), 401, "not_authenticated"),
        (answer(302, headers=(("Location", "/sso/Login?forwardTo=22"),)), 401, "not_authenticated"),
        (answer(302, headers=(("Location", "https://127.0.0.1:5000/sso/Dispatcher"),)), 401, "not_authenticated"),
        (json_answer({"error": "Bad Request: no bridge", "statusCode": 400}, 400), 503, "no_session"),
        (answer(200, b"<html>", content_type="text/html"), 502, "upstream_decode_error"),
        (answer(200, b'{"authenticated": tr'), 502, "upstream_decode_error"),
        (answer(200, b""), 502, "upstream_decode_error"),
        (json_answer([]), 502, "upstream_decode_error"),
        (json_answer(None), 502, "upstream_decode_error"),
        (json_answer("authenticated"), 502, "upstream_decode_error"),
        (answer(200, b"\xff\xfe\xff"), 502, "upstream_decode_error"),
        (json_answer({"error": "please query /accounts first"}), 502, "upstream_api_error"),
        (answer(307, headers=(("Location", "/elsewhere"),)), 502, "upstream_decode_error"),
        (CLOSE, 502, "upstream_http_error"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 502, "upstream_http_error"),
        (answer(200, b"{", length=100, headers=(("Connection", "close"),)), 502, "upstream_http_error"),
    ],
)
def test_what_is_no_state_is_an_error(
    reply: bytes, status: int, code: str, edge: Edge, gateway: ScriptedGateway
) -> None:
    gateway.on("POST", STATUS, reply)
    assert_envelope(edge.get("/health"), status, code)


@pytest.mark.parametrize(
    ("upstream", "code"),
    [
        (429, "upstream_status"),
        (500, "upstream_status"),
        (503, "upstream_status"),
        (400, "upstream_client_error"),
        (403, "upstream_client_error"),
        (404, "upstream_client_error"),
        (410, "upstream_client_error"),
    ],
)
def test_the_gateways_own_status_is_kept_and_named(
    upstream: int, code: str, edge: Edge, gateway: ScriptedGateway
) -> None:
    gateway.on("POST", STATUS, json_answer({"error": "its words"}, upstream))
    reply = edge.get("/health")
    assert (reply.status, reply.json()["code"], reply.json()["upstream_status"]) == (upstream, code, upstream)
    assert "its words" in reply.json()["message"]
    assert_clean(reply)
