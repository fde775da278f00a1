"""Each code, triggered: as a REST caller and as a gRPC program meet it.

Some are not here. What typed RPCs alone answer is tested with them (tests/typed). `invalid_base_url` stops the start,
so no call meets it (the configuration's tests do). `internal` is for defects, and none is known:
tests/unit/test_interceptor.py makes one.
"""

from __future__ import annotations

import ast
import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from bezant.v1 import gateway_service_pb2 as gateway_pb
from bezant.v1 import gateway_service_pb2_grpc as gateway_grpc
from bezant.v1 import sidecar_service_pb2 as pb
from bezant.v1 import sidecar_service_pb2_grpc as sidecar_grpc
from tests.contract.conftest import RunEdge
from tests.support.edge import Edge, HttpAnswer, running_edge
from tests.support.grpc_errors import error_info, violated_fields
from tests.support.scripted_gateway import CLOSE, Answer, Arrival, ScriptedGateway, answer, json_answer
from tests.unit.test_errors import documented

TARGETS_ONLY = {
    "batch_not_found",
    "broker_connection_error",
    "idempotency_conflict",
    "state_unavailable",
    "unauthorized",
}
"""Tested with the target orders (tests/contract/targets)."""
TYPED_ONLY = {
    "account_not_found",
    "ambiguous_symbol",
    "no_derivatives",
    "scan_refused",
    "bar_size_changed",
    "contract_not_found",
    "history_unavailable",
    "depth_in_use",
    "slow_reader",
    "too_many_feeds",
    "snapshot_refused",
    "order_not_editable",
    "order_not_found",
    "order_not_open",
    "order_refused",
    "reply_expired",
    "upstream_not_primed",
}
TESTED_ELSEWHERE = {"invalid_base_url", "internal", "rate_limited", "session_not_ready", *TARGETS_ONLY, *TYPED_ONLY}
STATUS = ("POST", "/v1/api/iserver/auth/status")
Code = grpc.StatusCode


def assert_envelope(response: HttpAnswer, status: int, code: str, **members: object) -> None:
    assert response.status == status, response.body
    assert (response.header("content-type") or "").startswith("application/json")
    envelope = response.json()
    assert envelope.pop("message")
    assert envelope == {"code": code, **members}
    leaked = [name for name in response.names() if name.startswith(("grpc-", "x-envoy-", "x-error-", "x-http-"))]
    assert leaked == []


