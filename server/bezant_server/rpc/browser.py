"""Browsers as attackers.

The port that serves a browser's login also trades, and a browser sends any page's requests to 127.0.0.1 with whatever
that page wrote in them. Browsers say where a request comes from (`Sec-Fetch-Site`), and a page cannot change that.
"""

from __future__ import annotations

from urllib.parse import unquote

from bezant_server.errors import Forbidden
from bezant_server.rpc.call import Call

_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_READS_THAT_CHANGE_STATE = ("/logout", "/tickle", "/reauthenticate", "/ssodh/init", "/unsubscribeall", "/unsubscribe")
"""Ends of gateway paths that answer GET as well, and do something (IBKR's older documentation lists them as GET)."""
_OWN_SITE = frozenset({"same-origin", "none"})
_DECODINGS = 3
"""How often a path may have been encoded. Each decoding costs, and a page may have written 60 KiB of them."""


def check_origin(call: Call, cors_origins: frozenset[str]) -> None:
    """Refuse a state-changing request that another web site made a browser send.

    Raises:
        Forbidden: it comes from another site, and that site is not in BEZANT_CORS_ORIGINS.
    """
    site = call.headers.get("sec-fetch-site")
    if site is None or site in _OWN_SITE or not _changes_state(call):
        return
    if call.headers.get("origin") in cors_origins:
        return
    raise Forbidden(f"a {site} request may not change state: list its origin in BEZANT_CORS_ORIGINS to allow it")


def _changes_state(call: Call) -> bool:
    http = call.http
    if http is None:
        return True
    path = _resolved(http.path)
    if path is None:
        return True
    if http.path.startswith("/sso/") and path.startswith("/sso/"):
        return False
    return http.method not in _READ_METHODS or path.endswith(_READS_THAT_CHANGE_STATE)


def _resolved(path: str) -> str | None:
    """The path as the most lenient server would read it: `/sso/..%2Fv1/api/logout;x` is `/v1/api/logout`.

    None when it is encoded so often that nobody can say.
    """
    for _ in range(_DECODINGS):
        path = unquote(path)
    if unquote(path) != path:
        return None
    segments: list[str] = []
    for segment in path.lower().replace("\\", "/").split("/"):
        name = segment.partition(";")[0]
        if name == "..":
            del segments[-1:]
        elif name not in ("", "."):
            segments.append(name)
    return "/" + "/".join(segments)
