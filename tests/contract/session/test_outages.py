"""The gateway cannot be used for a while: too many calls, the night, maintenance."""

from __future__ import annotations

from tests.contract.session.conftest import RunDesk
from tests.contract.session.desk import INIT, Journal, action_of, state_of

ALWAYS = "00:00-12:00,12:00-00:00"
BRIEF = {"BEZANT_PACING_BACKOFF_MIN_SECS": "0.5", "BEZANT_PACING_BACKOFF_MAX_SECS": "1"}


async def test_the_penalty_box(run_desk: RunDesk) -> None:
    with run_desk(**BRIEF) as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/faults", {"path": "/", "status": 429, "body": '{"error":"Too many requests"}'})
            session = await sessions.until("PENALTY_BOX")
            assert (session.can_trade, action_of(session)) == (False, "WAIT")
            assert "429" in session.cause
            desk.paper.control("/faults", method="DELETE")
            await sessions.until("READY")
        # The brokerage session was there all the time: nothing was opened or prepared again.
        assert INIT not in desk.counts()


async def test_the_penalty_box_without_pacing(run_desk: RunDesk) -> None:
    with run_desk(
        "--limits", BEZANT_PACING="off", BEZANT_SESSION_SPACING_SECS="1.1", BEZANT_KEEPALIVE_SECS="2"
    ) as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            for _ in range(40):
                desk.edge.get("/accounts")
            assert desk.paper.state()["penalty_box"]
            await sessions.until("PENALTY_BOX")
            desk.paper.control("/limits", {"on": True})
            await sessions.until("READY")


async def test_the_night(run_desk: RunDesk) -> None:
    """Single sign-on ends after a day: only a human can log in again."""
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/clock/advance", {"seconds": 86_400, "keep_alive": True})
            session = await sessions.until("LOGGED_OUT")
            assert action_of(session) == "LOG_IN"
            desk.paper.control("/session/login")
            await sessions.until("READY")


async def test_an_idle_gateway_loses_its_session(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/clock/advance", {"seconds": 600})
                await journal.until("READY", "CONNECTING", "READY")
        assert desk.counts()[INIT] == 1


async def test_a_gateway_that_goes_away_during_maintenance(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_MAINTENANCE_WINDOWS=ALWAYS) as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/faults", {"path": "/tickle", "status": 500})
            session = await sessions.until("MAINTENANCE")
            assert "IBKR's maintenance window" in session.cause
            assert action_of(session) == "WAIT"
            # It names the failure, and stops nothing.
            assert desk.edge.get("/accounts").status == 200
            desk.paper.control("/faults", method="DELETE")
            await sessions.until("READY")


async def test_a_session_that_does_not_open_during_maintenance(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_MAINTENANCE_WINDOWS=ALWAYS, BEZANT_SESSION_CONNECT_SECS="0.5") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/faults", {"path": "/iserver/auth/ssodh/init", "status": 500})
            desk.paper.control("/session/expire", {"layer": "brokerage"})
            await sessions.until("MAINTENANCE")
            desk.paper.control("/faults", method="DELETE")
            await sessions.until("READY")


async def test_a_session_that_does_not_open(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_SESSION_CONNECT_SECS="0.5") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/session/init-delay", {"seconds": 3600})
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/session/expire", {"layer": "brokerage"})
                session = await sessions.when(lambda session: "no brokerage session within" in session.cause)
                assert state_of(session) == "NO_BROKERAGE_SESSION"
                desk.paper.control("/session/init-delay", {"seconds": 0})
                await journal.until("READY", "CONNECTING", "NO_BROKERAGE_SESSION", "READY")
