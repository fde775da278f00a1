"""HTTP to the gateway: the session's cookies on every call, and the right transport for each."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.jar import CookieJar
from bezant_server.cpapi.messages import Headers, UpstreamRequest, UpstreamResponse
from bezant_server.cpapi.transports import ChangeTransport, ReadTransport, Transport
from bezant_server.errors import BadRequest, BezantError

USER_AGENT = "bezant-grpc"

Exchange = Callable[[UpstreamRequest], Coroutine[Any, Any, UpstreamResponse]]
OnAnswer = Callable[[UpstreamRequest, UpstreamResponse | BezantError], None]


class Pacing(Protocol):
    """Decides when a call is sent."""

    async def exchange(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a call when its turn comes, or give an answer that serves.

        Raises:
            RateLimited: its turn cannot come in time; it was not sent.
        """

    def turn(self, request: UpstreamRequest) -> AbstractAsyncContextManager[None]:
        """The turn of a call that somebody else sends, such as the handshake of a WebSocket.

        Raises:
            RateLimited: its turn cannot come in time.
        """


class NoPacing:
    """Sends every call at once."""

    def __init__(self, send: Exchange) -> None:
        self._send = send

    async def exchange(self, request: UpstreamRequest) -> UpstreamResponse:
        """See `Pacing.exchange`."""
        callers.current().changes_sent += request.changes_state
        return await self._send(request)

    @asynccontextmanager
    async def turn(self, request: UpstreamRequest) -> AsyncIterator[None]:
        """See `Pacing.turn`."""
        del request
        yield


_TARGET = re.compile(r"""/[!"$-~]{0,61440}""")
"""What may stand in a request line: no blank, no fragment, nothing that is not ASCII."""


class CpapiClient:
    """Calls the gateway with the session's cookies, and learns those it sets.

    Args:
        gateway: where it is.
        jar: the cookies of the session.
        tls: how far its certificate is trusted.
        connect_timeout: seconds until a connection stands.
        request_timeout: seconds until the whole answer is there.
        max_response_bytes: of a body.
        max_connections: open at once, for reads and for changes each.
        pace: makes the pacing of the plain way to send a call.
        on_answer: told of every call that was sent, with its answer or why none came; it must not raise.
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
        pace: Callable[[Exchange], Pacing] = NoPacing,
        on_answer: OnAnswer | None = None,
    ) -> None:
        self.gateway = gateway
        self.jar = jar
        self._reads: Transport
        self._changes: Transport
        self._reads, self._changes = (
            transport(
                origin=gateway.origin,
                tls=tls,
                connect_timeout=connect_timeout,
                request_timeout=request_timeout,
                max_response_bytes=max_response_bytes,
                max_connections=max_connections,
            )
            for transport in (ReadTransport, ChangeTransport)
        )
        self.pacing = pace(self._deliver)
        self._on_answer = on_answer
        self.own_headers: Headers = (
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
        headers = self.own_headers
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
            BadRequest: the target cannot be sent.
            RateLimited: IBKR's limits leave no room for it in time.
        """
        if not _TARGET.fullmatch(request.target):
            raise BadRequest("the path must begin with / and be percent-encoded, at most 60 KiB of it", field="path")
        return await self.pacing.exchange(request)

    def socket_turn(self) -> AbstractAsyncContextManager[None]:
        """The turn to open the gateway's WebSocket: its handshake counts as a call.

        Raises:
            RateLimited: IBKR's limits leave no room for it in time.
        """
        return self.pacing.turn(UpstreamRequest("GET", f"{self.gateway.base_path}/ws", changes_state=False))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._reads.aclose()
        await self._changes.aclose()

    async def _deliver(self, request: UpstreamRequest) -> UpstreamResponse:
        # aiohttp's URLs lose the question mark of an empty query.
        once = request.changes_state or request.target.endswith("?")
        transport = self._changes if once else self._reads
        try:
            response = await transport.send(request, self._with_cookies(request.headers))
        except BezantError as error:
            self._tell(request, error)
            raise
        self.jar.learn_from_response(response.all("set-cookie"))
        self._tell(request, response)
        return response

    def _tell(self, request: UpstreamRequest, outcome: UpstreamResponse | BezantError) -> None:
        if self._on_answer is not None:
            self._on_answer(request, outcome)

    def _with_cookies(self, headers: Headers) -> Headers:
        cookies = self.jar.header()
        return headers if cookies is None else (*headers, ("cookie", cookies))


def segment(value: str) -> str:
    """A value as one path segment: nothing in it can end the segment."""
    return quote(value, safe="")
