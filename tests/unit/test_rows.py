"""Which paths are ours, and what they allow."""

from __future__ import annotations

import pytest

from bezant.v1 import sidecar_service_pb2
from bezant_server.rpc.rows import Rows


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Rows(sidecar_service_pb2.DESCRIPTOR.services_by_name["SidecarService"])


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/health", ("GET", "HEAD")),
        ("/health/", ("GET", "HEAD")),
        ("/accounts", ("GET", "HEAD")),
        ("/accounts/DU1/orders", ("GET", "HEAD", "POST")),
        ("/accounts/%2e%2e/orders", ("GET", "HEAD", "POST")),
        ("/accounts/DU1/orders/7", ("DELETE",)),
        ("/events/orders", ("GET", "HEAD")),
        ("/events/_status", ("GET", "HEAD")),
        ("/events/orders/history", ("GET", "HEAD")),
        ("/debug/jar", ("GET", "HEAD")),
        ("/", ()),
        ("", ()),
        ("/Health", ()),
        ("/healthy", ()),
        ("/health//", ()),
        ("//health", ()),
        ("/accounts/DU1", ()),
        ("/accounts//orders", ()),
        ("/accounts/a/b/orders", ()),
        ("/v1/api/accounts", ()),
        ("/accounts\n", ()),
    ],
)
def test_a_path_and_its_methods(rows: Rows, path: str, methods: tuple[str, ...]) -> None:
    assert rows.allowed(path) == methods
