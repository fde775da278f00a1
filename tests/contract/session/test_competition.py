"""Another program uses the login."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from bezant.v1 import session_service_pb2 as pb
from tests.contract.session.conftest import RunDesk
from tests.contract.session.desk import INIT, Desk, Journal, Sessions, action_of, state_of
from tests.support.grpc_errors import error_info


async def looks(desk: Desk, count: int) -> None:
    """Wait until the server has looked at the session so many times more."""
    before = desk.counts()["POST /v1/api/tickle"]
    async with asyncio.timeout(30):
        while desk.counts()["POST /v1/api/tickle"] < before + count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_it_is_not_fought(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/session/compete", {"on": True})
            session = await sessions.until("COMPETING")
            assert (session.can_trade, session.brokerage.competing) == (False, True)
            assert action_of(session) == "END_OTHER_SESSION"
            await looks(desk, 3)
            assert INIT not in desk.counts()

            desk.paper.control("/session/compete", {"on": False})
            await sessions.until("READY")
        assert desk.counts()[INIT] == 1


async def test_a_human_takes_the_session_over(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/session/compete", {"on": True})
            await sessions.until("COMPETING")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await sessions.stub.InitBrokerageSession(pb.InitBrokerageSessionRequest(compete=False))
            assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
            info = error_info(caught.value)
            assert info.reason == "SESSION_NOT_READY"
            assert dict(info.metadata) == {"state": "COMPETING", "next_action": "END_OTHER_SESSION"}

            response = await sessions.stub.InitBrokerageSession(pb.InitBrokerageSessionRequest(compete=True))
            assert state_of(response.session) == "READY"


async def test_with_compete_it_is_taken_once(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_COMPETE="true") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/session/compete", {"on": True})
                await journal.until("COMPETING", "CONNECTING", "READY")
            await looks(desk, 3)
        assert desk.counts()[INIT] == 1


async def test_a_program_that_fights_back_is_let_go(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_COMPETE="true") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            for _ in range(2):
                await competes(desk, sessions)
                await sessions.until("READY")
            await competes(desk, sessions)
            session = await sessions.when(lambda session: "takes the session back" in session.cause)
            assert state_of(session) == "COMPETING"
            assert action_of(session) == "END_OTHER_SESSION"
            await looks(desk, 3)
            assert desk.counts()[INIT] == 2

            desk.paper.control("/session/compete", {"on": False})
            await sessions.until("READY")


async def competes(desk: Desk, sessions: Sessions) -> None:
    async with Journal(sessions).kept() as journal:
        desk.paper.control("/session/compete", {"on": True})
        await journal.until("COMPETING")
