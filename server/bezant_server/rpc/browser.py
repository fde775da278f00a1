"""Browsers as attackers.

The port that serves a browser's login also trades, and a browser sends any page's requests to 127.0.0.1 with whatever
that page wrote in them. Browsers say where a request comes from, and a page cannot change that: `Sec-Fetch-Site` where
the browser knows it and trusts the address (https, loopback), `Origin` with every change that a page makes elsewhere.
"""

from __future__ import annotations

from bezant_server.cpapi import effects
from bezant_server.errors import Forbidden
from bezant_server.rpc.call import Call

_OWN_SITE = frozenset({"same-origin", "none"})


def check_origin(call: Call, *, cors_origins: frozenset[str], gateway_origin: str) -> None:
    """Refuse a state-changing request that another web site made a browser send.

    Args:
        call: the call.
        cors_origins: web origins whose pages may change state.
        gateway_origin: what programs written for the gateway itself put into Origin, and no other site's page can.

    Raises:
        Forbidden: it comes from another site, and that site is not in BEZANT_CORS_ORIGINS.
    """
    site = call.headers.get("sec-fetch-site")
    origin = call.headers.get("origin")
    if site in _OWN_SITE or (site is None and origin is None) or origin in cors_origins or not _changes_state(call):
        return
    if site is not None:
        raise Forbidden(f"a {site} request may not change state: list its origin in BEZANT_CORS_ORIGINS to allow it")
    if origin != gateway_origin and not _names_this_host(origin, call):
        raise Forbidden(f"a page of {origin} may not change state: list it in BEZANT_CORS_ORIGINS to allow it")


def _changes_state(call: Call) -> bool:
    http = call.http
    if http is None:
        return True
    if http.path.startswith("/sso/") and (effects.resolved(http.path) or "").startswith("/sso/"):
        return False
    return effects.changes_state(http.method, http.path)


def _names_this_host(origin: str | None, call: Call) -> bool:
    """Whether the origin is the address that the request was sent to. Envoy lets no address in but ours."""
    host = call.headers.get("x-bezant-host") if call.through_envoy else None
    _, separator, authority = (origin or "").partition("://")
    return bool(separator and host) and authority.lower() == (host or "").lower()
