from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import pytest

from tests.paper.client import PaperClient
from tests.support.paper import PaperGateway, start_paper


class StartPaper(Protocol):
    def __call__(self, *args: str, port: int = 0) -> AbstractContextManager[PaperGateway]: ...


@pytest.fixture
def start(tmp_path: Path) -> StartPaper:
    """Starts gateways with flags of a test's own."""
    return lambda *args, port=0: start_paper(tmp_path, *args, port=port)


@pytest.fixture
def paper(start: StartPaper) -> Iterator[PaperGateway]:
    """A gateway as `bezant paper` starts it."""
    with start() as gateway:
        yield gateway


@pytest.fixture
async def client(paper: PaperGateway) -> AsyncIterator[PaperClient]:
    """A client of that gateway."""
    async with PaperClient(paper) as client:
        yield client
