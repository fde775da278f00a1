"""Puts the orders together."""

from __future__ import annotations

from random import Random
from typing import NoReturn

from bezant_server.backoff import Backoff
from bezant_server.orders.book import Book
from bezant_server.orders.desk import Desk
from bezant_server.orders.search import Report, Search
from bezant_server.orders.service import OrdersService
from bezant_server.session.typed import TypedGateway

_FIRST_LOOK_SECS = 1.0
_LAST_LOOK_SECS = 30.0


class Orders:
    """OrdersService, and the search that goes on beside it.

    Args:
        gateway: where orders go.
        report: told what became of orders whose answer was lost, as frames of the topic `order_outcomes`.

    Attributes:
        book: reads orders.
        desk: sends them.
        service: the RPCs.
    """

    def __init__(self, gateway: TypedGateway, report: Report) -> None:
        self.book = Book(gateway)
        jitter = Random()  # noqa: S311  it needs no secret
        waits = Backoff(minimum=_FIRST_LOOK_SECS, maximum=_LAST_LOOK_SECS, random=jitter)
        self._search = Search(book=self.book, report=report, backoff=waits)
        self.desk = Desk(gateway=gateway, book=self.book, search=self._search)
        self.service = OrdersService(gateway=gateway, desk=self.desk, book=self.book)

    async def run(self) -> NoReturn:
        """Look for lost orders until cancelled."""
        await self._search.run()

    async def drain(self, wait_secs: float) -> None:
        """Let what was sent come to its end, at most so long."""
        await self.desk.drain(wait_secs)
