"""Every RPC with every kind of key, on the server's own port and through Envoy.

The requests are malformed, and keys are asked for first: what is let in is told so, and does nothing.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bezant_server.keys import scopes
from bezant_server.keys.scopes import OPEN, Scope
from tests.contract.door.conftest import Door
from tests.support.grpc_errors import error_info

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
RPCS = sorted(scopes.TABLE.keys() - {REFLECTION, "/grpc.health.v1.Health/List"})
MALFORMED = b"\xff"
_SECS = 20.0

LET_IN = (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHORIZED")
TOO_NARROW = (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN")

Outcome = tuple[grpc.StatusCode, str]


def expected(rpc: str, key: str, *, everywhere: bool) -> Outcome:
    need = scopes.TABLE[rpc]
    # A request of the fallback that cannot be read may be anything.
    needed = Scope.TRADE if callable(need) else need
    if needed is OPEN or not (everywhere or rpc.startswith("/bezant.v1.TargetOrders")):
        return LET_IN
    if key not in scopes.BY_WORD:
        return UNKNOWN
    return LET_IN if scopes.BY_WORD[key] >= needed else TOO_NARROW


async def outcome(channel: grpc.aio.Channel, rpc: str, metadata: tuple[tuple[str, str], ...]) -> Outcome:
    opened: Any = channel
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        # A stream of one message or of none ends as a single answer does, for whoever asks for one.
        await opened.unary_stream(rpc)(MALFORMED, metadata=metadata, timeout=_SECS).read()
    return caught.value.code(), error_info(caught.value).reason


@pytest.mark.parametrize("key", ["none", "wrong", "read", "trade", "admin"])
@pytest.mark.parametrize("port", ["server", "envoy"])
@pytest.mark.parametrize("everywhere", [True, False], ids=["required", "not-required"])
async def test_every_rpc_asks_what_its_row_says(
    key: str, port: str, everywhere: bool, request: pytest.FixtureRequest
) -> None:
    door: Door = request.getfixturevalue("locked" if everywhere else "unlocked")
    value = {"wrong": "bz_wrong", **door.keys}.get(key)
    metadata = () if value is None else (("x-api-key", value),)
    address = f"127.0.0.1:{door.edge.grpc_port if port == 'server' else door.edge.port}"
    async with grpc.aio.insecure_channel(address) as channel:
        met = {rpc: await outcome(channel, rpc, metadata) for rpc in RPCS}
    assert met == {rpc: expected(rpc, key, everywhere=everywhere) for rpc in RPCS}
    assert door.edge.gateway.arrivals == []


def _services(door: Door, *metadata: tuple[str, str]) -> list[str]:
    # The asynchronous client takes a refusal that overtakes its question for an error of its own.
    with grpc.insecure_channel(f"127.0.0.1:{door.edge.grpc_port}") as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        question: Any = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([question]), metadata=metadata, timeout=_SECS)
        return [service.name for service in answer.list_services_response.service]


def test_reflection_needs_a_key_to_read(locked: Door, unlocked: Door) -> None:
    for metadata in ((), (("x-api-key", "bz_wrong"),)):
        with pytest.raises(grpc.RpcError) as caught:
            _services(locked, *metadata)
        error: Any = caught.value
        assert (error.code(), error_info(error).reason) == UNKNOWN
    assert "bezant.v1.OrdersService" in _services(locked, ("x-api-key", locked.keys["read"]))
    assert "bezant.v1.OrdersService" in _services(unlocked)
