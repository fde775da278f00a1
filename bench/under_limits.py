"""What callers get under IBKR's limits, enforced by the paper gateway with its penalty box.

    python -m bench.under_limits [--seconds 120]

First 500 calls over six paths, 50 at a time; then 20 clients that poll positions and orders every second. Market orders
are placed, and their questions answered, all the while. A 429, ours or the gateway's, would be a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

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
PATIENCE_SECONDS = 60.0


@dataclass
class Record:
    """What callers got: statuses, and milliseconds until reads and orders were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    reads: list[float] = field(default_factory=list)
    orders: list[float] = field(default_factory=list)
    orders_queued: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.under_limits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of polling (120)")
    asyncio.run(bench(parser.parse_args().seconds))


async def bench(seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="bezant-bench-") as scratch:
        with start_stack(Path(scratch), args=("--limits",)) as stack:
            report("500 calls, 50 at a time", await _burst(stack), await _gateway_calls(stack))
        with start_stack(Path(scratch), args=("--limits",)) as stack:
            report(f"20 clients for {seconds:g} s", await _polling(stack, seconds), await _gateway_calls(stack))


def report(name: str, record: Record, gateway: dict[str, int]) -> None:
    print(
        f"{name}: {dict(record.statuses)}; the gateway saw {gateway['total']} calls and said 429 {gateway['429']} times"
    )
    for kind, values in (
        ("read answered", record.reads),
        ("order answered", record.orders),
        ("order waited", record.orders_queued),
    ):
        print(f"  {kind:<16}p50 {percentile(values, 0.5):7.1f} ms   p99 {percentile(values, 0.99):7.1f} ms")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


async def _burst(stack: Stack) -> Record:
    record = Record()
    at_once = asyncio.Semaphore(50)
    limits = httpx.Limits(max_connections=60)
    async with httpx.AsyncClient(base_url=stack.rest_url, timeout=PATIENCE_SECONDS, limits=limits) as client:
        await client.get("/accounts")

        async def read(number: int) -> None:
            async with at_once:
                await _read(client, SIX_PATHS[number % len(SIX_PATHS)], record)

        trading = asyncio.create_task(_trade(stack, record, pause=0.5))
        await asyncio.gather(*(read(number) for number in range(500)))
        trading.cancel()
        await asyncio.wait([trading])
    return record


async def _polling(stack: Stack, seconds: float) -> Record:
    record = Record()
    until = time.monotonic() + seconds

    async def poll() -> None:
        async with httpx.AsyncClient(base_url=stack.rest_url, timeout=PATIENCE_SECONDS) as client:
            while (began := time.monotonic()) < until:
                for name in ("positions", "orders"):
                    await _read(client, f"{ACCOUNT}/{name}", record)
                await asyncio.sleep(max(began + 1 - time.monotonic(), 0))

    async with httpx.AsyncClient(base_url=stack.rest_url, timeout=PATIENCE_SECONDS) as first:
        await first.get("/accounts")
    trading = asyncio.create_task(_trade(stack, record, pause=2.0))
    await asyncio.gather(*(poll() for _ in range(20)))
    trading.cancel()
    await asyncio.wait([trading])
    return record


async def _read(client: httpx.AsyncClient, path: str, record: Record) -> None:
    began = time.perf_counter()
    response = await client.get(path)
    record.statuses[response.status_code] += 1
    record.reads.append((time.perf_counter() - began) * 1000)


async def _trade(stack: Stack, record: Record, *, pause: float) -> None:
    async with httpx.AsyncClient(base_url=stack.rest_url, timeout=PATIENCE_SECONDS) as client:
        while True:
            began = time.perf_counter()
            asked = await client.post(f"{ACCOUNT}/orders", json=MARKET_ORDER)
            record.statuses[asked.status_code] += 1
            record.orders.append((time.perf_counter() - began) * 1000)
            record.orders_queued.append(float(asked.headers.get("x-bezant-queued-ms", "0")))
            reply = f"/v1/api/iserver/reply/{asked.json()[0]['id']}"
            record.statuses[(await client.post(reply, json={"confirmed": True})).status_code] += 1
            await asyncio.sleep(pause)


async def _gateway_calls(stack: Stack) -> dict[str, int]:
    assert stack.paper is not None
    async with httpx.AsyncClient() as control:
        seen = (await control.get(f"{stack.paper.control_url}/requests")).json()
    return {"total": int(seen["total"]), "429": int(seen["too_many"])}


if __name__ == "__main__":
    main()
