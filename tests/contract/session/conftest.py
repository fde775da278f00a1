"""A server that looks after its session, in front of a paper gateway: real processes, shortened durations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.contract.session.desk import Desk
from tests.support.edge import edge_before
from tests.support.paper import start_paper

RunDesk = Callable[..., AbstractContextManager[Desk]]

_SHORT = {
    "BEZANT_SESSION_UPKEEP": "on",
    "BEZANT_PACING": "on",
    "BEZANT_SESSION_SPACING_SECS": "0.1",
    "BEZANT_SESSION_LOGIN_SECS": "0.2",
    "BEZANT_SESSION_COMPETING_SECS": "0.5",
    "BEZANT_SESSION_CHECK_SECS": "1",
    "BEZANT_SESSION_CONNECT_SECS": "10",
    "BEZANT_SESSION_BACKOFF_MIN_SECS": "0.2",
    "BEZANT_SESSION_BACKOFF_MAX_SECS": "0.5",
    "BEZANT_SESSION_HEARTBEAT_SECS": "0.2",
    "BEZANT_KEEPALIVE_SECS": "0.5",
    # A window at every hour of the day would name each failure, so no window is near but in its own test.
    "BEZANT_MAINTENANCE_WINDOWS": "",
}


@pytest.fixture
def run_desk(tmp_path_factory: pytest.TempPathFactory) -> RunDesk:
    """Runs a paper gateway with flags, and a server and Envoy with variables, in front of it."""

    @contextmanager
    def run(*flags: str, events: bool = False, **variables: str) -> Iterator[Desk]:
        folder: Path = tmp_path_factory.mktemp("paper")
        with start_paper(folder, "--primed", *flags) as paper:
            settings = {**_SHORT, **variables}
            if events:
                settings |= {"BEZANT_EVENTS_ENABLED": "true", "BEZANT_EVENTS_BACKOFF_MIN_SECS": "0.05"}
            with edge_before(paper.base_url, settings) as edge:
                yield Desk(edge, paper, folder)

    return run
