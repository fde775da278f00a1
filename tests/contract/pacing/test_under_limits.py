"""IBKR's limits, enforced by the paper gateway with its penalty box: callers in whatever pattern earn no 429."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.support.stack import Stack, start_stack

ACCOUNT = "/accounts/DU8730189"
SIX_PATHS = (
    "/accounts",
    f"{ACCOUNT}/summary",
    f"{ACCOUNT}/ledger",
    f"{ACCOUNT}/positions",
    f"{ACCOUNT}/orders",
    "/market/snapshot?conids=265598",
)
MARKET_ORDER = {"orders": [{"conid": 265598, "orderType": "MKT", "side": "BUY", "quantity": 1, "tif": "DAY"}]}


@dataclass
class Answers:
    """What callers got."""

    statuses: Counter[int] = field(default_factory=Counter)
    order_queued_ms: list[int] = field(default_factory=list)


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("limits"), args=("--limits",)) as stack:
        yield stack


async def refusals_of(stack: Stack) -> int:
    """How often the gateway has answered 429."""
    assert stack.paper is not None
    async with httpx.AsyncClient() as control:
        return int((await control.get(f"{stack.paper.control_url}/requests")).json()["too_many"])


async def trade(client: httpx.AsyncClient, answers: Answers, *, orders: int) -> None:
    """Place market orders and confirm the question that each raises, while others read."""
    for _ in range(orders):
        asked = await client.post(f"{ACCOUNT}/orders", json=MARKET_ORDER)
        answers.statuses[asked.status_code] += 1
        answers.order_queued_ms.append(int(asked.headers.get("x-bezant-queued-ms", "0")))
        question = asked.json()[0]["id"]
        placed = await client.post(f"/v1/api/iserver/reply/{question}", json={"confirmed": True})
        answers.statuses[placed.status_code] += 1
        assert "order_id" in placed.json()[0], placed.text


async def test_500_calls_over_six_paths_50_at_a_time(stack: Stack) -> None:
    answers = Answers()
    at_once = asyncio.Semaphore(50)
    async with httpx.AsyncClient(
        base_url=stack.rest_url, timeout=60, limits=httpx.Limits(max_connections=60)
    ) as client:

        async def read(number: int) -> None:
            async with at_once:
                response = await client.get(SIX_PATHS[number % len(SIX_PATHS)])
                answers.statuses[response.status_code] += 1

        assert (await client.get("/accounts")).status_code == 200
        await asyncio.gather(*(read(number) for number in range(500)), trade(client, answers, orders=5))
    assert answers.statuses == {200: 510}
    assert await refusals_of(stack) == 0


async def test_twenty_clients_that_poll_every_second(stack: Stack) -> None:
    answers = Answers()
    until = time.monotonic() + 12

    async def poll() -> None:
        async with httpx.AsyncClient(base_url=stack.rest_url, timeout=60) as client:
            while (began := time.monotonic()) < until:
                for path in (f"{ACCOUNT}/positions", f"{ACCOUNT}/orders"):
                    answers.statuses[(await client.get(path)).status_code] += 1
                await asyncio.sleep(max(began + 1 - time.monotonic(), 0))

    async with httpx.AsyncClient(base_url=stack.rest_url, timeout=60) as trader:
        assert (await trader.get("/accounts")).status_code == 200
        await asyncio.gather(*(poll() for _ in range(20)), trade(trader, answers, orders=5))
    assert set(answers.statuses) == {200}
    assert await refusals_of(stack) == 0


async def test_a_burst_of_sockets_and_reads_after_a_drop_earns_no_429(stack: Stack) -> None:
    """The capture's reconnect is a call to the gateway, too."""
    assert stack.paper is not None
    async with (
        httpx.AsyncClient(base_url=stack.rest_url, timeout=60) as client,
        httpx.AsyncClient(base_url=stack.paper.control_url) as control,
    ):
        assert (await client.get("/accounts")).status_code == 200
        reads = [client.get(f"{ACCOUNT}/{name}?n={number}") for number in range(15) for name in ("summary", "ledger")]
        await control.post("/socket/drop")
        statuses = {response.status_code for response in await asyncio.gather(*reads)}
        async with asyncio.timeout(30):
            while not (await client.get("/events/_status")).json()["reconnect_count"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    assert statuses == {200}
    assert await refusals_of(stack) == 0
