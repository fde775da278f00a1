"""`make bench`: StreamEvents beside a handler that does nothing but send the same messages, and how soon frames arrive.

python -m bench.streams
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import grpc.aio
import uvloop

from bench import gateway, processes
from bench.replay import COUNT
from bench.typed import ROOT, start_server
from bezant.v1 import events_service_pb2 as pb
from bezant.v1 import events_service_pb2_grpc as pb_grpc

METHOD = "/bezant.v1.EventsService/StreamEvents"
LOADS = ((1, 2000), (10, 1000), (100, 200))
"""Readers, and the frames that each is to get."""
ROUNDS = 3
SINGLE_FRAMES = 1000
_WARM_UP_FRAMES = 50


class Reader:
    """A stream of orders on a channel of its own."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._call: Any = None

    async def open(self, port: int, frames: int) -> Any:
        """Begin to follow; the first message."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options))
        stub: Any = pb_grpc.EventsServiceStub(channel)
        topics = [pb.TopicSubscription(topic=pb.EVENT_TOPIC_ORDERS)]
        request = pb.StreamEventsRequest(topics=topics, heartbeat_secs=300)
        self._call = stub.StreamEvents(request, metadata=((COUNT, str(frames + 1)),))
        return await self._call.read()

    async def read(self, frames: int) -> Any:
        """The next frames; the last of them."""
        message = None
        for _ in range(frames):
            message = await self._call.read()
        return message


async def bench() -> None:
    with tempfile.TemporaryDirectory(prefix="bezant-bench-") as scratch, ExitStack() as running:
        directory = Path(scratch)
        running.enter_context(processes.apart(directory))
        async with gateway.socket_source(1) as source:
            port = await start_server(running, directory, source)
            idle_port = await _idle_server(running, directory, port, source)
            print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
            print(f"{'StreamEvents':20}{'readers':>8}{'events/s':>10}{'baseline':>10}{'ratio':>7}")
            for readers, frames in LOADS:
                rates, baselines = [], []
                for _ in range(ROUNDS):
                    baselines.append(await _rate(idle_port, readers, frames, None))
                    rates.append(await _rate(port, readers, frames, source))
                ratio = statistics.median(rate / base for rate, base in zip(rates, baselines, strict=True))
                line = (statistics.median(rates), statistics.median(baselines), ratio)
                print(f"{'':20}{readers:>8}{line[0]:>10.0f}{line[1]:>10.0f}{line[2]:>7.2f}", flush=True)
            print(f"{'frame to reader':20}{'readers':>8}{'p50 ms':>10}{'p99 ms':>10}")
            for readers in (1, 10):
                delays = await _delays(port, readers, source)
                p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
                print(f"{'':20}{readers:>8}{p50 * 1000:>10.2f}{p99 * 1000:>10.2f}", flush=True)


async def _idle_server(running: ExitStack, directory: Path, port: int, source: gateway.Source) -> int:
    """A server that sends one recorded event as often as it is told to."""
    async with AsyncExitStack() as stack:
        reader = Reader(stack)
        await reader.open(port, 1)
        await source.push(1)
        event = await reader.read(1)
    answers = directory / "answers.json"
    answers.write_text(json.dumps({METHOD: base64.b64encode(event.SerializeToString()).decode()}), encoding="utf-8")
    idle_port = processes.free_port()
    running.enter_context(
        processes.process(
            *(sys.executable, "-m", "bench.replay", str(idle_port), str(answers)),
            env={"PYTHONPATH": str(ROOT)},
            log=directory / "replay.log",
        )
    )
    await processes.listening(idle_port)
    return idle_port


async def _rate(port: int, count: int, frames: int, source: gateway.Source | None) -> float:
    """Events a second, of all readers together. Without a source the server sends by itself."""
    async with AsyncExitStack() as stack:
        readers = [Reader(stack) for _ in range(count)]
        began = perf_counter()
        await asyncio.gather(*(reader.open(port, frames) for reader in readers))
        if source is None:
            await asyncio.gather(*(reader.read(frames) for reader in readers))
        else:
            began = perf_counter()
            await asyncio.gather(source.push(frames), *(reader.read(frames) for reader in readers))
        return count * frames / (perf_counter() - began)


async def _delays(port: int, count: int, source: gateway.Source) -> list[float]:
    """Seconds from the sending of a frame to its arrival, at each reader, one frame after the other; sorted."""
    delays: list[float] = []

    async def timed(reader: Reader, sent: float) -> float:
        await reader.read(1)
        return perf_counter() - sent

    async with AsyncExitStack() as stack:
        readers = [Reader(stack) for _ in range(count)]
        await asyncio.gather(*(reader.open(port, SINGLE_FRAMES) for reader in readers))
        for number in range(SINGLE_FRAMES + _WARM_UP_FRAMES):
            sent = perf_counter()
            waiting = asyncio.gather(*(timed(reader, sent) for reader in readers))
            await source.push(1)
            taken = await waiting
            if number >= _WARM_UP_FRAMES:
                delays += taken
    return sorted(delays)


if __name__ == "__main__":
    uvloop.run(bench())
