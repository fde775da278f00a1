"""Owns the gateway's socket: opens it, subscribes, listens, and replaces it when it dies."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import NoReturn

from bezant_server.backoff import Backoff
from bezant_server.cpapi import refusals
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.socket import FrameTooBig, GatewaySocket, SocketFailed, open_socket
from bezant_server.errors import BezantError
from bezant_server.events import frames
from bezant_server.events.clock import Clock, rfc3339
from bezant_server.events.ladders import Ladders
from bezant_server.events.lines import Lines
from bezant_server.events.subscriptions import Subscriptions
from bezant_server.events.topics import Topics

_LIVE_ORDERS = "/iserver/account/orders"
_PRIMING = (
    ("/iserver/accounts", ()),
    (_LIVE_ORDERS, (("force", "true"),)),
    (_LIVE_ORDERS, ()),
)
"""What the gateway wants to be asked before it tells of orders (IBKR's documentation: accounts come first; the forced
call only clears the cache, the one after it answers)."""

_STATUS_FRAMES = frozenset({"sts", "act"})

_log = logging.getLogger(__name__)


class _Replaced(Exception):
    """The connection ends because a fresh one is wanted."""


@dataclass(frozen=True, slots=True)
class ConnectorTimes:
    """Durations, in seconds, and the bound on a frame.

    Attributes:
        open_secs: longest wait for a connection, or for a request to be taken.
        ready_secs: longest wait for the frame that says requests are heard.
        heartbeat_secs: how often `tic` is sent.
        silence_secs: a socket without any frame for so long is dead.
        healthy_secs: a connection that lived so long resets the backoff.
        max_frame_bytes: bigger frames are counted and dropped.
    """

    open_secs: float
    ready_secs: float
    heartbeat_secs: float
    silence_secs: float
    healthy_secs: float
    max_frame_bytes: int


@dataclass(slots=True)
class ConnectorState:
    """What operators see of the connector.

    Attributes:
        connected: a socket is open and the gateway speaks to us on it.
        reconnect_count: connections that followed an earlier one of this process.
        last_message_ms: when the newest frame arrived, milliseconds since 1970.
        last_error: why the newest connection ended or could not be made, without secrets.
        frames: how many frames of each kind arrived.
    """

    connected: bool = False
    reconnect_count: int = 0
    last_message_ms: int | None = None
    last_error: str | None = None
    frames: Counter[str] = field(default_factory=Counter)


class Connector:
    """Keeps one socket to the gateway open as long as it runs.

    Args:
        client: for /tickle, the cookies and the priming calls.
        tls: the context for the gateway.
        topics: where frames go.
        lines: the market-data lines to subscribe.
        ladders: the price ladders to subscribe.
        subscriptions: the channels to subscribe beside orders and PnL.
        times: durations and bounds.
        backoff: the waits between attempts.
        clock: when frames arrive.
        on_status: told of each `sts` and `act` frame, which speak of the session.
    """

    def __init__(
        self,
        *,
        client: CpapiClient,
        tls: ssl.SSLContext,
        topics: Topics,
        lines: Lines,
        ladders: Ladders,
        subscriptions: Subscriptions,
        times: ConnectorTimes,
        backoff: Backoff,
        clock: Clock,
        on_status: Callable[[bytes], None],
    ) -> None:
        self._client = client
        self._tls = tls
        self._topics = topics
        self._lines = lines
        self._ladders = ladders
        self._subscriptions = subscriptions
        self._times = times
        self._backoff = backoff
        self._clock = clock
        self._on_status = on_status
        self._fresh = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._connected_since = 0.0
        self._disconnected_ms: int | None = None
        self.state = ConnectorState()

    async def run(self) -> NoReturn:
        """Connect, listen and reconnect, until cancelled."""
        while True:
            await self._open.wait()
            self._fresh.clear()
            try:
                await self._connection()
            except _Replaced:
                self._backoff.reset()
                continue
            except (BezantError, SocketFailed) as error:
                self._note(error)
            except Exception as error:  # noqa: BLE001  one frame or cookie that nobody foresaw must not end the capture
                self._note_defect(error)
            finally:
                self._disconnected()
            await _set_within(self._fresh, self._backoff.next())

    def replace(self) -> None:
        """Have a fresh socket, at once: what was subscribed on this one is gone with the session it belonged to."""
        self._open.set()
        self._fresh.set()

    def hold(self) -> None:
        """Make no new connection until `replace`: opening one would keep alive a session that is to end."""
        self._open.clear()

    async def _connection(self) -> None:
        async with open_socket(
            self._client,
            self._tls,
            open_secs=self._times.open_secs,
            silence_secs=self._times.silence_secs,
            max_frame_bytes=self._times.max_frame_bytes,
        ) as socket:
            ready = asyncio.Event()
            await _until_one_fails(self._listen(socket, ready), self._speak(socket, ready), self._until_replaced())

    async def _until_replaced(self) -> NoReturn:
        await self._fresh.wait()
        raise _Replaced

    async def _listen(self, socket: GatewaySocket, ready: asyncio.Event) -> NoReturn:
        state, limit = self.state, self._times.max_frame_bytes
        while True:
            raw = await socket.receive()
            frame = frames.read(raw, max_bytes=limit)
            state.last_message_ms = self._clock.wall_ms()
            state.frames[frame.kind] += 1
            if frame.kind == frames.READY:
                self._connected()
                ready.set()
            elif frame.kind in _STATUS_FRAMES:
                self._on_status(raw)
            elif frame.topic is not None:
                self._connected()
                self._topics.publish(frame.topic, raw)
                if frame.kind == frames.MARKETDATA:
                    self._lines.take(frame.topic, raw)
            elif frame.kind == frames.LADDER:
                self._connected()
                self._ladders.take(frame.target, raw)
            elif frame.kind in (frames.MALFORMED, frames.OVERSIZE):
                _log.warning("dropped a %s frame of %d bytes", frame.kind, len(raw))

    async def _speak(self, socket: GatewaySocket, ready: asyncio.Event) -> NoReturn:
        # Requests sent before the ready frame are silently ignored (observed on a live gateway): whenever one arrives,
        # however late, everything is asked for anew.
        if not await _set_within(ready, self._times.ready_secs):
            _log.warning("the gateway's socket was not ready within %g s; subscribing anyway", self._times.ready_secs)
        while True:
            ready.clear()
            await self._subscribe(socket)
            _log.debug("subscribed")
            while not await _set_within(ready, self._times.heartbeat_secs):
                await socket.send("tic")

    async def _subscribe(self, socket: GatewaySocket) -> None:
        for path, query in _PRIMING:
            try:
                answer = refusals.read(await self._client.call("GET", path, query=query, changes_state=False), path)
                if path == _LIVE_ORDERS:
                    self._topics.orders.seed(answer)
            except BezantError as error:
                _log.warning("priming call %s failed: %s", path, error.message)
        await socket.send("sor+{}")
        await socket.send("spl+{}")
        await self._subscriptions.attach(socket.send)
        await self._lines.attach(socket.send)
        await self._ladders.attach(socket.send)

    def _connected(self) -> None:
        """The gateway speaks to us. A socket that opens and stays mute is no connection, and so no gap when it ends."""
        if self.state.connected:
            return
        if self._disconnected_ms is not None:
            self.state.reconnect_count += 1
            self._topics.reconnected(disconnected_at=rfc3339(self._disconnected_ms))
        self.state.connected = True
        self._connected_since = self._clock.monotonic()
        _log.info("capturing events; epoch %d", self._topics.reset_epoch)

    def _disconnected(self) -> None:
        self._lines.detach()
        self._ladders.detach()
        self._subscriptions.detach()
        if self.state.connected:
            self.state.connected = False
            self._disconnected_ms = self._clock.wall_ms()
            if self._clock.monotonic() - self._connected_since >= self._times.healthy_secs:
                self._backoff.reset()

    def _note(self, error: Exception) -> None:
        message = str(error)
        if isinstance(error, FrameTooBig):
            self.state.frames[frames.OVERSIZE] += 1
        if message != self.state.last_error or self.state.connected:
            _log.warning("no events are captured: %s; trying again", message)
        self.state.last_error = message

    def _note_defect(self, error: Exception) -> None:
        # Without the error's own message, which may quote what it choked on, such as a cookie.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("a defect interrupted the capture: %s; trying again\n%s", type(error).__name__, where)
        self.state.last_error = f"internal error ({type(error).__name__}): see the server's log"


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _until_one_fails(*parts: Coroutine[object, object, NoReturn]) -> None:
    """Run the parts of a connection until one raises, and raise that.

    Not a TaskGroup: before Python 3.13 it forgets a cancellation that arrives while it gathers a failed child, and a
    loop that survives failures, as the connector's does, could then not be stopped.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