async def failure(edge: Edge, call: Callable[[Any, Any], Any]) -> grpc.aio.AioRpcError:
    """The error of a call on the server's own port; `call` is given the stubs of both services."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        sidecar = sidecar_grpc.SidecarServiceStub(channel)
        forward = gateway_grpc.GatewayServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(sidecar, forward)
    return caught.value


def assert_status(
    error: grpc.aio.AioRpcError,
    status: grpc.StatusCode,
    code: str,
    *,
    field: str = "",
    members: Mapping[str, object] | None = None,
) -> None:
    info = error_info(error)
    assert (error.code(), info.reason) == (status, code.upper())
    assert dict(info.metadata) == {name: str(value) for name, value in (members or {}).items()}
    assert violated_fields(error) == ([field] if field else [])
    assert not {"x-http-status", "x-error-envelope"} & {name for name, _ in error.trailing_metadata()}


async def never(_: Arrival) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


ABOUT_THE_GATEWAY: dict[str, tuple[Answer, int, grpc.StatusCode, str, dict[str, object]]] = {
    "not_authenticated by 401": (answer(401), 401, Code.UNAUTHENTICATED, "not_authenticated", {}),
    "not_authenticated by redirect": (
        answer(302, headers=(("Location", "/sso/Login"),)),
        401,
        Code.UNAUTHENTICATED,
        "not_authenticated",
        {},
    ),
    "no_session": (
        json_answer({"error": "Bad Request: no bridge"}, 400),
        503,
        Code.FAILED_PRECONDITION,
        "no_session",
        {},
    ),
    "upstream_http_error by closing": (CLOSE, 502, Code.UNAVAILABLE, "upstream_http_error", {}),
    "upstream_http_error by nonsense": (b"nonsense\r\n\r\n", 502, Code.UNAVAILABLE, "upstream_http_error", {}),
    "upstream_http_error by truncation": (
        answer(200, b"{", length=9, headers=(("Connection", "close"),)),
        502,
        Code.UNAVAILABLE,
        "upstream_http_error",
        {},
    ),
    "upstream_status 500": (answer(500), 500, Code.UNAVAILABLE, "upstream_status", {"upstream_status": 500}),
    "upstream_status 503": (answer(503, "<html>"), 503, Code.UNAVAILABLE, "upstream_status", {"upstream_status": 503}),
    "upstream_status 429": (answer(429), 429, Code.RESOURCE_EXHAUSTED, "upstream_status", {"upstream_status": 429}),
    "upstream_client_error 400": (
        json_answer({"error": "something else"}, 400),
        400,
        Code.INVALID_ARGUMENT,
        "upstream_client_error",
        {"upstream_status": 400},
    ),
    "upstream_client_error 403": (
        answer(403),
        403,
        Code.PERMISSION_DENIED,
        "upstream_client_error",
        {"upstream_status": 403},
    ),
    "upstream_client_error 404": (answer(404), 404, Code.NOT_FOUND, "upstream_client_error", {"upstream_status": 404}),
    "upstream_client_error 410": (
        answer(410),
        410,
        Code.FAILED_PRECONDITION,
        "upstream_client_error",
        {"upstream_status": 410},
    ),
    "upstream_decode_error by HTML": (answer(200, "<html>"), 502, Code.INTERNAL, "upstream_decode_error", {}),
    "upstream_decode_error by a huge type": (
        answer(200, "<html>", content_type="text/html; " + "x" * 50_000),
        502,
        Code.INTERNAL,
        "upstream_decode_error",
        {},
    ),
    "upstream_api_error": (
        json_answer({"error": "not today: “sorry”\n"}),
        502,
        Code.FAILED_PRECONDITION,
        "upstream_api_error",
        {},
    ),
}


@pytest.mark.parametrize(
    ("reply", "http", "status", "code", "members"), ABOUT_THE_GATEWAY.values(), ids=ABOUT_THE_GATEWAY
)
async def test_about_the_gateway(  # noqa: PLR0917  pytest names them
    edge: Edge,
    gateway: ScriptedGateway,
    reply: Answer,
    http: int,
    status: grpc.StatusCode,
    code: str,
    members: dict[str, object],
) -> None:
    gateway.on(*STATUS, reply)
    assert_envelope(edge.get("/health"), http, code, **members)
    error = await failure(edge, lambda sidecar, _: sidecar.GetHealth(pb.SidecarServiceGetHealthRequest()))
    assert_status(error, status, code, members=members)


async def test_the_gateways_words_arrive_whole(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on(*STATUS, json_answer({"error": "größer “1”\n%"}))
    said = "the gateway answered größer “1”\n%"
    assert edge.get("/health").json()["message"] == said
    error = await failure(edge, lambda sidecar, _: sidecar.GetHealth(pb.SidecarServiceGetHealthRequest()))
    assert error.details() == said


async def test_upstream_unreachable() -> None:
    nobody = ScriptedGateway()
    nobody.arrivals.append(Arrival(*STATUS, (), b""))  # the edge wants to have seen one
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody.port = unused.getsockname()[1]
        with running_edge(nobody) as edge:
            assert_envelope(edge.get("/health"), 503, "upstream_unreachable")
            assert_envelope(edge.get("/v1/api/anything"), 503, "upstream_unreachable")
            assert_envelope(edge.post("/accounts/DU1/orders", b"{}"), 503, "upstream_unreachable")
            error = await failure(edge, lambda sidecar, _: sidecar.GetHealth(pb.SidecarServiceGetHealthRequest()))
            assert_status(error, Code.UNAVAILABLE, "upstream_unreachable")


async def test_upstream_timeout(impatient_edge: Edge) -> None:
    impatient_edge.gateway.reset()
    impatient_edge.gateway.on(*STATUS, never)
    impatient_edge.gateway.on("POST", "/v1/api/iserver/account/DU1/orders", never)
    assert_envelope(impatient_edge.get("/health"), 504, "upstream_timeout")
    order = impatient_edge.post("/accounts/DU1/orders", b"{}")
    assert_envelope(order, 504, "upstream_timeout")
    assert "outcome is unknown" in order.json()["message"]
    error = await failure(impatient_edge, lambda sidecar, _: sidecar.GetHealth(pb.SidecarServiceGetHealthRequest()))
    assert_status(error, Code.DEADLINE_EXCEEDED, "upstream_timeout")


OF_THE_CALLER: dict[str, tuple[str, Callable[[Any, Any], Any], int, grpc.StatusCode, str, str]] = {
    "page": (
        "/accounts/DU1/positions?page=x",
        lambda sidecar, _: sidecar.ListPositions(pb.SidecarServiceListPositionsRequest(account_id="DU1", page="x")),
        400,
        Code.INVALID_ARGUMENT,
        "bad_request",
        "page",
    ),
    "conids": (
        "/market/snapshot?conids=AAPL",
        lambda sidecar, _: sidecar.GetMarketSnapshot(pb.SidecarServiceGetMarketSnapshotRequest(conids="AAPL")),
        400,
        Code.INVALID_ARGUMENT,
        "bad_request",
        "conids",
    ),
    "no conids": (
        "/market/snapshot",
        lambda sidecar, _: sidecar.GetMarketSnapshot(pb.SidecarServiceGetMarketSnapshotRequest()),
        400,
        Code.INVALID_ARGUMENT,
        "missing_query_param",
        "conids",
    ),
    "no symbol": (
        "/contracts/search",
        lambda sidecar, _: sidecar.SearchContracts(pb.SidecarServiceSearchContractsRequest()),
        400,
        Code.INVALID_ARGUMENT,
        "missing_query_param",
        "symbol",
    ),
}


@pytest.mark.parametrize(
    ("target", "call", "http", "status", "code", "field"), OF_THE_CALLER.values(), ids=OF_THE_CALLER
)
async def test_of_the_caller(  # noqa: PLR0917  pytest names them
    edge: Edge,
    gateway: ScriptedGateway,
    target: str,
    call: Callable[[Any, Any], Any],
    http: int,
    status: grpc.StatusCode,
    code: str,
    field: str,
) -> None:
    response = edge.get(target)
    assert_envelope(response, http, code)
    assert field in response.json()["message"]
    assert_status(await failure(edge, call), status, code, field=field)
    assert gateway.arrivals == []


async def test_a_body_that_is_no_json(edge: Edge, gateway: ScriptedGateway) -> None:
    assert_envelope(edge.post("/accounts/DU1/orders", b"{"), 400, "bad_request")
    request = pb.SidecarServicePlaceOrdersRequest(account_id="DU1")
    request.body.data = b"{"
    error = await failure(edge, lambda sidecar, _: sidecar.PlaceOrders(request))
    assert_status(error, Code.INVALID_ARGUMENT, "bad_request", field="body")
    assert gateway.arrivals == []


async def test_not_found(edge: Edge) -> None:
    assert_envelope(edge.get("/debug/jar"), 404, "not_found")
    assert_envelope(edge.get("/debug/other"), 404, "not_found")
    error = await failure(edge, lambda sidecar, _: sidecar.GetCookieJar(pb.SidecarServiceGetCookieJarRequest()))
    assert_status(error, Code.NOT_FOUND, "not_found")


@pytest.mark.parametrize("character", ["x", '"', "%22"])
def test_an_error_that_quotes_a_long_path_arrives(edge: Edge, character: str) -> None:
    path = "/debug/" + character * (50_000 // len(character))
    assert_envelope(edge.send("POST", path, body=b""), 404, "not_found")


def test_an_error_that_quotes_a_long_header_arrives(edge: Edge) -> None:
    headers = (("Sec-Fetch-Site", "x" * 50_000),)
    assert_envelope(edge.send("POST", "/v1/api/x", headers=headers, body=b""), 403, "forbidden")


async def test_debug_unauthorized(impatient_edge: Edge) -> None:
    assert_envelope(impatient_edge.get("/debug/jar"), 401, "debug_unauthorized")
    assert_envelope(impatient_edge.get("/debug/jar?token=the-tokem"), 401, "debug_unauthorized")
    error = await failure(impatient_edge, lambda sidecar, _: sidecar.Probe(pb.SidecarServiceProbeRequest(token="é")))
    assert_status(error, Code.UNAUTHENTICATED, "debug_unauthorized")


async def test_forbidden(edge: Edge, gateway: ScriptedGateway) -> None:
    cross_site = (("Sec-Fetch-Site", "cross-site"),)
    assert_envelope(edge.post("/accounts/DU1/orders", b"{}", headers=cross_site), 403, "forbidden")
    assert_envelope(edge.send("GET", "/health", host="evil.example"), 403, "forbidden")
    error = await failure(
        edge,
        lambda _, forward: forward.Forward(
            gateway_pb.ForwardRequest(method="POST", path="/x"), metadata=(("sec-fetch-site", "cross-site"),)
        ),
    )
    assert_status(error, Code.PERMISSION_DENIED, "forbidden")
    assert gateway.arrivals == []


def test_method_not_allowed(edge: Edge) -> None:
    response = edge.send("DELETE", "/accounts")
    assert_envelope(response, 405, "method_not_allowed")
    assert response.header("allow") == "GET, HEAD"
    assert_envelope(edge.send("PROPFIND", "/anything"), 405, "method_not_allowed")


def test_upgrade_required(edge: Edge) -> None:
    headers = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
    assert_envelope(edge.send("GET", "/v1/api/ws", headers=headers), 426, "upgrade_required")


def test_body_too_large(impatient_edge: Edge) -> None:
    assert_envelope(impatient_edge.post("/accounts/DU1/orders", b"1" * 5000), 413, "body_too_large")


def test_headers_too_large(edge: Edge) -> None:
    assert_envelope(edge.get("/health", headers=(("X-Large", "x" * 70_000),)), 431, "headers_too_large")


def test_request_timeout(impatient_edge: Edge) -> None:
    with impatient_edge.connect() as connection:
        connection.write(b"POST /accounts/DU1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        assert_envelope(connection.read(), 408, "request_timeout")


def test_server_unavailable(run_edge: RunEdge) -> None:
    with run_edge({}) as edge:
        edge.server.send_signal(signal.SIGKILL)
        edge.server.wait(20)
        for target in ("/health", "/v1/api/anything", "/events/orders"):
            assert_envelope(edge.get(target), 503, "server_unavailable")


async def test_events_disabled(edge: Edge) -> None:
    for target in ("/events/orders", "/events/_status", "/events/orders/history", "/events/some/thing"):
        assert_envelope(edge.get(target), 503, "events_disabled")
    error = await failure(
        edge, lambda sidecar, _: sidecar.PollEvents(pb.SidecarServicePollEventsRequest(topic="orders"))
    )
    assert_status(error, Code.FAILED_PRECONDITION, "events_disabled")


async def test_events_history_disabled(capturing_edge: Edge) -> None:
    target = "/events/orders/history?since_ts=2026-03-09T14:30:00Z"
    assert_envelope(capturing_edge.get(target), 503, "events_history_disabled")
    request = pb.SidecarServiceListEventHistoryRequest(topic="orders", since_ts="2026-03-09T14:30:00Z")
    error = await failure(capturing_edge, lambda sidecar, _: sidecar.ListEventHistory(request))
    assert_status(error, Code.FAILED_PRECONDITION, "events_history_disabled")


async def test_cursor_expired(capturing_edge: Edge) -> None:
    response = capturing_edge.get("/events/orders?since=1")
    members = {name: response.json()[name] for name in ("head_cursor", "reset_epoch")}
    assert all(isinstance(value, int) for value in members.values())
    assert_envelope(response, 412, "cursor_expired", **members)
    error = await failure(
        capturing_edge,
        lambda sidecar, _: sidecar.PollEvents(pb.SidecarServicePollEventsRequest(topic="orders", since="1")),
    )
    assert_status(error, Code.OUT_OF_RANGE, "cursor_expired", members=members)


async def test_events_subscribe_failed(capturing_edge: Edge) -> None:
    assert capturing_edge.get("/events/marketdata?conid=1").status == 200
    assert_envelope(capturing_edge.get("/events/marketdata?conid=2"), 502, "events_subscribe_failed")
    request = pb.SidecarServicePollEventsRequest(topic="marketdata", conid="2")
    error = await failure(capturing_edge, lambda sidecar, _: sidecar.PollEvents(request))
    assert_status(error, Code.UNAVAILABLE, "events_subscribe_failed")


async def test_an_unknown_topic_is_not_found(capturing_edge: Edge) -> None:
    assert_envelope(capturing_edge.get("/events/nonsense"), 404, "not_found")
    error = await failure(
        capturing_edge, lambda sidecar, _: sidecar.PollEvents(pb.SidecarServicePollEventsRequest(topic="nonsense"))
    )
    assert_status(error, Code.NOT_FOUND, "not_found")


def test_every_code_of_the_table_is_here() -> None:
    calls = (
        node for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    )
    asserted = {
        call.args[2].value
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id == "assert_envelope"
        and isinstance(call.args[2], ast.Constant)
    }
    about_the_gateway = {code for _, _, _, code, _ in ABOUT_THE_GATEWAY.values()}
    of_the_caller = {code for _, _, _, _, code, _ in OF_THE_CALLER.values()}
    assert asserted | about_the_gateway | of_the_caller | TESTED_ELSEWHERE == documented().keys()
