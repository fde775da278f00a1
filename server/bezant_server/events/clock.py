"""Time, as the events need it: injected, so that tests decide what it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


def _wall_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Clock:
    """A wall clock in microseconds since 1970 (UTC), and a monotonic one in seconds."""

    wall_us: Callable[[], int] = _wall_us
    monotonic: Callable[[], float] = time.monotonic

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self.wall_us() // 1000


def rfc3339(ms: int) -> str:
    """Milliseconds since 1970 as `2026-03-09T14:30:00.123Z`."""
    seconds, fraction = divmod(ms, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:03d}Z"
