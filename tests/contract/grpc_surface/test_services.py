"""What a gRPC program meets on the public port."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc.aio import AioRpcError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bezant.v1 import gateway_service_pb2 as gateway_pb
from bezant.v1 import gateway_service_pb2_grpc, sidecar_service_pb2_grpc
from bezant.v1 import sidecar_service_pb2 as sidecar_pb
from tests.support.contract import described_services
from tests.support.edge import Edge
from tests.support.grpc_errors import reason, violated_fields
from tests.support.scripted_gateway import CLOSE, ScriptedGateway, answer, json_answer

QUESTION: Any = reflection_pb2.ServerReflectionRequest
SERVICES = described_services()


async def raw(channel: grpc.aio.Channel, rpc: str, request: bytes) -> bytes:
    """A call whose request is these bytes."""
    call: Any = channel.unary_unary(rpc)
    return bytes(await call(request))


@pytest.fixture
def forward(channel: grpc.aio.Channel) -> gateway_service_pb2_grpc.GatewayServiceAsyncStub:
    return gateway_service_pb2_grpc.GatewayServiceStub(channel)


@pytest.fixture
def sidecar(channel: grpc.aio.Channel) -> sidecar_service_pb2_grpc.SidecarServiceAsyncStub:
    return sidecar_service_pb2_grpc.SidecarServiceStub(channel)


class TestReflection:
    async def ask(self, channel: grpc.aio.Channel, question: Any) -> Any:
        opened: Any = channel
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(opened)
        call = stub.ServerReflectionInfo(iter([question]))
        return [response async for response in call][0]  # noqa: RUF015  an asynchronous comprehension

    async def test_it_lists_the_services(self, channel: grpc.aio.Channel) -> None:
        response = await self.ask(channel, QUESTION(list_services=""))
        assert {service.name for service in response.list_services_response.service} == {
            *SERVICES,
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }

    @pytest.mark.parametrize("symbol", [*SERVICES, "bezant.v1.ForwardRequest", "google.api.HttpBody"])
    async def test_it_describes_services_and_messages(self, channel: grpc.aio.Channel, symbol: str) -> None:
        response = await self.ask(channel, QUESTION(file_containing_symbol=symbol))
        names: set[str] = set()
        for encoded in response.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(encoded)
            names |= {f"{file.package}.{service.name}" for service in file.service}
            names |= {f"{file.package}.{message.name}" for message in file.message_type}
        assert symbol in names

    async def test_an_unknown_symbol_is_not_found(self, channel: grpc.aio.Channel) -> None:
        response = await self.ask(channel, QUESTION(file_containing_symbol="bezant.v1.Nothing"))
        assert response.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


class TestHealth:
    @pytest.mark.parametrize("service", ["", *SERVICES])
    async def test_check(self, channel: grpc.aio.Channel, service: str) -> None:
        health: Any = health_pb2_grpc.HealthStub(channel)
        response = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert response.status == health_pb2.HealthCheckResponse.SERVING

    @pytest.mark.parametrize("service", ["", *SERVICES])
    async def test_watch(self, channel: grpc.aio.Channel, service: str) -> None:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=service))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

    async def test_an_unknown_service(self, channel: grpc.aio.Channel) -> None:
        health: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="nothing"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


class TestForward:
    async def test_a_call(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        gateway.on(
            "POST",
            "/v1/api/iserver/x",
            answer(
                201,
                b'{"a": 1.10}',
                headers=(
                    ("X-One", "1"),
                    ("Set-Cookie", "a=1; Domain=x"),
                    ("Set-Cookie", "b=2"),
                    ("Connection", "x-hop"),
                    ("X-Hop", "1"),
                ),
            ),
        )
        response = await forward.Forward(
            gateway_pb.ForwardRequest(
                method="post", path="/v1/api/iserver/x?a=%2F&b", content_type="text/plain", body=b"\x00body"
            )
        )
        assert (response.status, response.body) == (201, b'{"a": 1.10}')
        assert [(header.name, header.value) for header in response.headers] == [
            ("x-one", "1"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-type", "application/json;charset=utf-8"),
        ]
        (arrival,) = gateway.arrivals
        assert (arrival.method, arrival.target, arrival.body) == ("POST", "/v1/api/iserver/x?a=%2F&b", b"\x00body")
        assert arrival.header("content-type") == "text/plain"
        assert arrival.header("origin") == gateway.origin
        assert arrival.header("referer") == f"{gateway.origin}/"

    @pytest.mark.parametrize("status", [204, 302, 401, 404, 429, 500, 503])
    async def test_any_status_is_an_answer(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway, status: int
    ) -> None:
        gateway.on("GET", "/x", answer(status, headers=(("Location", "/sso/Login"),)))
        response = await forward.Forward(gateway_pb.ForwardRequest(method="GET", path="/x"))
        assert response.status == status

    @pytest.mark.parametrize("method", ["", "TRACE", "CONNECT", "PROPFIND", "GET ", "GET\r\n", "ﬀ"])
    async def test_a_method_that_is_not_served(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway, method: str
    ) -> None:
        with pytest.raises(AioRpcError) as caught:
            await forward.Forward(gateway_pb.ForwardRequest(method=method, path="/x"))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (reason(caught.value), violated_fields(caught.value)) == ("BAD_REQUEST", ["method"])
        assert gateway.arrivals == []

    @pytest.mark.parametrize(
        "path", ["", "x", "https://evil.example/", "/a b", "/a\r\nx: y", "/é", "/\x7f", "/a#b", "/" + "a" * 70_000]
    )
    async def test_a_path_that_cannot_be_sent(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway, path: str
    ) -> None:
        with pytest.raises(AioRpcError) as caught:
            await forward.Forward(gateway_pb.ForwardRequest(method="GET", path=path))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (reason(caught.value), violated_fields(caught.value)) == ("BAD_REQUEST", ["path"])
        assert gateway.arrivals == []

    @pytest.mark.parametrize("content_type", ["a\r\nx: y", "é", "\x00", "x" * 5000])
    async def test_a_content_type_that_cannot_be_sent(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway, content_type: str
    ) -> None:
        request = gateway_pb.ForwardRequest(method="POST", path="/x", content_type=content_type, body=b"x")
        with pytest.raises(AioRpcError) as caught:
            await forward.Forward(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (reason(caught.value), violated_fields(caught.value)) == ("BAD_REQUEST", ["content_type"])
        assert gateway.arrivals == []

    async def test_a_change_is_sent_once(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        gateway.on("POST", "/v1/api/order", CLOSE)
        with pytest.raises(AioRpcError, match="outcome is unknown") as caught:
            await forward.Forward(gateway_pb.ForwardRequest(method="POST", path="/v1/api/order"))
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_HTTP_ERROR")
        assert len(gateway.arrivals) == 1

    async def test_large_bodies_both_ways(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        large = bytes(range(256)) * (24 * 4096)
        gateway.on("POST", "/x", answer(200, large))
        request = gateway_pb.ForwardRequest(method="POST", path="/x", body=large[: 10 * 1024 * 1024])
        response = await forward.Forward(request)
        assert response.body == large
        assert gateway.arrivals[0].body == request.body

    async def test_a_request_that_is_too_large(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        with pytest.raises(AioRpcError) as caught:
            await forward.Forward(gateway_pb.ForwardRequest(method="POST", path="/x", body=bytes(12 * 1024 * 1024)))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert gateway.arrivals == []

    @pytest.mark.parametrize("rpc", ["ForwardRead", "ForwardWrite"])
    async def test_envoys_rpcs_are_not_for_programs(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway, rpc: str
    ) -> None:
        request: Any = getattr(gateway_pb, f"{rpc}Request")()
        forged = (("x-envoy-original-path", "/v1/api/x"), ("x-envoy-original-method", "POST"))
        with pytest.raises(AioRpcError) as caught:
            [message async for message in getattr(forward, rpc)(request, metadata=forged)]
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert gateway.arrivals == []


class TestSidecar:
    async def test_health(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        gateway.on("POST", "/v1/api/iserver/auth/status", json_answer({"authenticated": True, "connected": True}))
        response = await sidecar.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest())
        assert response.content_type == "application/json"
        assert json.loads(response.data) == {
            "authenticated": True,
            "connected": True,
            "competing": False,
            "message": None,
        }

    async def test_bytes_status_and_headers(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        body = b'[ {"conid":265598,"conid":1, "x":1.10} ]'
        gateway.on("GET", "/v1/api/portfolio/accounts", answer(429, body, headers=(("Retry-After", "5"),)))
        call = sidecar.ListAccounts(sidecar_pb.SidecarServiceListAccountsRequest())
        response = await call
        initial = dict(await call.initial_metadata())
        assert response.data == body
        assert response.content_type == "application/json;charset=utf-8"
        assert (initial["x-http-status"], initial["retry-after"]) == ("429", "5")

    async def test_an_error_names_the_field(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        with pytest.raises(AioRpcError) as caught:
            await sidecar.ListPositions(sidecar_pb.SidecarServiceListPositionsRequest(account_id="DU1", page="two"))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (reason(caught.value), violated_fields(caught.value)) == ("BAD_REQUEST", ["page"])
        assert gateway.arrivals == []

    async def test_rest_trailers_are_not_for_programs(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub
    ) -> None:
        forged = (("x-envoy-original-path", "/market/snapshot"), ("x-envoy-original-method", "GET"))
        with pytest.raises(AioRpcError) as caught:
            await sidecar.GetMarketSnapshot(sidecar_pb.SidecarServiceGetMarketSnapshotRequest(), metadata=forged)
        assert reason(caught.value) == "MISSING_QUERY_PARAM"
        assert not {"x-http-status", "x-error-envelope"} & {name for name, _ in caught.value.trailing_metadata()}


class TestMetadata:
    def request_ids(self, metadata: Sequence[tuple[str, str | bytes]]) -> list[str | bytes]:
        return [value for name, value in metadata if name == "x-request-id"]

    @pytest.mark.parametrize("succeeds", [True, False])
    async def test_a_given_request_id_comes_back(
        self,
        sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub,
        gateway: ScriptedGateway,
        edge: Edge,
        succeeds: bool,
    ) -> None:
        gateway.on("POST", "/v1/api/iserver/auth/status", json_answer({}) if succeeds else answer(500))
        given = f"my-{uuid.uuid4()}"
        call = sidecar.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest(), metadata=(("x-request-id", given),))
        assert self.request_ids(tuple(await call.trailing_metadata())) == [given]
        assert edge.wait_for_log(request_id=given)

    async def test_a_request_id_is_made(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        call = sidecar.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest())
        (made,) = self.request_ids(tuple(await call.trailing_metadata()))
        assert uuid.UUID(str(made))

    @pytest.mark.parametrize(("odd", "kept"), [("with blank", "with blank"), ("x" * 129, "x" * 128)])
    async def test_an_odd_request_id_is_kept_up_to_128_characters(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, odd: str, kept: str
    ) -> None:
        call = sidecar.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest(), metadata=(("x-request-id", odd),))
        assert self.request_ids(tuple(await call.trailing_metadata())) == [kept]

    async def test_metadata_near_60_kilobytes(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        gateway.on("POST", "/v1/api/iserver/auth/status", json_answer({}))
        await sidecar.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest(), metadata=(("x-large", "x" * 59_000),))

    async def test_large_headers_of_the_gateway(
        self, forward: gateway_service_pb2_grpc.GatewayServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        gateway.on("GET", "/x", answer(200, headers=(("X-Large", "x" * 50_000),)))
        response = await forward.Forward(gateway_pb.ForwardRequest(method="GET", path="/x"))
        assert response.headers[0].value == "x" * 50_000

    async def test_a_large_error_arrives(
        self, sidecar: sidecar_service_pb2_grpc.SidecarServiceAsyncStub, gateway: ScriptedGateway
    ) -> None:
        """The gateway's own text is quoted, and must not burst the trailers."""
        gateway.on(
            "POST", "/v1/api/iserver/auth/status", answer(200, "<html>", content_type="text/html; " + "x" * 60_000)
        )
        with pytest.raises(AioRpcError) as caught:
            await sidecar.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest())
        assert reason(caught.value) == "UPSTREAM_DECODE_ERROR"

    async def test_an_unknown_rpc(self, channel: grpc.aio.Channel) -> None:
        with pytest.raises(AioRpcError) as caught:
            await raw(channel, "/bezant.v1.SidecarService/Nothing", b"")
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED

    async def test_a_malformed_request(self, channel: grpc.aio.Channel) -> None:
        with pytest.raises(AioRpcError) as caught:
            await raw(channel, "/bezant.v1.SidecarService/ListPositions", b"\xff\xff\xff")
        assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)
        assert "Traceback" not in (caught.value.details() or "")
