from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.typed import TypedServer, typed_server
from tests.typed.orders.trader import Trader


@pytest.fixture(scope="module")
def desk_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TypedServer]:
    # Without pacing a tickle would void an open question.
    with typed_server(tmp_path_factory.mktemp("orders"), BEZANT_KEEPALIVE_SECS="3600") as running:
        yield running


@pytest.fixture
async def trader(desk_server: TypedServer) -> AsyncIterator[Trader]:
    async with desk_server.channel() as channel:
        trader = Trader(desk_server, channel)
        trader.server.paper.control("/faults", method="DELETE")
        trader.quiet_market()
        yield trader


@pytest.fixture
async def lone_trader(tmp_path: Path) -> AsyncIterator[Trader]:
    """A trader with a server and a gateway of their own, paced as in production."""
    with typed_server(tmp_path, BEZANT_PACING="on", BEZANT_REQUEST_TIMEOUT_SECS="5") as server:
        async with server.channel() as channel:
            trader = Trader(server, channel)
            trader.quiet_market()
            yield trader


@pytest.fixture
async def unpaced_trader(tmp_path: Path) -> AsyncIterator[Trader]:
    """A trader whose server asks the gateway nothing by itself: no upkeep is due, no order is looked for."""
    with typed_server(tmp_path, BEZANT_KEEPALIVE_SECS="3600") as server:
        server.wait_for_log(logger="bezant_server.events.connector")
        async with server.channel() as channel:
            trader = Trader(server, channel)
            trader.quiet_market()
            yield trader
