"""The standard health service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from grpc_health.v1 import health_pb2, health_pb2_grpc

from bezant_server.errors import NotFound
from bezant_server.rpc.call import Context


class HealthService(health_pb2_grpc.HealthServicer):
    """SERVING until the server stops, NOT_SERVING from then on, for the whole (the empty name) and for each service.

    The library's servicer keeps its watches open when the server stops, which would then wait for them.
    """

    def __init__(self) -> None:
        self._services = frozenset({""})
        self._stopping = asyncio.Event()

    def begin(self, services: Iterable[str]) -> None:
        """Answer for these services."""
        self._services = frozenset({"", *services})

    def end(self) -> None:
        """Say NOT_SERVING, to those that watch as well, and end their watches."""
        self._stopping.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:  # noqa: ARG002, N802
        if request.service not in self._services:
            raise NotFound(f"there is no service '{request.service[:100]}' here")
        return self._response()

    async def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        if request.service not in self._services:
            yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            await self._stopping.wait()
            return
        if not self._stopping.is_set():
            yield self._response()
            await self._stopping.wait()
        yield self._response()

    def _response(self) -> health_pb2.HealthCheckResponse:
        stopping = self._stopping.is_set()
        status = health_pb2.HealthCheckResponse.NOT_SERVING if stopping else health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse(status=status)
