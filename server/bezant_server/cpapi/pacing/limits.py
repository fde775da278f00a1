"""IBKR's limits, as data.

Source: IBKR's Web API documentation, section "Pacing limitations" (10 requests a second through the Client Portal
Gateway, and a table of endpoints), and IBKR's OpenAPI description. Whoever breaks one is answered 429 and lands in a
penalty box of 10 to 15 minutes, by address: every session behind it suffers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GLOBAL = "global"


class PacingFileError(Exception):
    """BEZANT_PACING_FILE cannot be used; the message says which entry is at fault."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in any window of so many seconds, or so many at the same time.

    Attributes:
        name: in GetPacing, in errors and in BEZANT_PACING_FILE.
        path: pattern of paths below the API's base path; None for every path.
        methods: of the calls it counts; empty for every method.
        count: calls in a window, or at once.
        window_secs: 0 when it is a limit of calls at once.
    """

    name: str
    path: re.Pattern[str] | None
    methods: frozenset[str]
    count: int
    window_secs: float

    def covers(self, method: str, path: str) -> bool:
        """Whether a call counts towards this limit."""
        if self.methods and method not in self.methods:
            return False
        return self.path is None or self.path.fullmatch(path) is not None


def _limit(name: str, path: str | None, methods: str, count: int, window_secs: float) -> Limit:
    return Limit(name, re.compile(path) if path else None, frozenset(methods.split()), count, window_secs)


_ANY = ""

DEFAULT_LIMITS: tuple[Limit, ...] = (
    #      name                   path                                          methods     count  seconds
    _limit(GLOBAL, None, _ANY, 10, 1),
    _limit("live orders", "/iserver/account/orders", "GET", 1, 5),
    _limit("trades", "/iserver/account/trades", "GET", 1, 5),
    _limit("pnl", "/iserver/account/pnl/partitioned", "GET", 1, 5),
    _limit("snapshot", "/iserver/marketdata/snapshot", "GET", 10, 1),
    _limit("history", "/iserver/marketdata/history", "GET", 5, 0),
    _limit("scanner parameters", "/iserver/scanner/params", "GET", 1, 900),
    _limit("scanner run", "/iserver/scanner/run", "POST", 1, 1),
    _limit("performance", "/pa/performance", "POST", 1, 900),
    _limit("performance periods", "/pa/allperiods", "POST", 1, 900),
    _limit("performance summary", "/pa/summary", "POST", 1, 900),
    _limit("transactions", "/pa/transactions", "POST", 1, 900),
    _limit("portfolio accounts", "/portfolio/accounts", "GET", 1, 5),
    _limit("portfolio subaccounts", "/portfolio/subaccounts2?", "GET", 1, 5),
    _limit("sso validate", "/sso/validate", "GET", 1, 60),
    _limit("tickle", "/tickle", _ANY, 1, 1),
    _limit("notifications", "/fyi/.+", _ANY, 1, 1),
)


def load(path: Path | None) -> tuple[Limit, ...]:
    """The limits, with what a TOML file changes or adds.

    The file has a table for each limit, by name: `count`, `window_secs` (0: at once), and for a new one `path` (a
    regular expression) and optionally `methods` (a list). `count = 0` removes a limit.

    Raises:
        PacingFileError: the file cannot be read, or an entry cannot be used.
    """
    if path is None:
        return DEFAULT_LIMITS
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PacingFileError(f"{path}: {error}") from None
    limits = {limit.name: limit for limit in DEFAULT_LIMITS}
    for name, entry in document.items():
        changed = _entry(name, entry, limits.get(name))
        if changed is None:
            limits.pop(name, None)
        else:
            limits[name] = changed
    return tuple(limits.values())


def _entry(name: str, entry: object, known: Limit | None) -> Limit | None:
    if not isinstance(entry, Mapping):
        raise PacingFileError(f"[{name}] must be a table with count and window_secs")
    unknown = set(entry) - {"count", "window_secs", "path", "methods"}
    if unknown:
        raise PacingFileError(f"[{name}] has no setting {', '.join(sorted(unknown))}")
    count = _number(name, "count", entry, known.count if known else None)
    window = _number(name, "window_secs", entry, known.window_secs if known else None)
    if count == 0:
        return None
    if count != int(count):
        raise PacingFileError(f"[{name}] count must be a whole number")
    return Limit(
        name, _path(name, entry, known), _methods(name, entry, known), count=int(count), window_secs=float(window)
    )


def _number(name: str, key: str, entry: Mapping[str, Any], default: float | None) -> float:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise PacingFileError(f"[{name}] needs {key}, a number that is not negative")
    return value


def _path(name: str, entry: Mapping[str, Any], known: Limit | None) -> re.Pattern[str] | None:
    if "path" not in entry and known is not None:
        return known.path
    try:
        return re.compile(entry["path"])
    except (KeyError, TypeError, re.error):
        raise PacingFileError(f"[{name}] needs path, a regular expression such as '/iserver/.*'") from None


def _methods(name: str, entry: Mapping[str, Any], known: Limit | None) -> frozenset[str]:
    if "methods" not in entry:
        return known.methods if known else frozenset()
    methods = entry["methods"]
    if not isinstance(methods, Iterable) or isinstance(methods, str) or not all(isinstance(m, str) for m in methods):
        raise PacingFileError(f"[{name}] methods must be a list such as ['GET']")
    return frozenset(method.upper() for method in methods)
