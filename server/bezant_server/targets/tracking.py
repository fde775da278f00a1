"""What became of orders: those whose answer was lost are looked for, the others are brought up to date.

An order that IBKR lists is what IBKR says. One that it does not list is judged by its executions, and else only once
several complete lists lack it: a list may be late, or in the making. Whatever was concluded from an absence is taken
back if the order is seen after all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from bezant.v1 import order_pb2
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.document import Row
from bezant_server.orders import decode, vocabulary
from bezant_server.orders.absence import Absences
from bezant_server.orders.book import Book, Listing
from bezant_server.targets import statuses
from bezant_server.targets.ledger import Ledger
from bezant_server.targets.records import Batch, Entry, Phase
from bezant_server.targets.spelling import BUY, UNKNOWN, plain

_DAY_SECS = 24 * 3600.0
_MOST_DAYS = 7
"""Days of executions that IBKR tells, today's among them."""
_TOLD_SECS = (_MOST_DAYS - 1) * _DAY_SECS
"""For so long after it was sent every execution of an order is told."""
_PRICE_DIGITS = 8
_WORKING = vocabulary.STATUSES - vocabulary.TERMINAL - {order_pb2.ORDER_STATUS_INACTIVE}
_LOOKED_FOR = frozenset({Phase.SENDING, Phase.PLACED, Phase.MISSING})


@dataclass(frozen=True, slots=True)
class Unseen:
    """What of our own orders a list of IBKR's does not show, by conid.

    Attributes:
        working: what orders are going to bring that IBKR has taken and does not list yet, signed.
        doubtful: whether a further list might tell more of those.
        lost: why nothing may be ordered: an order may be working, and nobody knows.
    """

    working: Mapping[int, Decimal]
    doubtful: frozenset[int]
    lost: Mapping[int, str]


