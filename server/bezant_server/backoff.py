"""How long to wait before trying again."""

from __future__ import annotations

from random import Random


class Backoff:
    """Waits that double up to a bound, each somewhere between a half and the whole of it.

    Args:
        minimum: no wait is shorter, seconds.
        maximum: no wait is longer, seconds.
        random: the jitter's source.
    """

    def __init__(self, *, minimum: float, maximum: float, random: Random) -> None:
        self._minimum = min(minimum, maximum)
        self._maximum = maximum
        self._random = random
        self._ceiling = self._first_ceiling()

    def next(self) -> float:
        """The next wait, in seconds."""
        wait = self._random.uniform(max(self._minimum, self._ceiling / 2), self._ceiling)
        self._ceiling = min(self._ceiling * 2, self._maximum)
        return wait

    def reset(self) -> None:
        """Start over with short waits."""
        self._ceiling = self._first_ceiling()

    def _first_ceiling(self) -> float:
        return min(self._minimum * 2, self._maximum)
