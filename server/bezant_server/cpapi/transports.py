"""Two ways to send a request: one for reads, one for everything that changes state.

Reads go over aiohttp itself rather than over httpx with aiohttp as its transport: a call costs 145 µs of CPU instead of
235, the target is sent as spelled, and failures can be told apart. But aiohttp resends an idempotent request (PUT and
DELETE among them) whose kept-alive connection turns out dead, which no order may suffer; so what changes state goes
over httpx's own transport, which hands a request over once. Both send the target as it is spelled, follow no redirect,
decode no body, and raise nothing but errors of ours.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Protocol

import aiohttp
import httpx
from yarl import URL

from bezant_server.cpapi.messages import READ_METHODS, Headers, UpstreamRequest, UpstreamResponse, lower_names
from bezant_server.errors import (
    BezantError,
    InvalidBaseUrl,
    UpstreamError,
    UpstreamHttpError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_MAX_HEADER_BYTES = 64 * 1024
_CHANGES_KEEPALIVE_SECS = 5.0
"""How long an idle connection may serve the next order. Short, because a gateway that closes an idle connection while
an order is on its way leaves the outcome unknown."""

_ALWAYS_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that say Content-Length: 0 when they have no body (RFC 9110, 8.6)."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Transport(Protocol):
    """Sends a request and reads the whole answer."""

    async def send(self, request: UpstreamRequest, headers: Headers) -> UpstreamResponse:
        """Send `request` with `headers`, the cookies among them.

        Raises:
            UpstreamUnreachable: no connection; nothing was sent.
            UpstreamTimeout: no whole answer in time.
            UpstreamHttpError: broken HTTP, a connection lost in mid-answer, an answer over the size limit.
            InvalidBaseUrl: the gateway's address cannot be called.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class ReadTransport:
    """Reads over aiohttp. One whose connection turns out dead is sent a second time, at most.

    Args:
        origin: scheme and authority of the gateway.
        tls: how far its certificate is trusted.
        connect_timeout: seconds until a connection stands.
        request_timeout: seconds until the whole answer is there.
        max_response_bytes: of a body.
        max_connections: open at once.
    """

    def __init__(
        self,
        *,
        origin: str,
        tls: ssl.SSLContext,
        connect_timeout: float,
        request_timeout: float,
        max_response_bytes: int,
        max_connections: int,
    ) -> None:
        self._origin = origin
        self._tls = tls
        self._request_timeout = request_timeout
        self._max_response_bytes = max_response_bytes
        self._max_connections = max_connections
        self._timeouts = aiohttp.ClientTimeout(
            connect=connect_timeout, sock_connect=connect_timeout, sock_read=request_timeout
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: UpstreamRequest, headers: Headers) -> UpstreamResponse:
        """See `Transport.send`."""
        try:
            async with asyncio.timeout(self._request_timeout):
                try:
                    return await self._attempt(request, headers)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if request.method in READ_METHODS or isinstance(error, aiohttp.ClientConnectorError):
                        raise
                    return await self._attempt(request, headers)
        except BezantError:
            raise
        except Exception as error:
            raise self._failure(request, error) from error

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        if self._session is not None:
            await self._session.close()

    async def _attempt(self, request: UpstreamRequest, headers: Headers) -> UpstreamResponse:
        async with self._open_session().request(
            request.method,
            URL(f"{self._origin}{request.target}", encoded=True),
            headers=headers,
            data=request.body or None,
            allow_redirects=False,
        ) as response:
            _check_final(response.status, request)
            body = await _whole_body(response.content.iter_any(), self._max_response_bytes, request)
            return UpstreamResponse(response.status, lower_names(response.raw_headers), body)

    def _open_session(self) -> aiohttp.ClientSession:
        # A session belongs to the loop that it is made in, so it is made by the first request.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=self._max_connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=self._timeouts,
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
                max_line_size=_MAX_HEADER_BYTES,
                max_field_size=_MAX_HEADER_BYTES,
            )
        return self._session

    def _failure(self, request: UpstreamRequest, error: Exception) -> UpstreamError | InvalidBaseUrl:
        match error:
            case aiohttp.InvalidURL():
                return _not_callable(error)
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                return _unreachable(self._origin, error)
            case TimeoutError():
                return _too_slow(self._request_timeout, request)
            case _:
                return _broken_off(error, request)


