"""Sending the gateway's answer on: status, headers and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from grpc.aio import ServicerContext

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.sidecar import headers

_CHUNK_BYTES = 1024 * 1024

JSON = "application/json"


async def send_headers(
    context: ServicerContext[Any, Any],
    response: UpstreamResponse,
    gateway: GatewayUrl,
    *,
    content_type: str,
    content_length: int | None = None,
) -> None:
    """Send the status and the end-to-end headers. Success is certain from here on: an error can no longer be told.

    Args:
        context: of the RPC.
        response: the gateway's whole answer.
        gateway: whose origin becomes relative.
        content_type: of the body; empty when it shall have none.
        content_length: of the body that a GET would have, where the body at hand does not tell.
    """
    metadata = headers.for_caller(response, gateway)
    metadata.extend(callers.current().headers())
    if response.status != 200:
        metadata.append(("x-http-status", str(response.status)))
    if not content_type:
        metadata.append(("x-no-content-type", "1"))
    if content_length is not None:
        metadata.append(("x-content-length", str(content_length)))
    await context.send_initial_metadata(tuple(metadata))


def body_of(response: UpstreamResponse, content_type: str) -> HttpBody:
    """The whole body as one message."""
    return HttpBody(content_type=content_type, data=_data(response))


def chunks_of(response: UpstreamResponse, content_type: str) -> Iterator[HttpBody]:
    """The body in pieces; the first names the content type, and there is always one."""
    data = memoryview(_data(response))
    yield HttpBody(content_type=content_type, data=bytes(data[:_CHUNK_BYTES]))
    for start in range(_CHUNK_BYTES, len(data), _CHUNK_BYTES):
        yield HttpBody(data=bytes(data[start : start + _CHUNK_BYTES]))


def _data(response: UpstreamResponse) -> bytes:
    return b"" if response.status in (204, 304) else response.body
