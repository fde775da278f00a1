"""Typed services through real gRPC, in front of the paper gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
import pytest

from tests.support.typed import TypedServer, typed_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TypedServer]:
    """One server for tests that leave nothing behind that another could trip over."""
    with typed_server(tmp_path_factory.mktemp("typed")) as running:
        yield running


@pytest.fixture
async def channel(server: TypedServer) -> AsyncIterator[grpc.aio.Channel]:
    async with server.channel() as channel:
        yield channel
