"""Limits and deadlines, made small by configuration, and the server away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.conftest import RunEdge
from tests.contract.rest.checks import assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import Arrival, answer, json_answer

REQUEST_BYTES = 4096
RESPONSE_BYTES = 8192


@pytest.fixture(scope="module")
def tight_edge(run_edge: RunEdge) -> Iterator[Edge]:
    variables = {
        "BEZANT_MAX_REQUEST_BODY_BYTES": str(REQUEST_BYTES),
        "BEZANT_MAX_RESPONSE_BODY_BYTES": str(RESPONSE_BYTES),
        "BEZANT_RECEIVE_TIMEOUT_SECS": "1",
        "BEZANT_REQUEST_TIMEOUT_SECS": "1",
    }
    with run_edge(variables) as running:
        yield running


@pytest.fixture
def tight(tight_edge: Edge) -> Edge:
    tight_edge.gateway.reset()
    return tight_edge


@pytest.mark.parametrize("target", ["/v1/api/x", "/accounts"])
def test_the_largest_answer(target: str, tight: Edge) -> None:
    tight.gateway.on("*", "*", answer(200, b"x" * RESPONSE_BYTES))
    assert len(tight.get(target).body) == RESPONSE_BYTES
    tight.gateway.on("*", "*", answer(200, b"x" * (RESPONSE_BYTES + 1)))
    assert_envelope(tight.get(target), 502, "upstream_http_error", naming=str(RESPONSE_BYTES))


def test_an_answer_over_the_limit_leaves_a_changes_outcome_unknown(tight: Edge) -> None:
    tight.gateway.on("*", "*", answer(200, b"x" * (RESPONSE_BYTES + 1)))
    for target in ("/v1/api/x", "/accounts/DU1/orders"):
        assert_envelope(tight.post(target, b"{}"), 502, "upstream_http_error", naming="outcome is unknown")


@pytest.mark.parametrize("target", ["/v1/api/x", "/accounts/DU1/orders"])
def test_the_largest_body(target: str, tight: Edge) -> None:
    tight.gateway.on("*", "*", answer(200, b"done"))
    body = b'"' + b"x" * (REQUEST_BYTES - 2) + b'"'
    assert tight.post(target, body).status == 200
    assert_envelope(tight.post(target, body + b" "), 413, "body_too_large")
    assert [call.body for call in tight.gateway.arrivals] == [body]


@pytest.mark.parametrize("target", ["/v1/api/x", "/accounts/DU1/orders"])
def test_a_chunked_body_over_the_limit(target: str, tight: Edge) -> None:
    with tight.connect() as connection:
        connection.write(tight.request("POST", target, headers=(("Transfer-Encoding", "chunked"),)))
        connection.write(b"%x\r\n%b\r\n0\r\n\r\n" % (REQUEST_BYTES + 1, b" " * (REQUEST_BYTES + 1)))
        assert_envelope(connection.read("POST"), 413, "body_too_large")
    assert tight.gateway.arrivals == []


@pytest.mark.parametrize("target", ["/v1/api/x", "/accounts"])
def test_headers_over_the_limit(target: str, tight: Edge) -> None:
    assert_envelope(tight.get(target, headers=(("X-Large", "x" * 70_000),)), 431, "headers_too_large")
    assert tight.gateway.arrivals == []


def test_headers_up_to_the_limit(tight: Edge) -> None:
    tight.gateway.on("*", "*", answer(200, b"done"))
    value = "x" * 50_000
    assert tight.get("/v1/api/x", headers=(("X-Large", value),)).status == 200
    assert tight.gateway.arrivals[0].header("x-large") == value


@pytest.mark.parametrize(("count", "size"), [(1, 40_000), (9, 9_000), (20, 9_000), (120, 10), (300, 300), (2000, 10)])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", ["/v1/api/x", "/accounts/DU1/orders"])
def test_many_headers_of_the_gateway(count: int, size: int, method: str, target: str, tight: Edge) -> None:
    """They pass, or are more than is taken in: but nobody is told that the server is down."""
    sent = tuple((f"X-{number}", "x" * size) for number in range(count))
    tight.gateway.on("*", "*", answer(200, b"done", headers=sent))
    with tight.connect() as connection:
        connection.write(tight.request(method, target, body=b"{}" if method == "POST" else None))
        assert connection.read_head() in (200, 502)
    assert len(tight.gateway.arrivals) == 1 or method == "GET"


def test_large_headers_of_the_gateway_pass(tight: Edge) -> None:
    tight.gateway.on("*", "*", answer(200, b"done", headers=(("X-Large", "x" * 40_000),)))
    assert tight.get("/v1/api/x").header("x-large") == "x" * 40_000


@pytest.mark.parametrize("target", ["/v1/api/x", "/accounts/DU1/orders"])
def test_a_body_that_does_not_come(target: str, tight: Edge) -> None:
    with tight.connect() as connection:
        connection.write(tight.request("POST", target, headers=(("Content-Length", "10"),)) + b"{")
        assert_envelope(connection.read("POST"), 408, "request_timeout")
    assert tight.gateway.arrivals == []


def test_headers_that_do_not_come(tight: Edge) -> None:
    with tight.connect() as connection:
        connection.write(b"GET /accounts HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert_envelope(connection.read(), 408, "request_timeout")


async def _never(arrival: Arrival) -> bytes:
    await asyncio.sleep(30)
    return answer(200)


@pytest.mark.parametrize("target", ["/health", "/accounts", "/v1/api/x"])
def test_a_gateway_that_is_silent(target: str, tight: Edge) -> None:
    tight.gateway.on("*", "*", _never)
    assert_envelope(tight.get(target), 504, "upstream_timeout", naming="1 s")


@pytest.mark.parametrize("target", ["/accounts/DU1/orders", "/v1/api/iserver/reply/x"])
def test_an_order_to_a_gateway_that_is_silent_is_sent_once(target: str, tight: Edge) -> None:
    tight.gateway.on("*", "*", _never)
    assert_envelope(tight.post(target, b"{}"), 504, "upstream_timeout", naming="outcome is unknown")
    assert len(tight.gateway.arrivals) == 1


@pytest.mark.parametrize("target", ["/health", "/accounts", "/v1/api/x", "/sso/Login"])
def test_a_gateway_that_is_away(target: str, run_edge_without_gateway: Edge) -> None:
    assert_envelope(run_edge_without_gateway.get(target), 503, "upstream_unreachable", naming="cannot connect")
    if target != "/health":
        assert run_edge_without_gateway.send("HEAD", target).status == 503


def test_an_order_to_a_gateway_that_is_away_was_not_sent(run_edge_without_gateway: Edge) -> None:
    reply = run_edge_without_gateway.post("/accounts/DU1/orders", b"{}")
    assert_envelope(reply, 503, "upstream_unreachable")
    assert "unknown" not in reply.json()["message"]


@pytest.fixture(scope="module")
def run_edge_without_gateway(run_edge: RunEdge) -> Iterator[Edge]:
    # Nothing listens on port 1 of the loopback interface.
    with run_edge({"IBKR_GATEWAY_URL": "https://127.0.0.1:1/v1/api"}) as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_the_server_away(method: str, edge_without_server: Edge) -> None:
    for target in ("/health", "/accounts", "/v1/api/x", "/events/orders", "/debug/jar", "/"):
        reply = edge_without_server.send(method, target, body=b"{}" if method == "POST" else None)
        assert reply.status == 503
        assert reply.header("x-request-id")
        if method != "HEAD":
            assert_envelope(reply, 503, "server_unavailable")


@pytest.fixture(scope="module")
def edge_without_server(run_edge: RunEdge) -> Iterator[Edge]:
    with run_edge({}) as running:
        running.server.terminate()
        assert running.server.wait(20) == 0
        yield running


def test_more_calls_than_may_be_under_way_are_refused(run_edge: RunEdge) -> None:
    released = threading.Event()

    async def held(_: Arrival) -> bytes:
        assert await asyncio.to_thread(released.wait, 20)
        return json_answer({})

    with run_edge({"BEZANT_MAX_CALLS": "2"}) as edge, ThreadPoolExecutor() as callers:
        edge.gateway.on("GET", "/v1/api/x", held)
        under_way = [callers.submit(edge.get, f"/v1/api/x?{number}") for number in range(2)]
        while len(edge.gateway.received("GET", "/v1/api/x")) < 2:
            time.sleep(0.01)
        refused = edge.get("/v1/api/x?2")
        released.set()
        assert [each.result(20).status for each in under_way] == [200, 200]
        assert_envelope(refused, 503, "server_unavailable", naming="too many calls")
        assert edge.get("/v1/api/x?3").status == 200
