"""The calls that the gateway wants first: once a session, shared, and again after another login."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import portfolio_service_pb2_grpc as pb_grpc
from tests.support.paper import start_paper
from tests.support.typed import ACCOUNT, start_server

LIST = "GET /v1/api/portfolio/accounts"


async def test_they_are_made_once_and_again_after_another_login(tmp_path: Path) -> None:
    # Not primed: the gateway refuses positions until it was asked for the accounts.
    with start_paper(tmp_path) as paper, start_server(paper, tmp_path, BEZANT_PACING="off") as server:
        async with server.channel() as channel:
            stub = pb_grpc.PortfolioServiceStub(channel)
            ledger = pb.GetLedgerRequest(account_id=ACCOUNT)
            asked = server.upstream_counts()[LIST]
            await asyncio.gather(*(stub.GetLedger(ledger) for _ in range(20)))
            assert server.upstream_counts()[LIST] == asked

            paper.control("/session/expire", {"layer": "sso"})
            server.wait_for_log(message="the session is LOGGED_OUT")
            paper.control("/session/login")
            await asyncio.gather(*(stub.GetLedger(ledger) for _ in range(20)))
            # Once for the server's own priming, and once at most for all of these on either side of the moment at which
            # the server learns of the login.
            assert server.upstream_counts()[LIST] <= asked + 3


async def test_a_gateway_that_has_forgotten_is_asked_again(tmp_path: Path) -> None:
    with start_paper(tmp_path) as paper, start_server(paper, tmp_path, BEZANT_PACING="off") as server:
        async with server.channel() as channel:
            stub = pb_grpc.PortfolioServiceStub(channel)
            path = f"/portfolio/{ACCOUNT}/ledger"
            body = '{"error":"Service Unavailable","statusCode":503}'
            paper.control("/faults", {"path": path, "status": 503, "times": 1, "body": body})
            asked = server.upstream_counts()[LIST]
            response = await stub.GetLedger(pb.GetLedgerRequest(account_id=ACCOUNT))
            assert response.base.currency_code == "BASE"
            assert server.upstream_counts()[LIST] == asked + 1
