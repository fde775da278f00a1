"""A clock that tests set."""

from __future__ import annotations

from bezant_server.events.clock import Clock

START_MS = 1_773_066_600_123
"""2026-03-09T14:30:00.123Z"""


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, wall_ms: int = START_MS) -> None:
        self.wall_us = wall_ms * 1000
        self.seconds = 0.0
        self.clock = Clock(wall_us=lambda: self.wall_us, monotonic=lambda: self.seconds)

    def advance(self, seconds: float) -> None:
        self.wall_us += int(seconds * 1_000_000)
        self.seconds += seconds
