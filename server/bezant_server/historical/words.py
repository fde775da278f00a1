"""Trader Workstation's words for durations, sizes and kinds of bars, as the gateway takes them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bezant_server.inputs import Checks
from bezant_server.marketdata.bars import BARS

DEFAULT_DURATION, DEFAULT_BAR_SIZE, DEFAULT_KIND = "1 D", "1 hour", "TRADES"

_DURATION = re.compile(r"([0-9]{1,6}) ?([SDWMY])")
_BAR_SIZE = re.compile(r"([0-9]{1,2}) ?(secs?|mins?|hours?|days?|weeks?|months?|[WM])")
_UNITS = {"min": "min", "hour": "h", "day": "d", "week": "w", "W": "w", "month": "m", "M": "m"}
_LONGEST = {"D": 1000, "W": 792, "M": 182, "Y": 15}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MOST_MINUTES, _MOST_HOURS = 30, 8

SOURCES: Mapping[str, str] = MappingProxyType({"TRADES": "Trades", "MIDPOINT": "Midpoint"})
"""Kinds of bars by the gateway's name for where they come from."""
SIDES: Mapping[str, str] = MappingProxyType({"BID": "Bid", "ASK": "Ask"})
"""Kinds that only the gateway's historical data service may have, by its name for them."""


@dataclass(frozen=True, slots=True)
class Duration:
    """How far back.

    Attributes:
        period: as the gateway takes it; at least as long as asked for.
        seconds: exactly, where the period is longer than asked for; None where it is not.
    """

    period: str
    seconds: int | None


def duration(checks: Checks, text: str) -> Duration:
    """A duration such as "1 D". What is wrong with it is noted in `checks`."""
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None or not int(match[1]):
        checks.refuse("duration", "must be a number and one of S, D, W, M, Y, such as '1 D'", text)
        return Duration("1d", None)
    count, unit = int(match[1]), match[2]
    if unit == "S":
        return _of_seconds(checks, count, text)
    most = _LONGEST[unit]
    checks.holds("duration", count <= most, f"may be at most '{most} {unit}'", text)
    return Duration(f"{count}{unit.lower()}", None)


def bar_size(checks: Checks, text: str) -> str:
    """The size of a bar such as "5 mins", a key of BARS. What is wrong with it is noted in `checks`."""
    match = _BAR_SIZE.fullmatch(text.strip())
    unit = "" if match is None else _UNITS.get(match[2] if len(match[2]) == 1 else match[2].rstrip("s"), "")
    size = f"{match[1]}{unit}" if match and unit else ""
    if size in BARS:
        return size
    rule = "must be one of " + ", ".join(f"'{spelled(each)}'" for each in BARS)
    if match and match[2].startswith("sec"):
        rule = f"the gateway has no bars below a minute: {rule}"
    checks.refuse("barSize", rule, text)
    return "1h"


def kind(checks: Checks, text: str) -> str:
    """What bars show, upper case. What is wrong with it is noted in `checks`."""
    given = text.strip().upper()
    checks.holds("whatToShow", given in {*SOURCES, *SIDES}, "must be one of TRADES, MIDPOINT, BID, ASK", text)
    return given


def spelled(bar: str) -> str:
    """A size of bars as Trader Workstation spells it: `5min` is "5 mins"."""
    match = re.fullmatch(r"([0-9]+)(min|h|d|w|m)", bar)
    assert match is not None, bar  # noqa: S101  a key of BARS
    name = {"min": "min", "h": "hour", "d": "day", "w": "week", "m": "month"}[match[2]]
    return f"{match[1]} {name}{'' if match[1] == '1' else 's'}"


def _of_seconds(checks: Checks, seconds: int, text: str) -> Duration:
    checks.holds("duration", seconds <= _DAY, f"may be at most '{_DAY} S': use D beyond", text)
    minutes, hours = math.ceil(seconds / _MINUTE), math.ceil(seconds / _HOUR)
    if minutes <= _MOST_MINUTES:
        period, covered = f"{minutes}min", minutes * _MINUTE
    elif hours <= _MOST_HOURS:
        period, covered = f"{hours}h", hours * _HOUR
    else:
        period, covered = "1d", _DAY
    return Duration(period, None if covered == seconds else seconds)
