"""Looks for orders whose answer was lost, and tells what it found. It never sends an order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from bezant_server.backoff import Backoff
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi import document
from bezant_server.cpapi.caller import Caller
from bezant_server.cpapi.document import Row
from bezant_server.errors import BezantError
from bezant_server.orders import audit
from bezant_server.orders.absence import Absences
from bezant_server.orders.book import Book, Listing

_log = logging.getLogger(__name__)

MOST_LOST = 200
"""Orders looked for at a time; of more, the newest."""
_LOOK_SECS = 60.0

Report = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class _Lost:
    account: str
    client_order_id: str


class Search:
    """See the module.

    Args:
        book: where it looks.
        report: told what was found, as a frame of the topic `order_outcomes`.
        backoff: the waits between two looks.
    """

    def __init__(self, *, book: Book, report: Report, backoff: Backoff) -> None:
        self._book = book
        self._report = report
        self._backoff = backoff
        self._absences = Absences()
        self._lost: dict[str, _Lost] = {}
        self._news = asyncio.Event()

    def look_for(self, account: str, client_order_id: str) -> None:
        """Begin to look for an order."""
        if not client_order_id:
            return
        while len(self._lost) >= MOST_LOST:
            oldest = next(iter(self._lost))
            del self._lost[oldest]
            _log.warning("too many orders are looked for; giving one up", extra={"client_order_id": oldest})
        self._lost[client_order_id] = _Lost(account, client_order_id)
        self._backoff.reset()
        self._news.set()

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        while True:
            if not self._lost:
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep(self._backoff.next())
            for account in dict.fromkeys(lost.account for lost in self._lost.values()):
                # IBKR lists orders once in five seconds, for all who ask.
                callers.enter(Caller(deadline=time.monotonic() + _LOOK_SECS))
                try:
                    self._compare(account, await self._book.live(account))
                except BezantError as error:
                    _log.info("the search for an order goes on", extra={"reason": error.message})

    def _compare(self, account: str, listing: Listing) -> None:
        for lost in [each for each in self._lost.values() if each.account == account]:
            row = listing.of(lost.client_order_id)
            if row is not None or self._absences.lacks(lost.client_order_id, listing):
                del self._lost[lost.client_order_id]
                self._absences.seen(lost.client_order_id)
                self._tell(lost, row)

    def _tell(self, lost: _Lost, row: Row | None) -> None:
        found = row is not None
        audit.acted(
            "search",
            account=lost.account,
            client_order_id=lost.client_order_id,
            order_id="" if row is None else row.text("orderId"),
            outcome="found" if found else "not found",
        )
        arguments = {"acctId": lost.account, "cOID": lost.client_order_id, "found": found, "order": None}
        if row is not None:
            arguments["order"] = {name: row.raw(name) for name in row}
        self._report(document.dump({"topic": "order_outcomes", "args": arguments}))
