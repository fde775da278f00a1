"""What became of orders: those whose answer was lost are looked for, the others are brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from bezant.v1 import order_pb2
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.orders import decode, vocabulary
from bezant_server.orders.book import MOST_LISTED, Book, Listing
from bezant_server.targets import statuses
from bezant_server.targets.ledger import Ledger
from bezant_server.targets.placing import UNKNOWN
from bezant_server.targets.planning import plain
from bezant_server.targets.records import Batch, Entry, Phase

_DAY_SECS = 24 * 3600.0
"""After so long an order of the day has ended, and IBKR need not list it any more."""
_MOST_DAYS = 7
"""For so long IBKR tells executions."""
_PRICE_DIGITS = 8
_WORKING = vocabulary.STATUSES - vocabulary.TERMINAL - {order_pb2.ORDER_STATUS_INACTIVE}


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

    async def refresh(self, batch: Batch) -> None:
        """Bring the orders of a batch up to date, here and on disk."""
        entries = [entry for entry in batch.entries if entry.phase in (Phase.SENDING, Phase.PLACED)]
        if not entries:
            return
        await self._update(batch.account, entries, await self._book.live(batch.account))

    async def still_lost(self, account: str, listing: Listing) -> Mapping[int, str]:
        """Look for the lost orders of an account in a list of its orders.

        Returns:
            Why nothing may be ordered of a contract, by conid: an earlier order of it may be working, unseen.
        """
        entries = await self._ledger.lost(account)
        if entries:
            await self._update(account, entries, listing)
        return {
            entry.order.conid: f"an order of batch {entry.batch_id} for this contract may be working: its outcome is "
            "not known yet, and looked for"
            for entry in entries
            if entry.phase is Phase.SENDING
        }

    async def _update(self, account: str, entries: Sequence[Entry], listing: Listing) -> None:
        listed = [(entry, _order_of(entry, listing)) for entry in entries]
        for entry, order in listed:
            if order is not None:
                _show(entry, order)
        wanting = [(entry, order) for entry, order in listed if order is None or entry.order.filled_quantity != "0"]
        if wanting:
            oldest = max(self._age_secs(entry) for entry, _ in wanting)
            days = min(int(oldest // _DAY_SECS) + 1, _MOST_DAYS)
            executions = [decode.execution(row) for row in await self._book.executions(account, days)]
            for entry, order in wanting:
                _book(entry, [each for each in executions if _is_of(entry, each)], priced=order is not None)
                if order is None:
                    self._judge_unlisted(entry, listing)
        for entry in entries:
            self._end(entry)
        await self._ledger.update(entries)

    def _judge_unlisted(self, entry: Entry, listing: Listing) -> None:
        order, age = entry.order, self._age_secs(entry)
        if Decimal(order.filled_quantity) >= Decimal(order.quantity):
            entry.settle(Phase.PLACED, pb.TARGET_STATUS_FILLED)
        elif age >= _DAY_SECS:
            if entry.phase is Phase.PLACED or order.filled_quantity != "0":
                entry.settle(Phase.ENDED, pb.TARGET_STATUS_INACTIVE)
            else:
                entry.settle(
                    Phase.ENDED,
                    pb.TARGET_STATUS_ERROR,
                    f"{UNKNOWN}: IBKR tells neither the order nor an execution of it",
                )
        elif entry.phase is Phase.SENDING and order.filled_quantity != "0":
            entry.settle(Phase.PLACED, pb.TARGET_STATUS_SUBMITTED)
        elif entry.phase is Phase.SENDING and age >= self._search_secs and _is_whole(listing):
            entry.settle(Phase.ENDED, pb.TARGET_STATUS_ERROR, "not placed: IBKR lists no such order")

    def _end(self, entry: Entry) -> None:
        """Nothing more happens to an order that is over and whose commission is known, or will not be."""
        order = entry.order
        over = order.status in (pb.TARGET_STATUS_FILLED, pb.TARGET_STATUS_CANCELLED)
        settled = order.filled_quantity == "0" or order.HasField("commission")
        if over and (settled or self._age_secs(entry) > _MOST_DAYS * _DAY_SECS):
            entry.phase = Phase.ENDED

    def _age_secs(self, entry: Entry) -> float:
        return self._now() - (entry.sent_at_ms or 0) / 1000


def _order_of(entry: Entry, listing: Listing) -> order_pb2.Order | None:
    """The order as it is listed."""
    for row in listing.rows:
        if row.text("order_ref") == entry.order.client_order_id or row.text("orderId") == (entry.order.order_id or "-"):
            return decode.order(row)
    return None


def _is_of(entry: Entry, execution: order_pb2.Execution) -> bool:
    order = entry.order
    return execution.client_order_id == order.client_order_id or execution.order_id == (order.order_id or "-")


def _is_whole(listing: Listing) -> bool:
    """Whether an order that is not listed is not there: a list that is being made is empty."""
    return len(listing.rows) < MOST_LISTED and (listing.complete or bool(listing.rows))


def _show(entry: Entry, shown: order_pb2.Order) -> None:
    order = entry.order
    order.order_id = shown.order_id or order.order_id
    # Why IBKR has ended it, if it was IBKR.
    error = "" if shown.status in (order_pb2.ORDER_STATUS_FILLED, *_WORKING) else shown.reason
    entry.settle(Phase.PLACED, statuses.of_order(shown.status), error)
    if shown.HasField("filled_quantity"):
        order.filled_quantity = plain(Decimal(shown.filled_quantity))
    if order.filled_quantity != "0" and shown.HasField("average_price"):
        order.average_fill_price = shown.average_price


def _book(entry: Entry, executions: Sequence[order_pb2.Execution], *, priced: bool) -> None:
    """What the executions of an order add up to; `priced` if IBKR has told the average price of its fills itself."""
    order = entry.order
    if not executions:
        return
    # IBKR gives an execution again when its commission is known.
    latest = {each.execution_id: each for each in sorted(executions, key=lambda each: each.HasField("commission"))}
    filled = sum((Decimal(each.quantity) for each in latest.values()), Decimal(0))
    order.order_id = order.order_id or next((each.order_id for each in executions if each.order_id), "")
    if filled > Decimal(order.filled_quantity):
        order.filled_quantity = plain(filled)
        priced = False
    if filled and not priced:
        paid = sum((Decimal(each.quantity) * Decimal(each.price) for each in latest.values()), Decimal(0))
        order.average_fill_price = plain(round(paid / filled, _PRICE_DIGITS))
    if filled >= Decimal(order.filled_quantity) and all(each.HasField("commission") for each in latest.values()):
        order.commission = plain(sum((Decimal(each.commission) for each in latest.values()), Decimal(0)))
