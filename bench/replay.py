"""The ceiling of typed RPCs: a server whose handlers do nothing but return the same messages.

python -m bench.replay GRPC_PORT ANSWERS     ANSWERS is a JSON file: base64 of the answer by full name of the RPC
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from google.protobuf import descriptor_pool, message_factory

from bezant.v1 import events_service_pb2, marketdata_service_pb2, portfolio_service_pb2

MODULES = (events_service_pb2, marketdata_service_pb2, portfolio_service_pb2)
"""Their messages are looked up by name."""

COUNT = "x-bench-count"
"""Metadata of a stream: how many messages it is to have."""


class Replay(grpc.GenericRpcHandler):
    """Answers each RPC with its recorded message."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._handlers = {method: _handler(method, answer) for method, answer in answers.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _handler(method: str, answer: bytes) -> Any:
    described = descriptor_pool.Default().FindMethodByName(method.lstrip("/").replace("/", "."))
    request = message_factory.GetMessageClass(described.input_type)
    response = message_factory.GetMessageClass(described.output_type)
    message = response.FromString(answer)

    if described.server_streaming:

        async def streamed(_request: Any, context: Any) -> AsyncIterator[Any]:
            for _ in range(int(dict(context.invocation_metadata() or ())[COUNT])):
                yield message

        return grpc.unary_stream_rpc_method_handler(
            streamed, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )

    async def answered(_request: Any, _context: Any) -> Any:
        return message

    return grpc.unary_unary_rpc_method_handler(
        answered, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


async def serve(port: int, recorded: dict[str, bytes]) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Replay(recorded),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    written = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    uvloop.run(serve(int(sys.argv[1]), {method: base64.b64decode(text) for method, text in written.items()}))
