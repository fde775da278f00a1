"""What the gateway's JSON says of the session. Nothing that it may send makes these fail."""

from __future__ import annotations

import json
from typing import Any

from bezant_server.session.machine import Accounts, Status, Tickled

_SAID_CHARS = 200
_LONGEST_COUNTDOWN_MS = 10 * 365 * 86_400_000


def document(body: bytes) -> Any:
    """The JSON of a body or frame, or None when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def tickled(answer: object, *, now: float) -> Tickled:
    """The answer to /tickle. `now` is seconds since 1970: single sign-on's end is given as a countdown."""
    session = _member(answer, "session")
    return Tickled(
        status(_member(_member(answer, "iserver"), "authStatus"), whole=True),
        session if isinstance(session, str) and session else None,
        ends_at(_member(answer, "ssoExpires"), now=now),
    )


def ends_at(left_ms: object, *, now: float) -> float | None:
    """The end of a countdown in milliseconds, seconds since 1970; None when it is no countdown."""
    if not isinstance(left_ms, int | float) or isinstance(left_ms, bool) or not 0 <= left_ms < _LONGEST_COUNTDOWN_MS:
        return None
    return now + left_ms / 1000


def status(answer: object, *, whole: bool) -> Status:
    """The object that /iserver/auth/status answers, or as much of it as the `args` of a `sts` frame hold.

    Frames name the server beside the rest, answers in an object of its own (both observed on live gateways).
    """
    server = _member(answer, "serverInfo") if isinstance(_member(answer, "serverInfo"), dict) else answer
    said = _text(answer, "fail") or _text(answer, "message")
    return Status(
        authenticated=_boolean(answer, "authenticated"),
        connected=_boolean(answer, "connected"),
        competing=_boolean(answer, "competing"),
        established=_boolean(answer, "established"),
        server_name=_text(server, "serverName"),
        server_version=_text(server, "serverVersion"),
        gateway_mac=_text(answer, "MAC"),
        said=said[:_SAID_CHARS] if said else None,
        whole=whole,
    )


def accounts(answer: object) -> Accounts:
    """The object that /iserver/accounts answers and an `act` frame holds."""
    listed = _member(answer, "accounts")
    names = tuple(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else None
    return Accounts(names, _text(answer, "selectedAccount"), _boolean(answer, "isPaper"))


def frame(raw: bytes) -> Status | Accounts | None:
    """A `sts` or `act` frame; IBKR's documentation prints the members of `act` beside its topic, the wire in `args`."""
    content = document(raw)
    args = _member(content, "args")
    match _member(content, "topic"):
        case "sts":
            return status(args, whole=False)
        case "act":
            return accounts(args if isinstance(args, dict) else content)
    return None


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _boolean(value: object, name: str) -> bool | None:
    member = _member(value, name)
    return member if isinstance(member, bool) else None


def _text(value: object, name: str) -> str | None:
    member = _member(value, name)
    return member if isinstance(member, str) and member else None
