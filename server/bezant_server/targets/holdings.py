"""What an account holds, and what its working orders are going to bring."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bezant.v1 import order_pb2
from bezant.v1 import portfolio_service_pb2 as portfolio_pb
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.cpapi.client import segment
from bezant_server.errors import UpstreamDecodeError, UpstreamNotPrimed
from bezant_server.orders import decode as orders_decode
from bezant_server.orders import vocabulary
from bezant_server.orders.book import Book, Listing
from bezant_server.portfolio import decode as portfolio_decode
from bezant_server.portfolio.positions import Positions
from bezant_server.session.messages import timestamp
from bezant_server.session.typed import Need, TypedGateway
from bezant_server.targets.tracking import Tracker, Unseen

_SKEW_SECS = 30.0
"""By so much our clock may be ahead of IBKR's."""
_LISTS = 4
_MOST_FILLS = 10_000
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

_SIGNS = {order_pb2.ORDER_SIDE_BUY: 1, order_pb2.ORDER_SIDE_SELL: -1}

Quantities = Mapping[int, Decimal]
"""Signed quantities by conid; 0 for what is not there."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """An account at a moment.

    Attributes:
        positions: what it holds.
        working: what its working orders will bring.
        blocked: why nothing may be ordered of a contract, by conid.
    """

    positions: Quantities
    working: Quantities
    blocked: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class _Orders:
    """The orders of an account for some contracts, as IBKR lists them and as we know better."""

    listed: Sequence[order_pb2.Order]
    unseen: Unseen

    def working(self) -> dict[int, Decimal]:
        """What they will bring, signed, by conid."""
        quantities: defaultdict[int, Decimal] = defaultdict(Decimal, self.unseen.working)
        for order in self.listed:
            if is_working(order):
                quantities[order.conid] += _SIGNS[order.side] * Decimal(order.remaining_quantity)
        return quantities

    def progress(self) -> Mapping[int, object]:
        """How far they have come, by conid: as long as that is the same, nothing was filled or ended."""
        states: defaultdict[int, list[object]] = defaultdict(list)
        for order in sorted(self.listed, key=lambda each: each.order_id):
            states[order.conid].append((order.order_id, is_working(order), order.filled_quantity))
        for conid, quantity in self.unseen.working.items():
            states[conid].append(quantity)
        return states


class HoldingsReader:
    """Reads them.

    Args:
        gateway: where it asks.
        book: lists orders.
        tracker: knows our own orders.
        booking_secs: so long after a fill IBKR has booked it into the position.
        now: seconds since 1970.
    """

    def __init__(
        self, gateway: TypedGateway, book: Book, tracker: Tracker, *, booking_secs: float, now: Callable[[], float]
    ) -> None:
        self._gateway = gateway
        self._positions = Positions(gateway)
        self._book = book
        self._tracker = tracker
        self._booking_secs = booking_secs
        self._now = now
        self._fills: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def read(self, account: str, conids: Collection[int]) -> Holdings:
        """An account now, past every cache, as far as some contracts are concerned.

        Positions and orders come from different places, and between the two readings an order may be filled: it would
        count twice, or not at all. So orders are listed before and after, until nothing has happened in between; a
        contract whose orders do not stand still is blocked. A fill that is younger than some seconds is waited for:
        IBKR shows an order as filled a moment before it has booked the position.

        Raises:
            UpstreamNotPrimed: IBKR does not list the orders.
        """
        before = await self._orders(account, conids)
        for _ in range(_LISTS):
            await self._until_booked(before.listed)
            positions = await self._held(account)
            if not before.working():
                return Holdings(positions, {}, before.unseen.lost)
            after = await self._orders(account, conids)
            was, now = before.progress(), after.progress()
            moved = {conid for conid in conids if was.get(conid) != now.get(conid)}
            if not moved:
                return Holdings(positions, after.working(), after.unseen.lost)
            before = after
        restless = dict.fromkeys(moved, "its working orders are being filled or changed all the time: try again")
        return Holdings(positions, before.working(), {**restless, **before.unseen.lost})

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

    async def _orders(self, account: str, conids: Collection[int]) -> _Orders:
        """The orders, once what IBKR does not list of ours is either young enough for that or certainly not there."""
        for _ in range(_LISTS):
            listing = await self._book.live(account)
            if not listing.ready:
                raise UpstreamNotPrimed(
                    "IBKR has not made the list of orders yet, and what works cannot be told: try again"
                )
            unseen = await self._tracker.unseen(account, listing)
            if unseen.doubtful.isdisjoint(conids):
                break
        return _Orders(_of(account, conids, listing), unseen)

    async def _held(self, account: str) -> dict[int, Decimal]:
        held: defaultdict[int, Decimal] = defaultdict(Decimal)
        for each in await self._positions.uncached(account, model=""):
            if not each.conid or not each.HasField("quantity"):
                raise UpstreamDecodeError(
                    "IBKR tells a position without its contract or its size: nothing is ordered then"
                )
            held[each.conid] += Decimal(each.quantity)
        return held

    async def _until_booked(self, orders: Sequence[order_pb2.Order]) -> None:
        """Wait until every fill is old enough to be in the position."""
        wait = max((self._unbooked_secs(order) for order in orders), default=0.0)
        if wait > 0:
            await asyncio.sleep(wait)

    def _unbooked_secs(self, order: order_pb2.Order) -> float:
        """How long a fill needs until it is in the position for sure.

        By IBKR's clock where that can be: a fill that seems older than our clock can be wrong is. A younger one counts
        from when it was first seen here.
        """
        if Decimal(order.filled_quantity or "0") == 0:
            return 0.0
        seems_old = order.HasField("last_changed_at") and (
            self._now() - order.last_changed_at.ToMilliseconds() / 1000 > self._booking_secs + _SKEW_SECS
        )
        if seems_old:
            return 0.0
        now = time.monotonic()
        first_seen = self._fills.setdefault((order.order_id, order.filled_quantity), now)
        while len(self._fills) > _MOST_FILLS:
            self._fills.popitem(last=False)
        return max(first_seen + self._booking_secs - now, 0.0)


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


def _of(account: str, conids: Collection[int], listing: Listing) -> list[order_pb2.Order]:
    orders = [each for each in map(orders_decode.order, listing.rows) if each.account_id in ("", account)]
    if any(is_working(each) and not _is_told(each) for each in orders):
        raise UpstreamDecodeError(
            "IBKR lists a working order without its contract, its side or what is left of it: nothing is ordered then"
        )
    return [each for each in orders if each.conid in conids]


def _is_told(order: order_pb2.Order) -> bool:
    return bool(order.conid) and order.side in _SIGNS and order.HasField("remaining_quantity")
