"""The same promises, through Envoy and the running server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.transport.conftest import ServerIdentity
from tests.support.edge import Edge, running_edge
from tests.support.scripted_gateway import CLOSE, Arrival, ScriptedGateway, answer, gateway_in_background, json_answer

ORDERS = ("POST", "/v1/api/iserver/account/DU1/orders")
CANCEL = ("DELETE", "/v1/api/iserver/account/DU1/order/7")
CHANGES = [
    ("POST", "/accounts/DU1/orders", ORDERS),
    ("DELETE", "/accounts/DU1/orders/7", CANCEL),
    ("POST", "/v1/api/iserver/account/DU1/orders", ORDERS),
    ("DELETE", "/v1/api/iserver/account/DU1/order/7", CANCEL),
    ("PUT", "/v1/api/x", ("PUT", "/v1/api/x")),
    ("PATCH", "/v1/api/x", ("PATCH", "/v1/api/x")),
    ("GET", "/v1/api/logout", ("GET", "/v1/api/logout")),
    ("GET", "/v1/api/iserver/auth/ssodh/init", ("GET", "/v1/api/iserver/auth/ssodh/init")),
]


@pytest.fixture(scope="module")
def running(identity: ServerIdentity) -> Iterator[Edge]:
    with gateway_in_background(identity.context) as gateway, running_edge(gateway) as edge:
        yield edge


@pytest.fixture
def edge(running: Edge) -> Edge:
    running.gateway.reset()
    return running


def warm(edge: Edge) -> None:
    """Leave kept-alive connections behind on both transports."""
    edge.gateway.on("GET", "/v1/api/warm", json_answer({}))
    edge.gateway.on("POST", "/v1/api/warm", json_answer({}))
    assert edge.get("/v1/api/warm").status == 200
    assert edge.post("/v1/api/warm", b"{}").status == 200


@pytest.mark.parametrize(("method", "target", "upstream"), CHANGES)
@pytest.mark.parametrize(
    "reply",
    [CLOSE, b"nonsense\r\n\r\n", answer(200, b"{", length=50, headers=(("Connection", "close"),))],
    ids=["closed", "nonsense", "cut"],
)
def test_a_change_arrives_once_and_its_outcome_is_unknown(
    edge: Edge, method: str, target: str, upstream: tuple[str, str], reply: bytes
) -> None:
    warm(edge)
    edge.gateway.on(*upstream, reply)
    response = edge.send(method, target, body=b"{}" if method in ("POST", "PUT", "PATCH") else None)
    assert (response.status, response.json()["code"]) == (502, "upstream_http_error")
    assert "outcome is unknown" in response.json()["message"]
    assert len(edge.gateway.received(*upstream)) == 1


@pytest.mark.parametrize("target", ["/accounts", "/v1/api/portfolio/accounts"])
def test_a_read_survives_one_dead_connection(edge: Edge, target: str) -> None:
    warm(edge)
    answers = iter([CLOSE, json_answer([])])
    edge.gateway.on("GET", "/v1/api/portfolio/accounts", lambda _: next(answers))
    assert edge.get(target).status == 200


def test_callers_that_hang_up_leave_the_server_usable(identity: ServerIdentity) -> None:
    """Each of them held the one connection that there is."""

    async def never(_: Arrival) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    variables = {"BEZANT_MAX_CONNECTIONS": "1", "BEZANT_REQUEST_TIMEOUT_SECS": "60"}
    with gateway_in_background(identity.context) as gateway, running_edge(gateway, variables) as edge:
        for method in ("GET", "POST"):
            upstream = (method, "/v1/api/x")
            gateway.on(*upstream, never)
            with ExitStack() as callers:
                connection = callers.enter_context(edge.connect())
                connection.write(edge.request(*upstream, body=b""))
                wait_for(gateway, upstream)
            gateway.on(*upstream, json_answer({"served": True}))
            assert edge.send(*upstream, body=b"").json() == {"served": True}


def wait_for(gateway: ScriptedGateway, upstream: tuple[str, str]) -> None:
    """Until a request is there. It lives in another thread, whose loop must not be waited on here."""

    async def arrived() -> None:
        async with asyncio.timeout(20):
            while not gateway.received(*upstream):  # noqa: ASYNC110  the gateway's own event belongs to its thread
                await asyncio.sleep(0.01)

    asyncio.run(arrived())


def test_the_session_is_kept_alive_at_the_interval(identity: ServerIdentity) -> None:
    with (
        gateway_in_background(identity.context) as gateway,
        running_edge(gateway, {"BEZANT_KEEPALIVE_SECS": "0.05"}) as edge,
    ):
        tickle = ("POST", "/v1/api/tickle")
        gateway.on(*tickle, answer(401))
        edge.wait_for_log(message="the session is LOGGED_OUT")
        gateway.on(*tickle, json_answer({"iserver": {"authStatus": {"authenticated": False, "connected": True}}}))
        edge.wait_for_log(message="the session is NO_BROKERAGE_SESSION")
        assert {arrival.header("content-length") for arrival in gateway.received(*tickle)} == {"0"}
        assert gateway.counts().keys() == {" ".join(tickle)}
