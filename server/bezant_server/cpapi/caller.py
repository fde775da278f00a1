"""Who asks, how long they will wait, and what an answer may be: what the transport knows of the caller it serves."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

_WORTH_SAYING_SECS = 0.1


@dataclass(slots=True)
class Caller:
    """The caller that the current task serves.

    Attributes:
        name: tells callers apart, so that they are served in turn; empty for the server itself.
        deadline: on the monotonic clock, when an answer is of no use any more; None for the default.
        max_age_secs: an answer this old will do; 0 asks for a fresh one; None leaves it to the server.
        queued_secs: how long its calls have waited before they were sent, filled in on the way.
        age_secs: how old the answer given is, when it is an earlier one.
        changes_sent: how many of its changes have been handed to the transport: those cannot be called back.
    """

    name: str = ""
    deadline: float | None = None
    max_age_secs: float | None = None
    queued_secs: float = 0.0
    age_secs: float | None = None
    changes_sent: int = 0

    def headers(self) -> list[tuple[str, str]]:
        """What its answer says of its waiting: X-Bezant-Queued-Ms beyond 100 ms, Age when it is an earlier answer."""
        headers = []
        if self.queued_secs > _WORTH_SAYING_SECS:
            headers.append(("x-bezant-queued-ms", str(round(self.queued_secs * 1000))))
        if self.age_secs is not None:
            headers.append(("age", str(int(self.age_secs))))
        return headers


_current: ContextVar[Caller] = ContextVar("caller")


def current() -> Caller:
    """The caller that the current task serves; outside of any call, the server itself."""
    caller = _current.get(None)
    return caller if caller is not None else Caller()


def enter(caller: Caller) -> None:
    """Make `caller` the current task's."""
    _current.set(caller)
