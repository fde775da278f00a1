"""The Python client of bezant-grpc.

    with bezant.connect("127.0.0.1:50051") as client:
        print(client.session.GetSession(GetSessionRequest()).session.cause)

`bezant.aio` is the same for asyncio; `bezant.v1` has the messages, whose comments are the reference.
"""

from __future__ import annotations

from bezant import aio
from bezant._client import Client, connect
from bezant._decimals import format_decimal, get_decimal, parse_decimal
from bezant._errors import BezantError, FieldViolation
from bezant._follow import FollowedEvents, follow_events
from bezant._progress import EventsMissed
from bezant._tls import Tls

__all__ = [
    "BezantError",
    "Client",
    "EventsMissed",
    "FieldViolation",
    "FollowedEvents",
    "Tls",
    "aio",
    "connect",
    "follow_events",
    "format_decimal",
    "get_decimal",
    "parse_decimal",
]
