"""The WebSocket: who may connect, the greeting, heartbeats, and one writer for each socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from aiohttp import WSMsgType, web

from bezant_server.paper.accounts import brokerage_accounts
from bezant_server.paper.api.accounts import SERVER_SESSION
from bezant_server.paper.book import Trade
from bezant_server.paper.clock import Timer
from bezant_server.paper.fields import FieldTable
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.order_state import Order
from bezant_server.paper.session import SERVER_NAME, SERVER_VERSION, USER_NAME, StatusChange
from bezant_server.paper.topics import Topics

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
TICK_SECONDS = 0.5
SLOW_TICK_SECONDS = 1.0
WAITING_SECONDS = 10.0
_QUEUED_FRAMES = 5000
_TIC_COPIES = 4
_MAX_MESSAGE = 1024 * 1024


class Sockets:
    """All open sockets, for the endpoint that opens them and the control endpoint that plays with them."""

    def __init__(self, gateway: Gateway, fields: FieldTable) -> None:
        self._gateway = gateway
        self._fields = fields
        self._open: set[Socket] = set()
        self.silent = False
        gateway.session.listeners.append(self._session_changed)
        gateway.desk.listeners.append(self._order_changed)
        gateway.book.trade_listeners.append(self._traded)

    def __len__(self) -> int:
        return len(self._open)

    async def endpoint(self, request: web.Request) -> web.StreamResponse:
        """`/v1/api/ws`."""
        response = web.WebSocketResponse(autoping=True, max_msg_size=_MAX_MESSAGE, timeout=1.0)
        await response.prepare(request)
        socket = Socket(self, self._gateway, self._fields, response, _session_ids(request))
        self._open.add(socket)
        try:
            await socket.run()
        finally:
            self._open.discard(socket)
        return response

    def market_data(self) -> list[str]:
        """What of markets is subscribed on any socket."""
        return sorted(name for socket in self._open for name in socket.topics.market_data)

    def drop(self) -> int:
        """Cut every socket without a closing handshake; how many there were."""
        for socket in list(self._open):
            socket.cut()
        return len(self._open)

    async def close(self) -> None:
        """Close every socket politely, for shutdown."""
        for socket in list(self._open):
            socket.finish()

    def inject(self, frame: str, *, binary: bool) -> int:
        """Send one raw frame to every socket, silence or not; how many got it."""
        for socket in self._open:
            socket.put(frame, binary=binary)
        return len(self._open)

    def _session_changed(self, change: StatusChange) -> None:
        for socket in list(self._open):
            socket.session_changed(change)

    def _order_changed(self, order: Order, payload: dict[str, Any]) -> None:
        for socket in self._open:
            socket.topics.order_changed(order, payload)

    def _traded(self, trade: Trade) -> None:
        for socket in self._open:
            socket.topics.traded(trade)


class Socket:
    """One client's socket."""

    def __init__(
        self,
        owner: Sockets,
        gateway: Gateway,
        fields: FieldTable,
        response: web.WebSocketResponse,
        session_ids: frozenset[str],
    ) -> None:
        self._owner = owner
        self._gateway = gateway
        self._response = response
        self._session_ids = session_ids
        self._binary = not gateway.options.text_frames
        self._queue: asyncio.Queue[tuple[str, bool] | None] = asyncio.Queue(_QUEUED_FRAMES)
        self._greeted = False
        self._timers: list[Timer] = []
        self.topics = Topics(gateway, fields, self.send)

    async def run(self) -> None:
        """Serve until either side ends it."""
        writer = asyncio.create_task(self._write())
        clock = self._gateway.clock
        self._timers = [
            clock.call_later(self._gateway.options.greeting_delay, self._greet),
            clock.every(HEARTBEAT_SECONDS, self._heartbeat),
            clock.every(TICK_SECONDS, self._tick),
            clock.every(SLOW_TICK_SECONDS, self._tick_slowly),
        ]
        try:
            async for message in self._response:
                if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                    data = message.data
                    self._received(data if isinstance(data, str) else data.decode(errors="replace"))
        finally:
            for timer in self._timers:
                timer.cancel()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    def send(self, frame: dict[str, Any]) -> None:
        """Queue a frame, unless the gateway is told to be silent."""
        if not self._owner.silent:
            self.put(json.dumps(frame, separators=(",", ":")), binary=self._binary)

    def put(self, text: str, *, binary: bool) -> None:
        """Queue raw text; a client that does not read is cut off."""
        try:
            self._queue.put_nowait((text, binary))
        except asyncio.QueueFull:
            logger.warning("a socket that does not read its frames was cut off")
            self.cut()

    def cut(self) -> None:
        """Break the connection without a closing handshake."""
        writer = self._response._writer  # noqa: SLF001  # aiohttp has no public way to break a WebSocket
        if writer is not None and writer.transport is not None:
            writer.transport.abort()

    def finish(self) -> None:
        """Close politely once what is queued has gone out."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    def session_changed(self, change: StatusChange) -> None:
        if self._greeted:
            self.send({"topic": "sts", "args": change.args})
        if change.args.get("authenticated") is False:
            self.topics.brokerage_lost()
        if change.closes_sockets:
            self.finish()

    def _greet(self) -> None:
        """Greet a client that holds the session; tell another to wait, and look again."""
        session = self._gateway.session
        known = session.sso is not None and self._session_ids & {session.sso.session_id, session.affinity}
        if not known:
            self.send({"message": "waiting for session"})
            self._timers[0] = self._gateway.clock.call_later(WAITING_SECONDS, self._greet)
            return
        self._greeted = True
        self.send({"topic": "system", "success": USER_NAME, "isFT": False, "isPaper": True})
        if session.brokerage is not None:
            self.send({"topic": "act", "args": brokerage_accounts(self._gateway, f"{SERVER_SESSION}.a1")})
        status = session.status()
        self.send(
            {
                "topic": "sts",
                "args": {
                    "authenticated": status["authenticated"],
                    "competing": status["competing"],
                    "message": "",
                    "fail": "",
                    "serverName": SERVER_NAME,
                    "serverVersion": SERVER_VERSION,
                    "connected": status["connected"],
                    "established": session.established,
                    "username": USER_NAME,
                },
            }
        )

    def _received(self, text: str) -> None:
        text = text.strip()
        if text == "ech+hb":
            if not self._owner.silent:
                self.put(text, binary=False)
        elif text == "tic":
            self._answer_tic()
        elif not self._greeted or text.startswith("{"):
            # Subscriptions before the greeting are dropped without a word. A frame {"session": …} is accepted
            # without an echo; it does not replace the cookie.
            return
        else:
            self.topics.handle(text)

    def _answer_tic(self) -> None:
        sso = self._gateway.session.sso
        if sso is None or not self._greeted:
            return
        accessed = int(self._gateway.clock.now() * 1000)
        for _ in range(_TIC_COPIES):
            self.send({"topic": "tic", "alive": True, "id": sso.session_id, "lastAccessed": accessed})

    def _heartbeat(self) -> None:
        if self._greeted:
            self.send({"topic": "system", "hb": int(self._gateway.clock.now() * 1000)})

    def _tick(self) -> None:
        if self._greeted:
            self.topics.tick()

    def _tick_slowly(self) -> None:
        if self._greeted:
            self.topics.tick_slowly()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while (item := await self._queue.get()) is not None:
                text, binary = item
                if binary:
                    await self._response.send_bytes(text.encode())
                else:
                    await self._response.send_str(text)
        await self._response.close()


def _session_ids(request: web.Request) -> frozenset[str]:
    """Session ids in the handshake's cookies: `api=<id>`, `api={"session":"<id>"}` and `x-sess-uuid`.

    The header is read by hand: a JSON cookie value is beyond what cookie parsers accept.
    """
    found: set[str] = set()
    for header in request.headers.getall("Cookie", []):
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            value = value.strip()
            if name == "x-sess-uuid":
                found.add(value)
            elif name == "api":
                found.add(_session_in(value))
    return frozenset(found - {""})


def _session_in(value: str) -> str:
    if not value.startswith("{"):
        return value.strip('"')
    try:
        session = json.loads(value).get("session")
    except (ValueError, AttributeError):
        return ""
    return session if isinstance(session, str) else ""
