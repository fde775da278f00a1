"""A server that is killed anywhere in a batch: after its restart no order is doubled, and none forgotten."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from bezant.v1 import targets_service_pb2 as pb
from bezant.v1 import targets_service_pb2_grpc as pb_grpc
from bezant_server.keys.file import KeyFile
from tests.support.paper import PaperGateway, start_paper
from tests.support.typed import AAPL, ACCOUNT, TypedServer, start_server

IBM = 8314
WAIT_SECS = 30.0
KILLED = -9
WORKING = (pb.TARGET_STATUS_PRE_SUBMITTED, pb.TARGET_STATUS_SUBMITTED)
ORDERS = r"/iserver/account/[^/]+/orders$"
TARGETS = (
    pb.Target(symbol="AAPL", quantity="110", limit_price="229.50"),
    pb.Target(symbol="IBM", quantity="10", limit_price="249.50"),
)
"""Purchases a little below the market: taken without a question, and not filled."""

STEPS = (
    "planned",
    "stored",
    *(f"{step}:{place}" for place in range(len(TARGETS)) for step in ("marked", "sent", "settled")),
    "placed",
    "answered",
)
"""Of a batch, in their order."""


class Site:
    """A paper gateway, and the files that a server leaves behind for the next."""

    def __init__(self, paper: PaperGateway, folder: Path) -> None:
        self.paper = paper
        self._folder = folder
        keys = folder / "api-keys.json"
        self._metadata = (("x-api-key", KeyFile(keys).add("bot")),)
        self._variables = {
            "BEZANT_API_KEYS_PATH": str(keys),
            "BEZANT_STATE_DB_PATH": str(folder / "state.db"),
            "BEZANT_TARGET_SEARCH_SECS": "1",
            "BEZANT_TARGET_BOOKING_SECS": "1",
            "BEZANT_PACING": "off",
            "BEZANT_KEEPALIVE_SECS": "3600",
        }

    @contextlib.contextmanager
    def server(self, failpoint: str = "", **variables: str) -> Iterator[TypedServer]:
        settings = {**self._variables, "BEZANT_FAILPOINT": failpoint, **variables}
        with start_server(self.paper, self._folder, "--paper", **settings) as server:
            yield server

    @contextlib.asynccontextmanager
    async def client(self, server: TypedServer) -> AsyncIterator[Client]:
        async with server.channel() as channel:
            yield Client(pb_grpc.TargetOrdersServiceStub(channel), self._metadata)

    async def crash(self, failpoint: str, act: Callable[[Client], Any]) -> None:
        """Run a server until it kills itself at the failpoint, which `act` takes it to."""
        with self.server(failpoint) as server:
            async with self.client(server) as client:
                with pytest.raises(grpc.aio.AioRpcError) as lost:
                    await act(client)
            assert lost.value.code() == grpc.StatusCode.UNAVAILABLE
            assert await asyncio.to_thread(server.process.wait, WAIT_SECS) == KILLED

    def at_the_gateway(self) -> dict[str, str]:
        """The order ids of what was ever placed there, by client order id; none has two."""
        orders = [order for order in self.paper.state()["orders"] if order.get("order_ref")]
        found = {order["order_ref"]: str(order["orderId"]) for order in orders}
        assert len(found) == len(orders), "an order was placed twice"
        return found

    async def until_asked(self, path: str) -> None:
        """Wait until the gateway has been sent a change at a path with this end."""
        async with asyncio.timeout(WAIT_SECS):
            while not any(  # noqa: ASYNC110  the gateway does not tell
                each.startswith("POST") and path in each for each in self.paper.requests()["counts"]
            ):
                await asyncio.sleep(0.02)


class Client:
    """Calls with an API key."""

    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    async def submit(self, *targets: pb.Target, key: str = "") -> pb.TargetBatch:
        request = pb.SubmitTargetsRequest(account_id=ACCOUNT, targets=targets or TARGETS, idempotency_key=key)
        response: pb.SubmitTargetsResponse = await self._stub.SubmitTargets(request, metadata=self._metadata)
        return response.batch

    async def batches(self) -> list[pb.TargetBatch]:
        response = await self._stub.ListTargetBatches(pb.ListTargetBatchesRequest(), metadata=self._metadata)
        return list(response.batches)

    async def get(self, batch_id: str) -> pb.TargetBatch:
        request = pb.GetTargetBatchRequest(batch_id=batch_id)
        response: pb.GetTargetBatchResponse = await self._stub.GetTargetBatch(request, metadata=self._metadata)
        return response.batch

    async def cancel(self, batch_id: str) -> list[pb.TargetCancellation]:
        request = pb.CancelTargetBatchRequest(batch_id=batch_id)
        return list((await self._stub.CancelTargetBatch(request, metadata=self._metadata)).cancellations)

    async def settled(self, batch_id: str) -> pb.TargetBatch:
        """The batch, once the outcome of each order is known."""
        return await self.until(batch_id, lambda batch: not any("unknown" in each.error for each in batch.orders))

    async def until(self, batch_id: str, condition: Callable[[pb.TargetBatch], bool]) -> pb.TargetBatch:
        async with asyncio.timeout(WAIT_SECS):
            while not condition(batch := await self.get(batch_id)):  # noqa: ASYNC110  the server does not tell
                await asyncio.sleep(0.05)
        return batch


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with start_paper(tmp_path, "--primed") as paper:
        paper.control("/quotes", {"conid": AAPL, "bid": 230.0, "ask": 230.02})
        paper.control("/quotes", {"conid": IBM, "bid": 250.0, "ask": 250.05})
        yield Site(paper, tmp_path)


def agrees(batch: pb.TargetBatch, gateway: dict[str, str]) -> None:
    """What the batch says is what the gateway has: no order more, none less."""
    said = {each.client_order_id: each.order_id for each in batch.orders if each.status in WORKING}
    assert said == gateway
    for each in batch.orders:
        if each.client_order_id not in said:
            assert each.status == pb.TARGET_STATUS_ERROR
            assert each.error.startswith("not placed"), each.error
            assert not each.order_id


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_doubles_and_forgets_nothing(site: Site, step: str) -> None:
    await site.crash(step, lambda client: client.submit(key="once"))
    placed = site.at_the_gateway()
    assert len(placed) == sum(f"sent:{place}" in STEPS[: STEPS.index(step) + 1] for place in range(len(TARGETS)))

    with site.server() as server:
        async with site.client(server) as client:
            batches = await client.batches()
            assert len(batches) == (step != "planned")
            for batch in batches:
                agrees(await client.settled(batch.batch_id), placed)

            repeated = await client.submit(key="once")
            if step == "planned":
                assert len(site.at_the_gateway()) == len(TARGETS)
            else:
                assert repeated.batch_id == batches[0].batch_id
                assert site.at_the_gateway() == placed

            # The same targets again: what works already is counted, the rest is placed.
            again = await client.submit()
            missing = {each.symbol: each.delta for each in again.orders if each.delta != "0"}
            assert missing == {each.symbol: "10" for each in repeated.orders if not each.order_id}
            assert len(site.at_the_gateway()) == len(TARGETS)


@pytest.mark.parametrize("step", ["recovering", "recovered"])
async def test_a_crash_while_a_crash_is_mended(site: Site, step: str) -> None:
    await site.crash("sent:0", lambda client: client.submit(key="once"))
    with contextlib.suppress(TimeoutError), site.server(step) as server:
        await asyncio.to_thread(server.process.wait, WAIT_SECS)
    with site.server() as server:
        async with site.client(server) as client:
            (batch,) = await client.batches()
            batch = await client.settled(batch.batch_id)
            agrees(batch, site.at_the_gateway())


async def test_an_order_that_reaches_the_gateway_after_the_crash_is_found(site: Site) -> None:
    site.paper.control("/faults", {"path": ORDERS, "method": "POST", "delay_seconds": 4})
    with site.server() as server:
        async with site.client(server) as client:
            submission = asyncio.create_task(client.submit())
            await site.until_asked("/orders")
            server.process.kill()
            with pytest.raises(grpc.aio.AioRpcError):
                await submission
    assert site.at_the_gateway() == {}
    with site.server(BEZANT_TARGET_SEARCH_SECS="60") as server:
        async with site.client(server) as client:
            (batch,) = await client.batches()
            batch = await client.settled(batch.batch_id)
            assert len(site.at_the_gateway()) == 1
            agrees(batch, site.at_the_gateway())


async def test_while_an_order_is_lost_no_other_is_sent_for_its_contract(site: Site) -> None:
    await site.crash("marked:0", lambda client: client.submit())
    with site.server(BEZANT_TARGET_SEARCH_SECS="60") as server:
        async with site.client(server) as client:
            again = await client.submit()
            assert [each.status for each in again.orders] == [pb.TARGET_STATUS_ERROR, pb.TARGET_STATUS_PRE_SUBMITTED]
            assert "may be working: its outcome is not known yet" in again.orders[0].error
            assert list(site.at_the_gateway()) == [again.orders[1].client_order_id]


async def test_a_question_that_is_open_when_the_power_fails_is_not_answered_later(site: Site) -> None:
    site.paper.control("/faults", {"path": "/iserver/reply/", "method": "POST", "delay_seconds": 60})
    with site.server() as server:
        async with site.client(server) as client:
            submission = asyncio.create_task(client.submit(pb.Target(symbol="AAPL", quantity="110")))
            await site.until_asked("/iserver/reply")
            server.process.kill()
            with pytest.raises(grpc.aio.AioRpcError):
                await submission
    site.paper.control("/faults", method="DELETE")
    with site.server() as server:
        async with site.client(server) as client:
            (batch,) = await client.batches()
            batch = await client.settled(batch.batch_id)
            assert [each.error for each in batch.orders] == ["not placed: IBKR lists no such order"]
            assert site.at_the_gateway() == {}


async def test_an_order_that_is_filled_while_the_server_is_down_is_filled_in_its_batch(site: Site) -> None:
    await site.crash("sent:0", lambda client: client.submit())
    site.paper.control("/quotes", {"conid": AAPL, "bid": 229.3, "ask": 229.4})
    async with asyncio.timeout(WAIT_SECS):
        while [each["status"] for each in site.paper.state()["orders"]] != ["Filled"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    with site.server() as server:
        async with site.client(server) as client:
            (batch,) = await client.batches()
            first = (await client.until(batch.batch_id, lambda found: found.orders[0].HasField("commission"))).orders[0]
            assert first.status == pb.TARGET_STATUS_FILLED
            assert first.filled_quantity == "10"
            assert first.average_fill_price == "229.40"


async def test_a_crash_in_a_cancellation_leaves_the_rest_to_be_cancelled(site: Site) -> None:
    with site.server() as server:
        async with site.client(server) as client:
            batch = await client.submit()
    await site.crash("cancelled:0", lambda client: client.cancel(batch.batch_id))
    with site.server() as server:
        async with site.client(server) as client:
            asked = [each.accepted for each in await client.cancel(batch.batch_id)]
            assert asked
            assert all(asked)
            cancelled = await client.until(
                batch.batch_id,
                lambda found: {each.status for each in found.orders} == {pb.TARGET_STATUS_CANCELLED},
            )
            assert {each.filled_quantity for each in cancelled.orders} == {"0"}


async def test_an_orderly_stop_sends_nothing_more_and_says_so(site: Site) -> None:
    site.paper.control("/faults", {"path": ORDERS, "method": "POST", "delay_seconds": 2})
    with site.server(BEZANT_SHUTDOWN_GRACE_SECS="20") as server:
        async with site.client(server) as client:
            submission = asyncio.create_task(client.submit())
            await site.until_asked("/orders")
            server.process.terminate()
            batch = await submission
    assert batch.orders[0].order_id
    assert [each.error for each in batch.orders] == ["", "not placed: the server is stopping"]
    assert list(site.at_the_gateway()) == [batch.orders[0].client_order_id]
