"""A TLS server that answers exactly the bytes a test tells it to, and keeps what it received."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

CLOSE = b""
"""An answer that is no answer: the connection is closed on receipt."""


class Last(bytes):
    """Bytes after which the connection is closed, whatever they say."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Answer = bytes | Callable[[Arrival], bytes | Awaitable[bytes]]


def answer(
    status: int = 200,
    body: bytes | str = b"",
    *,
    content_type: str | None = "application/json;charset=utf-8",
    headers: tuple[tuple[str, str], ...] = (),
    length: int | None = None,
) -> bytes:
    """A whole HTTP/1.1 answer; `length` lies about the body's size."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(data) if length is None else length}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines.extend(f"{name}: {value}" for name, value in headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data


def json_answer(document: object, status: int = 200) -> bytes:
    return answer(status, json.dumps(document))


_NOT_FOUND = answer(404, '{"error":"Not Found","statusCode":404}')


class ScriptedGateway:
    """Answers by method and path; keep-alive unless told to close."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self._answers: dict[tuple[str, str], Answer] = {}
        self._default: Answer = _NOT_FOUND
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()
        self.connections_accepted = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/v1/api"

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def on(self, method: str, path: str, reply: Answer) -> None:
        """Answer `method` on `path` (without its query) so; `*` as the path answers everything else."""
        if path == "*":
            self._default = reply
        else:
            self._answers[method, path] = reply

    def reset(self) -> None:
        """Forget the script and what arrived."""
        self.arrivals.clear()
        self._answers.clear()
        self._default = _NOT_FOUND

    def received(self, method: str, path: str) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if (arrival.method, arrival.path) == (method, path)]

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = defaultdict(int)
        for arrival in self.arrivals:
            counts[f"{arrival.method} {arrival.path}"] += 1
        return counts

    async def wait_for(self, method: str, path: str, count: int = 1) -> None:
        """Wait until so many requests have arrived."""
        async with asyncio.timeout(20):
            while len(self.received(method, path)) < count:
                self._changed.clear()
                await self._changed.wait()

    async def wait_until_closed(self) -> None:
        """Wait until no connection is left."""
        async with asyncio.timeout(20):
            while self._writers:
                self._changed.clear()
                await self._changed.wait()

    def drop_connections(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections_accepted += 1
        try:
            while (arrival := await _read_request(reader)) is not None:
                self.arrivals.append(arrival)
                self._changed.set()
                reply: object = self._answers.get((arrival.method, arrival.path), self._default)
                if callable(reply):
                    reply = reply(arrival)
                if isinstance(reply, Awaitable):
                    reply = await reply
                assert isinstance(reply, bytes)
                if reply == CLOSE:
                    return
                if arrival.method == "HEAD":
                    reply = reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                writer.write(reply)
                await writer.drain()
                if isinstance(reply, Last):
                    return
                if b"\r\nconnection: close" in reply.partition(b"\r\n\r\n")[0].lower():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            self._writers.discard(writer)
            self._changed.set()
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Arrival | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    length = int(next((value for name, value in headers if name == "content-length"), "0"))
    return Arrival(method, target, headers, await reader.readexactly(length))


@contextlib.asynccontextmanager
async def scripted_gateway(context: ssl.SSLContext) -> AsyncIterator[ScriptedGateway]:
    """Run a gateway on a free port."""
    gateway = ScriptedGateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0, ssl=context, limit=1 << 20)
    gateway.port = server.sockets[0].getsockname()[1]
    try:
        yield gateway
    finally:
        server.close()
        gateway.drop_connections()
        await server.wait_closed()


@contextlib.contextmanager
def gateway_in_background(context: ssl.SSLContext) -> Iterator[ScriptedGateway]:
    """Run a gateway on a free port, on an event loop and a thread of its own, for tests that block.

    The script may be changed and the arrivals read from the test's thread; what waits (`wait_for`) belongs to the loop.
    """
    started = threading.Event()
    running: list[tuple[ScriptedGateway, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        stop = asyncio.Event()
        async with scripted_gateway(context) as gateway:
            running.append((gateway, asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="scripted-gateway")
    thread.start()
    if not started.wait(20):
        raise TimeoutError("the scripted gateway did not start")
    gateway, loop, stop = running[0]
    try:
        yield gateway
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
