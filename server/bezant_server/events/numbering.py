"""Where cursors and epochs start, so that those of an earlier life are recognised."""

from __future__ import annotations

from bezant_server.events.clock import Clock


class Numbering:
    """Gives bases above every cursor and epoch issued before.

    A base is the wall clock in microseconds, which stays below 2^53 until the year 2255, or lies above the highest
    number known to be issued, whichever is higher. The known number covers what the clock cannot: two processes started
    within a microsecond, and a clock that was set back.

    Args:
        clock: where the time comes from.
        issued: the highest cursor or epoch that the history holds of earlier processes; 0 when there is none.
    """

    def __init__(self, clock: Clock, *, issued: int = 0) -> None:
        self._clock = clock
        self._issued = issued

    def base(self) -> int:
        """The first number of a new sequence.

        It leaves one number free above the highest issued: `base - 1` is what a reader of an empty ring goes on from,
        and must not be a cursor that somebody holds from before.
        """
        return max(self._clock.wall_us(), self._issued + 2)

    def retire(self, issued: int) -> None:
        """Take note of the highest number of a sequence that ends while the process lives on."""
        self._issued = max(self._issued, issued)
