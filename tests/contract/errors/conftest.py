from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.support.certificates import self_signed
from tests.support.edge import Edge, running_edge
from tests.support.scripted_gateway import ScriptedGateway, gateway_in_background, json_answer

RunEdge = Callable[[Mapping[str, str]], AbstractContextManager[Edge]]


@pytest.fixture(scope="session")
def run_edge(tmp_path_factory: pytest.TempPathFactory) -> RunEdge:
    """Runs a server and an Envoy with the given variables, in front of a gateway of their own."""
    _, context = self_signed(tmp_path_factory.mktemp("gateway"))

    @contextmanager
    def run(variables: Mapping[str, str]) -> Iterator[Edge]:
        with gateway_in_background(context) as gateway, running_edge(gateway, variables) as running:
            yield running

    return run


@pytest.fixture(scope="session")
def default_edge(run_edge: RunEdge) -> Iterator[Edge]:
    with run_edge({}) as running:
        yield running


@pytest.fixture
def edge(default_edge: Edge) -> Edge:
    """The product as it is configured out of the box; nothing scripted, nothing arrived."""
    default_edge.gateway.reset()
    return default_edge


@pytest.fixture
def gateway(edge: Edge) -> ScriptedGateway:
    """The gateway behind `edge`."""
    return edge.gateway


@pytest.fixture(scope="module")
def impatient_edge(run_edge: RunEdge) -> Iterator[Edge]:
    """Short deadlines, small limits, and debug pages."""
    variables = {
        "BEZANT_REQUEST_TIMEOUT_SECS": "0.3",
        "BEZANT_RECEIVE_TIMEOUT_SECS": "0.3",
        "BEZANT_MAX_REQUEST_BODY_BYTES": "1000",
        "BEZANT_DEBUG_TOKEN": "the-token",
    }
    with run_edge(variables) as running:
        yield running


@pytest.fixture(scope="module")
def capturing_edge(run_edge: RunEdge) -> Iterator[Edge]:
    """Capture on, without a database, at a gateway whose socket cannot be opened."""
    with run_edge({"BEZANT_EVENTS_ENABLED": "true", "BEZANT_EVENTS_MAX_CONIDS": "1"}) as running:
        running.gateway.on("POST", "/v1/api/tickle", json_answer({"session": "x"}))
        yield running
