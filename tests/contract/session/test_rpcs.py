"""SessionService's RPCs, against the paper gateway."""

from __future__ import annotations

import asyncio
import json
import time

import grpc
import pytest

from bezant.v1 import session_service_pb2 as pb
from tests.contract.session.conftest import RunDesk
from tests.contract.session.desk import INIT, TICKLE, Desk, Journal, action_of, state_of
from tests.support.grpc_errors import error_info

OTHER_ACCOUNT = "DUP203550"


async def test_a_watch_tells_each_change_in_order(run_desk: RunDesk) -> None:
    with run_desk("--logged-out", "--init-delay", "0.5") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("LOGGED_OUT")
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/session/login")
                await journal.until("READY")
                desk.paper.control("/session/compete", {"on": True})
                await journal.until("READY", "COMPETING")
                desk.paper.control("/session/compete", {"on": False})
                await journal.until("READY", "COMPETING", "READY")
                desk.paper.control("/session/expire", {"layer": "sso"})
                await journal.until("COMPETING", "READY", "LOGGED_OUT")
            told = journal.states
        logged = [line["message"] for line in desk.edge.log_lines() if line["message"].startswith("the session is ")]
    assert told[:3] == ["LOGGED_OUT", "CONNECTING", "READY"]
    assert told[3] == "COMPETING"
    assert told[-2:] == ["READY", "LOGGED_OUT"]
    # One line of log for each of them, and no other.
    assert logged == [f"the session is {state}" for state in told]


