"""Which methods a path takes, and what the others are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import RunEdge
from tests.contract.rest.checks import assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway

READ = ("GET", "HEAD")
ROWS = (
    ("/health", READ),
    ("/accounts", READ),
    ("/accounts/DU1/summary", READ),
    ("/accounts/DU1/positions", READ),
    ("/accounts/DU1/ledger", READ),
    ("/accounts/DU1/orders", ("GET", "HEAD", "POST")),
    ("/accounts/DU1/orders/5", ("DELETE",)),
    ("/contracts/search", READ),
    ("/market/snapshot", READ),
    ("/debug/jar", READ),
    ("/debug/probe", READ),
)
EVENTS = ("/events/orders", "/events/_status", "/events/orders/history")
SERVED = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [(method, path, allowed) for path, allowed in ROWS for method in SERVED if method not in allowed],
)
def test_a_wrong_method_on_a_row(
    method: str, path: str, allowed: tuple[str, ...], edge: Edge, gateway: ScriptedGateway
) -> None:
    for target in (path, f"{path}/", f"{path}?x=1"):
        reply = edge.send(method, target, body=b"{}" if method in ("POST", "PUT", "PATCH") else None)
        assert (reply.status, reply.header("allow")) == (405, ", ".join(allowed))
        if method != "HEAD":
            assert_envelope(reply, 405, "method_not_allowed", naming=method)
    assert gateway.arrivals == []


@pytest.fixture(scope="module")
def capturing_edge(run_edge: RunEdge) -> Iterator[Edge]:
    with run_edge({"BEZANT_EVENTS_ENABLED": "true"}) as running:
        yield running


@pytest.mark.parametrize("path", EVENTS)
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_a_wrong_method_on_the_events(method: str, path: str, capturing_edge: Edge) -> None:
    reply = capturing_edge.send(method, path, body=b"{}")
    assert_envelope(reply, 405, "method_not_allowed", naming=method)
    assert reply.header("allow") == "GET, HEAD"


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "MKCOL", "SEARCH", "PURGE", "LINK"])
@pytest.mark.parametrize("target", ["/accounts", "/v1/api/tickle", "/"])
def test_a_method_nobody_takes(method: str, target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    reply = edge.send(method, target)
    assert_envelope(reply, 405, "method_not_allowed")
    assert reply.header("allow") == "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"
    assert gateway.arrivals == []


@pytest.mark.parametrize(
    ("method", "target"),
    [("INVENTED", "/accounts"), ("get", "/accounts"), ("CONNECT", "127.0.0.1:443"), ("CONNECT", "/v1/api")],
)
def test_what_is_no_method_is_refused(method: str, target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    reply = edge.send(method, target)
    assert reply.status in (400, 403, 404, 405)
    assert set(reply.json()) == {"code", "message"}
    assert gateway.arrivals == []


@pytest.mark.parametrize("target", ["/v1/api/ws", "/v1/api/portfolio/accounts", "/accounts", "/events/orders", "/"])
def test_a_websocket_upgrade(target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    reply = edge.send(
        "GET",
        target,
        headers=(
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ),
    )
    assert_envelope(reply, 426, "upgrade_required", naming="/events")
    assert gateway.arrivals == []
