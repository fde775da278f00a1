"""Sends the orders of a batch, one after the other, each at most once.

Every step is on disk before it is taken: an order that is not marked as being sent was not sent, and one that is, is
looked for rather than sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as orders_pb
from bezant.v1 import targets_service_pb2 as pb
from bezant_server.errors import BezantError, StateUnavailable
from bezant_server.inputs import Checks
from bezant_server.orders import tickets
from bezant_server.orders.desk import Desk
from bezant_server.orders.tickets import Ticket
from bezant_server.targets import statuses
from bezant_server.targets.failpoints import Failpoints
from bezant_server.targets.ledger import Ledger
from bezant_server.targets.records import Batch, Entry, Phase
from bezant_server.targets.spelling import BUY, LIMIT, UNKNOWN

_log = logging.getLogger(__name__)


class Placer:
    """See the module.

    Args:
        desk: sends orders.
        ledger: the database.
        confirmed: ids of IBKR's warnings that are confirmed; an order that raises another is declined.
        failpoints: where tests end the process.
        now: seconds since 1970.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        ledger: Ledger,
        confirmed: frozenset[str],
        failpoints: Failpoints,
        now: Callable[[], float],
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._confirmed = confirmed
        self._failpoints = failpoints
        self._now = now
        self._stopping = False
        self._halted: dict[str, bool] = {}

    def stop(self) -> None:
        """Send nothing more: the server is about to end."""
        self._stopping = True

    def halt(self, batch_id: str) -> None:
        """Send nothing more of a batch that is being placed: its cancellation was asked for."""
        if batch_id in self._halted:
            self._halted[batch_id] = True

    async def place(self, batch: Batch) -> None:
        """Send what is planned; the entries tell what came of each order."""
        self._halted[batch.batch_id] = False
        try:
            for entry in batch.entries:
                if entry.phase is not Phase.PLANNED:
                    continue
                if self._stopping or self._halted[batch.batch_id]:
                    why = "the server is stopping" if self._stopping else "the batch was cancelled before its turn"
                    entry.settle(Phase.ENDED, pb.TARGET_STATUS_ERROR, f"not placed: {why}")
                    await self._note(entry)
                else:
                    await self._send(batch, entry)
        finally:
            del self._halted[batch.batch_id]

    async def _send(self, batch: Batch, entry: Entry) -> None:
        entry.sent_at_ms = int(self._now() * 1000)
        entry.settle(Phase.SENDING, pb.TARGET_STATUS_ERROR, f"{UNKNOWN}: the server stopped meanwhile")
        try:
            await self._ledger.update([entry])
        except StateUnavailable as error:
            entry.settle(Phase.ENDED, pb.TARGET_STATUS_ERROR, f"not placed: {error.message}")
            return
        self._failpoints.reach(f"marked:{entry.place}")
        try:
            (outcome,) = await self._desk.place([_ticket(batch, entry)], self._confirmed)
            self._failpoints.reach(f"sent:{entry.place}")
        except BezantError as error:
            entry.settle(Phase.ENDED, pb.TARGET_STATUS_ERROR, f"not placed: {error.message}")
        else:
            await self._take(entry, outcome)
        await self._note(entry)
        self._failpoints.reach(f"settled:{entry.place}")

    async def _note(self, entry: Entry) -> None:
        """What came of an order. Without that on disk it is looked for later; its caller is told all the same."""
        with suppress(StateUnavailable):
            await self._ledger.update([entry])

    async def _take(self, entry: Entry, outcome: orders_pb.OrderOutcome) -> None:
        match outcome.WhichOneof("outcome"):
            case "accepted":
                entry.order.order_id = outcome.accepted.order_id
                entry.settle(Phase.PLACED, statuses.of_order(outcome.accepted.status))
            case "needs_confirmation":
                await self._decline(entry, outcome.needs_confirmation)
            case "rejected":
                entry.settle(Phase.ENDED, pb.TARGET_STATUS_ERROR, outcome.rejected.reason)
            case _:
                entry.settle(Phase.SENDING, pb.TARGET_STATUS_ERROR, f"{UNKNOWN}: {outcome.unknown.cause}")

    async def _decline(self, entry: Entry, question: orders_pb.OrderNeedsConfirmation) -> None:
        """Say no. Unanswered, a question lapses: whatever comes of the answer, nothing was placed."""
        try:
            await self._desk.confirm(question.reply_id, confirmed=False, agreed=frozenset())
        except BezantError as error:
            _log.info("a question was not declined, and lapses", extra={"reason": error.message})
        warnings = "; ".join(f"{each.message_id or 'no id'}: {each.text}" for each in question.warnings)
        entry.settle(Phase.ENDED, pb.TARGET_STATUS_ERROR, f"not placed, IBKR's warning was declined: {warnings}")


def _ticket(batch: Batch, entry: Entry) -> Ticket:
    order = entry.order
    asked = orders_pb.OrderTicket(
        conid=order.conid,
        side=order_pb2.ORDER_SIDE_BUY if order.action == BUY else order_pb2.ORDER_SIDE_SELL,
        order_type=order_pb2.ORDER_TYPE_LIMIT if order.order_type == LIMIT else order_pb2.ORDER_TYPE_MARKET,
        time_in_force=order_pb2.TIME_IN_FORCE_DAY,
        quantity=order.quantity,
        limit_price=order.limit_price if order.HasField("limit_price") else None,
        client_order_id=order.client_order_id,
    )
    checks = Checks()
    (ticket,) = tickets.tickets(checks, account=batch.account, orders=[asked], one_cancels_all=False)
    checks.done()
    return ticket
