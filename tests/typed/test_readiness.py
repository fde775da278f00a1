"""Typed calls while the session is not READY, against deadlines, and in the log."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import pytest

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import portfolio_service_pb2_grpc as pb_grpc
from tests.support.grpc_errors import error_info, reason
from tests.support.typed import ACCOUNT, typed_server

ACCOUNTS = pb.ListBrokerageAccountsRequest()


async def test_a_read_waits_for_a_session_that_is_opening(tmp_path: Path) -> None:
    with typed_server(tmp_path, "--init-delay", "1") as server:
        server.paper.control("/session/expire", {"layer": "brokerage"})
        server.wait_for_log(message="the session is NO_BROKERAGE_SESSION")
        async with server.channel() as channel:
            response = await pb_grpc.PortfolioServiceStub(channel).ListBrokerageAccounts(ACCOUNTS)
        assert response.selected_account_id == ACCOUNT


async def test_a_read_does_not_wait_for_a_human(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        server.paper.control("/session/expire", {"layer": "sso"})
        server.wait_for_log(message="the session is LOGGED_OUT")
        async with server.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await pb_grpc.PortfolioServiceStub(channel).ListBrokerageAccounts(ACCOUNTS)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        info = error_info(caught.value)
        assert (info.reason, info.metadata["state"], info.metadata["next_action"]) == (
            "SESSION_NOT_READY",
            "LOGGED_OUT",
            "LOG_IN",
        )


async def test_the_callers_deadline_bounds_the_upstream_call(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        server.paper.control("/faults", {"path": "/portfolio/accounts", "delay_seconds": 20})
        async with server.channel() as channel:
            started = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await pb_grpc.PortfolioServiceStub(channel).ListAccounts(pb.ListAccountsRequest(), timeout=1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - started < 10


async def test_a_request_timeout_header_is_a_deadline_too(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        server.paper.control("/faults", {"path": "/portfolio/accounts", "delay_seconds": 20})
        async with server.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await pb_grpc.PortfolioServiceStub(channel).ListAccounts(
                    pb.ListAccountsRequest(), metadata=(("x-request-timeout", "0.5"),)
                )
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "UPSTREAM_TIMEOUT")


async def test_one_log_line_a_call_without_whole_account_numbers(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        async with server.channel() as channel:
            stub = pb_grpc.PortfolioServiceStub(channel)
            await stub.ListAccounts(pb.ListAccountsRequest(), metadata=(("x-request-id", "one"),))
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.GetLedger(pb.GetLedgerRequest(account_id="U7654321"), metadata=(("x-request-id", "two"),))
        (line,) = await asyncio.to_thread(server.wait_for_log, request_id="one", logger="bezant_server.rpc.interceptor")
        assert (line["rpc"], line["code"]) == ("PortfolioService/ListAccounts", "ok")
        assert line["milliseconds"] >= 0
        (line,) = await asyncio.to_thread(server.wait_for_log, request_id="two", logger="bezant_server.rpc.interceptor")
        assert line["code"] == "account_not_found"
        log = server.log_file.read_text(encoding="utf-8")
        assert ACCOUNT not in log
        assert "U7654321" not in log
