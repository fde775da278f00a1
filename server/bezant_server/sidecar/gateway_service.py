"""GatewayService: any path of the gateway."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from bezant.v1 import gateway_service_pb2 as pb
from bezant.v1 import gateway_service_pb2_grpc as pb_grpc
from bezant_server.cpapi import effects
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.messages import READ_METHODS, Headers, UpstreamRequest, UpstreamResponse
from bezant_server.errors import BadRequest, EventsDisabled, MethodNotAllowed, NotFound
from bezant_server.rpc import call as calls
from bezant_server.rpc.call import Context, HttpRequest
from bezant_server.rpc.rows import Rows
from bezant_server.sidecar import answers, headers

_METHODS = READ_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
_BODY_METHODS = _METHODS - READ_METHODS
_CONTENT_TYPE = re.compile(r"[ -~]{1,1000}")


class GatewayService(pb_grpc.GatewayServiceServicer):
    """The fallback.

    Args:
        gateway: the gateway, over the one session.
        rows: the paths that are not the gateway's.
        events_enabled: without capture every /events path says so.
    """

    def __init__(self, *, gateway: CpapiClient, rows: Rows, events_enabled: bool) -> None:
        self._gateway = gateway
        self._rows = rows
        self._events_enabled = events_enabled

    async def Forward(self, request: pb.ForwardRequest, context: Context) -> pb.ForwardResponse:
        method = request.method.upper()
        if method not in _METHODS:
            raise BadRequest(f"method must be one of {', '.join(sorted(_METHODS))}", field="method")
        response = await self._exchange(
            method, request.path, self._gateway.own_headers, request.content_type, request.body
        )
        passed = headers.for_caller(response, self._gateway.gateway)
        kind = response.header("content-type")
        if kind:
            passed.append(("content-type", kind))
        return pb.ForwardResponse(
            status=response.status,
            headers=[pb.HttpHeader(name=name, value=value) for name, value in passed],
            body=response.body,
        )

    async def ForwardRead(self, request: pb.ForwardReadRequest, context: Context) -> AsyncIterator[HttpBody]:
        async for chunk in self._forward(context, "", b""):
            yield chunk

    async def ForwardWrite(self, request: pb.ForwardWriteRequest, context: Context) -> AsyncIterator[HttpBody]:
        async for chunk in self._forward(context, request.body.content_type, request.body.data):
            yield chunk

    async def _forward(self, context: Context, content_type: str, body: bytes) -> AsyncIterator[HttpBody]:
        http = self._fallback_request()
        call = calls.current()
        for name, value in call.metadata:
            if name == "cookie" and isinstance(value, str):
                self._gateway.jar.learn_from_request(value)
        passed = headers.for_gateway(call.metadata, http.path, self._gateway.gateway)
        response = await self._exchange(http.method, http.target, passed, content_type, body)
        length = response.header("content-length") if http.method == "HEAD" else str(len(response.body))
        kind = headers.content_type(response, http.path, self._gateway.gateway)
        await answers.send_headers(
            context,
            response,
            self._gateway.gateway,
            content_type=kind,
            content_length=int(length) if length and length.isdigit() and response.status not in (204, 304) else None,
        )
        for chunk in answers.chunks_of(response, kind):
            yield chunk

    def _fallback_request(self) -> HttpRequest:
        http = calls.current().http
        if http is None:
            raise BadRequest("this RPC is Envoy's way to the gateway: call Forward", field="path")
        own = self._rows.is_own(http.path)
        if own and http.path.startswith("/events") and not self._events_enabled:
            raise EventsDisabled
        allowed = self._rows.allowed(http.path)
        if allowed:
            raise MethodNotAllowed(f"{http.path} does not take {http.method}", allow=allowed)
        if own:
            raise NotFound(f"there is no {http.path}")
        return http

    async def _exchange(
        self, method: str, target: str, passed: Headers, content_type: str, body: bytes
    ) -> UpstreamResponse:
        if content_type:
            if not _CONTENT_TYPE.fullmatch(content_type):
                raise BadRequest("the content type must be a line of ASCII", field="content_type")
            passed = (*passed, ("content-type", content_type))
        return await self._gateway.exchange(
            UpstreamRequest(
                method=method,
                target=target,
                headers=passed,
                body=body if method in _BODY_METHODS and body else None,
                changes_state=effects.changes_state(method, target.partition("?")[0]),
            )
        )
