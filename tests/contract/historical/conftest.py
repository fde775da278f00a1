"""Server and Envoy in front of a paper gateway, as the clients of /ib meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.contract.historical.face import Face
from tests.support.edge import edge_before
from tests.support.paper import start_paper
from tests.support.stack import wait_until

RunFace = Callable[..., AbstractContextManager[Face]]

_SETTINGS = {
    "BEZANT_SESSION_UPKEEP": "on",
    "BEZANT_SESSION_SPACING_SECS": "0.1",
    "BEZANT_SESSION_LOGIN_SECS": "0.2",
    "BEZANT_SESSION_CHECK_SECS": "1",
    "BEZANT_SESSION_BACKOFF_MIN_SECS": "0.2",
    "BEZANT_SESSION_BACKOFF_MAX_SECS": "0.5",
    "BEZANT_KEEPALIVE_SECS": "1",
    "BEZANT_MAINTENANCE_WINDOWS": "",
    "BEZANT_EVENTS_ENABLED": "true",
    "BEZANT_EVENTS_BACKOFF_MIN_SECS": "0.05",
}


@pytest.fixture(scope="session")
def run_face(tmp_path_factory: pytest.TempPathFactory) -> RunFace:
    """Runs a paper gateway with flags, and a server and Envoy with variables, until data can be served."""

    @contextmanager
    def run(*flags: str, ready: bool = True, **variables: str) -> Iterator[Face]:
        with start_paper(tmp_path_factory.mktemp("paper"), *flags) as paper:
            settings = {**_SETTINGS, **variables}
            with edge_before(paper.base_url, settings) as edge:
                face = Face(edge, paper)
                if ready:
                    wait_until(lambda: face.read("health")["ready"] is True, "data", edge.server_log.read_text)
                yield face

    return run


@pytest.fixture(scope="session")
def shared_face(run_face: RunFace) -> Iterator[Face]:
    with run_face() as running:
        yield running


@pytest.fixture
def face(shared_face: Face) -> Face:
    """One for tests that leave nothing behind: no request counted, no fault."""
    shared_face.paper.control("/faults", method="DELETE")
    shared_face.forget()
    return shared_face
