"""Server and Envoy in front of a scripted gateway, with pacing on, as it is out of the box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from tests.support.certificates import self_signed
from tests.support.edge import Edge, running_edge
from tests.support.scripted_gateway import gateway_in_background


class RunPaced(Protocol):
    def __call__(self, variables: Mapping[str, str] | None = None) -> AbstractContextManager[Edge]: ...


@pytest.fixture
def run_paced(tmp_path_factory: pytest.TempPathFactory) -> RunPaced:
    """Runs a server that paces, and an Envoy, in front of a gateway of their own."""
    _, context = self_signed(tmp_path_factory.mktemp("gateway"))

    @contextmanager
    def run(variables: Mapping[str, str] | None = None) -> Iterator[Edge]:
        with (
            gateway_in_background(context) as gateway,
            running_edge(gateway, {"BEZANT_PACING": "on", **(variables or {})}) as edge,
        ):
            gateway.reset()
            yield edge

    return run


@pytest.fixture
def edge(run_paced: RunPaced) -> Iterator[Edge]:
    with run_paced() as edge:
        yield edge
