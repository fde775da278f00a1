"""Orders whose answer is lost: reported as unknown, looked for, never sent again."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import grpc
import pytest

from bezant.v1 import orders_service_pb2 as pb
from tests.support.grpc_errors import reason
from tests.support.typed import ACCOUNT, typed_server
from tests.typed.orders.trader import Trader, kinds, limit, market

ORDERS = f"/iserver/account/{ACCOUNT}/orders"


POST = f"POST /v1/api{ORDERS}"


async def sent(trader: Trader, before: int) -> None:
    """Wait until the gateway has got another order."""
    async with asyncio.timeout(10):
        while trader.server.upstream_counts().get(POST, 0) == before:  # noqa: ASYNC110  the gateway does not tell
            await asyncio.sleep(0.02)


async def found(trader: Trader, name: str) -> str:
    (line,) = await asyncio.to_thread(
        trader.server.wait_for_log, message="order", action="search", client_order_id=name
    )
    return str(line["outcome"])


@pytest.mark.parametrize("fault", [{"truncate": True}, {"status": 502, "html": True}, {"status": 503, "body": ""}])
async def test_an_answer_that_is_lost_or_unclear_is_unknown(lone_trader: Trader, fault: dict[str, Any]) -> None:
    lone_trader.server.paper.control("/faults", {"path": ORDERS, "method": "POST", "times": 1, **fault})
    (outcome,) = await lone_trader.place(limit(client_order_id="lost"))
    assert kinds([outcome]) == ["unknown"]
    assert outcome.unknown.cause
    assert outcome.client_order_id == "lost"
    was_placed = "truncate" in fault
    assert await found(lone_trader, "lost") == ("found" if was_placed else "not found")
    assert lone_trader.at_the_gateway("lost") == int(was_placed)
    assert lone_trader.server.upstream_counts()[POST] == 1


async def test_an_answer_that_never_comes_is_unknown(lone_trader: Trader) -> None:
    lone_trader.server.paper.control("/faults", {"path": ORDERS, "method": "POST", "times": 1, "delay_seconds": 60})
    (outcome,) = await lone_trader.place(limit(client_order_id="hangs"))
    assert kinds([outcome]) == ["unknown"]


async def test_an_order_that_was_not_sent_is_an_error(lone_trader: Trader) -> None:
    lone_trader.server.paper.kill()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lone_trader.place(limit(client_order_id="unsent"))
    assert reason(caught.value) in ("UPSTREAM_UNREACHABLE", "SESSION_NOT_READY")


async def test_a_caller_who_leaves_cancels_nothing_that_was_sent(trader: Trader) -> None:
    trader.server.paper.control("/faults", {"path": ORDERS, "method": "POST", "times": 1, "delay_seconds": 1})
    before = trader.server.upstream_counts().get(POST, 0)
    call = trader.stub.PlaceOrders(
        pb.PlaceOrdersRequest(
            account_id=ACCOUNT, orders=[market(client_order_id="left")], agreed_message_ids=["o10151"]
        )
    )
    await sent(trader, before)
    call.cancel()
    (line,) = await asyncio.to_thread(
        trader.server.wait_for_log, message="order", action="place", client_order_id="left"
    )
    assert line["outcome"] == "accepted"
    assert trader.at_the_gateway("left") == 1


async def test_a_caller_who_leaves_before_the_order_is_sent_cancels_it(trader: Trader) -> None:
    trader.server.paper.control("/faults", {"path": ORDERS, "method": "POST", "times": 1, "delay_seconds": 1.5})
    before = trader.server.upstream_counts().get(POST, 0)
    first = asyncio.create_task(trader.place(limit(client_order_id="first-in-line")))
    second = pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=[limit(client_order_id="second-in-line")])
    await sent(trader, before)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await trader.stub.PlaceOrders(second, timeout=0.7)
    # The caller's own clock, or the server's, whichever is first.
    assert caught.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert kinds(await first) == ["accepted"]
    assert trader.at_the_gateway("second-in-line") == 0


async def test_a_lost_confirmation_is_unknown(lone_trader: Trader) -> None:
    (outcome,) = await lone_trader.place(market(client_order_id="lost-reply"))
    lone_trader.server.paper.control("/faults", {"path": "/iserver/reply/", "times": 1, "truncate": True})
    response = await lone_trader.stub.ConfirmOrder(
        pb.ConfirmOrderRequest(reply_id=outcome.needs_confirmation.reply_id, confirmed=True)
    )
    assert kinds(list(response.outcomes)) == ["unknown"]
    assert response.outcomes[0].client_order_id == "lost-reply"
    assert await found(lone_trader, "lost-reply") == "found"
    assert lone_trader.at_the_gateway("lost-reply") == 1


async def test_a_gateway_that_says_503_for_an_expired_reply(tmp_path: Path) -> None:
    with typed_server(tmp_path, "--stale-reply-status", "503", BEZANT_PACING="on") as server:
        async with server.channel() as channel:
            trader = Trader(server, channel)
            trader.quiet_market()
            (outcome,) = await trader.place(market(client_order_id="stale"))
            server.paper.control("/replies/invalidate")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await trader.stub.ConfirmOrder(
                    pb.ConfirmOrderRequest(reply_id=outcome.needs_confirmation.reply_id, confirmed=True)
                )
            assert reason(caught.value) == "REPLY_EXPIRED"
            assert trader.at_the_gateway("stale") == 0


async def test_a_stop_of_the_server_lets_a_sent_order_end(tmp_path: Path) -> None:
    with typed_server(tmp_path, BEZANT_SHUTDOWN_GRACE_SECS="5") as server:
        async with server.channel() as channel:
            trader = Trader(server, channel)
            trader.quiet_market()
            server.paper.control("/faults", {"path": ORDERS, "method": "POST", "times": 1, "delay_seconds": 1})
            placing = asyncio.create_task(trader.place(limit(client_order_id="stopped")))
            await sent(trader, 0)
            server.process.send_signal(signal.SIGTERM)
            assert kinds(await placing) == ["accepted"]
        assert trader.at_the_gateway("stopped") == 1
