"""What every HTTP request passes before its handler: faults, pacing, sessions, and the gateway's headers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from bezant_server.paper.faults import Fault
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.validation import BadOrder, OrderRejected

logger = logging.getLogger(__name__)

PREFIXES = ("/v1/api", "/v1/portal")
JSON_TYPE = "application/json;charset=utf-8"
LOGIN_LOCATION = "/sso/Login?forwardTo=22&RL=1&ip2loc=on"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BEGUN = web.RequestKey("begun", float)
# These work without a brokerage session, though they are below /iserver.
_SESSION_CALLS = frozenset({"/iserver/auth/status", "/iserver/auth/ssodh/init", "/iserver/reauthenticate"})


class ApiError(Exception):
    """An answer in IBKR's usual error form: `{"error": …, "statusCode": …}`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint below the API prefix."""

    method: str
    path: str
    handler: Handler


def json_response(body: Any, status: int = 200) -> web.Response:
    """JSON as the gateway writes it."""
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(body=content, status=status, headers={"Content-Type": JSON_TYPE})


def error_response(status: int, text: str) -> web.Response:
    return json_response({"error": text, "statusCode": status}, status)


async def read_json(request: web.Request) -> Any:
    """The body as JSON; an empty one is an empty object.

    Raises:
        ApiError: 400, with the text IBKR uses.
    """
    body = await request.read()
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ApiError(
            400, f"Failed to parse body as JSON. Content Type: {request.headers.get('Content-Type', '')}"
        ) from None


def _no_constant(name: str) -> None:
    """NaN and the infinities are Python's JSON, not everybody's."""
    raise ValueError(name)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise ApiError(400, "Bad Request: a JSON object is required")
    return body


def api_path(path: str) -> str | None:
    """The part of a path below an API prefix, or None outside of it."""
    for prefix in PREFIXES:
        if path == prefix or path.startswith(f"{prefix}/"):
            return path[len(prefix) :].rstrip("/") or "/"
    return None


def _is_foreign(request: web.Request) -> bool:
    """Whether another site's page seems to have sent a request: IBKR takes that for CSRF."""
    for name in ("Origin", "Referer"):
        value = request.headers.get(name)
        if value is not None and _authority(value) != request.host:
            return True
    return False


def _authority(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


class FrontDoor:
    """The middleware and the response signal of the gateway's HTTP server."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def install(self, app: web.Application) -> None:
        @web.middleware
        async def front_door(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        app.middlewares.append(front_door)
        app.on_response_prepare.append(self._finish)

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_BEGUN] = time.monotonic()
        gateway = self._gateway
        body = await request.read()
        gateway.requests.arrived(request.method, request.raw_path, request.headers, body)
        path = api_path(request.path)
        fault = gateway.faults.take(request.method, request.path, path or request.path)
        if fault is not None and (response := await self._begin_fault(request, fault)):
            return self._answered(response)
        response = self._refuse(request, path)
        if response is None:
            if path is not None and path != "/ws":
                gateway.session.touch()
                if path != f"/iserver/reply/{gateway.desk.open_reply_id}":
                    gateway.desk.forget_question()
            response = await self._handle(request, handler)
        if fault is not None and fault.truncate:
            return await self._truncate(request, response)
        return self._answered(response)

    def _answered(self, response: web.StreamResponse) -> web.StreamResponse:
        self._gateway.requests.answered(response.status)
        return response

    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return error_response(error.status, error.text)
        except BadOrder as error:
            return error_response(400, str(error))
        except OrderRejected as error:
            return json_response({"error": str(error)})
        except web.HTTPMethodNotAllowed:
            return error_response(405, "Method Not Allowed")
        except web.HTTPNotFound:
            return error_response(404, "Not Found")

    def _refuse(self, request: web.Request, path: str | None) -> web.Response | None:
        """What the edge and the sessions refuse before any handler sees it."""
        gateway = self._gateway
        if path is None:
            return None
        is_socket = path == "/ws"
        if not is_socket and not request.headers.get("User-Agent"):
            return error_response(403, "Forbidden")
        if request.method == "POST" and "Content-Length" not in request.headers:
            return web.Response(status=411, text="Length Required")
        if request.method not in {"GET", "HEAD", "OPTIONS"} and _is_foreign(request):
            return web.Response(status=401, text="Unauthorized")
        if not gateway.pacing.admits(request.remote or "", request.method, path):
            return json_response({"error": "Too many requests"}, 429)
        if is_socket:
            return None
        session = gateway.session
        session.expire()
        if session.sso is None:
            return self._unauthorized(request, path)
        if path.startswith("/iserver") and path not in _SESSION_CALLS and session.brokerage is None:
            return error_response(400, "Bad Request: no bridge")
        return None

    def _unauthorized(self, request: web.Request, path: str) -> web.Response | None:
        mode = self._gateway.unauthorized
        if mode == "body" and path in {"/iserver/auth/status", "/tickle"}:
            return None
        if mode == "302" or "text/html" in request.headers.get("Accept", ""):
            return web.Response(status=302, headers={"Location": LOGIN_LOCATION})
        return web.Response(status=401, text="Unauthorized" if request.method != "HEAD" else None)

    async def _begin_fault(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.close:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        if not fault.replaces_answer:
            return None
        response = web.Response(
            status=fault.status or 200,
            body=b"" if fault.body is None else fault.body,
            headers={"Content-Type": fault.content_type},
        )
        for name, value in fault.headers:
            response.headers.add(name, value)
        if fault.truncate:
            return await self._truncate(request, response)
        return response

    async def _truncate(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Send the head and half of the body, then hang up."""
        body = bytes(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
        half = web.StreamResponse(status=response.status, headers=response.headers)
        half.headers.pop("Content-Length", None)
        half.content_length = max(len(body), 2)
        await half.prepare(request)
        await half.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return self._answered(half)

    async def _finish(self, request: web.Request, response: web.StreamResponse) -> None:
        """Headers that every answer of the API carries."""
        response.headers.pop("Server", None)
        if api_path(request.path) is None:
            return
        elapsed = time.monotonic() - request.get(_BEGUN, time.monotonic())
        response.headers["x-response-time"] = f"{int(elapsed * 1000)}ms"
        response.headers.setdefault("Cache-Control", "max-age=0,no-cache,no-store")
        response.headers.setdefault("Vary", "origin")
        response.headers.add("Set-Cookie", f"x-sess-uuid={self._gateway.session.affinity}; secure; HttpOnly")
