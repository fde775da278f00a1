"""Load: so many connections, each asking again as soon as it is answered."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import grpc.aio

from bezant_server.cpapi.tls import client_context

WARM_UP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run gave: requests a second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


async def over_http(port: int, path: str, *, connections: int, seconds: float, tls: bool = False) -> Figures:
    """Load a path over HTTP/1.1 keep-alive connections to 127.0.0.1.

    Raises:
        RuntimeError: an answer was neither 200 nor 204.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n\r\n".encode()

    async def connect() -> Callable[[], Awaitable[None]]:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(_HttpClient, "127.0.0.1", port, ssl=_unverified() if tls else None)
        return lambda: protocol.ask(request)

    return await _run([await connect() for _ in range(connections)], seconds)


async def over_grpc(
    target: str,
    call: Callable[[grpc.aio.Channel], Callable[[], Awaitable[object]]],
    *,
    connections: int,
    seconds: float,
) -> Figures:
    """Load an RPC; every caller has a channel of its own, from which `call` makes what it asks again and again."""
    channels = [
        grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(connections)
    ]
    try:
        return await _run([call(channel) for channel in channels], seconds)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def _run(callers: list[Callable[[], Awaitable[object]]], seconds: float) -> Figures:
    latencies: list[float] = []
    start = perf_counter() + WARM_UP_SECONDS
    end = start + seconds

    async def drive(ask: Callable[[], Awaitable[object]]) -> None:
        while (began := perf_counter()) < end:
            await ask()
            finished = perf_counter()
            if began >= start and finished <= end:
                latencies.append(finished - began)

    await asyncio.gather(*(drive(ask) for ask in callers))
    latencies.sort()
    return Figures(
        rate=len(latencies) / seconds,
        p50=latencies[len(latencies) // 2] * 1000,
        p99=latencies[int(len(latencies) * 0.99)] * 1000,
    )


class _HttpClient(asyncio.Protocol):
    """One request at a time; reads answers framed by Content-Length, chunks, or neither (204)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes) -> None:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answered

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end]).lower()
        status = head[9:12]
        length = _content_length(head)
        if length is None:
            complete = status == b"204" or self._buffer.endswith(b"0\r\n\r\n")
        else:
            complete = len(self._buffer) >= head_end + 4 + length
        if not complete:
            return
        if status not in (b"200", b"204"):
            self._fail(RuntimeError(f"an answer of status {status.decode()}: {bytes(self._buffer[:300])!r}"))
        elif self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
        self._buffer.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)


def _content_length(head: bytes) -> int | None:
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        return None
    return int(head[start + 17 :].split(b"\r\n", 1)[0])


def _unverified() -> ssl.SSLContext:

    return client_context(verify=False, ca_file=None)
