from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import grpc.aio
import pytest

from tests.support.certificates import self_signed
from tests.support.edge import Edge, running_edge
from tests.support.scripted_gateway import ScriptedGateway, gateway_in_background

RunEdge = Callable[[Mapping[str, str]], AbstractContextManager[Edge]]

LARGE = [
    ("grpc.max_receive_message_length", 40 * 1024 * 1024),
    ("grpc.max_send_message_length", 40 * 1024 * 1024),
    ("grpc.max_metadata_size", 128 * 1024),
    ("grpc.absolute_max_metadata_size", 128 * 1024),
]


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


@pytest.fixture
async def channel(edge: Edge) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the public gRPC port."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}", options=LARGE) as opened:
        yield opened