class ChangeTransport:
    """What changes state, over httpx: handed over once, whatever happens. The arguments are `ReadTransport`'s."""

    def __init__(
        self,
        *,
        origin: str,
        tls: ssl.SSLContext,
        connect_timeout: float,
        request_timeout: float,
        max_response_bytes: int,
        max_connections: int,
    ) -> None:
        self._origin = origin
        self._request_timeout = request_timeout
        self._max_response_bytes = max_response_bytes
        self._timeouts = {
            "connect": connect_timeout,
            "pool": connect_timeout,
            "read": request_timeout,
            "write": request_timeout,
        }
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls,
            http2=False,
            limits=httpx.Limits(max_connections=max_connections, keepalive_expiry=_CHANGES_KEEPALIVE_SECS),
        )

    async def send(self, request: UpstreamRequest, headers: Headers) -> UpstreamResponse:
        """See `Transport.send`."""
        try:
            async with asyncio.timeout(self._request_timeout):
                response = await self._transport.handle_async_request(self._http_request(request, headers))
                try:
                    _check_final(response.status_code, request)
                    body = await _whole_body(response.aiter_raw(), self._max_response_bytes, request)
                finally:
                    await response.aclose()
        except BezantError:
            raise
        except Exception as error:
            raise self._failure(request, error) from error
        return UpstreamResponse(response.status_code, lower_names(response.headers.raw), body)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._transport.aclose()

    def _http_request(self, request: UpstreamRequest, headers: Headers) -> httpx.Request:
        if request.body or request.method in _ALWAYS_WITH_LENGTH:
            headers = (*headers, ("content-length", str(len(request.body or b""))))
        return httpx.Request(
            request.method,
            self._origin,
            headers=headers,
            content=request.body,
            extensions={"timeout": self._timeouts, "target": request.target.encode("ascii")},
        )

    def _failure(self, request: UpstreamRequest, error: Exception) -> UpstreamError | InvalidBaseUrl:
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            return _not_callable(error)
        if isinstance(error, _NEVER_SENT):
            return _unreachable(self._origin, error)
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return _too_slow(self._request_timeout, request)
        return _broken_off(error, request)


def _check_final(status: int, request: UpstreamRequest) -> None:
    if status < 200:
        raise UpstreamHttpError(f"the gateway gave an interim answer for a final one{_outcome(request)}")


async def _whole_body(chunks: AsyncIterator[bytes], limit: int, request: UpstreamRequest) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise UpstreamHttpError(f"the answer is over {limit} bytes{_outcome(request)}")
        parts.append(chunk)
    return b"".join(parts)


def _not_callable(error: Exception) -> InvalidBaseUrl:
    return InvalidBaseUrl(f"the gateway's address cannot be called: {error}")


def _unreachable(origin: str, error: Exception) -> UpstreamUnreachable:
    return UpstreamUnreachable(f"cannot connect to the gateway at {origin}{_distrust(error)}")


def _too_slow(seconds: float, request: UpstreamRequest) -> UpstreamTimeout:
    return UpstreamTimeout(f"the gateway gave no whole answer within {seconds:g} s{_outcome(request)}")


def _broken_off(error: Exception, request: UpstreamRequest) -> UpstreamHttpError:
    return UpstreamHttpError(f"the gateway broke off its answer ({type(error).__name__}){_outcome(request)}")


def _outcome(request: UpstreamRequest) -> str:
    if not request.changes_state:
        return ""
    return "; the request was handed over, so its outcome is unknown: look before you send it again"


def _distrust(error: BaseException | None) -> str:
    """What is wrong with the gateway's certificate, if that is why there is no connection."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) and not isinstance(error, aiohttp.ClientError):
            return f": its certificate is not trusted ({error.verify_message}); see BEZANT_CA_FILE"
        error = error.__cause__ or error.__context__
    return ""
