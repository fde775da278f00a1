"""`make bench`: typed RPCs, beside a handler that does nothing but return the same messages."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from bench import gateway, load, processes
from bench.scenarios import Measure, Scenario, measure, print_heading
from bezant.v1 import events_service_pb2 as events_pb
from bezant.v1 import events_service_pb2_grpc as events_grpc
from bezant.v1 import marketdata_service_pb2 as marketdata_pb
from bezant.v1 import marketdata_service_pb2_grpc as marketdata_grpc
from bezant.v1 import portfolio_service_pb2 as portfolio_pb
from bezant.v1 import portfolio_service_pb2_grpc as portfolio_grpc

ROOT = Path(__file__).resolve().parent.parent
EVENTS = 100
SECONDS, ROUNDS = 2.0, 3

Call = Callable[[grpc.aio.Channel], Awaitable[Any]]


def get_quotes(channel: grpc.aio.Channel) -> Awaitable[Any]:
    """Ten contracts, eleven fields each."""
    request = marketdata_pb.GetQuotesRequest(conids=list(gateway.QUOTED), fields=gateway.QUOTE_FIELDS)
    return marketdata_grpc.MarketDataServiceStub(channel).GetQuotes(request)


def list_positions(channel: grpc.aio.Channel) -> Awaitable[Any]:
    """A thousand rows: eleven calls to the gateway."""
    request = portfolio_pb.ListPositionsRequest(account_id=gateway.ACCOUNT, page_size=1000)
    return portfolio_grpc.PortfolioServiceStub(channel).ListPositions(request)


def list_events(channel: grpc.aio.Channel) -> Awaitable[Any]:
    """The oldest hundred orders held."""
    request = events_pb.ListEventsRequest(topic=events_pb.EVENT_TOPIC_ORDERS, limit=EVENTS)
    return events_grpc.EventsServiceStub(channel).ListEvents(request)


RPCS: tuple[tuple[str, str, Call], ...] = (
    ("GetQuotes, 10 contracts", "/bezant.v1.MarketDataService/GetQuotes", get_quotes),
    ("ListPositions, 1,000 rows", "/bezant.v1.PortfolioService/ListPositions", list_positions),
    ("ListEvents, 100 events", "/bezant.v1.EventsService/ListEvents", list_events),
)


async def start_server(running: ExitStack, directory: Path, source: gateway.Source) -> int:
    """Start a gateway that answers from memory, and a server in front of it; its gRPC port."""
    gateway_port, port = processes.free_port(), processes.free_port()
    running.enter_context(
        processes.envoy_process(gateway.config(directory, port=gateway_port, socket_port=source.port))
    )
    await processes.listening(gateway_port)
    running.enter_context(
        processes.server(
            directory,
            "server",
            grpc_port=port,
            server_socket=directory / "server.sock",
            env={
                "IBKR_GATEWAY_URL": f"https://127.0.0.1:{gateway_port}/v1/api",
                "BEZANT_PACING": "off",
                "BEZANT_EVENTS_ENABLED": "true",
                # Frames come far faster here than IBKR sends any: what is not read yet must be held.
                "BEZANT_EVENTS_ORDERS_CAP": "20000",
            },
        )
    )
    await processes.listening(port)
    return port


async def bench() -> None:
    with tempfile.TemporaryDirectory(prefix="bezant-bench-") as scratch, ExitStack() as running:
        directory = Path(scratch)
        running.enter_context(processes.apart(directory))
        idle_port = processes.free_port()
        async with gateway.socket_source(EVENTS + 1) as source:
            port = await start_server(running, directory, source)
            answers = directory / "answers.json"
            answers.write_text(json.dumps(await _recorded(port)), encoding="utf-8")
            running.enter_context(
                processes.process(
                    *(sys.executable, "-m", "bench.replay", str(idle_port), str(answers)),
                    env={"PYTHONPATH": str(ROOT)},
                    log=directory / "replay.log",
                )
            )
            await processes.listening(idle_port)
            print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
            print_heading()
            for name, _, call in RPCS:
                for connections in (1, 16):
                    await measure(
                        Scenario(name, _over(port, call), _over(idle_port, call)), connections, SECONDS, ROUNDS
                    )


def _over(port: int, call: Call) -> Measure:
    def caller(channel: grpc.aio.Channel) -> Callable[[], Awaitable[object]]:
        return lambda: call(channel)

    return lambda connections, seconds: load.over_grpc(
        f"127.0.0.1:{port}", caller, connections=connections, seconds=seconds
    )


async def _recorded(port: int) -> dict[str, str]:
    """One answer of each RPC, once the events are there."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        async with asyncio.timeout(30):
            while len((await list_events(channel)).events) < EVENTS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return {
            method: base64.b64encode((await call(channel)).SerializeToString()).decode() for _, method, call in RPCS
        }


if __name__ == "__main__":
    uvloop.run(bench())
