"""Whether to take the brokerage session from another program."""

from __future__ import annotations


class Takeovers:
    """Takes it when allowed to, and stops when the other program takes it back: two that fight trade on neither side.

    Args:
        allowed: BEZANT_COMPETE.
        apart_secs: two takeovers within so many seconds of each other are the last.
    """

    def __init__(self, *, allowed: bool, apart_secs: float) -> None:
        self._allowed = allowed
        self._apart_secs = apart_secs
        self._last: float | None = None
        self.stopped = False
        """Whether the other program fights back."""

    @property
    def may(self) -> bool:
        """Whether the session may be taken over by the server's own decision."""
        return self._allowed and not self.stopped

    def taken(self, now: float) -> None:
        """It was taken over, at `now` on a monotonic clock."""
        if self._last is not None and now - self._last < self._apart_secs:
            self.stopped = True
        self._last = now

    def released(self) -> None:
        """The other program has left by itself. One that comes back as soon is taken to fight on."""
        self.stopped = False

    def decided(self) -> None:
        """A human has decided: begin anew."""
        self._last = None
        self.stopped = False
