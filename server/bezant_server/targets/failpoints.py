"""Where tests have the server killed, to see that nothing is doubled or forgotten."""

from __future__ import annotations

import os
import signal


class Failpoints:
    """Kills the process at one step.

    Args:
        step: its name; None for never, as in production.
    """

    def __init__(self, step: str | None) -> None:
        self._step = step

    def reach(self, step: str) -> None:
        """A step is about to be taken, or was taken. The process ends here as if its power had failed."""
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)
