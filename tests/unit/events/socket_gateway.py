"""A gateway with a socket, over real TLS, that does what a test tells it and journals what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable

from aiohttp import WSMsgType, web

GREETING = '{"topic":"system","success":"someone","isFT":false,"isPaper":true}'


class SocketGateway:
    """One gateway on a free port.

    Attributes:
        journal: what arrived, in order: `POST /tickle`, `open`, `ws sor+{}`, `closed`, …
        cookies: the Cookie header of each handshake.
        sockets: every socket opened so far.
        greets: whether a new socket is greeted at once.
        tickle_status: what /tickle answers.
        orders_status: what /iserver/account/orders answers.
    """

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.cookies: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.greets = True
        self.tickle_status = 200
        self.orders_status = 200
        self.port = 0
        self._requests: list[web.Request] = []
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/v1/api"

    @property
    def requests(self) -> list[str]:
        """What was asked for over sockets, in order."""
        return [entry.removeprefix("ws ") for entry in self.journal if entry.startswith("ws ")]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that arrives makes a condition true."""
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def subscribed(self, times: int = 1) -> None:
        """Wait until so many sockets have asked for orders and PnL."""
        await self.until(lambda: self.requests.count("spl+{}") >= times)

    async def say(self, *frames: str) -> None:
        """Send text frames on the newest socket."""
        for frame in frames:
            await self.sockets[-1].send_str(frame)

    def drop(self) -> None:
        """Break the newest socket without a word."""
        transport = self._requests[-1].transport
        assert transport is not None
        transport.abort()

    def _note(self, entry: str) -> None:
        self.journal.append(entry)
        self._changed.set()

    async def tickle(self, request: web.Request) -> web.Response:
        self._note("POST /tickle")
        if self.tickle_status == 302:
            raise web.HTTPFound("/sso/Login?forwardTo=22")
        if self.tickle_status != 200:
            return web.Response(status=self.tickle_status)
        answer = web.json_response({"session": f"secret-session-{len(self.cookies)}", "iserver": {}})
        answer.headers["Set-Cookie"] = "x-sess-uuid=secret-uuid; secure; HttpOnly"
        return answer

    async def accounts(self, request: web.Request) -> web.Response:
        self._note("GET /iserver/accounts")
        return web.json_response({"accounts": ["DU1"]})

    async def orders(self, request: web.Request) -> web.Response:
        self._note(f"GET {request.rel_url.raw_path_qs.removeprefix('/v1/api')}")
        if self.orders_status != 200:
            return web.json_response({"error": "Bad Request: no bridge"}, status=self.orders_status)
        return web.json_response({"orders": [], "snapshot": True})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.cookies.append(request.headers.get("Cookie", ""))
        self._requests.append(request)
        self.sockets.append(socket)
        self._note("open")
        if self.greets:
            await socket.send_bytes(GREETING.encode())
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._note(f"ws {message.data}")
        self._note("closed")
        return socket


@contextlib.asynccontextmanager
async def socket_gateway(context: ssl.SSLContext, *, port: int = 0) -> AsyncIterator[SocketGateway]:
    """Run a gateway."""
    gateway = SocketGateway()
    app = web.Application()
    app.router.add_post("/v1/api/tickle", gateway.tickle)
    app.router.add_get("/v1/api/iserver/accounts", gateway.accounts)
    app.router.add_get("/v1/api/iserver/account/orders", gateway.orders)
    app.router.add_get("/v1/api/ws", gateway.socket)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
    await site.start()
    gateway.port = runner.addresses[0][1]
    try:
        yield gateway
    finally:
        for socket in gateway.sockets:
            with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
                await asyncio.wait_for(socket.close(), 1)
        await runner.cleanup()


def order(number: int) -> str:
    """An order frame."""
    return json.dumps({"topic": "sor", "args": [{"orderId": number}]})


def quote(conid: int, last: str) -> str:
    """A market-data frame."""
    return json.dumps({"topic": f"smd+{conid}", "conid": conid, "31": last})
