"""The session is lost in every way there is; it comes back by itself, or the server says what a human must do."""

from __future__ import annotations

import asyncio

from bezant.v1 import session_service_pb2 as pb
from tests.contract.session.conftest import RunDesk
from tests.contract.session.desk import ACCOUNT, INIT, Journal, action_of
from tests.support.paper import start_paper


async def test_a_session_that_is_there_is_taken_up(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            session = await sessions.until("READY")
    assert session.can_trade
    assert action_of(session) == "NOTHING"
    assert session.login_url == f"http://127.0.0.1:{desk.edge.port}/sso/Login"
    assert (session.selected_account, session.trading_mode) == (ACCOUNT, pb.TRADING_MODE_PAPER)
    assert ACCOUNT in session.accounts
    assert session.single_sign_on.logged_in
    assert session.single_sign_on.sso_expires_at.seconds > session.since.seconds
    assert (session.brokerage.authenticated, session.brokerage.established) == (True, True)
    assert (session.brokerage.connected, session.brokerage.competing) == (True, False)
    assert session.gateway_server.name.startswith("JifN")
    assert "Build" in session.gateway_server.version


async def test_the_brokerage_session_is_dropped(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/session/expire", {"layer": "brokerage"})
                await journal.until("READY", "NO_BROKERAGE_SESSION", "CONNECTING", "READY")
        assert desk.counts()[INIT] == 1


async def test_single_sign_on_expires(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/session/expire", {"layer": "sso"})
            session = await sessions.until("LOGGED_OUT")
            assert action_of(session) == "LOG_IN"
            assert session.login_url in session.next_action_text
            assert not session.single_sign_on.logged_in
            desk.paper.control("/session/login")
            await sessions.until("READY")
        assert INIT not in desk.counts()


async def test_the_gateway_is_killed_and_started_anew(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            async with Journal(sessions).kept() as journal:
                desk.paper.kill()
                session = await sessions.until("GATEWAY_UNREACHABLE")
                assert action_of(session) == "CHECK_GATEWAY"
                with start_paper(desk.folder, port=desk.paper.port):
                    await journal.until("READY", "GATEWAY_UNREACHABLE", "CONNECTING", "READY")


async def test_a_gateway_that_hangs(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/faults", {"path": "/tickle", "delay_seconds": 600})
            session = await sessions.until("GATEWAY_UNREACHABLE")
            assert "no answer within 1 s" in session.cause
            desk.paper.control("/faults", method="DELETE")
            await sessions.until("READY")
        assert INIT not in desk.counts()


async def test_many_calls_that_fail_bring_no_storm(run_desk: RunDesk) -> None:
    """Each of them tells that the session is gone; one is enough."""
    with run_desk(BEZANT_KEEPALIVE_SECS="3600", BEZANT_SESSION_SPACING_SECS="1", BEZANT_PACING="off") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/session/init-delay", {"seconds": 2})
            desk.paper.control("/requests", method="DELETE")
            desk.paper.control("/session/expire", {"layer": "brokerage"})
            async with Journal(sessions).kept() as journal:
                reads = [asyncio.to_thread(desk.edge.get, f"/accounts/{ACCOUNT}/orders") for _ in range(40)]
                await asyncio.gather(*reads)
                await journal.until("CONNECTING", "READY")
        counts = desk.counts()
    assert counts[INIT] == 1
    assert counts["POST /v1/api/tickle"] <= 6
