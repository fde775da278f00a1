"""With capture off, every path below /events says so, whatever else is wrong with the request."""

from __future__ import annotations

import pytest

from tests.contract.rest.checks import assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway


@pytest.mark.parametrize(
    "target",
    [
        "/events",
        "/events/",
        "/events/orders",
        "/events/orders?since=5&limit=10",
        "/events/orders?since=x",
        "/events/pnl",
        "/events/marketdata",
        "/events/marketdata?conid=x",
        "/events/marketdata?conid=265598",
        "/events/marketdata:265598",
        "/events/gap",
        "/events/nonsense",
        "/events/_status",
        "/events/orders/history",
        "/events/orders/history?since_ts=2026-03-09T14:30:00Z",
        "/events/x/y",
        "/events/x/y/z",
        "/events/orders/history/x",
        "/events/..%2Fx",
        "/events/../accounts",
    ],
)
def test_every_path(target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    assert_envelope(edge.get(target), 503, "events_disabled", naming="BEZANT_EVENTS_ENABLED")
    assert edge.send("HEAD", target).status == 503
    assert gateway.arrivals == []


@pytest.mark.parametrize("target", ["/events/x/y", "/events/orders", "/events/_status", "/events/orders/history"])
def test_any_method(target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert_envelope(edge.send(method, target, body=b"{}"), 503, "events_disabled")
    assert gateway.arrivals == []


def test_a_path_of_the_gateway_that_only_looks_alike(edge: Edge, gateway: ScriptedGateway) -> None:
    assert edge.get("/eventsource").status == 404
    assert [call.target for call in gateway.arrivals] == ["/eventsource"]
