"""The same port serves native gRPC and gRPC-Web, where grpc-status is the answer."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from bezant.v1 import gateway_service_pb2, gateway_service_pb2_grpc, sidecar_service_pb2, sidecar_service_pb2_grpc
from tests.support.edge import Edge, HttpAnswer
from tests.support.scripted_gateway import ScriptedGateway, answer, json_answer

API = "/v1/api"
HEALTH = "/bezant.v1.SidecarService/GetHealth"
SEARCH = "/bezant.v1.SidecarService/SearchContracts"
_DEADLINE = 20.0
_TRAILERS = 0x80


@pytest.fixture
async def channel(edge: Edge) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"{edge.host}:{edge.port}") as opened:
        yield opened


@pytest.fixture(autouse=True)
def script(gateway: ScriptedGateway) -> None:
    gateway.on("POST", f"{API}/iserver/auth/status", json_answer({"authenticated": True}))
    gateway.on("GET", f"{API}/portfolio/accounts", answer(207, b"[1.00]", headers=(("X-Kept", "1"),)))


async def test_a_unary_call(channel: grpc.aio.Channel) -> None:
    stub = sidecar_service_pb2_grpc.SidecarServiceStub(channel)
    call = stub.ListAccounts(sidecar_service_pb2.SidecarServiceListAccountsRequest(), timeout=_DEADLINE)
    body = await call
    assert (body.data, body.content_type) == (b"[1.00]", "application/json;charset=utf-8")
    initial = dict(await call.initial_metadata())
    assert (initial["x-http-status"], initial["x-kept"]) == ("207", "1")
    assert dict(await call.trailing_metadata())["x-request-id"]


async def test_forward(channel: grpc.aio.Channel, gateway: ScriptedGateway) -> None:
    gateway.on("POST", f"{API}/tickle", answer(401, b"\xff", headers=(("Set-Cookie", "a=1; Domain=x"),)))
    stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
    request = gateway_service_pb2.ForwardRequest(method="POST", path=f"{API}/tickle?x=%2F", body=b"{}")
    reply = await stub.Forward(request, timeout=_DEADLINE)
    assert (reply.status, reply.body) == (401, b"\xff")
    assert [(header.name, header.value) for header in reply.headers if header.name == "set-cookie"] == [
        ("set-cookie", "a=1")
    ]
    assert [(call.method, call.target, call.body) for call in gateway.arrivals] == [
        ("POST", f"{API}/tickle?x=%2F", b"{}")
    ]


async def test_an_error_is_a_status_with_details(channel: grpc.aio.Channel, gateway: ScriptedGateway) -> None:
    stub = sidecar_service_pb2_grpc.SidecarServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.SearchContracts(sidecar_service_pb2.SidecarServiceSearchContractsRequest(), timeout=_DEADLINE)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(raised.value.trailing_metadata())
    details = trailers["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert (info.reason, info.domain) == ("MISSING_QUERY_PARAM", "bezant-grpc")
    assert "x-error-envelope" not in trailers
    assert gateway.arrivals == []


async def test_metadata_of_the_transcoder_cannot_be_forged(channel: grpc.aio.Channel, gateway: ScriptedGateway) -> None:
    stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
    forged = (("x-envoy-original-path", "/v1/api/forged"), ("x-envoy-original-method", "GET"))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.ForwardRead(gateway_service_pb2.ForwardReadRequest(), timeout=_DEADLINE, metadata=forged).read()
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert gateway.arrivals == []


async def test_an_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    missing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/bezant.v1.SidecarService/Missing")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await missing(b"", timeout=_DEADLINE)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_another_sites_page_may_not_call(channel: grpc.aio.Channel, gateway: ScriptedGateway) -> None:
    stub = sidecar_service_pb2_grpc.SidecarServiceStub(channel)
    request = sidecar_service_pb2.SidecarServicePlaceOrdersRequest(account_id="DU1")
    request.body.data = b"{}"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.PlaceOrders(request, timeout=_DEADLINE, metadata=(("sec-fetch-site", "cross-site"),))
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert gateway.arrivals == []


def web(edge: Edge, method: str, message: bytes, *, kind: str = "application/grpc-web+proto") -> HttpAnswer:
    frame = b"\x00" + len(message).to_bytes(4, "big") + message
    body = base64.b64encode(frame) if "text" in kind else frame
    return edge.post(method, body, headers=(("Content-Type", kind), ("Accept", kind), ("X-Grpc-Web", "1")))


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        length = int.from_bytes(body[1:5], "big")
        found.append((body[0], body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def test_a_grpc_web_call(edge: Edge) -> None:
    reply = web(edge, HEALTH, b"")
    assert (reply.status, reply.header("content-type")) == (200, "application/grpc-web+proto")
    (kind, message), (end, trailers) = frames(reply.body)
    assert (kind, end) == (0, _TRAILERS)
    assert b'"authenticated": true' in message
    assert re.search(rb"grpc-status: ?0", trailers)


def test_a_grpc_web_text_call(edge: Edge) -> None:
    reply = web(edge, HEALTH, b"", kind="application/grpc-web-text")
    assert reply.header("content-type") == "application/grpc-web-text+proto"
    decoded = b"".join(base64.b64decode(part) for part in re.findall(rb"[^=]+=*", reply.body))
    assert b'"authenticated": true' in decoded
    assert b"grpc-status:0" in decoded


def test_a_grpc_web_error(edge: Edge) -> None:
    reply = web(edge, SEARCH, b"")
    assert (reply.status, reply.header("grpc-status")) == (200, "3")
    assert "symbol" in (reply.header("grpc-message") or "")
