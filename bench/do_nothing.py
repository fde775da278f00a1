"""The ceiling: a server whose handlers return prepared bytes, with no interceptor, log or upstream call.

python -m bench.do_nothing SOCKET GRPC_PORT EVENTS_BODY_BYTES
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import uvloop
from google.api.httpbody_pb2 import HttpBody

from bench.gateway import ACCOUNTS
from bezant.v1 import sidecar_service_pb2 as pb

HEALTH = b'{"authenticated": true, "connected": true, "competing": false, "message": null}'


def handlers(events: bytes) -> dict[str, Any]:
    """Three rows of the sidecar; an event poll with `since` is the one that finds nothing newer."""

    async def get_health(_request: Any, _context: Any) -> Any:
        return HttpBody(content_type="application/json", data=HEALTH)

    async def list_accounts(_request: Any, _context: Any) -> Any:
        return HttpBody(content_type="application/json", data=ACCOUNTS.encode())

    async def poll_events(request: Any, context: Any) -> Any:
        if request.since:
            await context.send_initial_metadata((("x-http-status", "204"), ("x-bezant-cursor", request.since)))
            return HttpBody()
        return HttpBody(content_type="application/json", data=events)

    def handler(behavior: Callable[[Any, Any], Awaitable[Any]], request: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            behavior, request_deserializer=request.FromString, response_serializer=HttpBody.SerializeToString
        )

    return {
        "GetHealth": handler(get_health, pb.SidecarServiceGetHealthRequest),
        "ListAccounts": handler(list_accounts, pb.SidecarServiceListAccountsRequest),
        "PollEvents": handler(poll_events, pb.SidecarServicePollEventsRequest),
    }


async def serve(socket: str, port: int, events_bytes: int) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    generic = grpc.method_handlers_generic_handler("bezant.v1.SidecarService", handlers(b" " * events_bytes))
    server.add_generic_rpc_handlers((generic,))
    server.add_insecure_port(f"unix:{socket}")
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
