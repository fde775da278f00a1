"""The guard, in a server on a real connection: what callers send, who they are taken for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from bezant_server.keys.file import KeyFile
from bezant_server.keys.guard import Guard
from bezant_server.keys.keyring import KeyRing
from bezant_server.rpc.interceptor import CallInterceptor
from tests.support.grpc_errors import error_info

Metadata = tuple[tuple[str, str | bytes], ...]


class Guarded:
    """A server with one RPC, which answers with the name of its caller."""

    def __init__(self, address: str, keys: KeyFile) -> None:
        self._address = address
        self.keys = keys

    async def caller(self, *metadata: tuple[str, str | bytes]) -> str:
        async with grpc.aio.insecure_channel(self._address) as channel:
            who = channel.unary_unary("/guarded.Service/Who", StringValue.SerializeToString, StringValue.FromString)
            answer: StringValue = await who(StringValue(), metadata=metadata)
            return answer.value

    async def refusal(self, *metadata: tuple[str, str | bytes]) -> str:
        """The message of a refusal."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.caller(*metadata)
        error = caught.value
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert error_info(error).reason == "UNAUTHORIZED"
        for name, value in metadata:
            assert name == "x-request-id" or not value or str(value) not in f"{error} {error.trailing_metadata()}"
        return str(error.details())


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    path = tmp_path / "api-keys.json"
    guard = Guard(KeyRing(path))

    async def who(request: StringValue, context: Any) -> StringValue:
        return StringValue(value=guard.client())

    handler = grpc.unary_unary_rpc_method_handler(
        who, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    interceptor = CallInterceptor(cors_origins=frozenset(), gateway_origin="https://localhost:5000", quiet=frozenset())
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("guarded.Service", {"Who": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Guarded(f"127.0.0.1:{port}", KeyFile(path))
    await server.stop(None)


async def test_a_caller_is_known_by_its_key(guarded: Guarded) -> None:
    alice, bob = guarded.keys.add("alice"), guarded.keys.add("bob")
    assert await guarded.caller(("x-api-key", alice)) == "alice"
    assert await guarded.caller(("x-api-key", bob)) == "bob"


async def test_a_key_that_was_taken_away_is_refused_at_once(guarded: Guarded) -> None:
    key = guarded.keys.add("alice")
    assert await guarded.caller(("x-api-key", key)) == "alice"
    guarded.keys.remove("alice")
    assert "this API key is nobody's" in await guarded.refusal(("x-api-key", key))


async def test_a_call_without_a_key_is_told_what_to_send(guarded: Guarded) -> None:
    key = guarded.keys.add("alice")
    metadata: list[Metadata] = [
        (),
        (("x-api-key", ""),),
        (("authorization", f"Bearer {key}"),),
        (("x-api-key-bin", key.encode()),),
    ]
    for each in metadata:
        message = await guarded.refusal(*each)
        assert message == "this needs an API key: send it as the header X-API-Key (gRPC: metadata x-api-key)"


async def test_a_wrong_key_is_not_quoted(guarded: Guarded) -> None:
    guarded.keys.add("alice")
    message = await guarded.refusal(("x-api-key", "bz_wrong"))
    assert message == "this API key is nobody's: send one that `bezant keys add NAME` made as X-API-Key"


async def test_two_keys_are_refused_whosever_they_are(guarded: Guarded) -> None:
    alice, bob = guarded.keys.add("alice"), guarded.keys.add("bob")
    for first, second in ((alice, bob), (alice, "bz_wrong"), ("bz_wrong", alice)):
        assert await guarded.refusal(("x-api-key", first), ("x-api-key", second)) == (
            "several API keys were sent: send one X-API-Key"
        )
    assert await guarded.caller(("x-api-key", alice), ("x-api-key-bin", b"\0\xff")) == "alice"


async def test_without_a_file_every_key_is_refused(guarded: Guarded) -> None:
    assert "bezant keys add NAME" in await guarded.refusal(("x-api-key", "bz_any"))
