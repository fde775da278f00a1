"""HTTP to the gateway: two transports, one cookie jar, one deadline a call."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from urllib.parse import quote, urlencode

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi.jar import CookieJar
from bezant_server.cpapi.messages import Headers, UpstreamRequest, UpstreamResponse, lower_names
from bezant_server.errors import (
    InvalidBaseUrl,
    UpstreamError,
    UpstreamHttpError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

USER_AGENT = "bezant-grpc"

_MAX_HEADER_BYTES = 64 * 1024
_STATE_KEEPALIVE_SECS = 5.0
"""How long an idle connection may serve the next order. Short, because a gateway that closes an idle connection while
an order is on its way leaves the outcome unknown."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_RESENT_BY_AIOHTTP = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class CpapiClient:
    """Calls the gateway with the session's cookies, and learns those it sets.

    Reads go over aiohttp, which costs a quarter of the CPU. It resends an idempotent request whose kept-alive
    connection turns out dead, and reports a POST that the gateway received as a connect timeout; so everything that
    changes state goes over httpx's own transport, which sends a request once.
    """

    def __init__(
        self,
        *,
        gateway: GatewayUrl,
        jar: CookieJar,
        tls: ssl.SSLContext,
        connect_timeout: float,
        request_timeout: float,
        max_response_bytes: int,
        max_connections: int,
    ) -> None:
        self.gateway = gateway
        self.jar = jar
        self._request_timeout = request_timeout
        self._connect_timeout = connect_timeout
        self._max_response_bytes = max_response_bytes
        self._timeout = {
            "connect": connect_timeout,
            "pool": connect_timeout,
            "read": request_timeout,
            "write": request_timeout,
        }
        self._reads = AiohttpTransport(
            client=lambda: aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls, limit=max_connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        )
        self._changes = httpx.AsyncHTTPTransport(
            verify=tls,
            http2=False,
            limits=httpx.Limits(max_connections=max_connections, keepalive_expiry=_STATE_KEEPALIVE_SECS),
        )
        self._own_headers: Headers = (
            ("accept", "*/*"),
            ("accept-encoding", "identity"),
            ("user-agent", USER_AGENT),
            ("origin", gateway.origin),
            ("referer", f"{gateway.origin}/"),
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        changes_state: bool = True,
    ) -> UpstreamResponse:
        """A call of our own, below the API's base path, with the gateway's own Origin and Referer.

        Args:
            method: upper case.
            path: below the base path (`/tickle`), its parameters encoded by `segment`.
            query: pairs to encode.
            body: bytes sent as they are.
            content_type: of the body, if there is one.
            changes_state: False for a read, whatever its method.

        Raises:
            UpstreamError: no whole answer arrived.
        """
        encoded = urlencode(list(query), quote_via=quote, safe=",@")
        target = f"{self.gateway.base_path}{path}{'?' if encoded else ''}{encoded}"
        headers = self._own_headers
        if body is not None:
            headers = (*headers, ("content-type", content_type))
        return await self.exchange(
            UpstreamRequest(method=method, target=target, headers=headers, body=body, changes_state=changes_state)
        )

    async def exchange(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a request and read the whole answer. Redirects are not followed.

        Raises:
            UpstreamUnreachable: no connection; nothing was sent.
            UpstreamTimeout: no whole answer in time.
            UpstreamHttpError: broken HTTP, a connection lost in mid-answer, an answer over the size limit.
            InvalidBaseUrl: the gateway's address cannot be called.
        """
        response = await self._exchange(request)
        self.jar.learn_from_response(response.all("set-cookie"))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self._reads.aclose()
        await self._changes.aclose()

    async def _exchange(self, request: UpstreamRequest) -> UpstreamResponse:
        if request.changes_state:
            return await self._send(self._changes, request)
        url = f"{self.gateway.origin}{request.target}"
        if str(httpx.URL(url)) != url or str(URL(url)) != url:
            # aiohttp would respell this target; httpx's own transport sends it as it stands.
            return await self._send(self._changes, request)
        try:
            return await self._send(self._reads, request)
        except UpstreamHttpError as error:
            if request.method in _RESENT_BY_AIOHTTP or not _is_dead_connection(error.__cause__):
                raise
            return await self._send(self._reads, request)

    async def _send(self, transport: httpx.AsyncBaseTransport, request: UpstreamRequest) -> UpstreamResponse:
        try:
            async with asyncio.timeout(self._request_timeout):
                response = await transport.handle_async_request(self._http_request(request))
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise self._timed_out(request) from error
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError) as error:
            raise self._failure(request, error) from error
        return UpstreamResponse(response.status_code, lower_names(response.headers.raw), body)

    def _http_request(self, request: UpstreamRequest) -> httpx.Request:
        headers = list(request.headers)
        cookies = self.jar.header()
        if cookies is not None:
            headers.append(("cookie", cookies))
        if request.method in ("POST", "PUT", "PATCH") or request.body:
            headers.append(("content-length", str(len(request.body or b""))))
        return httpx.Request(
            request.method,
            f"{self.gateway.origin}{request.target}",
            headers=headers,
            content=request.body,
            extensions={"timeout": self._timeout, "target": request.target.encode("ascii")},
        )

    async def _read(self, response: httpx.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._max_response_bytes:
                raise httpx.ReadError(f"the answer is over {self._max_response_bytes} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _timed_out(self, request: UpstreamRequest) -> UpstreamTimeout:
        return UpstreamTimeout(
            f"the gateway gave no whole answer within {self._request_timeout:g} s{_outcome(request)}"
        )

    def _failure(self, request: UpstreamRequest, error: Exception) -> UpstreamError | InvalidBaseUrl:
        cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
        match cause:
            case httpx.UnsupportedProtocol() | httpx.InvalidURL() | aiohttp.InvalidURL():
                return InvalidBaseUrl(f"the gateway's address cannot be called: {cause}")
            case aiohttp.ConnectionTimeoutError():
                return UpstreamUnreachable(f"no connection to {self.gateway.origin} within {self._connect_timeout:g} s")
            case aiohttp.SocketTimeoutError() | httpx.ReadTimeout() | httpx.WriteTimeout():
                return self._timed_out(request)
            case aiohttp.ClientConnectorError():
                return UpstreamUnreachable(f"cannot connect to the gateway at {self.gateway.origin}")
            case _ if isinstance(cause, _NEVER_SENT):
                return UpstreamUnreachable(f"cannot connect to the gateway at {self.gateway.origin}")
            case httpx.ReadError() if str(cause).startswith("the answer is over"):
                return UpstreamHttpError(f"{cause}{_outcome(request)}")
            case _:
                return UpstreamHttpError(
                    f"the gateway broke off its answer ({type(cause).__name__}){_outcome(request)}"
                )


def segment(value: str) -> str:
    """A value as one path segment: nothing in it can end the segment."""
    return quote(value, safe="")


def _outcome(request: UpstreamRequest) -> str:
    if not request.changes_state:
        return ""
    return "; the request was handed over, so its outcome is unknown: look before you send it again"


def _is_dead_connection(error: BaseException | None) -> bool:
    cause = error.__cause__ if error is not None else None
    return isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
