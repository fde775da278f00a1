"""`make bench`: the REST rows through Envoy and over gRPC, beside a do-nothing handler and the bare gateway.

Each subject is measured right beside its baseline, several rounds in turn; printed are the medians and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop
from grpc.aio import Channel

from bench import gateway, load, processes
from bench.scenarios import Measure, Scenario, measure, print_heading
from bezant.v1 import sidecar_service_pb2 as pb
from bezant.v1.sidecar_service_pb2_grpc import SidecarServiceStub

EVENTS = 100
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    gateway: int
    front: int
    grpc: int
    idle_front: int
    idle_grpc: int
    paced_front: int
    paced_grpc: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--connections", default="1,16,64", help="comma-separated (1,16,64)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (2)")
    parser.add_argument("--rounds", type=int, default=3, help="of subject and baseline in turn (3)")
    parser.add_argument("--only", default="", help="scenarios whose name holds this text")
    arguments = parser.parse_args()
    connections = [int(count) for count in arguments.connections.split(",")]
    uvloop.run(bench(connections, arguments.seconds, arguments.rounds, arguments.only))


async def bench(connections: list[int], seconds: float, rounds: int, only: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bezant-bench-") as scratch, ExitStack() as running:
        directory = Path(scratch)
        running.enter_context(processes.apart(directory))
        ports = Ports(*(processes.free_port() for _ in range(7)))
        async with gateway.socket_source(EVENTS + 1) as source:
            gateway_config = gateway.config(directory, port=ports.gateway, socket_port=source.port)
            running.enter_context(processes.envoy_process(gateway_config))
            await processes.listening(ports.gateway)
            # IBKR allows ten calls a second; what is measured here is the server, without pacing or without limits.
            no_limits = directory / "no-limits.toml"
            no_limits.write_text('[global]\ncount = 0\n["portfolio accounts"]\ncount = 0\n', encoding="utf-8")
            for name, front, grpc_port, pacing in (
                ("server", ports.front, ports.grpc, {"BEZANT_PACING": "off", "BEZANT_EVENTS_ENABLED": "true"}),
                ("paced", ports.paced_front, ports.paced_grpc, {"BEZANT_PACING_FILE": str(no_limits)}),
            ):
                server_socket = directory / f"{name}.sock"
                running.enter_context(
                    processes.server(
                        directory,
                        name,
                        grpc_port=grpc_port,
                        server_socket=server_socket,
                        env={"IBKR_GATEWAY_URL": f"https://127.0.0.1:{ports.gateway}/v1/api", **pacing},
                    )
                )
                running.enter_context(
                    processes.front(directory, f"{name}-front", port=front, server_socket=server_socket)
                )
                await processes.listening(front)
                await processes.listening(grpc_port)
            since, body = await _captured(ports.front)
            running.enter_context(
                processes.process(
                    *(sys.executable, "-m", "bench.do_nothing", str(directory / "idle.sock")),
                    *(str(ports.idle_grpc), str(len(body))),
                    env={"PYTHONPATH": str(ROOT)},
                    log=directory / "idle.log",
                )
            )
            running.enter_context(
                processes.front(directory, "idle", port=ports.idle_front, server_socket=directory / "idle.sock")
            )
            await processes.listening(ports.idle_grpc)
            await processes.listening(ports.idle_front)
            print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
            print(f"{rounds} rounds of {seconds:g} s; a 100-event answer has {len(body)} bytes")
            print()
            print_heading()
            for scenario in _scenarios(ports, since):
                if only in scenario.name:
                    for count in connections:
                        await measure(scenario, count, seconds, rounds)


async def _captured(port: int) -> tuple[int, bytes]:
    """Wait until the ring holds the events; the cursor before the last 100 of them, and their answer."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        async with asyncio.timeout(20):
            while True:
                response = await client.get("/events/orders", params={"limit": "1000"})
                if response.status_code == 200 and len(response.json()["events"]) > EVENTS:
                    break
                await asyncio.sleep(0.1)
        last = response.json()["next_cursor"]
        body = (await client.get("/events/orders", params={"since": str(last - EVENTS)})).content
    return last, body


def _scenarios(ports: Ports, last: int) -> list[Scenario]:
    def http(port: int, path: str, *, tls: bool = False) -> Measure:
        return lambda connections, seconds: load.over_http(
            port, path, connections=connections, seconds=seconds, tls=tls
        )

    def grpc(port: int, call: Callable[[SidecarServiceStub], Awaitable[object]]) -> Measure:
        def caller(channel: Channel) -> Callable[[], Awaitable[object]]:
            stub = SidecarServiceStub(channel)
            return lambda: call(stub)

        return lambda connections, seconds: load.over_grpc(
            f"127.0.0.1:{port}", caller, connections=connections, seconds=seconds
        )

    hundred = f"/events/orders?since={last - EVENTS}"
    nothing_newer = f"/events/orders?since={last}"
    rest = [
        Scenario(f"REST {name}", http(ports.front, path), http(ports.idle_front, path))
        for name, path in (
            ("/health", "/health"),
            ("/accounts", "/accounts"),
            ("/events/orders, nothing new", nothing_newer),
        )
    ]
    rest.append(
        Scenario(
            "REST /events/orders, 100 events", http(ports.front, hundred), http(ports.idle_front, "/events/orders")
        )
    )
    calls: list[tuple[str, Callable[[SidecarServiceStub], Awaitable[object]]]] = [
        ("GetHealth", lambda stub: stub.GetHealth(pb.SidecarServiceGetHealthRequest())),
        ("ListAccounts", lambda stub: stub.ListAccounts(pb.SidecarServiceListAccountsRequest())),
        (
            "PollEvents, nothing new",
            lambda stub: stub.PollEvents(pb.SidecarServicePollEventsRequest(topic="orders", since=str(last))),
        ),
    ]
    direct = [Scenario(f"gRPC {name}", grpc(ports.grpc, call), grpc(ports.idle_grpc, call)) for name, call in calls]
    direct.append(
        Scenario(
            "gRPC PollEvents, 100 events",
            grpc(
                ports.grpc,
                lambda stub: stub.PollEvents(
                    pb.SidecarServicePollEventsRequest(topic="orders", since=str(last - EVENTS))
                ),
            ),
            grpc(ports.idle_grpc, lambda stub: stub.PollEvents(pb.SidecarServicePollEventsRequest(topic="orders"))),
        )
    )
    bare = Scenario(
        "bare gateway /portfolio/accounts",
        http(ports.gateway, "/v1/api/portfolio/accounts", tls=True),
        http(ports.idle_front, "/accounts"),
    )
    paced = Scenario(
        "paced /accounts over unpaced", http(ports.paced_front, "/accounts"), http(ports.front, "/accounts")
    )
    return [*rest, *direct, paced, bare]


if __name__ == "__main__":
    main()
