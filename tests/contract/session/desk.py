"""What a trader does: look at the session, watch it, send orders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bezant.v1 import session_service_pb2 as pb
from bezant.v1 import session_service_pb2_grpc as pb_grpc
from tests.support.edge import Edge, HttpAnswer
from tests.support.paper import PaperGateway

ACCOUNT = "DU8730189"
INIT = "POST /v1/api/iserver/auth/ssodh/init"
TICKLE = "POST /v1/api/tickle"
ORDERS = f"POST /v1/api/iserver/account/{ACCOUNT}/orders"
_WAIT_SECS = 30.0


@dataclass(slots=True)
class Desk:
    """A server and the paper gateway behind it."""

    edge: Edge
    paper: PaperGateway
    folder: Path

    @asynccontextmanager
    async def sessions(self) -> AsyncIterator[Sessions]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.edge.grpc_port}") as channel:
            yield Sessions(pb_grpc.SessionServiceStub(channel))

    def quiet_market(self) -> None:
        """Let the price stand still."""
        self.paper.control("/quotes", {"conid": 265598, "bid": 230.0, "ask": 230.02})

    def counts(self) -> dict[str, int]:
        """What the gateway was asked, by method and path."""
        counts: dict[str, int] = self.paper.requests()["counts"]
        return counts

    async def order(self, name: str) -> HttpAnswer:
        """A small limit order near the market (`quiet_market`), through REST; the gateway asks nothing about it."""
        ticket = {"conid": 265598, "cOID": name, "orderType": "LMT", "price": 229.9, "side": "BUY", "tif": "DAY"}
        body = json.dumps({"orders": [ticket | {"quantity": 1}]}).encode()
        return await asyncio.to_thread(self.edge.post, f"/accounts/{ACCOUNT}/orders", body)

    def placed(self, name: str) -> int:
        """How many orders of that name the gateway has."""
        return sum(order.get("order_ref") == name for order in self.paper.state()["orders"])


@dataclass(frozen=True, slots=True)
class Sessions:
    """SessionService, as a program calls it."""

    stub: Any

    async def get(self) -> pb.Session:
        response: pb.GetSessionResponse = await self.stub.GetSession(pb.GetSessionRequest())
        return response.session

    async def until(self, state: str) -> pb.Session:
        """The session when it comes to a state."""
        return await self.when(lambda session: state_of(session) == state)

    async def when(self, condition: Callable[[pb.Session], bool]) -> pb.Session:
        async with asyncio.timeout(_WAIT_SECS):
            async for session in self.watch():
                if condition(session):
                    return session
        raise AssertionError("the watch has ended")

    async def quiet(self, *, heartbeats: int) -> None:
        """Let so many heartbeats of a watch pass."""
        async with asyncio.timeout(_WAIT_SECS):
            call = self.stub.WatchSession(pb.WatchSessionRequest())
            while heartbeats:
                heartbeats -= (await call.read()).HasField("heartbeat")
            call.cancel()

    async def watch(self) -> AsyncIterator[pb.Session]:
        call = self.stub.WatchSession(pb.WatchSessionRequest())
        try:
            async for message in call:
                if message.HasField("session"):
                    yield message.session
        finally:
            call.cancel()


class Journal:
    """The states that a watch tells, in order."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.states: list[str] = []
        self._began = asyncio.Event()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Journal]:
        task = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(_WAIT_SECS):
                await self._began.wait()
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, *states: str) -> None:
        """Wait until these states have come, in this order, others perhaps between them."""
        async with asyncio.timeout(_WAIT_SECS):
            while not self.has(*states):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def has(self, *states: str) -> bool:
        told = iter(self.states)
        return all(state in told for state in states)

    async def _keep(self) -> None:
        async for session in self._sessions.watch():
            state = state_of(session)
            if not self.states or self.states[-1] != state:
                self.states.append(state)
            self._began.set()


def state_of(session: pb.Session) -> str:
    return pb.SessionState.Name(session.state).removeprefix("SESSION_STATE_")


def action_of(session: pb.Session) -> str:
    return pb.NextAction.Name(session.next_action).removeprefix("NEXT_ACTION_")
