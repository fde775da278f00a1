from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.certificates import self_signed
from tests.unit.events.socket_gateway import SocketGateway, socket_gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[SocketGateway]:
    _, context = self_signed(tmp_path)
    async with socket_gateway(context) as running:
        yield running
