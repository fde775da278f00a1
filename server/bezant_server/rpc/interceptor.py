"""The one interceptor: request id, API keys, browser guard, errors, one log line a call."""

from __future__ import annotations

import logging
import re
import uuid
from asyncio import CancelledError
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from time import monotonic, perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import AbortError, ServerInterceptor

from bezant_server import logs
from bezant_server.cpapi import caller as callers
from bezant_server.errors import BadRequest, BezantError, Internal, ScopeTooNarrow
from bezant_server.rpc import call as calls
from bezant_server.rpc.browser import check_origin
from bezant_server.rpc.call import Admission, Call, Context, HttpRequest, anybody
from bezant_server.rpc.caller import caller_of
from bezant_server.rpc.status import grpc_trailers, rest_trailers

_log = logging.getLogger(__name__)

_ENVOY_PEER = "unix:"
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_REQUEST_ID_CHARS = 128
_ADMITTED_SECS = 5.0


def _no_deadline(method: str) -> None:
    del method


def _everybody(method: str) -> Admission:
    del method
    return anybody


class CallInterceptor(ServerInterceptor):
    """Stands around every RPC.

    Args:
        cors_origins: web origins whose pages may change state.
        gateway_origin: the gateway's own, which programs written for it may send.
        quiet: full names of RPCs whose success is logged at DEBUG only: they are polled all day.
        deadline: seconds for a caller of a unary RPC who names no deadline, by its full name.
        admission: what lets the calls of an RPC in, by its full name; asked for once.
        admitted_secs: so long a stream goes on before it is asked whether its caller may still have it.
    """

    def __init__(
        self,
        *,
        cors_origins: frozenset[str],
        gateway_origin: str,
        quiet: frozenset[str],
        deadline: Callable[[str], float | None] = _no_deadline,
        admission: Callable[[str], Admission] = _everybody,
        admitted_secs: float = _ADMITTED_SECS,
    ) -> None:
        self._cors_origins = cors_origins
        self._gateway_origin = gateway_origin
        self._quiet = quiet
        self._deadline = deadline
        self._admission = admission
        self._admitted_secs = admitted_secs
        self._handlers: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None:
            inner = await continuation(handler_call_details)
            if inner is None:
                return None
            handler = self._handlers[method] = self._wrapped(method, inner)
        return handler

    def _wrapped(self, method: str, handler: Any) -> Any:
        admit = self._admission(method)
        if handler.request_streaming:
            # Reflection alone takes a stream of requests.
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(method, handler.stream_stream, admit),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(method, handler.unary_stream, admit),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary, admit),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _unary(
        self, method: str, behavior: Callable[[Any, Context], Awaitable[Any]], admit: Admission
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        async def serve(request: Any, context: Context) -> Any:
            started = perf_counter()
            call = self._enter(method, context)
            try:
                call = self._admitted(call, request, admit)
                self._check(call, request, context)
                self._limit(call)
                response = await behavior(request, context)
            except Exception as error:  # noqa: BLE001  nothing of ours may reach a caller undescribed
                await self._fail(call, context, error, started)
            except CancelledError:
                self._log_abandoned(call, started)
                raise
            self._log_success(call, started)
            return response

        return serve

    def _streaming(
        self, method: str, behavior: Callable[[Any, Context], AsyncGenerator[Any, None]], admit: Admission
    ) -> Callable[[Any, Context], AsyncIterator[Any]]:
        async def serve(request: Any, context: Context) -> AsyncIterator[Any]:
            started = perf_counter()
            call = self._enter(method, context)
            try:
                call = self._admitted(call, request, admit)
                self._check(call, request, context)
                admitted_until = monotonic() + self._admitted_secs
                async with aclosing(behavior(request, context)) as responses:
                    async for response in responses:
                        # A key that was taken away ends what it has opened, too.
                        if monotonic() >= admitted_until:
                            admit(call, request)
                            admitted_until = monotonic() + self._admitted_secs
                        yield response
            except Exception as error:  # noqa: BLE001  nothing of ours may reach a caller undescribed
                await self._fail(call, context, error, started)
            except CancelledError:
                self._log_abandoned(call, started)
                raise
            except GeneratorExit:
                # The caller hung up after a message, as one that knows the Content-Length may when it has all of it.
                self._log_success(call, started)
                raise
            self._log_success(call, started)

        return serve

    @staticmethod
    def _admitted(call: Call, request: Any, admit: Admission) -> Call:
        client = admit(call, request)
        if client:
            call = replace(call, client=client)
            calls.enter(call)
            logs.client.set(client)
        return call

    def _check(self, call: Call, request: Any, context: Context) -> None:
        callers.enter(caller_of(call, context))
        check_origin(call, cors_origins=self._cors_origins, gateway_origin=self._gateway_origin)
        if request is None:
            raise BadRequest("the request is malformed: every parameter must be text in UTF-8")

    def _limit(self, call: Call) -> None:
        caller, seconds = callers.current(), self._deadline(call.method)
        if caller.deadline is None and seconds is not None:
            caller.deadline = monotonic() + seconds

    def _enter(self, method: str, context: Context) -> Call:
        metadata: calls.Metadata = tuple(context.invocation_metadata() or ())
        headers = {name: value for name, value in metadata if isinstance(value, str)}
        through_envoy = context.peer().startswith(_ENVOY_PEER)
        http = _http_request(headers) if through_envoy else None
        # Envoy returns a given id whatever it is, so that one, and no other, must be in the log.
        given = _UNPRINTABLE.sub("?", headers.get("x-request-id", ""))[:_REQUEST_ID_CHARS]
        identity = given or str(uuid.uuid4())
        peer = headers.get("x-bezant-peer", "") if through_envoy else context.peer()
        call = Call(method, identity, headers, metadata, http, through_envoy, peer)
        calls.enter(call)
        logs.request_id.set(identity)
        if http is None:
            context.set_trailing_metadata((("x-request-id", identity),))
        return call

    async def _fail(self, call: Call, context: Context, error: Exception, started: float) -> None:
        if isinstance(error, AbortError):
            raise error
        if isinstance(error, BezantError):
            level = logging.WARNING if error.http_status >= 500 and call.method not in self._quiet else logging.INFO
        else:
            _log.error("a defect", exc_info=error, extra={"rpc": call.method})
            error = Internal()
            level = logging.ERROR
        if _log.isEnabledFor(level):
            _log.log(
                level,
                "failed",
                extra=_fields(call, started)
                | {"code": error.code, "reason": logs.shorten_accounts(error.message)}
                | ({"client": error.client, "scope": error.scope} if isinstance(error, ScopeTooNarrow) else {}),
            )
        trailers = rest_trailers(error) if call.http else grpc_trailers(error)
        trailers.append(("x-request-id", call.request_id))
        trailers.extend(callers.current().headers())
        await context.abort(error.grpc_status, error.message, tuple(trailers))

    def _log_success(self, call: Call, started: float) -> None:
        level = logging.DEBUG if call.method in self._quiet else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "served", extra=_fields(call, started) | {"code": "ok"})

    def _log_abandoned(self, call: Call, started: float) -> None:
        _log.info("abandoned by the caller", extra=_fields(call, started))


def _lenient(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """None for what cannot be read: gRPC itself would answer with an internal error, and log a traceback."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return None

    return read


def _http_request(headers: dict[str, str]) -> HttpRequest | None:
    target = headers.get("x-envoy-original-path")
    if target is None:
        return None
    return HttpRequest(headers.get("x-envoy-original-method", "GET"), target)


def _fields(call: Call, started: float) -> dict[str, object]:
    # Named here, because a stream is closed in another context than its own.
    fields: dict[str, object] = {"request_id": call.request_id, "rpc": call.method.rpartition(".")[2]}
    if call.peer:
        fields["peer"] = call.peer
    if call.http:
        fields |= {"http_method": call.http.method, "path": logs.shorten_accounts(call.http.path)}
    if call.client:
        fields["client"] = call.client
    fields["milliseconds"] = round((perf_counter() - started) * 1000, 1)
    return fields
