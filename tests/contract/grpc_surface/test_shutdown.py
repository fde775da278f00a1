"""How the server goes: watchers hear of it first, calls in flight may finish, and nobody holds it up."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bezant.v1 import sidecar_service_pb2 as sidecar_pb
from bezant.v1 import sidecar_service_pb2_grpc
from tests.contract.conftest import RunEdge
from tests.support.edge import Edge
from tests.support.scripted_gateway import Arrival, json_answer

STATUS = ("POST", "/v1/api/iserver/auth/status")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def exit_status(edge: Edge) -> int:
    return await asyncio.to_thread(edge.server.wait, 30)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  the condition lies in another thread or process
            await asyncio.sleep(0.01)


def channel_to(edge: Edge) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}")


def held(answers: dict[str, bool]) -> Callable[[Arrival], Awaitable[bytes]]:
    async def reply(_: Arrival) -> bytes:
        await until(lambda: answers["now"])
        return json_answer({"authenticated": True})

    return reply


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_server_exits_with_0(run_edge: RunEdge, number: signal.Signals) -> None:
    with run_edge({"BEZANT_SHUTDOWN_GRACE_SECS": "60"}) as edge:
        edge.server.send_signal(number)
        assert await exit_status(edge) == 0
        assert edge.log_lines(message="stopped")
        assert not edge.log_lines(level="ERROR")


async def test_watchers_hear_of_it_and_do_not_hold_it_up(run_edge: RunEdge) -> None:
    with run_edge({"BEZANT_SHUTDOWN_GRACE_SECS": "60"}) as edge:
        async with channel_to(edge) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watches = [
                health.Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", "bezant.v1.SidecarService")
            ]
            for watch in watches:
                assert (await watch.read()).status == SERVING
            edge.server.terminate()
            for watch in watches:
                assert (await watch.read()).status == NOT_SERVING
                assert await watch.read() is grpc.aio.EOF
        assert await exit_status(edge) == 0


async def test_a_call_in_flight_finishes_and_new_ones_are_refused(run_edge: RunEdge) -> None:
    with run_edge({"BEZANT_SHUTDOWN_GRACE_SECS": "60"}) as edge:
        answers = {"now": False}
        edge.gateway.on(*STATUS, held(answers))
        async with channel_to(edge) as channel, channel_to(edge) as late:
            stub = sidecar_service_pb2_grpc.SidecarServiceStub(channel)
            call = asyncio.ensure_future(stub.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest()))
            await until(lambda: bool(edge.gateway.received(*STATUS)))
            edge.server.terminate()
            await until(lambda: bool(edge.log_lines(message="stopping")))
            edge.server.terminate()

            with pytest.raises(AioRpcError) as caught:
                await sidecar_service_pb2_grpc.SidecarServiceStub(late).GetHealth(
                    sidecar_pb.SidecarServiceGetHealthRequest()
                )
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

            answers["now"] = True
            assert b'"authenticated": true' in (await call).data
        assert await exit_status(edge) == 0
        assert len(edge.gateway.received(*STATUS)) == 1


async def test_a_call_that_hangs_is_ended_with_the_grace(run_edge: RunEdge) -> None:
    with run_edge({"BEZANT_SHUTDOWN_GRACE_SECS": "0.3"}) as edge:
        answers = {"now": False}
        edge.gateway.on(*STATUS, held(answers))
        async with channel_to(edge) as channel:
            stub = sidecar_service_pb2_grpc.SidecarServiceStub(channel)
            call = asyncio.ensure_future(stub.GetHealth(sidecar_pb.SidecarServiceGetHealthRequest()))
            await until(lambda: bool(edge.gateway.received(*STATUS)))
            edge.server.terminate()
            began = time.monotonic()
            assert await exit_status(edge) == 0
            # The gateway's own deadline is 30 seconds: the grace ended it, not that.
            assert time.monotonic() - began < 20
            with pytest.raises(AioRpcError):
                await call
        answers["now"] = True


async def test_its_socket_is_gone(run_edge: RunEdge) -> None:
    with run_edge({}) as edge:
        socket = edge.server_log.parent / "server.sock"
        assert socket.is_socket()
        assert socket.stat().st_mode & 0o777 == 0o600
        edge.server.terminate()
        assert await exit_status(edge) == 0
        assert not socket.exists()
