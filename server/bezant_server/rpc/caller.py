"""What a call says of its caller: who it is, how long it waits, how old an answer may be."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from grpc.aio import ServicerContext

from bezant_server.cpapi.caller import Caller
from bezant_server.errors import BadRequest
from bezant_server.rpc.call import Call

_LONGEST_WAIT_SECS = 3600.0
_LOOPBACK = ("127.", "[::1]", "%5B::1%5D")
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?([0-9]{1,9})\"?")
_TIMEOUT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def caller_of(call: Call, context: ServicerContext[Any, Any]) -> Caller:
    """The caller of an RPC.

    Raises:
        BadRequest: X-Request-Timeout is no number of seconds.
    """
    return Caller(name=_name(call.peer), deadline=_deadline(call, context), max_age_secs=_max_age(call.headers))


def _name(peer: str) -> str:
    """A caller's address. On loopback every program has the same, and its port tells them apart."""
    address = peer.removeprefix("ipv4:").removeprefix("ipv6:")
    return address if address.startswith(_LOOPBACK) else address.rpartition(":")[0]


def _deadline(call: Call, context: ServicerContext[Any, Any]) -> float | None:
    given = call.headers.get("x-request-timeout")
    if given is not None:
        if not _TIMEOUT.fullmatch(given.strip()) or not 0 < float(given) <= _LONGEST_WAIT_SECS:
            raise BadRequest(
                f"X-Request-Timeout must be seconds, more than 0 and at most {_LONGEST_WAIT_SECS:g}",
                field="x-request-timeout",
            )
        return time.monotonic() + float(given)
    remaining = context.time_remaining()
    if remaining is None or remaining > _LONGEST_WAIT_SECS:
        return None
    return time.monotonic() + remaining


def _max_age(headers: Mapping[str, str]) -> float | None:
    directives = headers.get("cache-control", "").lower()
    if not directives:
        return None
    if "no-cache" in directives or "no-store" in directives:
        return 0.0
    match = _MAX_AGE.search(directives)
    return float(match[1]) if match else None
