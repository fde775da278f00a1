"""Puts the capture together from the configuration."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

from bezant_server.backoff import Backoff
from bezant_server.config import Settings
from bezant_server.cpapi.client import CpapiClient
from bezant_server.events.api import CapturedEvents, DisabledEvents, Events
from bezant_server.events.clock import Clock
from bezant_server.events.connector import Connector, ConnectorTimes
from bezant_server.events.history import History
from bezant_server.events.ladders import Ladders
from bezant_server.events.lines import Lines
from bezant_server.events.numbering import Numbering
from bezant_server.events.ring import Event
from bezant_server.events.service import Captured, EventsService
from bezant_server.events.status import StatusReport
from bezant_server.events.store import Retention, Store, StoreUnusable
from bezant_server.events.subscriptions import Subscriptions
from bezant_server.events.topics import GAP, MARKETDATA, ORDER_OUTCOMES, ORDERS, PNL, SESSION, Topics
from bezant_server.marketdata.feeds import Feeds, NoFeeds
from bezant_server.marketdata.ladder import Ladder
from bezant_server.marketdata.latest import Latest
from bezant_server.rpc.streams import OpenStreams

_log = logging.getLogger(__name__)


class CapturedFeeds:
    """What the capture has of markets."""

    def __init__(self, lines: Lines, ladders: Ladders) -> None:
        self._lines = lines
        self._ladders = ladders

    async def quote(self, conid: int, fields: Iterable[str]) -> Latest:
        """See `Feeds`."""
        return await self._lines.follow(conid, fields)

    def ladder(self, account: str, conid: int, exchange: str) -> AbstractAsyncContextManager[Ladder]:
        """See `Feeds`."""
        return self._ladders.follow(account, conid, exchange)


class Capture:
    """The running capture.

    Attributes:
        face: what callers use; it answers at once, whether or not `run` has begun.
        topics: the rings.
        feeds: what streams of market data follow.
    """

    def __init__(
        self,
        settings: Settings,
        client: CpapiClient,
        tls: ssl.SSLContext,
        *,
        clock: Clock,
        random: Random,
        on_status: Callable[[bytes], None],
    ) -> None:
        store = None if settings.events_db_path is None else Store(settings.events_db_path)
        self._history = None if store is None else _history(settings, store, clock)
        self.topics = Topics(
            capacities={
                ORDERS: settings.events_orders_cap,
                PNL: settings.events_pnl_cap,
                GAP: settings.events_gap_cap,
                MARKETDATA: settings.events_marketdata_cap,
            },
            numbering=Numbering(clock, issued=0 if store is None else _issued(store, settings.events_db_path)),
            clock=clock,
            record=_forget if self._history is None else self._history.offer,
        )
        self._lines = Lines(
            self.topics,
            clock=clock,
            max_lines=settings.events_max_conids,
            renew_secs=settings.events_renew_secs,
            release_secs=settings.events_release_secs,
        )
        self._subscriptions = Subscriptions()
        self._ladders = Ladders()
        self._connector = Connector(
            client=client,
            tls=tls,
            topics=self.topics,
            lines=self._lines,
            ladders=self._ladders,
            subscriptions=self._subscriptions,
            times=ConnectorTimes(
                open_secs=settings.connect_timeout_secs,
                ready_secs=settings.events_ready_timeout_secs,
                heartbeat_secs=settings.events_heartbeat_secs,
                silence_secs=settings.events_silence_secs,
                healthy_secs=settings.events_healthy_secs,
                max_frame_bytes=settings.events_max_frame_bytes,
            ),
            backoff=Backoff(
                minimum=settings.events_backoff_min_secs, maximum=settings.events_backoff_max_secs, random=random
            ),
            clock=clock,
            on_status=on_status,
        )
        self.face: Events = CapturedEvents(
            topics=self.topics,
            lines=self._lines,
            history=self._history,
            report=StatusReport(
                state=self._connector.state,
                topics=self.topics,
                lines=self._lines,
                history=self._history,
                clock=clock,
            ),
        )
        self.feeds: Feeds = CapturedFeeds(self._lines, self._ladders)
        # Always, also with no earlier process known: without a database nobody could tell.
        self.topics.process_restarted()

    def replace_socket(self) -> None:
        """Have a fresh socket: another brokerage session has begun."""
        self._connector.replace()

    def report(self, frame: bytes) -> None:
        """Take in a frame of the topic `order_outcomes`, which the server itself makes."""
        self.topics.publish(ORDER_OUTCOMES, frame)

    async def tell_session(self, frames: AsyncIterator[bytes]) -> None:
        """Take in the frames of the topic `session`, which the server itself makes, until there are no more."""
        async for frame in frames:
            self.topics.publish(SESSION, frame)

    def service(self, accounts: Callable[[], Sequence[str]], streams: OpenStreams) -> EventsService:
        """EventsService.

        Args:
            accounts: those of the session.
            streams: those that are open.
        """
        return EventsService(
            Captured(
                topics=self.topics,
                lines=self._lines,
                subscriptions=self._subscriptions,
                history=self._history,
                connector=self._connector.state,
                streams=streams,
                accounts=accounts,
            )
        )

    def hold_socket(self) -> None:
        """Open no socket until another session has begun."""
        self._connector.hold()

    async def run(self) -> None:
        """Capture until cancelled; then close the socket and store what is not stored yet."""
        if self._history is not None:
            self._history.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connector.run())
                tasks.create_task(self._lines.maintain())
        finally:
            if self._history is not None:
                await self._history.aclose()


class NoCapture:
    """What stands in its place while capture is off."""

    def __init__(self) -> None:
        self.face: Events = DisabledEvents()
        self.feeds: Feeds = NoFeeds()

    def replace_socket(self) -> None:
        """There is none."""

    def report(self, frame: bytes) -> None:
        """Nobody follows events."""

    async def tell_session(self, frames: AsyncIterator[bytes]) -> None:
        """Nobody follows events."""

    def service(self, accounts: Callable[[], Sequence[str]], streams: OpenStreams) -> EventsService:
        """EventsService, which says that events are off."""
        del accounts, streams
        return EventsService(None)

    def hold_socket(self) -> None:
        """There is none."""

    async def run(self) -> None:
        """Nothing to do."""


def build(
    settings: Settings, client: CpapiClient, tls: ssl.SSLContext, *, on_status: Callable[[bytes], None]
) -> Capture | NoCapture:
    """The capture as the configuration wants it; `on_status` is told of the frames that speak of the session.

    The database, if there is one, is opened here, to learn which cursors were issued before; it never stops the start.
    """
    if not settings.events_enabled:
        return NoCapture()
    jitter = Random()  # noqa: S311  it needs no secret
    return Capture(settings, client, tls, clock=Clock(), random=jitter, on_status=on_status)


def _history(settings: Settings, store: Store, clock: Clock) -> History:
    return History(
        store,
        queue_cap=settings.events_queue_cap,
        flush_secs=settings.events_flush_secs,
        prune_secs=settings.events_prune_secs,
        retention=Retention(
            orders=settings.events_retention_orders_days,
            pnl=settings.events_retention_pnl_days,
            marketdata=settings.events_retention_marketdata_days,
            gap=settings.events_retention_gap_days,
            other=settings.events_retention_other_days,
        ),
        close_secs=settings.shutdown_grace_secs,
        clock=clock,
    )


def _issued(store: Store, path: Path | None) -> int:
    try:
        return store.issued()
    except (sqlite3.Error, OSError, StoreUnusable) as error:
        _log.error("cannot open the events history at %s: %s", path, error)
        return 0
    finally:
        store.close()


def _forget(event: Event) -> None:
    """Without a history an event lives in its ring alone."""
    del event
