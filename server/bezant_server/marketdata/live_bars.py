"""Bars as they form: the newest are asked for again and again, once for all who follow them.

IBKR's socket answers a request for bars once and sends nothing more (its documentation), so asking is all there is.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import marketdata_service_pb2 as pb
from bezant_server.errors import BezantError, TooManyFeeds
from bezant_server.marketdata.bars import BARS, MOST_BARS, Bars, Wanted, period_secs, smallest_bar

_MOST_FEEDS = 10
_SHARE = 12
"""A bar is asked for so often while it forms."""
_SHORTEST_SECS, _LONGEST_SECS = 5.0, 60.0
_AFTER_END_SECS = 1.0
"""How long after a bar's end its last state is asked for."""
_PERIODS = ("10min", "30min", "2h", "8h", "1d", "1w", "1m", "3m", "1y", "15y")

_log = logging.getLogger(__name__)


class LiveBars:
    """The newest bars of one kind.

    Args:
        wanted: their kind.
        bars: reads them.
        now: seconds since 1970.

    Attributes:
        version: grows with each bar that is new or has changed.
        refreshed_at: when they were last had from the gateway; None when never.
        watchers: set whenever a bar is new or has changed.
    """

    def __init__(self, wanted: Wanted, bars: Bars, *, now: Callable[[], float]) -> None:
        self.version = 0
        self.refreshed_at: Timestamp | None = None
        self.watchers: set[asyncio.Event] = set()
        self._wanted = wanted
        self._bars = bars
        self._now = now
        self._size = BARS[wanted.bar]
        self._known: OrderedDict[int, tuple[pb.BarUpdate, int]] = OrderedDict()

    def since(self, version: int) -> tuple[list[pb.BarUpdate], int]:
        """Bars that are newer than a version, the oldest first, and the version now."""
        return [update for update, came in self._known.values() if came > version], self.version

    def begin(self, bars: Iterable[pb.Bar]) -> None:
        """Know what a reader was given, without news of it."""
        self._note(bars)
        self._known = OrderedDict((start, (update, 0)) for start, (update, _) in self._known.items())

    async def run(self) -> None:
        """Ask for the newest as they fall due, until cancelled."""
        pause = self._interval()
        while True:
            await asyncio.sleep(min(pause, self._until_end()))
            try:
                await self._refresh()
            except BezantError as error:
                _log.debug("the newest bars of conid %d were not had: %s", self._wanted.conid, error.message)
            except Exception:  # noqa: BLE001  those who follow would wait for news that never come
                _log.exception("a defect kept the newest bars of conid %d from being had", self._wanted.conid)
            else:
                pause = self._interval()
                continue
            # While nothing is to be had, such as at night, it is asked for less often.
            pause = min(2 * pause, _LONGEST_SECS)

    async def _refresh(self) -> None:
        response = await self._bars.read(self._range())
        self.refreshed_at = Timestamp()
        self.refreshed_at.GetCurrentTime()
        if self._note(response.bars):
            for watcher in self.watchers:
                watcher.set()

    def _note(self, bars: Iterable[pb.Bar]) -> bool:
        before = self.version
        newest = next(reversed(self._known), 0)
        ordered = sorted(bars, key=lambda bar: bar.start_time.ToMilliseconds())
        for index, bar in enumerate(ordered):
            start = bar.start_time.ToMilliseconds()
            is_over = index + 1 < len(ordered) or start / 1000 + self._size <= self._now()
            update = pb.BarUpdate(bar=bar, is_complete=is_over)
            known = self._known.get(start)
            if (known is None and start > newest) or (known is not None and known[0] != update):
                self.version += 1
                self._known[start] = (update, self.version)
        while len(self._known) > MOST_BARS:
            self._known.popitem(last=False)
        return self.version != before

    def _range(self) -> Wanted:
        """What to ask for: from the newest bar known up to now."""
        newest = next(reversed(self._known), 0) / 1000 or self._now() - self._size
        span = self._now() - newest + self._size
        for period in _PERIODS:
            length = period_secs(period) or 0
            if length >= span and self._size >= smallest_bar(period) and length / self._size <= MOST_BARS:
                return replace(self._wanted, period=period, start=None, end=None)
        return replace(self._wanted, period="", start=newest, end=None)

    def _interval(self) -> float:
        return min(max(self._size / _SHARE, _SHORTEST_SECS), _LONGEST_SECS)

    def _until_end(self) -> float:
        return self._size - self._now() % self._size + _AFTER_END_SECS


class BarFeeds:
    """The bars that are followed.

    Args:
        bars: reads them.
        now: seconds since 1970.
    """

    def __init__(self, bars: Bars, *, now: Callable[[], float]) -> None:
        self._bars = bars
        self._now = now
        self._feeds: dict[Wanted, tuple[LiveBars, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def follow(
        self, wanted: Wanted, news: asyncio.Event
    ) -> AsyncIterator[tuple[pb.ListBarsResponse, LiveBars, int]]:
        """The bars of a period, what comes after them, and the version of it that the bars have.

        Raises:
            BezantError: they could not be had.
            TooManyFeeds: too many kinds are followed.
        """
        kind = replace(wanted, period="")
        held = self._feeds.get(kind)
        version = 0 if held is None else held[0].version
        if held is None:
            self._check_room()
        snapshot = await self._bars.read(wanted)
        live = self._join(kind, snapshot)
        live.watchers.add(news)
        try:
            yield snapshot, live, version if held is not None and held[0] is live else 0
        finally:
            live.watchers.discard(news)
            if not live.watchers:
                self._feeds.pop(kind)[1].cancel()

    def _join(self, kind: Wanted, snapshot: pb.ListBarsResponse) -> LiveBars:
        held = self._feeds.get(kind)
        if held is not None:
            return held[0]
        self._check_room()
        live = LiveBars(kind, self._bars, now=self._now)
        live.begin(snapshot.bars)
        # For all who follow it: not in the name of the one who came first, nor only until its deadline.
        task = asyncio.create_task(live.run(), context=contextvars.Context())
        self._feeds[kind] = (live, task)
        return live

    def _check_room(self) -> None:
        if len(self._feeds) >= _MOST_FEEDS:
            raise TooManyFeeds(f"bars of {_MOST_FEEDS} kinds are followed already; each costs calls to the gateway")
