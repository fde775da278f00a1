"""Which calls to the gateway do something, judged by method and path alone."""

from __future__ import annotations

from urllib.parse import unquote

from bezant_server.cpapi.messages import READ_METHODS

_READS_THAT_CHANGE_STATE = ("/logout", "/tickle", "/reauthenticate", "/ssodh/init", "/unsubscribeall", "/unsubscribe")
"""Ends of gateway paths that answer GET as well, and do something (IBKR's older documentation lists them as GET)."""
_DECODINGS = 3
"""How often a path may have been encoded. Each decoding costs, and a page may have written 60 KiB of them."""


def changes_state(method: str, path: str) -> bool:
    """Whether a call may change something at the gateway; in doubt it does.

    Args:
        method: upper case.
        path: from the gateway's root, as it is sent, without its query.
    """
    if method not in READ_METHODS:
        return True
    plain = resolved(path)
    return plain is None or does_something(plain)


def does_something(plain: str) -> bool:
    """Whether a path, resolved, changes state at the gateway even when it is read."""
    return plain.endswith(_READS_THAT_CHANGE_STATE)


def resolved(path: str) -> str | None:
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
