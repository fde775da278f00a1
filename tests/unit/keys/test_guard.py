"""The guard, in a server on a real connection: what callers send, who they are taken for, what they may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from bezant_server.addresses import GatewayUrl
from bezant_server.keys.file import KeyFile
from bezant_server.keys.guard import Guard
from bezant_server.keys.keyring import KeyRing
from bezant_server.keys.scopes import Scope
from bezant_server.rpc import call as calls
from bezant_server.rpc.interceptor import CallInterceptor
from tests.support.grpc_errors import error_info

Metadata = tuple[tuple[str, str | bytes], ...]
GATEWAY = GatewayUrl.parse("https://localhost:5000")
ALWAYS_GUARDED = "/bezant.v1.TargetOrdersService/ListTargetBatches"
RPCS = {
    ALWAYS_GUARDED: Scope.READ,
    "/bezant.v1.OrdersService/ListOrders": Scope.READ,
    "/bezant.v1.OrdersService/PlaceOrders": Scope.TRADE,
    "/bezant.v1.SessionService/Logout": Scope.ADMIN,
    # In no row.
    "/bezant.v1.SessionService/Invented": Scope.ADMIN,
}
OPEN_RPC = "/bezant.v1.SidecarService/GetHealth"
_SECS = 20.0
STREAM_RPC = "/bezant.v1.EventsService/StreamEvents"
TELLS_WHAT_TO_SEND = (
    "this needs an API key: send it as the header X-API-Key, or as Authorization: Bearer KEY "
    "(gRPC: metadata of the same names)"
)


class Guarded:
    """A server whose RPCs answer with the name of their caller."""

    def __init__(self, address: str, keys: KeyFile) -> None:
        self._address = address
        self.keys = keys

    async def caller(self, *metadata: tuple[str, str | bytes], rpc: str = ALWAYS_GUARDED) -> str:
        async with grpc.aio.insecure_channel(self._address) as channel:
            who = channel.unary_unary(rpc, StringValue.SerializeToString, StringValue.FromString)
            answer: StringValue = await who(StringValue(), metadata=metadata)
            return answer.value

    @asynccontextmanager
    async def stream(self, *metadata: tuple[str, str | bytes]) -> AsyncIterator[Callable[[], Awaitable[str]]]:
        """A stream that does not end by itself; its next message."""
        async with grpc.aio.insecure_channel(self._address) as channel:
            opened = channel.unary_stream(STREAM_RPC, StringValue.SerializeToString, StringValue.FromString)
            call: Any = opened(StringValue(), metadata=metadata, timeout=_SECS)

            async def message() -> str:
                return str((await call.read()).value)

            yield message

    async def error(self, *metadata: tuple[str, str | bytes], rpc: str = ALWAYS_GUARDED) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.caller(*metadata, rpc=rpc)
        error = caught.value
        for _, value in metadata:
            secret = str(value).rpartition(" ")[2]
            assert not secret or secret not in f"{error} {error.trailing_metadata()}"
        return error

    async def refusal(self, *metadata: tuple[str, str | bytes], rpc: str = ALWAYS_GUARDED) -> str:
        """The message of a refusal of somebody unknown."""
        error = await self.error(*metadata, rpc=rpc)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert error_info(error).reason == "UNAUTHORIZED"
        return str(error.details())


async def _who(request: StringValue, context: Any) -> StringValue:
    return StringValue(value=calls.current().client)


async def _who_for_ever(request: StringValue, context: Any) -> AsyncIterator[StringValue]:
    while True:
        yield StringValue(value=calls.current().client)


def _handlers() -> list[grpc.GenericRpcHandler]:
    handler = grpc.unary_unary_rpc_method_handler(
        _who, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    services: dict[str, dict[str, Any]] = {}
    for rpc in (*RPCS, OPEN_RPC):
        _, service, method = rpc.split("/")
        services.setdefault(service, {})[method] = handler
    _, service, method = STREAM_RPC.split("/")
    services.setdefault(service, {})[method] = grpc.unary_stream_rpc_method_handler(
        _who_for_ever, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]


async def _running(folder: Path, *, everywhere: bool) -> AsyncIterator[Guarded]:
    path = folder / "api-keys.json"
    guard = Guard(KeyRing(path), everywhere=everywhere, gateway=GATEWAY)
    interceptor = CallInterceptor(
        cors_origins=frozenset(),
        gateway_origin=GATEWAY.origin,
        quiet=frozenset(),
        admission=guard.admission,
        admitted_secs=0.01,
    )
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers(_handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Guarded(f"127.0.0.1:{port}", KeyFile(path))
    await server.stop(None)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Target orders ask for keys, nothing else does."""
    async for running in _running(tmp_path, everywhere=False):
        yield running


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Everything asks for keys."""
    async for running in _running(tmp_path, everywhere=True):
        yield running


async def test_a_caller_is_known_by_its_key(guarded: Guarded) -> None:
    alice, bob = guarded.keys.add("alice"), guarded.keys.add("bob")
    assert await guarded.caller(("x-api-key", alice)) == "alice"
    assert await guarded.caller(("x-api-key", bob)) == "bob"
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert await guarded.caller(("authorization", f"{scheme} {bob}")) == "bob"


async def test_a_key_that_was_taken_away_is_refused_at_once(guarded: Guarded) -> None:
    key = guarded.keys.add("alice")
    assert await guarded.caller(("x-api-key", key)) == "alice"
    guarded.keys.remove("alice")
    assert "this API key is nobody's" in await guarded.refusal(("x-api-key", key))


async def test_a_stream_ends_when_its_key_is_taken_away(locked: Guarded) -> None:
    alice, bob = locked.keys.add("alice"), locked.keys.add("bob")

    async def until_the_end(message: Callable[[], Awaitable[str]]) -> None:
        while True:
            assert await message() == "alice"

    async with locked.stream(("x-api-key", alice)) as message:
        locked.keys.remove("bob")
        for _ in range(1000):
            assert await message() == "alice"
        locked.keys.remove("alice")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await until_the_end(message)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error_info(caught.value).reason == "UNAUTHORIZED"
    assert "nobody's" in await locked.refusal(("x-api-key", bob))


async def test_a_call_without_a_key_is_told_what_to_send(guarded: Guarded) -> None:
    key = guarded.keys.add("alice")
    metadata: list[Metadata] = [
        (),
        (("x-api-key", ""),),
        (("authorization", "Bearer "),),
        (("authorization", f"Basic {key}"),),
        (("authorization", key),),
        (("x-api-key-bin", key.encode()),),
    ]
    for each in metadata:
        assert await guarded.refusal(*each) == TELLS_WHAT_TO_SEND


async def test_a_wrong_key_is_not_quoted(guarded: Guarded) -> None:
    guarded.keys.add("alice")
    for wrong in (("x-api-key", "bz_wrong"), ("authorization", "Bearer bz_wrong")):
        message = await guarded.refusal(wrong)
        assert message == "this API key is nobody's: send one that `bezant keys add NAME` made as X-API-Key"
        assert "bz_wrong" not in message


async def test_two_keys_are_refused_whosever_they_are(guarded: Guarded) -> None:
    alice, bob = guarded.keys.add("alice"), guarded.keys.add("bob")
    for first, second in ((alice, bob), (alice, "bz_wrong"), ("bz_wrong", alice)):
        for metadata in (
            (("x-api-key", first), ("x-api-key", second)),
            (("x-api-key", first), ("authorization", f"Bearer {second}")),
        ):
            assert await guarded.refusal(*metadata) == "several API keys were sent: send one X-API-Key"
    assert await guarded.caller(("x-api-key", alice), ("x-api-key-bin", b"\0\xff")) == "alice"
    assert await guarded.caller(("x-api-key", alice), ("authorization", f"Bearer {alice}")) == "alice"
    assert await guarded.caller(("x-api-key", alice), ("authorization", "Basic of-a-proxy")) == "alice"


async def test_without_a_file_every_key_is_refused(guarded: Guarded) -> None:
    assert "bezant keys add NAME" in await guarded.refusal(("x-api-key", "bz_any"))


async def test_where_keys_are_not_required_target_orders_alone_ask_for_one(guarded: Guarded) -> None:
    key = guarded.keys.add("alice", Scope.READ)
    for rpc in (*RPCS, OPEN_RPC):
        if rpc != ALWAYS_GUARDED:
            for metadata in ((), (("x-api-key", "bz_wrong"),), (("x-api-key", key),)):
                assert await guarded.caller(*metadata, rpc=rpc) == ""
    await guarded.refusal(rpc=ALWAYS_GUARDED)


async def test_where_keys_are_required_everything_but_health_asks_for_one(locked: Guarded) -> None:
    locked.keys.add("alice")
    for rpc in RPCS:
        assert await locked.refusal(rpc=rpc) == TELLS_WHAT_TO_SEND
        assert "nobody's" in await locked.refusal(("x-api-key", "bz_wrong"), rpc=rpc)
    for metadata in ((), (("x-api-key", "bz_wrong"),)):
        assert await locked.caller(*metadata, rpc=OPEN_RPC) == ""


@pytest.mark.parametrize("scope", Scope, ids=lambda scope: scope.word)
async def test_a_key_is_good_for_its_scope_and_those_before(scope: Scope, locked: Guarded) -> None:
    key = ("x-api-key", locked.keys.add("alice", scope))
    for rpc, needed in RPCS.items():
        if scope >= needed:
            assert await locked.caller(key, rpc=rpc) == "alice"
            continue
        error = await locked.error(key, rpc=rpc)
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        info = error_info(error)
        assert info.reason == "FORBIDDEN"
        members: Mapping[str, str] = info.metadata
        assert dict(members) == {"scope": scope.word, "needed_scope": needed.word}
        assert f"an API key of the scope {needed.word}, and that of alice has {scope.word}" in (error.details() or "")
