"""What each call of a client gets, what is repeated, and what a failure says."""

from __future__ import annotations

import datetime as dt
import re
import socket
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

import bezant
from bezant import _reads
from bezant.v1.contracts_service_pb2 import GetContractRequest, GetContractResponse
from bezant.v1.events_service_pb2 import StreamEventsRequest, StreamEventsResponse, StreamStarted
from bezant.v1.orders_service_pb2 import ConfirmOrderRequest, PlaceOrdersRequest, PreviewOrdersRequest
from bezant.v1.session_service_pb2 import GetSessionRequest
from tests.clients.python.scripted import HANG, Failure, ScriptedServer, scripted_server
from tests.support.certificates import Authority, self_signed

_PROTOS = Path(__file__).resolve().parents[3] / "proto" / "bezant" / "v1"
_UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE, reason="UPSTREAM_UNREACHABLE")
_KEY = "k3y-of-mine"
_PLAIN, _ENCRYPTED = b"PRI", b"\x16\x03"


def _answered(server: ScriptedServer) -> None:
    server.answer("GetContract", GetContractResponse())
    server.answer("StreamEvents", StreamEventsResponse(started=StreamStarted()))


def _check_defaults(server: ScriptedServer) -> None:
    default, own, stream = server.received
    for call in server.received:
        assert call.metadata["x-api-key"] == _KEY
    assert default.time_remaining is not None
    assert 20 < default.time_remaining < 31
    assert own.time_remaining is not None
    assert own.time_remaining < 6
    assert own.metadata["x-mine"] == "1"
    assert stream.time_remaining is None or stream.time_remaining > 1e6


class TestDefaults:
    def test_every_call_has_the_key_and_one_that_answers_once_a_deadline(self, server: ScriptedServer) -> None:
        _answered(server)
        with bezant.connect(server.target, api_key=_KEY) as client:
            client.contracts.GetContract(GetContractRequest(conid=1))
            client.contracts.GetContract(GetContractRequest(conid=1), timeout=5, metadata=(("x-mine", "1"),))
            assert len(list(client.events.StreamEvents(StreamEventsRequest()))) == 1
        _check_defaults(server)

    async def test_the_same_with_an_event_loop(self, server: ScriptedServer) -> None:
        _answered(server)
        async with bezant.aio.connect(server.target, api_key=_KEY) as client:
            await client.contracts.GetContract(GetContractRequest(conid=1))
            await client.contracts.GetContract(GetContractRequest(conid=1), timeout=5, metadata=(("x-mine", "1"),))
            assert len([message async for message in client.events.StreamEvents(StreamEventsRequest())]) == 1
        _check_defaults(server)

    def test_a_call_ends_at_the_default_deadline(self, server: ScriptedServer) -> None:
        server.answer("PlaceOrders", HANG)
        with (
            bezant.connect(server.target, timeout_secs=0.2) as client,
            pytest.raises(bezant.BezantError) as caught,
        ):
            client.orders.PlaceOrders(PlaceOrdersRequest())
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED

    async def test_a_call_ends_at_the_default_deadline_with_an_event_loop(self, server: ScriptedServer) -> None:
        server.answer("PlaceOrders", HANG)
        async with bezant.aio.connect(server.target, timeout_secs=0.2) as client:
            with pytest.raises(bezant.BezantError) as caught:
                await client.orders.PlaceOrders(PlaceOrdersRequest())
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED

    def test_without_a_key_there_is_none(self, server: ScriptedServer) -> None:
        _answered(server)
        with bezant.connect(server.target) as client:
            client.contracts.GetContract(GetContractRequest(conid=1))
        assert "x-api-key" not in server.received[0].metadata

    @pytest.mark.parametrize("address", ["", "localhost", "localhost:", ":50051", "localhost:x", "localhost:70000"])
    def test_an_address_is_a_host_and_a_port(self, address: str) -> None:
        with pytest.raises(ValueError, match=r"^address must be"):
            bezant.connect(address)

    @pytest.mark.parametrize("key", ["", "s3cret\n", "s3cret s3cret", "s3crét"])
    def test_a_key_that_cannot_be_sent_is_not_repeated(self, key: str) -> None:
        with pytest.raises(ValueError, match=r"^api_key must be") as caught:
            bezant.connect("127.0.0.1:1", api_key=key)
        assert "s3c" not in str(caught.value)

    @pytest.mark.parametrize("secs", [0, -1, float("nan")])
    def test_a_deadline_lies_ahead(self, secs: float) -> None:
        with pytest.raises(ValueError, match=r"^timeout_secs must be"):
            bezant.connect("127.0.0.1:1", timeout_secs=secs)


