"""What an account holds, and what its working orders are going to bring."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from bezant.v1 import order_pb2
from bezant.v1 import portfolio_service_pb2 as portfolio_pb
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.cpapi import decimals
from bezant_server.cpapi.client import segment
from bezant_server.orders import decode as orders_decode
from bezant_server.orders import vocabulary
from bezant_server.orders.book import Book, Listing
from bezant_server.portfolio import decode as portfolio_decode
from bezant_server.portfolio.positions import Positions
from bezant_server.session.messages import timestamp
from bezant_server.session.typed import Need, TypedGateway

_FRESH_FILL_SECS = 10.0
_SETTLING_SECS = 1.0
_SETTLING_TRIES = 5
_PAGE = 1000

_CONDITIONAL = frozenset(
    {
        order_pb2.ORDER_TYPE_STOP,
        order_pb2.ORDER_TYPE_STOP_LIMIT,
        order_pb2.ORDER_TYPE_TRAILING_STOP,
        order_pb2.ORDER_TYPE_TRAILING_STOP_LIMIT,
        order_pb2.ORDER_TYPE_MARKET_IF_TOUCHED,
        order_pb2.ORDER_TYPE_LIMIT_IF_TOUCHED,
    }
)
"""Types that wait for a price: protection that may never be needed."""

Quantities = Mapping[int, Decimal]
"""Signed quantities by conid; 0 for what is not there."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """An account at a moment.

    Attributes:
        positions: what it holds.
        working: what its working orders will bring.
        listing: the orders as they were listed.
    """

    positions: Quantities
    working: Quantities
    listing: Listing


class HoldingsReader:
    """Reads them.

    Args:
        gateway: where it asks.
        book: lists orders.
        now: seconds since 1970.
    """

    def __init__(self, gateway: TypedGateway, book: Book, *, now: Callable[[], float]) -> None:
        self._gateway = gateway
        self._positions = Positions(gateway)
        self._book = book
        self._now = now

    async def read(self, account: str) -> Holdings:
        """The account now, past every cache.

        Orders are listed before positions are read: what is filled in between counts twice, and too little is ordered,
        never too much. IBKR books a fill into the position a moment after it shows the order as filled, so positions
        are read again until they stand still, while a fill is that fresh.
        """
        listing = await self._book.live(account)
        orders = [orders_decode.order(row) for row in listing.rows]
        positions = await self._held(account)
        if any(self._is_fresh_fill(order) for order in orders):
            for _ in range(_SETTLING_TRIES):
                await asyncio.sleep(_SETTLING_SECS)
                before, positions = positions, await self._held(account)
                if positions == before:
                    break
        working: defaultdict[int, Decimal] = defaultdict(Decimal)
        for order in orders:
            if order.account_id in ("", account) and is_working(order):
                sign = 1 if order.side == order_pb2.ORDER_SIDE_BUY else -1
                working[order.conid] += sign * Decimal(order.remaining_quantity or "0")
        return Holdings(positions, working, listing)

    async def stocks(self, account: str) -> pb.ListStockPositionsResponse:
        """The stocks that an account holds, and what it is worth."""
        owner = segment(account)
        await self._gateway.change(
            "POST", f"/portfolio/{owner}/positions/invalidate", need=Need.PORTFOLIO, account=account
        )
        found: list[portfolio_pb.Position] = []
        more = True
        while more:
            page, more = await self._positions.slice(account, model="", offset=len(found), size=_PAGE)
            found += page
        answer = await self._gateway.read(f"/portfolio/{owner}/summary", need=Need.PORTFOLIO, account=account)
        total = portfolio_decode.summary(account, answer).total
        return pb.ListStockPositionsResponse(
            account_id=account,
            positions=[
                pb.StockPosition(
                    symbol=each.symbol or each.description,
                    quantity=each.quantity,
                    average_cost=each.average_cost if each.HasField("average_cost") else None,
                    conid=each.conid,
                )
                for each in found
                if each.security_type == "STK" and Decimal(each.quantity or "0") != 0
            ],
            net_liquidation=total.net_liquidation.amount if total.HasField("net_liquidation") else None,
            updated_at=timestamp(self._now()),
        )

    async def _held(self, account: str) -> dict[int, Decimal]:
        held: defaultdict[int, Decimal] = defaultdict(Decimal)
        for each in await self._positions.uncached(account, model=""):
            held[each.conid] += Decimal(each.quantity or "0")
        return held

    def _is_fresh_fill(self, order: order_pb2.Order) -> bool:
        filled = decimals.parse(order.filled_quantity)
        return bool(filled) and self._now() - order.last_changed_at.ToMilliseconds() / 1000 < _FRESH_FILL_SECS


def is_working(order: order_pb2.Order) -> bool:
    """Whether an order is going to be filled, as far as one can say.

    Those that wait for a price, and the children of a bracket, are protection: counted as if they were filled, they
    would have the same shares bought again.
    """
    return (
        order.status not in (*vocabulary.TERMINAL, order_pb2.ORDER_STATUS_INACTIVE, order_pb2.ORDER_STATUS_WARN_STATE)
        and order.order_type not in _CONDITIONAL
        and not order.parent_order_id
    )
