"""What a call to the gateway is: its lane, what it may do to an open question, what it may share."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import IntEnum

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import effects
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse

_ORDER = re.compile(r"/iserver/account/[^/]+/orders?(?:/[^/]+)?")
_PREVIEW = re.compile(r"/iserver/account/[^/]+/orders?/whatif")
_REPLY = re.compile(r"/iserver/reply/[^/]+")
_SESSION = re.compile(r"/tickle|/logout|/sso/validate|/iserver/(?:auth/.+|reauthenticate|accounts|account)")
_BULK = re.compile(r"/iserver/scanner/params|/pa/.+|/iserver/marketdata/history|/hmds/.+")
_RARELY_CHANGES = re.compile(r"/portfolio/(?:accounts|subaccounts2?)|/iserver/scanner/params|/pa/.+")
_ALWAYS_FRESH = re.compile(
    r"/iserver/account/(?:orders|trades|pnl/.+|order/.+)|/tickle|/iserver/auth/.+|/sso/validate|/logout"
)
_READ_POSTS = re.compile(
    r"/pa/.+|/iserver/secdef/search|/iserver/auth/status|/iserver/contract/rules|/iserver/scanner/run"
)


class Lane(IntEnum):
    """Who goes first: the lower the number."""

    ORDERS = 0
    SESSION = 1
    READS = 2
    BULK = 3


@dataclass(frozen=True, slots=True)
class Profile:
    """What pacing must know of a call.

    Attributes:
        method: upper case.
        path: below the API's base path; None for login traffic, which is not API traffic and is never paced.
        lane: its place among the others.
        asks: whether its answer may be a question (place, modify, reply); nothing may be sent beside it.
        reply_to: the question that it answers, if it does.
        shareable: whether callers may share its answer.
        rarely_changes: whether the last answer serves while its limit is used up.
        always_fresh: whether no earlier answer ever serves.
    """

    method: str
    path: str | None
    lane: Lane
    asks: bool
    reply_to: str | None
    shareable: bool
    rarely_changes: bool
    always_fresh: bool


def profile(request: UpstreamRequest, gateway: GatewayUrl) -> Profile:
    """Tell what a call is from its method and path, however the path is spelled."""
    target = request.target.partition("?")[0]
    # What cannot be resolved may be anything, so it is paced.
    resolved = effects.resolved(target) or gateway.base_path
    if not gateway.is_api_path(resolved):
        return Profile(
            method=request.method,
            path=None,
            lane=Lane.READS,
            asks=False,
            reply_to=None,
            shareable=False,
            rarely_changes=False,
            always_fresh=True,
        )
    path = gateway.below_base(resolved)
    reply = _REPLY.fullmatch(path) if request.method == "POST" else None
    order = request.method in ("POST", "PUT", "DELETE") and _ORDER.fullmatch(path) and not _PREVIEW.fullmatch(path)
    return Profile(
        method=request.method,
        path=path,
        lane=_lane(path, is_order=bool(order or reply)),
        asks=bool(reply or (order and request.method != "DELETE")),
        reply_to=target.rstrip("/").rpartition("/")[2] if reply else None,
        shareable=not request.changes_state or (request.method == "POST" and bool(_READ_POSTS.fullmatch(path))),
        rarely_changes=bool(_RARELY_CHANGES.fullmatch(path)),
        always_fresh=bool(_ALWAYS_FRESH.fullmatch(path)),
    )


def questions(response: UpstreamResponse) -> frozenset[str]:
    """The ids of the questions in an order's answer; empty when it asks nothing."""
    if response.status != 200:
        return frozenset()
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(document, list):
        return frozenset()
    return frozenset(
        entry["id"]
        for entry in document
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and "message" in entry
    )


def _lane(path: str, *, is_order: bool) -> Lane:
    if is_order:
        return Lane.ORDERS
    if _SESSION.fullmatch(path):
        return Lane.SESSION
    return Lane.BULK if _BULK.fullmatch(path) else Lane.READS