class TestTls:
    def test_by_an_authority_of_your_own(self, tmp_path: Path) -> None:
        certificate, _ = self_signed(tmp_path)
        credentials = grpc.ssl_server_credentials([(_key_of(certificate), certificate.read_bytes())])
        with scripted_server(credentials) as server:
            _answered(server)
            with bezant.connect(server.target, tls=bezant.Tls(ca_file=certificate), api_key=_KEY) as client:
                client.contracts.GetContract(GetContractRequest(conid=1))
            # The system's authorities have not signed it.
            with bezant.connect(server.target, tls=True, timeout_secs=5) as client:
                with pytest.raises(bezant.BezantError) as caught:
                    client.orders.PlaceOrders(PlaceOrdersRequest())
                assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        assert len(server.received) == 1

    async def test_known_by_a_certificate(self, tmp_path: Path) -> None:
        certificate, _ = self_signed(tmp_path)
        credentials = grpc.ssl_server_credentials(
            [(_key_of(certificate), certificate.read_bytes())],
            root_certificates=certificate.read_bytes(),
            require_client_auth=True,
        )
        key_file = certificate.with_name("gateway-key.pem")
        mine = bezant.Tls(ca_file=certificate, certificate_file=certificate, key_file=key_file)
        with scripted_server(credentials) as server:
            _answered(server)
            async with bezant.aio.connect(server.target, tls=mine) as client:
                await client.contracts.GetContract(GetContractRequest(conid=1))
            async with bezant.aio.connect(server.target, tls=bezant.Tls(ca_file=certificate)) as client:
                with pytest.raises(bezant.BezantError) as caught:
                    await client.orders.PlaceOrders(PlaceOrdersRequest())
                assert caught.value.code is grpc.StatusCode.UNAVAILABLE

    def test_a_certificate_needs_its_key(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"^certificate_file and key_file go together"):
            bezant.Tls(certificate_file=tmp_path)

    def test_files_that_hold_something_else_are_named(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        certificate, key = authority.issue("mine")
        _, another_key = authority.issue("another")
        for tls, named in (
            (bezant.Tls(ca_file=key), "ca_file holds"),
            (bezant.Tls(certificate_file=key, key_file=key), "certificate_file and key_file hold"),
            (bezant.Tls(certificate_file=str(certificate), key_file=another_key), "certificate_file and key_file hold"),
        ):
            with pytest.raises(ValueError, match=f"^{named} no certificate"):
                bezant.connect("127.0.0.1:1", tls=tls)
        with pytest.raises(FileNotFoundError, match="nothing"):
            bezant.connect("127.0.0.1:1", tls=bezant.Tls(ca_file=tmp_path / "nothing"))

    @pytest.mark.parametrize(
        ("host", "tls", "begins"),
        [
            ("127.0.0.1", None, _PLAIN),
            ("localhost", None, _PLAIN),
            # This machine, and no address of its loopback.
            ("0.0.0.0", None, _ENCRYPTED),
            ("0.0.0.0", False, _PLAIN),
            ("127.0.0.1", True, _ENCRYPTED),
        ],
    )
    def test_only_this_machine_is_asked_in_plain_text(self, host: str, tls: bool | None, begins: bytes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(30)
            port = listener.getsockname()[1]
            with bezant.connect(f"{host}:{port}", tls=tls) as client:
                client.session.GetSession.future(GetSessionRequest())
                connection, _ = listener.accept()
                with connection:
                    assert connection.recv(len(begins), socket.MSG_WAITALL) == begins


def _key_of(certificate: Path) -> bytes:
    return certificate.with_name("gateway-key.pem").read_bytes()


class TestRetries:
    def test_a_read_is_repeated(self, server: ScriptedServer) -> None:
        server.answer("GetContract", _UNAVAILABLE)
        server.answer("GetContract", _UNAVAILABLE)
        server.answer("GetContract", GetContractResponse())
        with bezant.connect(server.target) as client:
            client.contracts.GetContract(GetContractRequest(conid=1))
        assert len(server.calls("GetContract")) == 3

    async def test_a_read_is_repeated_with_an_event_loop(self, server: ScriptedServer) -> None:
        server.answer("GetContract", _UNAVAILABLE)
        server.answer("GetContract", GetContractResponse())
        async with bezant.aio.connect(server.target) as client:
            await client.contracts.GetContract(GetContractRequest(conid=1))
        assert len(server.calls("GetContract")) == 2

    def test_an_order_is_never_repeated(self, server: ScriptedServer) -> None:
        for method in ("PlaceOrders", "ConfirmOrder", "PreviewOrders"):
            server.answer(method, _UNAVAILABLE)
        with bezant.connect(server.target) as client:
            for call in (
                lambda: client.orders.PlaceOrders(PlaceOrdersRequest()),
                lambda: client.orders.ConfirmOrder(ConfirmOrderRequest()),
                lambda: client.orders.PreviewOrders(PreviewOrdersRequest()),
            ):
                with pytest.raises(bezant.BezantError) as caught:
                    call()
                assert caught.value.reason == "UPSTREAM_UNREACHABLE"
        assert [call.method for call in server.received] == ["PlaceOrders", "ConfirmOrder", "PreviewOrders"]

    async def test_an_order_is_never_repeated_with_an_event_loop(self, server: ScriptedServer) -> None:
        server.answer("PlaceOrders", _UNAVAILABLE)
        async with bezant.aio.connect(server.target) as client:
            with pytest.raises(bezant.BezantError):
                await client.orders.PlaceOrders(PlaceOrdersRequest())
        assert len(server.received) == 1

    def test_what_is_repeated_is_what_the_protos_say(self) -> None:
        said = set()
        for proto in _PROTOS.glob("*.proto"):
            for service, body in re.findall(
                r"^service (\w+) \{\n(.*?)^\}", proto.read_text(), re.DOTALL | re.MULTILINE
            ):
                for rpc, options in re.findall(
                    r"^  rpc (\w+)\(.*?\) returns \(.*?\)(;| \{.*?^  \})", body, re.DOTALL | re.MULTILINE
                ):
                    if "idempotency_level = NO_SIDE_EFFECTS" in options:
                        said.add((f"bezant.v1.{service}", rpc))

        assert ("bezant.v1.OrdersService", "ListOrders") in said
        assert set(_reads.reads()) == said


class TestErrors:
    def test_it_says_what_the_server_said(self, server: ScriptedServer) -> None:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field="orders[1].limit_price", description="is no decimal"
        )
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(1500)
        server.answer(
            "PlaceOrders",
            Failure(
                grpc.StatusCode.INVALID_ARGUMENT,
                message="orders[1].limit_price is no decimal",
                reason="BAD_REQUEST",
                metadata={"given": "x"},
                details=[error_details_pb2.BadRequest(field_violations=[violation]), retry],
            ),
        )
        with bezant.connect(server.target) as client, pytest.raises(bezant.BezantError) as caught:
            client.orders.PlaceOrders(PlaceOrdersRequest())
        error = caught.value
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (error.message, error.reason) == ("orders[1].limit_price is no decimal", "BAD_REQUEST")
        assert error.metadata == {"given": "x"}
        assert error.violations == (bezant.FieldViolation("orders[1].limit_price", "is no decimal"),)
        assert error.retry_after == dt.timedelta(seconds=1.5)
        assert str(error) == "BAD_REQUEST: orders[1].limit_price is no decimal"

    async def test_a_status_without_details_is_an_error_too(self, server: ScriptedServer) -> None:
        server.answer("PlaceOrders", Failure(grpc.StatusCode.UNIMPLEMENTED))
        async with bezant.aio.connect(server.target) as client:
            with pytest.raises(bezant.BezantError) as caught:
                await client.orders.PlaceOrders(PlaceOrdersRequest())
        error = caught.value
        assert (error.code, error.message, error.reason) == (grpc.StatusCode.UNIMPLEMENTED, "scripted", "")
        assert (error.metadata, error.violations, error.retry_after) == ({}, (), None)
        assert str(error) == "UNIMPLEMENTED: scripted"

    async def test_streams_fail_in_the_same_way(self, server: ScriptedServer) -> None:
        started = StreamEventsResponse(started=StreamStarted())
        failure = Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="EVENTS_DISABLED")
        server.answer("StreamEvents", started, failure)
        with bezant.connect(server.target) as client:
            stream = client.events.StreamEvents(StreamEventsRequest())
            assert next(stream) == started
            with pytest.raises(bezant.BezantError) as caught:
                next(stream)
        assert caught.value.reason == "EVENTS_DISABLED"
        async with bezant.aio.connect(server.target) as client:
            messages = aiter(client.events.StreamEvents(StreamEventsRequest()))
            assert await anext(messages) == started
            with pytest.raises(bezant.BezantError) as caught:
                await anext(messages)
        assert caught.value.reason == "EVENTS_DISABLED"

    def test_futures_fail_in_the_same_way(self, server: ScriptedServer) -> None:
        server.answer("PlaceOrders", Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="SESSION_NOT_READY"))
        with bezant.connect(server.target) as client:
            future = client.orders.PlaceOrders.future(PlaceOrdersRequest())
            error = future.exception(timeout=30)
            assert isinstance(error, bezant.BezantError)
            assert error.reason == "SESSION_NOT_READY"
            with pytest.raises(bezant.BezantError, match="SESSION_NOT_READY"):
                future.result()
            server.answer("GetContract", GetContractResponse())
            answer = client.contracts.GetContract.future(GetContractRequest(conid=1))
            assert (answer.result(timeout=30), answer.exception()) == (GetContractResponse(), None)

    def test_no_server(self, server: ScriptedServer) -> None:
        with scripted_server() as gone:
            target = gone.target
        with bezant.connect(target) as client, pytest.raises(bezant.BezantError) as caught:
            client.orders.PlaceOrders(PlaceOrdersRequest())
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "")


def test_what_is_public_is_sorted_and_there() -> None:
    for module in (bezant, bezant.aio):
        assert sorted(module.__all__) == module.__all__
        assert all(hasattr(module, name) for name in module.__all__)
