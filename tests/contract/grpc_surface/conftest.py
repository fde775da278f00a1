from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from tests.support.edge import Edge

LARGE = [
    ("grpc.max_receive_message_length", 40 * 1024 * 1024),
    ("grpc.max_send_message_length", 40 * 1024 * 1024),
    ("grpc.max_metadata_size", 128 * 1024),
    ("grpc.absolute_max_metadata_size", 128 * 1024),
]


@pytest.fixture
async def channel(edge: Edge) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the public gRPC port."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}", options=LARGE) as opened:
        yield opened
