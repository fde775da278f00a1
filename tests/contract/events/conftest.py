from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.contract.events.feed import Feed
from tests.support.edge import edge_before
from tests.support.paper import PaperGateway, start_paper

RunFeed = Callable[..., AbstractContextManager[Feed]]

_FAST = {
    "BEZANT_EVENTS_ENABLED": "true",
    "BEZANT_EVENTS_BACKOFF_MIN_SECS": "0.05",
    "BEZANT_EVENTS_BACKOFF_MAX_SECS": "0.2",
    "BEZANT_EVENTS_FLUSH_SECS": "0.05",
}


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperGateway]:
    """One paper gateway for every server of this folder's tests."""
    with start_paper(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture(scope="session")
def run_feed(paper: PaperGateway) -> RunFeed:
    """Runs server and Envoy with capture on, in front of the paper gateway, with further variables."""

    @contextmanager
    def run(**variables: str) -> Iterator[Feed]:
        with edge_before(paper.base_url, {**_FAST, **variables}) as edge:
            yield Feed(edge, paper)

    return run


@pytest.fixture(scope="module")
def shared_feed(run_feed: RunFeed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    path: Path = tmp_path_factory.mktemp("history") / "events.db"
    with run_feed(BEZANT_EVENTS_DB_PATH=str(path), BEZANT_EVENTS_MAX_CONIDS="2") as running:
        yield running


@pytest.fixture
def feed(shared_feed: Feed) -> Feed:
    """Capture with a database, connected."""
    shared_feed.until_connected()
    return shared_feed
