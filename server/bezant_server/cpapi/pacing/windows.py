"""How much of a limit is left, judged at the gateway's clock.

The gateway counts a call when it arrives, which is some time between its sending and its answer. A place in a window is
therefore held until the latest moment at which the call may have arrived, plus the window, plus a margin. A bucket that
refills would let twice the rate through at the edge of two windows; this lets no window be exceeded wherever it begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from bezant_server.cpapi.pacing.limits import Limit


@dataclass(slots=True)
class Place:
    """A call's place in a window: held until `until`."""

    until: float


class Gauge(Protocol):
    """What is left of one limit."""

    limit: Limit

    def ready_at(self, now: float, ahead: int = 0) -> float:
        """When a place will be free, if `ahead` calls take one before; infinity when only a finished call can tell."""

    def take(self, now: float) -> Place:
        """Take a place for a call that is sent now."""

    def settle(self, place: Place, now: float) -> None:
        """The call was answered, or failed: it arrived before now, if at all."""

    def used(self, now: float) -> int:
        """Places that are taken."""


def gauge(limit: Limit, *, margin_secs: float, transit_secs: float) -> Gauge:
    """A gauge for a limit, with nothing used."""
    if limit.window_secs:
        return Window(limit, margin_secs=margin_secs, transit_secs=transit_secs)
    return AtOnce(limit)


class Window:
    """At most `count` arrivals in any window of `window_secs`.

    Args:
        limit: the limit.
        margin_secs: what is added to the window.
        transit_secs: longest that a call is on its way to the gateway.
    """

    def __init__(self, limit: Limit, *, margin_secs: float, transit_secs: float) -> None:
        self.limit = limit
        self._held_secs = limit.window_secs + margin_secs
        self._transit_secs = transit_secs
        self._places: list[Place] = []

    def ready_at(self, now: float, ahead: int = 0) -> float:
        """See `Gauge.ready_at`."""
        self._forget(now)
        free = self.limit.count - len(self._places)
        if ahead < free:
            return now
        # Whoever takes a place gives it back when the window has passed, so the places come round.
        rounds, index = divmod(ahead, self.limit.count)
        first = now if index < free else sorted(place.until for place in self._places)[index - free]
        return first + rounds * self._held_secs

    def take(self, now: float) -> Place:
        """See `Gauge.take`."""
        self._forget(now)
        place = Place(now + self._transit_secs + self._held_secs)
        self._places.append(place)
        return place

    def settle(self, place: Place, now: float) -> None:
        """See `Gauge.settle`."""
        place.until = min(place.until, now + self._held_secs)

    def used(self, now: float) -> int:
        """See `Gauge.used`."""
        self._forget(now)
        return len(self._places)

    def _forget(self, now: float) -> None:
        self._places = [place for place in self._places if place.until > now]


class AtOnce:
    """At most `count` calls in flight."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._in_flight = 0

    def ready_at(self, now: float, ahead: int = 0) -> float:
        """See `Gauge.ready_at`."""
        # How long a call takes is not known, so with all places taken the earliest moment is any.
        return now if self._in_flight + ahead < self.limit.count else math.inf

    def take(self, now: float) -> Place:
        """See `Gauge.take`."""
        self._in_flight += 1
        return Place(now)

    def settle(self, place: Place, now: float) -> None:
        """See `Gauge.settle`."""
        del place, now
        self._in_flight -= 1

    def used(self, now: float) -> int:
        """See `Gauge.used`."""
        del now
        return self._in_flight