async def test_a_quiet_watch_has_heartbeats(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            call = sessions.stub.WatchSession(pb.WatchSessionRequest())
            before = time.time()
            assert state_of((await call.read()).session) == "READY"
            for _ in range(2):
                beat = await call.read()
                assert beat.WhichOneof("event") == "heartbeat"
                assert beat.heartbeat.sent_at.ToMilliseconds() >= before * 1000 - 1
            call.cancel()


async def test_a_watch_ends_with_the_server(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_SHUTDOWN_GRACE_SECS="60") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            call = sessions.stub.WatchSession(pb.WatchSessionRequest())
            assert (await call.read()).HasField("session")
            desk.edge.server.terminate()
            while (message := await call.read()) is not grpc.aio.EOF:
                assert message.HasField("heartbeat")
            assert await call.code() == grpc.StatusCode.OK
        assert await asyncio.to_thread(desk.edge.server.wait, 20) == 0


async def test_logout_ends_the_upkeep(run_desk: RunDesk) -> None:
    """A tickle would keep alive what was to end."""
    with run_desk(events=True) as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            response = await sessions.stub.Logout(pb.LogoutRequest())
            assert state_of(response.session) == "LOGGED_OUT"
            assert action_of(response.session) == "LOG_IN"
            assert not desk.paper.state()["sso"]
            # What was under way when the gateway logged out arrives.
            await sessions.quiet(heartbeats=3)
            desk.paper.control("/requests", method="DELETE")
            # The keepalive, the look for a login and the socket's next try are each due several times over.
            await sessions.quiet(heartbeats=10)
            assert TICKLE not in desk.counts()

            desk.paper.control("/session/login")
            assert desk.edge.get("/accounts").status == 200
            await sessions.until("READY")
            await events_connected(desk)


async def test_tickles_are_shared(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_KEEPALIVE_SECS="3600", BEZANT_SESSION_SPACING_SECS="1") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            before = desk.counts()[TICKLE]
            answers = await asyncio.gather(*(sessions.stub.Tickle(pb.TickleRequest()) for _ in range(50)))
            assert {state_of(answer.session) for answer in answers} == {"READY"}
            assert desk.counts()[TICKLE] == before + 1


async def test_validation_of_single_sign_on(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            response = await sessions.stub.ValidateSso(pb.ValidateSsoRequest())
            assert (response.valid, response.user_name) == (True, "paperuser")
            assert response.trading_mode == pb.TRADING_MODE_PAPER
            assert response.sso_expires_at.seconds > time.time()
            desk.paper.control("/session/expire", {"layer": "sso"})
            await sessions.until("LOGGED_OUT")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await sessions.stub.ValidateSso(
                    pb.ValidateSsoRequest(), metadata=(("cache-control", "no-cache"),), timeout=2
                )
            assert error_info(caught.value).reason in ("NOT_AUTHENTICATED", "RATE_LIMITED")


async def test_reauthentication(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            async with Journal(sessions).kept() as journal:
                response = await sessions.stub.Reauthenticate(pb.ReauthenticateRequest())
                assert response.message == "triggered"
                await journal.until("READY", "CONNECTING", "READY")
        assert INIT not in desk.counts()


async def test_init_when_ready_does_nothing(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            response = await sessions.stub.InitBrokerageSession(pb.InitBrokerageSessionRequest(compete=True))
            assert state_of(response.session) == "READY"
        assert INIT not in desk.counts()


async def test_inits_are_one(run_desk: RunDesk) -> None:
    with run_desk("--init-delay", "1", BEZANT_SESSION_UPKEEP="off", BEZANT_KEEPALIVE_SECS="0.2") as desk:
        async with desk.sessions() as sessions:
            desk.paper.control("/session/expire", {"layer": "brokerage"})
            session = await sessions.until("NO_BROKERAGE_SESSION")
            assert action_of(session) == "OPEN_SESSION"
            request = pb.InitBrokerageSessionRequest()
            answers = await asyncio.gather(*(sessions.stub.InitBrokerageSession(request) for _ in range(5)))
            assert {state_of(answer.session) for answer in answers} == {"READY"}
        assert desk.counts()[INIT] == 1


async def test_init_without_a_login_says_what_to_do(run_desk: RunDesk) -> None:
    with run_desk("--logged-out") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("LOGGED_OUT")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await sessions.stub.InitBrokerageSession(pb.InitBrokerageSessionRequest())
            assert dict(error_info(caught.value).metadata) == {"state": "LOGGED_OUT", "next_action": "LOG_IN"}
            assert "/sso/Login" in (caught.value.details() or "")
        assert INIT not in desk.counts()


async def test_what_callers_chose_is_told_again(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            chosen = {
                "/iserver/account": {"acctId": OTHER_ACCOUNT},
                "/iserver/questions/suppress": {"messageIds": ["o163"]},
            }
            for path, body in chosen.items():
                assert desk.edge.post(f"/v1/api{path}", json.dumps(body).encode()).status == 200
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/session/expire", {"layer": "brokerage"})
                await journal.until("NO_BROKERAGE_SESSION", "READY")
            state = desk.paper.state()
            assert (state["selected_account"], state["suppressed"]) == (OTHER_ACCOUNT, ["o163"])
            assert (await sessions.get()).selected_account == OTHER_ACCOUNT


async def test_the_socket_is_replaced_with_the_session(run_desk: RunDesk) -> None:
    with run_desk(events=True) as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            await events_connected(desk)
            before = desk.edge.get("/events/_status").json()["reconnect_count"]
            async with Journal(sessions).kept() as journal:
                desk.paper.control("/session/expire", {"layer": "brokerage"})
                await journal.until("NO_BROKERAGE_SESSION", "CONNECTING", "READY")
            async with asyncio.timeout(30):
                while desk.edge.get("/events/_status").json()["reconnect_count"] == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await events_connected(desk)


async def test_the_socket_tells_before_any_tickle(run_desk: RunDesk) -> None:
    with run_desk(events=True, BEZANT_KEEPALIVE_SECS="3600") as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            await events_connected(desk)
            desk.paper.control("/session/compete", {"on": True})
            await sessions.until("COMPETING")


async def test_pacing(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            response = await sessions.stub.GetPacing(pb.GetPacingRequest())
    limits = {limit.name: limit for limit in response.limits}
    assert response.enabled
    assert (limits["global"].count, limits["global"].window.ToMilliseconds()) == (10, 1000)
    assert not limits["history"].HasField("window")
    accounts = limits["portfolio accounts"]
    assert (accounts.used, accounts.HasField("free_at")) == (1, True)
    assert [lane.name for lane in response.lanes] == ["orders", "session", "reads", "bulk"]
    assert response.counters.sent >= 3
    assert not response.HasField("pause")


async def test_pacing_that_has_stopped(run_desk: RunDesk) -> None:
    with run_desk() as desk:
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            desk.paper.control("/faults", {"path": "/portfolio", "status": 429})
            assert desk.edge.get("/accounts/DU8730189/ledger").status == 429
            response = await sessions.stub.GetPacing(pb.GetPacingRequest())
            assert "429" in response.pause.cause
            assert response.pause.until.seconds >= time.time()
            assert response.counters.answered_429 == 1


async def test_pacing_that_is_off_says_so(run_desk: RunDesk) -> None:
    with run_desk(BEZANT_PACING="off") as desk:
        async with desk.sessions() as sessions:
            response = await sessions.stub.GetPacing(pb.GetPacingRequest())
            assert response == pb.GetPacingResponse(enabled=False)


async def events_connected(desk: Desk) -> None:
    async with asyncio.timeout(30):
        while not desk.edge.get("/events/_status").json()["connected"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
