"""Batches for callers: placed one at a time for each account, shown, cancelled, and brought to an end after a crash."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

from bezant.v1 import targets_service_pb2 as pb
from bezant.v1.contracts_service_pb2 import Contract
from bezant_server.backoff import Backoff
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.caller import Caller
from bezant_server.errors import (
    BatchNotFound,
    BezantError,
    IdempotencyConflict,
    RateLimited,
    StateUnavailable,
    UpstreamError,
    UpstreamTimeout,
)
from bezant_server.logs import shorten_accounts
from bezant_server.orders.desk import Desk
from bezant_server.session.typed import remaining_secs
from bezant_server.targets import statuses
from bezant_server.targets.accounts import Accounts
from bezant_server.targets.failpoints import Failpoints
from bezant_server.targets.holdings import HoldingsReader
from bezant_server.targets.ledger import Ledger
from bezant_server.targets.placing import Placer
from bezant_server.targets.planning import Planner
from bezant_server.targets.records import Batch, Entry, Phase
from bezant_server.targets.requests import Submission
from bezant_server.targets.spelling import UNSENT
from bezant_server.targets.tracking import Tracker

_log = logging.getLogger(__name__)

_MOST_LISTED = 100
_BATCH_SECS = 120.0
"""For all orders of a batch; those that have had no turn by then are not sent."""
_LOOK_SECS = 60.0
_OPEN_SECS = 60.0
"""Between two looks at orders that are open."""


@dataclass(slots=True)
class _Placing:
    """A batch on its way. Before it is on disk its caller can call it off by leaving."""

    batch_id: str
    stored: bool = False


class Batches:
    """See the module.

    Args:
        accounts: which may be traded.
        planner: makes orders out of targets.
        holdings: reads what is held.
        placer: sends orders.
        tracker: finds out what came of them.
        desk: cancels orders.
        ledger: the database.
        failpoints: where tests end the process.
        backoff: the waits between two looks for lost orders.
        now: seconds since 1970.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        planner: Planner,
        holdings: HoldingsReader,
        placer: Placer,
        tracker: Tracker,
        desk: Desk,
        ledger: Ledger,
        failpoints: Failpoints,
        backoff: Backoff,
        now: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._planner = planner
        self._holdings = holdings
        self._placer = placer
        self._tracker = tracker
        self._desk = desk
        self._ledger = ledger
        self._failpoints = failpoints
        self._backoff = backoff
        self._now = now
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: dict[str, asyncio.Task[pb.TargetBatch]] = {}
        self._news = asyncio.Event()
        self._looked_at = -math.inf

    async def submit(self, submission: Submission, client: str) -> pb.TargetBatch:
        """Place what is missing to the targets. Once on disk, a batch goes on to its end though its caller leaves.

        Args:
            submission: what is asked for.
            client: who asks.

        Raises:
            BadRequest: the account is unknown, or live.
            IdempotencyConflict: the client has used the key for another request.
            StateUnavailable: the database cannot be used; nothing was sent.
            RateLimited: other batches of the account took too long; nothing was sent.
            UpstreamError: the gateway does not answer; nothing was sent, unless the message says that it goes on.
        """
        account = await self._accounts.chosen(submission.account)
        self._accounts.check_tradable(account)
        placing = _Placing(secrets.token_hex(8))
        task = asyncio.create_task(self._submit(submission, account, client, placing))
        self._under_way[placing.batch_id] = task
        task.add_done_callback(lambda _: self._ended(placing.batch_id, task))
        try:
            async with asyncio.timeout(remaining_secs()):
                return await asyncio.shield(task)
        except (TimeoutError, asyncio.CancelledError) as left:
            if not placing.stored:
                task.cancel()
            if isinstance(left, asyncio.CancelledError):
                raise
            if not placing.stored:
                raise UpstreamTimeout(
                    "the targets could not be compared with the account in time: nothing was sent"
                ) from None
            raise UpstreamTimeout(f"batch {placing.batch_id} is being placed still: it goes on, ask for it") from None

    async def get(self, batch_id: str) -> pb.TargetBatch:
        """A batch, its orders as IBKR shows them now.

        Raises:
            BatchNotFound: there is none.
        """
        batch = await self._known(batch_id)
        await self._tracker.refresh(batch)
        return batch.message()

    async def recent(self) -> list[pb.TargetBatch]:
        """The last batches, the newest first, without their orders."""
        return [batch.message() for batch in await self._ledger.recent(_MOST_LISTED)]

    async def cancel(self, batch_id: str) -> list[pb.TargetCancellation]:
        """Ask for the cancellation of what is open, and of what may be. It waits for no other batch.

        Raises:
            BatchNotFound: there is none.
            UpstreamError: the gateway does not answer, and nothing was cancelled.
        """
        self._placer.halt(batch_id)
        batch = await self._known(batch_id)
        failure: UpstreamError | None = None
        try:
            await self._tracker.refresh(batch)
        except UpstreamError as error:
            # The ids of the orders are known all the same.
            failure = error
        cancellations = [
            await self._cancel(batch.account, entry)
            for entry in batch.entries
            if entry.phase is Phase.SENDING or entry.order.status in statuses.OPEN
        ]
        if failure is not None and not any(each.accepted for each in cancellations):
            raise failure
        return cancellations

    async def run(self) -> NoReturn:
        """Bring orders to their end: look for lost ones soon and often, for open ones now and then, until cancelled."""
        while True:
            wait = await self._look()
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
                self._backoff.reset()
            except TimeoutError:
                pass
            self._news.clear()

    def stop(self) -> None:
        """Begin to end: no further order is sent."""
        self._placer.stop()

    async def drain(self, wait_secs: float) -> None:
        """Wait for the batches under way, at most so long."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way.values(), timeout=wait_secs)
            for task in late:
                task.cancel()

    async def _submit(self, submission: Submission, account: str, client: str, placing: _Placing) -> pb.TargetBatch:
        async with self._turn(account):
            caller = Caller(name=callers.current().name, deadline=time.monotonic() + _BATCH_SECS)
            callers.enter(caller)
            if submission.idempotency_key:
                earlier = await self._ledger.of_key(client, submission.idempotency_key)
                if earlier is not None:
                    return _repeated(earlier, submission)
            contracts = await self._planner.contracts(submission.targets)
            conids = {each.conid for each in contracts.values() if isinstance(each, Contract)}
            # What is held and what is working must not be an earlier answer.
            callers.enter(replace(caller, max_age_secs=0.0))
            holdings = await self._holdings.read(account, conids)
            orders = await self._planner.plan(submission.targets, contracts=contracts, holdings=holdings)
            batch = self._batch(submission, account, client, placing.batch_id, orders)
            self._failpoints.reach("planned")
            placing.stored = True
            await self._ledger.add(batch)
            self._failpoints.reach("stored")
            await self._placer.place(batch)
            self._failpoints.reach("placed")
            await self._answer(batch)
            self._failpoints.reach("answered")
            return batch.message()

    def _batch(
        self, submission: Submission, account: str, client: str, batch_id: str, orders: Sequence[pb.TargetOrder]
    ) -> Batch:
        entries = []
        for place, order in enumerate(orders):
            if order.status == pb.TARGET_STATUS_UNSPECIFIED:
                order.client_order_id = f"bz-{batch_id}-{place}"
                order.status, order.error = pb.TARGET_STATUS_ERROR, UNSENT
            entries.append(Entry(batch_id, place, Phase.PLANNED if order.client_order_id else Phase.ENDED, None, order))
        return Batch(
            batch_id=batch_id,
            account=account,
            client=client,
            submitted_at_ms=int(self._now()) * 1000,
            idempotency_key=submission.idempotency_key,
            digest=submission.digest,
            answer=None,
            entries=entries,
        )

    async def _answer(self, batch: Batch) -> None:
        try:
            await self._ledger.answer(batch)
        except StateUnavailable as error:
            _log.warning("a batch's answer is not on disk", extra={"batch": batch.batch_id, "reason": error.message})

    async def _cancel(self, account: str, entry: Entry) -> pb.TargetCancellation:
        order = entry.order
        cancellation = pb.TargetCancellation(order_id=order.order_id)
        if not order.order_id:
            cancellation.reason = order.error
            return cancellation
        try:
            answer = await self._desk.cancel(account, order.order_id, ())
        except BezantError as error:
            cancellation.reason = error.message
        else:
            cancellation.accepted = not answer.outcome_unknown
            cancellation.reason = answer.message if answer.outcome_unknown else ""
        self._failpoints.reach(f"cancelled:{entry.place}")
        return cancellation

    async def _known(self, batch_id: str) -> Batch:
        """A batch, once it is not under way any more."""
        placing = self._under_way.get(batch_id)
        if placing is not None:
            await asyncio.wait([placing], timeout=remaining_secs())
            if not placing.done():
                raise RateLimited(f"batch {batch_id} is being placed still", retry_after_secs=1)
        batch = await self._ledger.batch(batch_id)
        if batch is None:
            raise BatchNotFound(f"there is no batch '{batch_id[:40]}'")
        return batch

    async def _look(self) -> float | None:
        """Look after what is open; seconds until it is to be done again, None for when there is news."""
        try:
            entries = await self._ledger.all_open()
            lost = {account for account, found in entries.items() if any(e.phase is Phase.SENDING for e in found)}
            due = time.monotonic() >= self._looked_at + _OPEN_SECS
            if due:
                self._looked_at = time.monotonic()
            for account in entries if due else lost:
                work = self._tracker.refresh_all(account, but=self._under_way.keys())
                await self._attempt(f"the orders of {shorten_accounts(account)}", work)
            await self._answer_unanswered()
        except StateUnavailable:
            return self._backoff.next()
        if lost:
            return self._backoff.next()
        return max(self._looked_at + _OPEN_SECS - time.monotonic(), 0.0) if entries else None

    async def _answer_unanswered(self) -> None:
        """Give batches that a crash has cut short the answer that a repetition gets, once all of it is known."""
        under_way = set(self._under_way)
        for batch in await self._ledger.unanswered():
            if batch.batch_id in under_way or batch.batch_id in self._under_way:
                continue
            if all(entry.phase is not Phase.SENDING for entry in batch.entries):
                await self._ledger.answer(batch)
                _log.info("a batch that was cut short is finished", extra={"batch": batch.batch_id})

    async def _attempt(self, what: str, work: Awaitable[None]) -> None:
        """Do something that is done again if it fails, whatever made it fail."""
        callers.enter(Caller(deadline=time.monotonic() + _LOOK_SECS))
        self._failpoints.reach("recovering")
        try:
            await work
        except BezantError as error:
            _log.info("to be looked after later: %s", what, extra={"reason": error.message})
        except Exception:  # noqa: BLE001  one batch that nobody understands must not end the search for the others
            _log.exception("a defect; to be looked after later: %s", what)
        self._failpoints.reach("recovered")

    def _ended(self, batch_id: str, task: asyncio.Task[pb.TargetBatch]) -> None:
        del self._under_way[batch_id]
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, BezantError):
            _log.error("a batch has failed", exc_info=error, extra={"batch": batch_id})
        # Whether something of it is lost or open, the ledger knows.
        self._news.set()

    @asynccontextmanager
    async def _turn(self, account: str) -> AsyncIterator[None]:
        """The turn to trade an account.

        Raises:
            RateLimited: others took too long.
        """
        turn = self._turns[account]
        try:
            async with asyncio.timeout(remaining_secs()):
                await turn.acquire()
        except TimeoutError:
            raise RateLimited("other batches of the account were under way all the time", retry_after_secs=1) from None
        try:
            yield
        finally:
            turn.release()


def _repeated(earlier: Batch, submission: Submission) -> pb.TargetBatch:
    if earlier.digest != submission.digest:
        raise IdempotencyConflict(
            f"the idempotency key was used for other targets: batch {earlier.batch_id} of {earlier.account}"
        )
    return earlier.answered()
