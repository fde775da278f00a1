"""A real client over real TLS to a gateway that answers what a test tells it to."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import tls
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.jar import CookieJar
from tests.support.certificates import self_signed
from tests.support.scripted_gateway import ScriptedGateway, scripted_gateway


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The gateway's certificate: the file a client may trust, and the server's context."""

    ca_file: Path
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> ServerIdentity:
    return ServerIdentity(*self_signed(tmp_path_factory.mktemp("gateway")))


@pytest.fixture
async def gateway(identity: ServerIdentity) -> AsyncIterator[ScriptedGateway]:
    async with scripted_gateway(identity.context) as running:
        yield running


@contextlib.asynccontextmanager
async def open_client(
    url: str,
    *,
    verify: bool = False,
    ca_file: Path | None = None,
    connect_timeout: float = 5.0,
    request_timeout: float = 10.0,
    max_response_bytes: int = 1024 * 1024,
    max_connections: int = 8,
) -> AsyncIterator[CpapiClient]:
    client = CpapiClient(
        gateway=GatewayUrl.parse(url),
        jar=CookieJar(),
        tls=tls.client_context(verify=verify, ca_file=ca_file),
        connect_timeout=connect_timeout,
        request_timeout=request_timeout,
        max_response_bytes=max_response_bytes,
        max_connections=max_connections,
    )
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def client(gateway: ScriptedGateway) -> AsyncIterator[CpapiClient]:
    async with open_client(gateway.url) as opened:
        yield opened
