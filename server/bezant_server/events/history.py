"""The events history: stored off the event loop, in order, in batches."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from bezant_server.errors import ServerUnavailable
from bezant_server.events.clock import Clock
from bezant_server.events.ring import Event
from bezant_server.events.store import Page, Retention, Store, StoreUnusable

_BATCH = 1000
_RETRY_SECS = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HistoryStats:
    """What operators see of the history.

    Attributes:
        queued: events that wait to be stored.
        written: events stored by this process.
        dropped: events lost to the history because the queue was full or the disk failed at shutdown.
        writer_alive: whether the thread that stores them runs.
        last_error: why events cannot be stored at present; None while they can.
        db_bytes: size on disk, the write-ahead log included.
    """

    queued: int
    written: int
    dropped: int
    writer_alive: bool
    last_error: str | None
    db_bytes: int


class History:
    """Stores events in SQLite from a thread of its own, and answers queries beside it.

    A full or broken disk is reported once, capture goes on, and storing resumes when the disk does. What does not fit
    the queue meanwhile is dropped and counted.

    Args:
        store: the database.
        queue_cap: events that may wait.
        flush_secs: longest that an event waits on a healthy disk.
        prune_secs: how often old events are deleted.
        retention: how long events are kept.
        close_secs: longest wait for the last batch at shutdown.
        clock: tells what is old.
    """

    def __init__(
        self,
        store: Store,
        *,
        queue_cap: int,
        flush_secs: float,
        prune_secs: float,
        retention: Retention,
        close_secs: float,
        clock: Clock,
    ) -> None:
        self._store = store
        self._queue_cap = queue_cap
        self._flush_secs = flush_secs
        self._prune_secs = prune_secs
        self._retention = retention
        self._close_secs = close_secs
        self._clock = clock
        self._queue: deque[Event] = deque()
        self._wakeup = threading.Condition()
        self._closing = False
        self._written = 0
        self._dropped = 0
        self._error: str | None = None
        self._reads = asyncio.Semaphore(2)
        self._thread = threading.Thread(target=self._write_forever, name="events-history")

    def start(self) -> None:
        """Start storing."""
        self._thread.start()

    def offer(self, event: Event) -> None:
        """Queue an event; never blocks. Without room it is dropped and counted."""
        with self._wakeup:
            if len(self._queue) >= self._queue_cap:
                self._dropped += 1
                return
            self._queue.append(event)
            if len(self._queue) == 1:
                self._wakeup.notify()

    async def page(self, topic: str, *, since_ms: int, after_cursor: int, limit: int) -> list[Event]:
        """Stored events of a topic; see `Store.page`.

        Raises:
            ServerUnavailable: the database cannot be read at present.
        """
        async with self._reads:
            try:
                return await asyncio.to_thread(
                    self._store.page, Page(topic, since_ms=since_ms, after_cursor=after_cursor, limit=limit)
                )
            except (sqlite3.Error, StoreUnusable) as error:
                raise ServerUnavailable(f"the events history cannot be read: {error}") from error

    async def knows(self, topic: str, cursor: int) -> bool:
        """Whether an event of a topic is stored.

        Raises:
            ServerUnavailable: the database cannot be read at present.
        """
        async with self._reads:
            try:
                return await asyncio.to_thread(self._store.knows, topic, cursor)
            except (sqlite3.Error, StoreUnusable) as error:
                raise ServerUnavailable(f"the events history cannot be read: {error}") from error

    def stats(self) -> HistoryStats:
        """Counters and sizes."""
        return HistoryStats(
            queued=len(self._queue),
            written=self._written,
            dropped=self._dropped,
            writer_alive=self._thread.is_alive(),
            last_error=self._error,
            db_bytes=self._store.size_bytes(),
        )

    async def aclose(self) -> None:
        """Store what waits, then stop.

        The thread is told before anything is awaited, and the process waits for it at exit: a caller that is cancelled
        here loses nothing.
        """
        with self._wakeup:
            self._closing = True
            self._wakeup.notify()
        await asyncio.to_thread(self._thread.join, self._close_secs)

    def _write_forever(self) -> None:
        prune_at = self._clock.monotonic()
        try:
            while self._wait_for_events(until=prune_at):
                healthy = self._guarded(self._write_queued)
                if healthy and self._clock.monotonic() >= prune_at:
                    prune_at = self._clock.monotonic() + self._prune_secs
                    healthy = self._guarded(self._prune)
                if not healthy:
                    self._pause()
            self._guarded(self._write_queued)
            if self._queue:
                self._dropped += len(self._queue)
                _log.error("%d events were not stored: %s", len(self._queue), self._error)
        finally:
            self._store.close()

    def _wait_for_events(self, *, until: float) -> bool:
        """Wait for something to do; False once the history is closing."""
        with self._wakeup:
            if not self._queue and not self._closing:
                self._wakeup.wait(max(until - self._clock.monotonic(), 0.0))
            if self._queue and not self._closing:
                # Events come in bursts: one transaction for all that arrive within this time.
                self._wakeup.wait(self._flush_secs)
            return not self._closing

    def _pause(self) -> None:
        with self._wakeup:
            if not self._closing:
                self._wakeup.wait(_RETRY_SECS)

    def _write_queued(self) -> None:
        while self._queue:
            # Events leave the queue only once they are stored. Only this thread takes from it.
            with self._wakeup:
                batch = list(islice(self._queue, _BATCH))
            self._store.write(batch)
            with self._wakeup:
                for _ in batch:
                    self._queue.popleft()
            self._written += len(batch)

    def _prune(self) -> None:
        self._store.prune(self._retention, now_ms=self._clock.wall_ms())

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Do the disk's work; a failure, whatever it is, is reported when it begins and when it ends."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  a thread that ends takes the history with it
            self._store.close()
            reason = f"{type(error).__name__}: {error}"
            if self._error is None:
                _log.error("the events history cannot be stored, events are captured all the same: %s", reason)
            self._error = reason
            return False
        if self._error is not None:
            self._error = None
            _log.info("the events history is stored again; %d events are missing from it", self._dropped)
        return True
