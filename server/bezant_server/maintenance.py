"""IBKR's maintenance windows: times of day at which a gateway that fails is nobody's fault.

A window only names a failure. It stops no call: outside of the failing systems IBKR goes on working.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"(?:(mon|tue|wed|thu|fri|sat|sun)\s+)?(\d\d:\d\d)\s*-\s*(\d\d:\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of day to another, each day or on one; one that ends before it begins ends on the next day."""

    day: int | None
    begins: time
    ends: time

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `00:45-01:45` or `Sat 18:00-23:00`.

        Raises:
            ValueError: the text is not of that form.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"'{text}' is not a window such as 00:45-01:45 or Sat 18:00-23:00")
        try:
            begins, ends = time.fromisoformat(match[2]), time.fromisoformat(match[3])
        except ValueError:
            raise ValueError(f"'{text}' names no time of day: hours are 00 to 23, minutes 00 to 59") from None
        if begins == ends:
            raise ValueError(f"'{text}' begins when it ends")
        return cls(None if match[1] is None else _DAYS.index(match[1].lower()), begins, ends)

    def __str__(self) -> str:
        day = "" if self.day is None else f"{_DAYS[self.day].capitalize()} "
        return f"{day}{self.begins:%H:%M}-{self.ends:%H:%M}"

    def covers(self, moment: datetime) -> bool:
        """Whether a local time lies in it."""
        clock = moment.time()
        if self.begins < self.ends:
            return self._is_on(moment) and self.begins <= clock < self.ends
        if clock >= self.begins:
            return self._is_on(moment)
        return clock < self.ends and self._is_on(moment - timedelta(days=1))

    def _is_on(self, moment: datetime) -> bool:
        return self.day is None or moment.weekday() == self.day


class Maintenance:
    """The windows, in one time zone."""

    def __init__(self, windows: Iterable[Window], zone: ZoneInfo) -> None:
        self._windows = tuple(windows)
        self._zone = zone

    def at(self, now: float) -> str | None:
        """The name of the window that `now` (seconds since 1970) lies in, if any."""
        moment = datetime.fromtimestamp(now, self._zone)
        window = next((each for each in self._windows if each.covers(moment)), None)
        return None if window is None else f"IBKR's maintenance window {window} ({self._zone.key})"


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        ValueError: this system knows none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone that this system knows, such as America/New_York") from None
