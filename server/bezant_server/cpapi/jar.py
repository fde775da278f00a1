"""The cookies of the one session this server holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

EDGE_COOKIE_PREFIXES = ("CF_", "AWSELBAuthSessionCookie", "_oauth2_proxy", "_vercel_", "_pomerium")
"""Cookies of proxies that may stand between a browser and this server. They are not the gateway's business, and the
gateway refuses a request that carries cookies it does not know (observed on a live gateway: 401)."""

_MAX_COOKIES = 64
_MAX_BYTES = 16 * 1024
"""Of the whole header. The gateway and the proxies before it refuse longer ones, and then every call fails."""

_WHOLE_NUMBER = re.compile(r"-?[0-9]+")


class CookieJar:
    """Cookies keyed by name alone.

    The gateway answers 401 when it is sent two cookies of one name (observed on a live gateway), and sets the same name
    under several paths. So a new value always replaces the old one, whatever its path or domain.

    Any caller can send cookies, so there is room for 64 of them, 16 KiB in all. Those that callers sent make room, the
    oldest first; one that the gateway set never does. What then does not fit is not taken in.
    """

    def __init__(self, edge_prefixes: Iterable[str] = ()) -> None:
        self._cookies: dict[str, str] = {}
        self._set_by_gateway: set[str] = set()
        self._edge_prefixes = EDGE_COOKIE_PREFIXES + tuple(edge_prefixes)
        self._header: str | None = None

    def learn_from_request(self, cookie_header: str) -> None:
        """Take in the `Cookie` header of a browser's request."""
        for pair in cookie_header.split(";"):
            name, separator, value = pair.strip().partition("=")
            if separator:
                self._store(name.strip(), value.strip(), by_gateway=False)

    def learn_from_response(self, set_cookie_headers: Sequence[str]) -> None:
        """Take in the `Set-Cookie` headers of an answer of the gateway; an expired cookie is removed."""
        for header in set_cookie_headers:
            pair, *attributes = header.split(";")
            name, separator, value = pair.strip().partition("=")
            if not separator:
                continue
            if _is_expired(attributes):
                self._remove(name.strip())
            else:
                self._store(name.strip(), value.strip(), by_gateway=True)

    def header(self) -> str | None:
        """The `Cookie` header for the gateway, or None when there is nothing to send."""
        if self._header is None and self._cookies:
            self._header = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return self._header

    def lengths(self) -> dict[str, int]:
        """Each cookie's name and the length of its value, for operators; never a value."""
        return {name: len(value) for name, value in self._cookies.items()}

    def __len__(self) -> int:
        return len(self._cookies)

    def _store(self, name: str, value: str, *, by_gateway: bool) -> None:
        if not name or name.startswith(self._edge_prefixes):
            return
        if not (name.isascii() and name.isprintable() and value.isascii() and value.isprintable()):
            # No header can carry it, and one that tried would fail every call.
            self._remove(name)
            return
        if self._cookies.get(name) != value:
            if not self._make_room(name, value):
                if by_gateway:
                    # The gateway has replaced the old value, so it is of no use either.
                    self._remove(name)
                return
            self._cookies[name] = value
            self._header = None
        if by_gateway:
            self._set_by_gateway.add(name)

    def _remove(self, name: str) -> None:
        if self._cookies.pop(name, None) is not None:
            self._set_by_gateway.discard(name)
            self._header = None

    def _make_room(self, name: str, value: str) -> bool:
        """Evict what callers sent until this cookie fits; False, and nothing is evicted, when it cannot."""
        others = {other: _bytes(other, kept) for other, kept in self._cookies.items() if other != name}
        evicted: list[str] = []
        for candidate in [other for other in others if other not in self._set_by_gateway]:
            if _fits(others, name, value):
                break
            del others[candidate]
            evicted.append(candidate)
        if not _fits(others, name, value):
            return False
        for other in evicted:
            self._remove(other)
        return True


def _bytes(name: str, value: str) -> int:
    return len(f"{name}={value}; ")


def _fits(others: Mapping[str, int], name: str, value: str) -> bool:
    return len(others) < _MAX_COOKIES and sum(others.values()) + _bytes(name, value) <= _MAX_BYTES


def set_cookie_name(header: str) -> str:
    """The name in a `Set-Cookie` header."""
    return header.partition("=")[0].strip()


def _is_expired(attributes: Sequence[str]) -> bool:
    """Whether Max-Age or Expires lies in the past; Max-Age wins (RFC 6265, section 5.3)."""
    expires = False
    for attribute in attributes:
        name, _, value = attribute.strip().partition("=")
        match name.strip().lower():
            case "max-age":
                seconds = value.strip()
                if _WHOLE_NUMBER.fullmatch(seconds):
                    return seconds.startswith("-") or not seconds.strip("0")
            case "expires":
                expires = _is_past(value.strip())
    return expires


def _is_past(date: str) -> bool:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment <= datetime.now(UTC)
