from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bezant_server.keys.file import KeyFile
from tests.support.typed import TypedServer, typed_server
from tests.typed.targets.client import Client


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "api-keys.json"


@pytest.fixture(scope="module")
def targets_server(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[TypedServer]:
    """A server with one account for targets, which is not the selected one."""
    # Without pacing a tickle would void an open question.
    variables = {
        "BEZANT_API_KEYS_PATH": str(keys),
        "BEZANT_ACCOUNTS": "DUP203550",
        "BEZANT_KEEPALIVE_SECS": "3600",
    }
    with typed_server(tmp_path_factory.mktemp("targets"), "--extra-accounts", "2", **variables) as running:
        yield running


@pytest.fixture(scope="module")
def key(keys: Path) -> str:
    return KeyFile(keys).add("client1")


@pytest.fixture
async def client(targets_server: TypedServer, key: str) -> AsyncIterator[Client]:
    async with targets_server.channel() as channel:
        client = Client(targets_server, channel, key)
        client.begin()
        yield client
