"""Which headers pass between a caller and the gateway, and how they change on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi.client import USER_AGENT
from bezant_server.cpapi.messages import Headers, UpstreamResponse
from bezant_server.rpc.call import Metadata

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_FORWARDED = _HOP_BY_HOP | {
    "authorization",
    "content-length",
    "content-type",  # travels with the body
    "cookie",  # the jar's are sent
    "expect",
    "forwarded",
    "host",
    "x-api-key",
    "x-real-ip",
    "x-request-id",
}
_NOT_FORWARDED_PREFIXES = ("x-forwarded-", "x-envoy-", "x-bezant-", "grpc-", ":")
_NOT_RETURNED = _HOP_BY_HOP | {
    "content-length",
    "content-type",
    "x-content-length",
    "x-http-status",
    "x-no-content-type",
    "x-request-id",
}
_NOT_RETURNED_PREFIXES = ("access-control-", "grpc-", "x-envoy-", "x-error-", "x-bezant-", ":")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def for_gateway(metadata: Metadata, path: str, gateway: GatewayUrl) -> Headers:
    """A caller's headers as the gateway may see them, without Cookie and Content-Type.

    The gateway answers 401 to a POST whose Origin or Referer is not its own (observed on a live gateway), so for the
    API both become the gateway's; for the login pages they stay.
    """
    named_in_connection = _connection_options(metadata)
    is_api = gateway.is_api_path(path)
    passed: list[tuple[str, str]] = []
    for name, value in metadata:
        if (
            isinstance(value, bytes)
            or name in _NOT_FORWARDED
            or name in named_in_connection
            or name.startswith(_NOT_FORWARDED_PREFIXES)
        ):
            continue
        if is_api:
            value = _as_own(name, value, gateway)  # noqa: PLW2901
        passed.append((name, value))
    if not any(name == "user-agent" for name, _ in passed):
        # IBKR's edge refuses a request without one.
        passed.append(("user-agent", USER_AGENT))
    return tuple(passed)


def for_caller(response: UpstreamResponse, gateway: GatewayUrl) -> list[tuple[str, str]]:
    """The gateway's end-to-end headers as the caller may see them, without Content-Type and Content-Length."""
    dropped = _connection_options(response.headers)
    passed: list[tuple[str, str]] = []
    for name, value in response.headers:
        if name in _NOT_RETURNED or name in dropped or name.startswith(_NOT_RETURNED_PREFIXES):
            continue
        if name.endswith("-bin"):
            # gRPC metadata of such a name must be base64; no header of the gateway ends so.
            continue
        if name == "set-cookie":
            value = without_domain(value)  # noqa: PLW2901
        elif name == "location":
            value = relative_location(value, gateway)  # noqa: PLW2901
        if value.isascii() and value.isprintable():
            passed.append((name, value))
    return passed


def content_type(response: UpstreamResponse, path: str, gateway: GatewayUrl) -> str:
    """The content type for the caller; empty means none.

    The gateway serves its login pages and their assets without one, or as application/octet-stream, and a browser would
    then download the page instead of showing it.
    """
    if response.status in (204, 304):
        return ""
    given = response.header("content-type") or ""
    if response.body and given in ("", "application/octet-stream") and not gateway.is_api_path(path):
        return "text/html"
    return given


def without_domain(set_cookie: str) -> str:
    """A Set-Cookie header that belongs to whichever host the browser called."""
    parts = set_cookie.split(";")
    return ";".join(part for part in parts if part.partition("=")[0].strip().lower() != "domain")


def relative_location(location: str, gateway: GatewayUrl) -> str:
    """A redirect target: on the gateway's own origin it becomes relative, so that the browser stays here."""
    origin, rest = _split_origin(location)
    if origin.lower() == gateway.origin.lower():
        location = rest if rest.startswith("/") else f"/{rest}"
    return quote(location, safe="%/:=&?~#+!$,;'@()*[]")


def _connection_options(headers: Iterable[tuple[str, str | bytes]]) -> frozenset[str]:
    return frozenset(
        option.strip().lower()
        for name, value in headers
        if name == "connection" and isinstance(value, str)
        for option in value.split(",")
    )


def _as_own(name: str, value: str, gateway: GatewayUrl) -> str:
    if name == "origin":
        return gateway.origin
    if name == "referer":
        _, rest = _split_origin(value.partition("#")[0])
        return f"{gateway.origin}{rest if rest.startswith('/') else '/'}"
    return value


def _split_origin(url: str) -> tuple[str, str]:
    """Scheme and authority, and what follows. Anybody may have written the URL, so nothing is asked of it."""
    match = _ORIGIN.match(url)
    return (match[0], url[match.end() :]) if match else ("", url)
