"""A defect behind the interceptor: nothing of it reaches the caller, all of it the log."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from bezant_server.rpc.interceptor import CallInterceptor
from tests.support.grpc_errors import error_info

THROUGH_ENVOY = (("x-envoy-original-path", "/accounts"), ("x-envoy-original-method", "GET"))


async def unary(request: Empty, context: Any) -> Empty:
    raise ValueError("secret")


async def streaming(request: Empty, context: Any) -> AsyncIterator[Empty]:
    yield Empty()
    raise ValueError("secret")


@asynccontextmanager
async def running() -> AsyncIterator[tuple[str, str]]:
    """A server whose handlers fail, on TCP and on a Unix socket: the address of each."""
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(
            unary, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
        ),
        "Streaming": grpc.unary_stream_rpc_method_handler(
            streaming, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
        ),
    }
    interceptor = CallInterceptor(
        cors_origins=frozenset(), gateway_origin="https://localhost:5000", quiet=frozenset({"/defective.Service/Unary"})
    )
    with TemporaryDirectory(prefix="bezant-") as directory:
        server = grpc.aio.server(interceptors=[interceptor])
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("defective.Service", handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        socket = f"unix:{Path(directory) / 'server.sock'}"
        server.add_insecure_port(socket)
        await server.start()
        try:
            yield f"127.0.0.1:{port}", socket
        finally:
            await server.stop(None)


async def failure(address: str, method: str, metadata: tuple[tuple[str, str], ...] = ()) -> grpc.aio.AioRpcError:
    async with grpc.aio.insecure_channel(address) as channel:
        if method == "Unary":
            call = channel.unary_unary("/defective.Service/Unary", Empty.SerializeToString, Empty.FromString)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(Empty(), metadata=metadata)
        else:
            messages = channel.unary_stream("/defective.Service/Streaming", Empty.SerializeToString, Empty.FromString)(
                Empty(), metadata=metadata
            )
            assert await messages.read() == Empty()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await messages.read()
    return caught.value


def shown(error: grpc.aio.AioRpcError) -> str:
    return f"{error.details()} {error.debug_error_string()} {tuple(error.trailing_metadata())}"


@pytest.mark.parametrize("method", ["Unary", "Streaming"])
async def test_a_defect_tells_a_grpc_caller_nothing(method: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running() as (address, _):
        error = await failure(address, method, (("x-request-id", "mine"),))
    assert (error.code(), error_info(error).reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert ("x-request-id", "mine") in tuple(error.trailing_metadata())
    assert "secret" not in shown(error)
    assert "ValueError" not in shown(error)
    (defect,) = [record for record in caplog.records if record.exc_info]
    assert (defect.levelno, str((defect.exc_info or (None, None, None))[1])) == (logging.ERROR, "secret")
    (line,) = [record for record in caplog.records if record.getMessage() == "failed"]
    assert (vars(line)["code"], vars(line)["request_id"]) == ("internal", "mine")


@pytest.mark.parametrize("method", ["Unary", "Streaming"])
async def test_a_defect_tells_a_rest_caller_nothing(method: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running() as (_, socket):
        error = await failure(socket, method, THROUGH_ENVOY)
    trailers = dict(error.trailing_metadata())
    assert trailers["x-http-status"] == "500"
    envelope = json.loads(trailers["x-error-envelope"])
    assert (envelope.keys(), envelope["code"]) == ({"code", "message"}, "internal")
    assert "grpc-status-details-bin" not in trailers
    assert "secret" not in shown(error)
    assert [record for record in caplog.records if record.exc_info]


async def test_what_only_envoy_may_say_is_not_believed_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    forged = (*THROUGH_ENVOY, ("x-bezant-peer", "10.0.0.1:1"))
    async with running() as (address, _):
        error = await failure(address, "Unary", forged)
    assert "x-http-status" not in dict(error.trailing_metadata())
    (line,) = [record for record in caplog.records if record.getMessage() == "failed"]
    assert vars(line)["peer"].startswith("ipv4:127.0.0.1:")
