"""No transcoded answer shows what is spoken behind Envoy, whatever kind of answer it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import RunEdge
from tests.contract.rest.checks import assert_clean
from tests.support.edge import Edge
from tests.support.scripted_gateway import CLOSE, ScriptedGateway, answer, json_answer

API = "/v1/api"
CALLS = (
    ("GET", "/health", 200),
    ("GET", "/accounts", 200),
    ("HEAD", "/accounts", 200),
    ("HEAD", "/health", 200),
    ("HEAD", "/contracts/search", 400),
    ("HEAD", "/events/orders", 503),
    ("HEAD", "/debug/jar", 404),
    ("HEAD", f"{API}/large", 200),
    ("HEAD", f"{API}/empty", 204),
    ("HEAD", f"{API}/unchanged", 304),
    ("HEAD", f"{API}/broken", 502),
    ("GET", f"{API}/x", 200),
    ("HEAD", f"{API}/x", 200),
    ("OPTIONS", f"{API}/x", 200),
    ("POST", f"{API}/x", 200),
    ("GET", f"{API}/large", 200),
    ("GET", f"{API}/empty", 204),
    ("GET", f"{API}/unchanged", 304),
    ("GET", f"{API}/missing", 404),
    ("GET", f"{API}/busy", 503),
    ("GET", f"{API}/broken", 502),
    ("GET", "/contracts/search", 400),
    ("GET", "/accounts/%FF/summary", 400),
    ("POST", "/accounts", 405),
    ("TRACE", "/accounts", 405),
    ("GET", "/events/orders", 503),
    ("GET", "/debug/jar", 404),
)


@pytest.fixture(autouse=True)
def script(gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"done"))
    gateway.on("POST", f"{API}/iserver/auth/status", json_answer({}))
    for method in ("GET", "HEAD"):
        gateway.on(method, f"{API}/large", answer(200, b"x" * 3_000_000))
        gateway.on(method, f"{API}/empty", answer(204))
        gateway.on(method, f"{API}/unchanged", b"HTTP/1.1 304 Not Modified\r\n\r\n")
        gateway.on(method, f"{API}/missing", json_answer({"error": "x"}, 404))
        gateway.on(method, f"{API}/busy", json_answer({"error": "x"}, 503))
        gateway.on(method, f"{API}/broken", CLOSE)


@pytest.mark.parametrize(("method", "target", "status"), CALLS)
def test_an_answer_is_clean_and_leaves_the_connection_clean(method: str, target: str, status: int, edge: Edge) -> None:
    with edge.connect() as connection:
        connection.write(edge.request(method, target, headers=(("TE", "trailers"), ("Connection", "TE"))))
        reply = connection.read(method)
        assert reply.status == status
        assert_clean(reply)
        assert reply.header("transfer-encoding") is None or status == 200
        connection.write(edge.request("GET", "/accounts"))
        assert connection.read().body == b"done"


@pytest.mark.parametrize(
    "kind",
    [
        "application/grpcjunk",
        "application/grpc;charset=utf-8",
        "application/grpc, text/plain",
        "application/grpc-websocket",
        "application/grpc-web;charset=utf-8",
        "application/grpc-web+json",
        "Application/GRPC",
    ],
)
def test_a_content_type_that_only_looks_like_grpc(kind: str, edge: Edge, gateway: ScriptedGateway) -> None:
    for method, target, status in (("POST", "/accounts", 405), ("POST", f"{API}/x", 200), ("GET", f"{API}/busy", 503)):
        reply = edge.send(method, target, headers=(("Content-Type", kind),), body=b"{}")
        assert reply.status == status
        assert_clean(reply)
    reply = edge.send("GET", "/accounts", headers=(("Content-Type", kind),), host="evil.example")
    assert (reply.status, reply.json()["code"]) == (403, "forbidden")
    forged = (("Content-Type", kind), ("X-Envoy-Original-Path", "/health"), ("Grpc-Timeout", "1n"))
    assert edge.send("POST", f"{API}/x", headers=forged, body=b"{}").status == 200
    assert gateway.arrivals[-1].target == f"{API}/x"


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
@pytest.mark.parametrize(
    "target", ["/health", "/accounts", f"{API}/x", "/contracts/search", "/accounts/%FF/summary", "/debug/jar"]
)
def test_head_tells_the_length_that_get_has(host: str, target: str, edge: Edge) -> None:
    get, head = (edge.send(method, target, host=host) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (get.status, b"")
    assert head.header("content-length") == str(len(get.body))
    assert head.header("content-type") == get.header("content-type")


@pytest.fixture(scope="module")
def capturing_edge(run_edge: RunEdge) -> Iterator[Edge]:
    with run_edge({"BEZANT_EVENTS_ENABLED": "true"}) as running:
        yield running


def test_nothing_newer_is_clean(capturing_edge: Edge) -> None:
    """A 204 of our own, with the one header of ours that is meant for callers."""
    first = capturing_edge.get("/events/orders")
    assert first.status == 200
    assert_clean(first)
    with capturing_edge.connect() as connection:
        connection.write(capturing_edge.request("GET", f"/events/orders?since={first.json()['next_cursor']}"))
        reply = connection.read()
        assert (reply.status, reply.body, reply.header("content-type")) == (204, b"", None)
        assert reply.header("x-bezant-cursor") == str(first.json()["next_cursor"])
        assert_clean(reply)
        connection.write(capturing_edge.request("GET", "/events/_status"))
        reply = connection.read()
        assert reply.status == 200
        assert_clean(reply)


def test_an_expired_cursor_is_clean(capturing_edge: Edge) -> None:
    reply = capturing_edge.get("/events/orders?since=1")
    assert (reply.status, reply.json()["code"]) == (412, "cursor_expired")
    assert_clean(reply)
