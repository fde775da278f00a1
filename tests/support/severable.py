"""A TCP proxy whose connections a test in any language can cut, as a network that fails does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Severable:
    """A running proxy.

    Attributes:
        target: host and port where clients connect.
        cut_url: POST there cuts every connection that is open.
    """

    target: str
    cut_url: str


@contextlib.contextmanager
def severable(target: str) -> Iterator[Severable]:
    """Run a proxy in front of `target`, host and port, until the block ends."""
    started: threading.Event = threading.Event()
    proxy = _Proxy(target)
    thread = threading.Thread(target=proxy.run, args=(started,), daemon=True)
    thread.start()
    started.wait()
    try:
        yield Severable(proxy.target, proxy.cut_url)
    finally:
        proxy.stop()
        thread.join()


class _Proxy:
    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self.target = ""
        self.cut_url = ""

    def run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)

    async def _serve(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        app = web.Application()
        app.router.add_post("/cut", self._cut)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.cut_url = f"http://127.0.0.1:{runner.addresses[0][1]}/cut"
        started.set()
        await self._end.wait()
        server.close()
        await self._sever()
        await runner.cleanup()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(_copy(reader, upstream_writer)),
            asyncio.create_task(_copy(upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            upstream_writer.transport.abort()

    async def _cut(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"cut": await self._sever()})

    async def _sever(self) -> int:
        cut = list(self._connections)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        return len(cut)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
