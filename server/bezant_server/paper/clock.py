"""The one clock of the paper gateway: virtual time, its timers, and jumps ahead."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

Callback = Callable[[], None]


@dataclass(slots=True, order=True)
class Timer:
    """A callback that waits for its virtual time; `cancel` keeps it from running."""

    when: float
    order: int
    callback: Callback = field(compare=False)
    interval: float | None = field(default=None, compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Virtual seconds since the epoch, running at `speed` times the real pace.

    Everything in the gateway that depends on time asks this clock, so that `advance` moves all of it at once.
    """

    def __init__(
        self, *, start: float | None = None, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._origin = monotonic()
        self._start = time.time() if start is None else start
        self._speed = speed
        self._offset = 0.0
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    @property
    def start(self) -> float:
        """The virtual time at which the gateway began."""
        return self._start

    def now(self) -> float:
        return self._start + self._offset + (self._monotonic() - self._origin) * self._speed

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Run `callback` once, when the virtual time `when` has come."""
        return self._add(Timer(when, next(self._numbers), callback))

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        """Run `callback` once, `seconds` of virtual time from now."""
        return self.call_at(self.now() + seconds, callback)

    def every(self, seconds: float, callback: Callback) -> Timer:
        """Run `callback` again and again; a jump over many intervals runs it once."""
        return self._add(Timer(self.now() + seconds, next(self._numbers), callback, interval=seconds))

    def advance(self, seconds: float) -> None:
        """Jump ahead, running every timer that falls due before returning."""
        self._offset += seconds
        self._run_due()
        self._changed.set()

    async def run(self) -> None:
        """Run timers as they fall due, until cancelled."""
        while True:
            self._run_due()
            self._changed.clear()
            delay = (self._timers[0].when - self.now()) / self._speed if self._timers else None
            try:
                async with asyncio.timeout(None if delay is None else max(delay, 0.001)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _add(self, timer: Timer) -> Timer:
        heapq.heappush(self._timers, timer)
        self._changed.set()
        return timer

    def _run_due(self) -> None:
        now = self.now()
        while self._timers and self._timers[0].when <= now:
            timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            try:
                timer.callback()
            except Exception:
                logger.exception("a timer failed")
            if timer.interval is not None and not timer.cancelled:
                timer.when = now + timer.interval
                heapq.heappush(self._timers, timer)
