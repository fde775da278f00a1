from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from tests.support.certificates import self_signed
from tests.support.edge import Edge, running_edge
from tests.support.scripted_gateway import ScriptedGateway, gateway_in_background


class RunEdge(Protocol):
    def __call__(self, variables: Mapping[str, str], *, host: str = ...) -> AbstractContextManager[Edge]: ...


@pytest.fixture(scope="session")
def run_edge(tmp_path_factory: pytest.TempPathFactory) -> RunEdge:
    """Runs a server and an Envoy with the given variables, in front of a gateway of their own."""
    _, context = self_signed(tmp_path_factory.mktemp("gateway"))

    @contextmanager
    def run(variables: Mapping[str, str], *, host: str = "127.0.0.1") -> Iterator[Edge]:
        with gateway_in_background(context) as gateway, running_edge(gateway, variables, host=host) as running:
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