class Tracker:
    """See the module.

    Args:
        book: lists orders and executions.
        ledger: the database.
        search_secs: so long after it was sent IBKR lists an order, if it has taken it.
        now: seconds since 1970.
    """

    def __init__(self, *, book: Book, ledger: Ledger, search_secs: float, now: Callable[[], float]) -> None:
        self._book = book
        self._ledger = ledger
        self._search_secs = search_secs
        self._now = now
        self._absences = Absences()

    async def refresh(self, batch: Batch) -> None:
        """Bring the orders of a batch up to date, here and on disk."""
        entries = [entry for entry in batch.entries if entry.phase in _LOOKED_FOR]
        if entries:
            await self._update(batch.account, entries, await self._list(batch.account))

    async def refresh_all(self, account: str, *, but: Collection[str]) -> None:
        """Bring the open orders of an account up to date, on disk.

        Args:
            account: theirs.
            but: batches that are being placed: what comes of their orders is noted there.
        """
        entries = [entry for entry in await self._ledger.open(account) if entry.batch_id not in but]
        if entries:
            await self._update(account, entries, await self._list(account))

    async def unseen(self, account: str, listing: Listing) -> Unseen:
        """Compare the open orders of an account with a list of IBKR's; what it does not show."""
        entries = await self._ledger.open(account)
        await self._update(account, entries, listing)
        working: dict[int, Decimal] = {}
        doubtful = set()
        lost = {}
        for entry in entries:
            order = entry.order
            if entry.phase is Phase.SENDING:
                lost[order.conid] = (
                    f"an order of batch {entry.batch_id} for this contract may be working: its outcome is not known "
                    "yet, and looked for"
                )
            elif entry.phase is Phase.PLACED and order.status in statuses.OPEN and _row_of(entry, listing) is None:
                left = Decimal(order.quantity) - Decimal(order.filled_quantity)
                working[order.conid] = working.get(order.conid, Decimal(0)) + (left if order.action == BUY else -left)
                if self._age_secs(entry) >= self._search_secs:
                    doubtful.add(order.conid)
        return Unseen(working, frozenset(doubtful), lost)

    async def _list(self, account: str) -> Listing:
        # What is concluded from a list must not be concluded from an earlier answer.
        callers.enter(replace(callers.current(), max_age_secs=0.0))
        return await self._book.live(account)

    async def _update(self, account: str, entries: Sequence[Entry], listing: Listing) -> None:
        listed = [(entry, _row_of(entry, listing)) for entry in entries]
        for entry, row in listed:
            if row is not None:
                self._absences.seen(entry.order.client_order_id)
                _show(entry, decode.order(row))
        wanting = [(entry, row) for entry, row in listed if row is None or _lacks_commission(entry)]
        if wanting:
            oldest = max(self._age_secs(entry) for entry, _ in wanting)
            # IBKR counts calendar days: what is an hour old may be yesterday's.
            days = min(int(oldest // _DAY_SECS) + 2, _MOST_DAYS)
            executions = [decode.execution(row) for row in await self._book.executions(account, days)]
            for entry, row in wanting:
                _book(entry, [each for each in executions if _is_of(entry, each)], priced=row is not None)
                if row is None:
                    self._judge_unlisted(entry, listing)
        for entry in entries:
            self._end(entry)
        await self._ledger.update(entries)

    def _judge_unlisted(self, entry: Entry, listing: Listing) -> None:
        order, age = entry.order, self._age_secs(entry)
        is_missing = self._absences.lacks(order.client_order_id, listing) and age >= self._search_secs
        if Decimal(order.filled_quantity) >= Decimal(order.quantity):
            entry.settle(Phase.PLACED, pb.TARGET_STATUS_FILLED)
        elif age > _TOLD_SECS:
            known = entry.phase is Phase.PLACED or order.filled_quantity != "0"
            entry.settle(
                Phase.ENDED,
                pb.TARGET_STATUS_INACTIVE if known else pb.TARGET_STATUS_ERROR,
                ("" if known else f"{UNKNOWN}: ")
                + "IBKR tells no more of this order: what was filled of it is in the account's statements",
            )
        elif entry.phase is not Phase.PLACED and order.filled_quantity != "0":
            entry.settle(Phase.PLACED, pb.TARGET_STATUS_SUBMITTED)
        elif is_missing and entry.phase is Phase.PLACED:
            entry.settle(Phase.MISSING, pb.TARGET_STATUS_INACTIVE, order.error)
        elif is_missing and entry.phase is Phase.SENDING:
            entry.settle(Phase.MISSING, pb.TARGET_STATUS_ERROR, "not placed: IBKR lists no such order")

    def _end(self, entry: Entry) -> None:
        """Nothing more happens to an order that is over and whose commission is known, or will not be."""
        over = entry.order.status in (pb.TARGET_STATUS_FILLED, pb.TARGET_STATUS_CANCELLED)
        if over and (not _lacks_commission(entry) or self._age_secs(entry) > _TOLD_SECS):
            entry.phase = Phase.ENDED

    def _age_secs(self, entry: Entry) -> float:
        return self._now() - (entry.sent_at_ms or 0) / 1000


def _row_of(entry: Entry, listing: Listing) -> Row | None:
    """The order as it is listed."""
    order = entry.order
    return listing.of(order.client_order_id) or (listing.numbered(order.order_id) if order.order_id else None)


def _is_of(entry: Entry, execution: order_pb2.Execution) -> bool:
    order = entry.order
    return execution.client_order_id == order.client_order_id or execution.order_id == (order.order_id or "-")


def _lacks_commission(entry: Entry) -> bool:
    return entry.order.filled_quantity != "0" and not entry.order.HasField("commission")


def _show(entry: Entry, shown: order_pb2.Order) -> None:
    order = entry.order
    order.order_id = shown.order_id or order.order_id
    # Why IBKR has ended it, if it was IBKR.
    error = "" if shown.status in (order_pb2.ORDER_STATUS_FILLED, *_WORKING) else shown.reason
    entry.settle(Phase.PLACED, statuses.of_order(shown.status), error)
    if shown.HasField("filled_quantity"):
        filled = plain(Decimal(shown.filled_quantity))
        if filled != order.filled_quantity:
            # Of an earlier part.
            order.ClearField("commission")
        order.filled_quantity = filled
    if order.filled_quantity != "0" and shown.HasField("average_price"):
        order.average_fill_price = shown.average_price


def _book(entry: Entry, executions: Sequence[order_pb2.Execution], *, priced: bool) -> None:
    """What the executions of an order add up to; `priced` if IBKR has told the average price of its fills itself."""
    order = entry.order
    # IBKR gives an execution again when its commission is known.
    latest = {
        each.execution_id: each
        for each in sorted(executions, key=lambda each: each.HasField("commission"))
        if each.HasField("quantity") and each.HasField("price")
    }.values()
    if not latest:
        return
    filled = sum((Decimal(each.quantity) for each in latest), Decimal(0))
    order.order_id = order.order_id or next((each.order_id for each in latest if each.order_id), "")
    if filled > Decimal(order.filled_quantity):
        order.filled_quantity = plain(filled)
        priced = False
    if not priced:
        paid = sum((Decimal(each.quantity) * Decimal(each.price) for each in latest), Decimal(0))
        order.average_fill_price = plain(round(paid / filled, _PRICE_DIGITS))
    if filled >= Decimal(order.filled_quantity) and all(each.HasField("commission") for each in latest):
        order.commission = plain(sum((Decimal(each.commission) for each in latest), Decimal(0)))
