"""Which calls may be repeated: those whose proto says that they have no side effects, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import MethodOptions

from bezant.v1 import (
    contracts_service_pb2,
    events_service_pb2,
    gateway_service_pb2,
    historical_service_pb2,
    marketdata_service_pb2,
    orders_service_pb2,
    portfolio_service_pb2,
    scanner_service_pb2,
    session_service_pb2,
    targets_service_pb2,
)

_FILES = (
    contracts_service_pb2.DESCRIPTOR,
    events_service_pb2.DESCRIPTOR,
    gateway_service_pb2.DESCRIPTOR,
    historical_service_pb2.DESCRIPTOR,
    marketdata_service_pb2.DESCRIPTOR,
    orders_service_pb2.DESCRIPTOR,
    portfolio_service_pb2.DESCRIPTOR,
    scanner_service_pb2.DESCRIPTOR,
    session_service_pb2.DESCRIPTOR,
    targets_service_pb2.DESCRIPTOR,
)
_RETRIES = {
    "maxAttempts": 4,
    "initialBackoff": "0.2s",
    "maxBackoff": "3s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def service_config() -> str:
    """The service config: a read that finds the server UNAVAILABLE is tried again, with growing waits between."""
    names = [{"service": service, "method": method} for service, method in reads()]
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": _RETRIES}]})


def reads() -> Iterator[tuple[str, str]]:
    """Every call without side effects: the full name of its service, and its own."""
    for file in _FILES:
        for service in file.services_by_name.values():
            for method in service.methods:
                if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS:
                    yield service.full_name, method.name
