"""Pacing and the penalty box."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.paper.client import PaperClient
from tests.paper.conftest import StartPaper


@pytest.fixture
async def paced(start: StartPaper) -> AsyncIterator[PaperClient]:
    """A gateway that enforces limits, in a world that stands almost still between jumps."""
    with start("--limits", "--primed", "--speed", "0.001") as paper:
        async with PaperClient(paper) as client:
            yield client


async def statuses(client: PaperClient, path: str, times: int) -> list[int]:
    return [(await client.call("GET", path)).status for _ in range(times)]


@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("/iserver/account/orders", 5),
        ("/iserver/account/trades", 5),
        ("/iserver/account/pnl/partitioned", 5),
        ("/portfolio/accounts", 5),
        ("/sso/validate", 60),
        ("/tickle", 1),
    ],
)
async def test_limits_of_single_endpoints(paced: PaperClient, path: str, seconds: float) -> None:
    assert await statuses(paced, path, 2) == [200, 429]
    await paced.paper.acontrol("/clock/advance", {"seconds": seconds * 0.9})
    assert await statuses(paced, path, 1) == [429]
    await paced.paper.acontrol("/clock/advance", {"seconds": seconds * 0.2})
    assert await statuses(paced, path, 1) == [200]


async def test_the_eleventh_request_of_a_second_goes_to_the_box(paced: PaperClient) -> None:
    assert await statuses(paced, "/iserver/auth/status", 12) == [200] * 10 + [429] * 2
    await paced.paper.acontrol("/clock/advance", {"seconds": 590, "keep_alive": True})
    answer = await paced.call("GET", "/iserver/auth/status")
    assert (answer.status, "error" in answer.json) == (429, True)
    assert len((await paced.paper.acontrol("/state", method="GET"))["penalty_box"]) == 1
    await paced.paper.acontrol("/clock/advance", {"seconds": 11, "keep_alive": True})
    assert await statuses(paced, "/iserver/auth/status", 1) == [200]
    assert paced.paper.requests()["too_many"] == 3


async def test_stubborn_clients_go_to_the_box_too(paced: PaperClient) -> None:
    for _ in range(12):
        await paced.call("GET", "/portfolio/accounts")
        await paced.paper.acontrol("/clock/advance", {"seconds": 0.2})
    assert await statuses(paced, "/iserver/auth/status", 1) == [429]
    await paced.paper.acontrol("/limits", {"on": False})
    assert await statuses(paced, "/portfolio/accounts", 20) == [200] * 20


async def test_without_the_flag_there_are_none(client: PaperClient) -> None:
    assert set(await statuses(client, "/portfolio/accounts", 30)) == {200}
