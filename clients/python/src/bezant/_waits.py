"""When a stream of events that has ended, or fallen silent, is opened again."""

from __future__ import annotations

from random import Random

import grpc

from bezant._errors import BezantError

_FIRST_SECS = 0.2
_LONGEST_SECS = 10.0
# The server sends heartbeats, but may have to subscribe a topic before the first.
_LONGEST_SILENCE_SECS = 45.0
_SILENT_BEATS = 3
# What gRPC or a proxy makes of a connection that breaks; the server's own errors have a reason.
_BROKEN = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED}


class Waits:
    """The waits between attempts: they double up to a bound, each somewhere between a half and the whole of it."""

    def __init__(self) -> None:
        self._random = Random()  # noqa: S311  jitter is no secret
        self._ceiling = _FIRST_SECS
        self._wanted = 0.0

    def reset(self) -> None:
        """Begin with short waits again."""
        self._ceiling = _FIRST_SECS

    def heed(self, error: BezantError) -> None:
        """Let the next wait be no shorter than the server asks for."""
        self._wanted = 0 if error.retry_after is None else error.retry_after.total_seconds()

    def next_secs(self) -> float:
        """The next wait."""
        wait = max(self._random.uniform(self._ceiling / 2, self._ceiling), self._wanted)
        self._ceiling = min(self._ceiling * 2, _LONGEST_SECS)
        self._wanted = 0
        return wait


def patience_secs(heartbeat_secs: int) -> float:
    """How long a stream may say nothing."""
    return max(_LONGEST_SILENCE_SECS, _SILENT_BEATS * heartbeat_secs)


def can_resume(error: BezantError) -> bool:
    """Whether a stream that ended with it can be opened again where it ended."""
    if error.code is grpc.StatusCode.UNAVAILABLE or error.reason == "SLOW_READER":
        return True
    return not error.reason and error.code in _BROKEN
