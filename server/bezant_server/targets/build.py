"""Puts the target orders together."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from random import Random
from typing import NoReturn

from bezant_server.backoff import Backoff
from bezant_server.config import ConfigError, Settings
from bezant_server.contracts.resolving import Resolver
from bezant_server.contracts.trading_rules import TradingRules
from bezant_server.orders.build import Orders
from bezant_server.rpc.rows import Rows
from bezant_server.session.keeper import SessionKeeper
from bezant_server.session.typed import TypedGateway
from bezant_server.targets.accounts import Accounts
from bezant_server.targets.batches import Batches
from bezant_server.targets.failpoints import Failpoints
from bezant_server.targets.holdings import HoldingsReader
from bezant_server.targets.ledger import Ledger
from bezant_server.targets.placing import Placer
from bezant_server.targets.planning import Planner
from bezant_server.targets.rest_service import TargetOrdersRestService
from bezant_server.targets.service import TargetOrdersService
from bezant_server.targets.store import NewerSchema, Store, StoreUnusable
from bezant_server.targets.tracking import Tracker

_log = logging.getLogger(__name__)

_FIRST_LOOK_SECS = 1.0
_LAST_LOOK_SECS = 60.0


class Targets:
    """TargetOrdersService, the same as JSON, and the search that goes on beside them.

    Args:
        settings: the configuration.
        gateway: where they ask.
        keeper: the session.
        orders: sends and lists orders.
        rows: what the segments of a path mean.
        now: seconds since 1970.

    Attributes:
        service: the typed one.
        rest: the JSON.

    Raises:
        ConfigError: a newer server has written the database.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        gateway: TypedGateway,
        keeper: SessionKeeper,
        orders: Orders,
        rows: Rows,
        now: Callable[[], float],
    ) -> None:
        failpoints = Failpoints(settings.failpoint)
        self._ledger = Ledger(_store(settings), now=now)
        tracker = Tracker(book=orders.book, ledger=self._ledger, search_secs=settings.target_search_secs, now=now)
        holdings = HoldingsReader(gateway, orders.book, tracker, booking_secs=settings.target_booking_secs, now=now)
        accounts = Accounts(
            gateway=gateway,
            keeper=keeper,
            allowed=settings.accounts,
            default=settings.default_account,
            live=settings.target_live,
        )
        self._batches = Batches(
            accounts=accounts,
            planner=Planner(resolver=Resolver(gateway), rules=TradingRules(gateway)),
            holdings=holdings,
            placer=Placer(
                desk=orders.desk,
                ledger=self._ledger,
                confirmed=frozenset(settings.confirm_message_ids),
                failpoints=failpoints,
                now=now,
            ),
            tracker=Tracker(book=orders.book, ledger=self._ledger, search_secs=settings.target_search_secs, now=now),
            desk=orders.desk,
            ledger=self._ledger,
            failpoints=failpoints,
            backoff=Backoff(minimum=_FIRST_LOOK_SECS, maximum=_LAST_LOOK_SECS, random=Random()),  # noqa: S311  jitter
            now=now,
        )
        self.service = TargetOrdersService(accounts=accounts, batches=self._batches, holdings=holdings)
        self.rest = TargetOrdersRestService(accounts=accounts, batches=self._batches, holdings=holdings, rows=rows)

    async def run(self) -> NoReturn:
        """Finish what a crash has cut short, and look for lost orders, until cancelled."""
        await self._batches.run()

    def stop(self) -> None:
        """Begin to end: no further order is sent."""
        self._batches.stop()

    async def drain(self, wait_secs: float) -> None:
        """Let the batches under way come to their end, at most so long."""
        await self._batches.drain(wait_secs)

    async def aclose(self) -> None:
        """Let go of the database, once `run` has ended."""
        await self._ledger.close()


def _store(settings: Settings) -> Store:
    store = Store(settings.state_db_path)
    try:
        store.open()
    except NewerSchema as error:
        raise ConfigError(f"BEZANT_STATE_DB_PATH: {error}") from None
    except (sqlite3.Error, OSError, StoreUnusable) as error:
        # Everything else can be served; target orders are refused until it can be used.
        _log.error("the database of target orders cannot be used", extra={"reason": str(error)})
    return store
