"""Sends orders, at most once each, and says what became of them.

One action on orders is under way at a time, so that none of ours comes between a question and the reply that was agreed
to in advance; pacing keeps every other call away meanwhile. What was sent goes on to its end though its caller leaves.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from bezant.v1 import orders_service_pb2 as pb
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi import refusals
from bezant_server.cpapi.client import segment
from bezant_server.cpapi.document import plain_text
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.errors import (
    BezantError,
    OrderNotEditable,
    OrderNotFound,
    OrderNotOpen,
    RateLimited,
    ReplyExpired,
    UpstreamHttpError,
    UpstreamStatus,
    UpstreamTimeout,
)
from bezant_server.orders import answers, audit
from bezant_server.orders.answers import Answer, Placed, Question, Refused, Unclear
from bezant_server.orders.book import Book
from bezant_server.orders.search import Search
from bezant_server.orders.tickets import Ticket
from bezant_server.session.typed import TypedGateway, remaining_secs

Result = TypeVar("Result")

_MOST_QUESTIONS = 20
"""Asked about one order in a row before it is given up; IBKR has been seen to ask three."""
_MOST_OPEN = 500
"""Questions remembered; nearly all are answered within seconds or never."""
_UNKNOWN_REPLY = re.compile(r"reply id not found|not found", re.IGNORECASE)
_UNAVAILABLE = 503


class Desk:
    """See the module.

    Args:
        gateway: where orders go.
        book: where an order is looked for.
        search: looks for those whose answer was lost.
    """

    def __init__(self, *, gateway: TypedGateway, book: Book, search: Search) -> None:
        self._gateway = gateway
        self._book = book
        self._search = search
        self._turn_taken = asyncio.Lock()
        self._open: OrderedDict[str, Sequence[Ticket]] = OrderedDict()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def place(self, tickets: Sequence[Ticket], agreed: frozenset[str]) -> list[pb.OrderOutcome]:
        """Send orders that belong together.

        Args:
            tickets: the orders, all of one account.
            agreed: ids of warnings that are confirmed at once.

        Raises:
            BezantError: nothing was sent, or the gateway did not look at it.
        """
        path = f"/iserver/account/{segment(tickets[0].account)}/orders"
        body = {"orders": [ticket.body for ticket in tickets]}
        return await self._see_through(self._order("place", path, body, tickets, agreed))

    async def modify(self, order_id: str, ticket: Ticket, agreed: frozenset[str]) -> pb.OrderOutcome:
        """Change a working order; `ticket` is the whole order with the changes in it.

        Raises:
            OrderNotFound, OrderNotOpen, OrderNotEditable: the gateway says so.
            BezantError: nothing was sent, or the gateway did not look at it.
        """
        path = f"/iserver/account/{segment(ticket.account)}/order/{segment(order_id)}"
        (outcome,) = await self._see_through(self._order("modify", path, ticket.body, (ticket,), agreed))
        return outcome

    async def confirm(self, reply_id: str, *, confirmed: bool, agreed: frozenset[str]) -> list[pb.OrderOutcome]:
        """Answer a question.

        Returns:
            What became of the orders that it was about; nothing after a no.

        Raises:
            ReplyExpired: it is not open; nothing was placed.
            BezantError: nothing was sent, or the gateway did not look at it.
        """
        return await self._see_through(self._confirm(reply_id, confirmed=confirmed, agreed=agreed))

    async def cancel(self, account: str, order_id: str, options: Sequence[tuple[str, str]]) -> pb.CancelOrderResponse:
        """Ask for a cancellation.

        Raises:
            OrderNotFound, OrderNotOpen: the gateway says so.
            BezantError: nothing was sent, or the gateway did not look at it.
        """
        return await self._see_through(self._cancel(account, order_id, options))

    async def drain(self, wait_secs: float) -> None:
        """Wait for what is under way, at most so long."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=wait_secs)

    async def _order(
        self, action: str, path: str, body: object, tickets: Sequence[Ticket], agreed: frozenset[str]
    ) -> list[pb.OrderOutcome]:
        try:
            async with self._turn():
                answer = await self._post(path, body, tickets[0].account)
                answer = await self._agree(answer, agreed)
        except asyncio.CancelledError:
            if callers.current().changes_sent:
                self._note(action, tickets, _outcomes(tickets, Unclear("the server was stopped")))
            raise
        except BezantError as error:
            for ticket in tickets:
                audit.ordered(action, ticket, outcome=f"not placed: {error.code}")
            raise
        return self._settle(action, tickets, answer)

    async def _confirm(self, reply_id: str, *, confirmed: bool, agreed: frozenset[str]) -> list[pb.OrderOutcome]:
        tickets = self._open.pop(reply_id, ())
        async with self._turn():
            answer = await self._reply(reply_id, confirmed=confirmed)
            if confirmed:
                answer = await self._agree(answer, agreed)
        if isinstance(answer, Refused) and answer.status != 200 and _UNKNOWN_REPLY.search(answer.message.reason):
            raise self._expired(reply_id, tickets)
        if not confirmed:
            if isinstance(answer, Unclear) and answer.status == _UNAVAILABLE:
                raise self._expired(reply_id, tickets)
            for ticket in tickets:
                audit.ordered("decline", ticket, reply_id=reply_id, outcome="declined")
            return []
        if isinstance(answer, Unclear) and answer.status == _UNAVAILABLE and not await self._is_any_placed(tickets):
            # What IBKR's documentation says of a question that is not open any more.
            raise self._expired(reply_id, tickets)
        return self._settle("confirm", tickets or (_somebodys(reply_id),), answer)

    async def _cancel(self, account: str, order_id: str, options: Sequence[tuple[str, str]]) -> pb.CancelOrderResponse:
        path = f"/iserver/account/{segment(account)}/order/{segment(order_id)}"
        sent_before = callers.current().changes_sent
        try:
            answer = await self._gateway.change("DELETE", path, query=options, account=account)
        except (UpstreamTimeout, UpstreamHttpError, UpstreamStatus) as error:
            if callers.current().changes_sent == sent_before or getattr(error, "http_status", 0) == 429:
                raise
            audit.acted("cancel", account=account, order_id=order_id, outcome="unknown")
            return pb.CancelOrderResponse(order_id=order_id, message=error.message, outcome_unknown=True)
        except BezantError as error:
            audit.acted("cancel", account=account, order_id=order_id, outcome=error.code)
            raise
        audit.acted("cancel", account=account, order_id=order_id, outcome="requested")
        said = answer.get("msg") if isinstance(answer, dict) else None
        return pb.CancelOrderResponse(order_id=order_id, message=plain_text(str(said or "")))

    async def _post(self, path: str, body: object, account: str = "") -> Answer:
        sent_before = callers.current().changes_sent
        try:
            response = await self._gateway.send("POST", path, body=body, account=account)
        except (UpstreamTimeout, UpstreamHttpError) as error:
            if callers.current().changes_sent == sent_before:
                raise
            return Unclear(error.message)
        answer = answers.read(response, path)
        if isinstance(answer, Refused):
            _raise_if_about_the_order(response, path)
        return answer

    async def _reply(self, reply_id: str, *, confirmed: bool) -> Answer:
        return await self._post(f"/iserver/reply/{segment(reply_id)}", {"confirmed": confirmed})

    async def _agree(self, answer: Answer, agreed: frozenset[str]) -> Answer:
        """Say yes while all that is asked about was agreed to."""
        for _ in range(_MOST_QUESTIONS):
            if not isinstance(answer, Question) or not answer.message_ids or not answer.message_ids <= agreed:
                break
            answer = await self._reply(answer.reply_id, confirmed=True)
        return answer

    def _settle(self, action: str, tickets: Sequence[Ticket], answer: Answer) -> list[pb.OrderOutcome]:
        if isinstance(answer, Question):
            self._open[answer.reply_id] = tickets
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        outcomes = _outcomes(tickets, answer)
        self._note(action, tickets, outcomes)
        return outcomes

    def _note(self, action: str, tickets: Sequence[Ticket], outcomes: Sequence[pb.OrderOutcome]) -> None:
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            kind = outcome.WhichOneof("outcome") or "unknown"
            audit.ordered(
                action,
                ticket,
                order_id=outcome.accepted.order_id,
                reply_id=outcome.needs_confirmation.reply_id,
                outcome=kind.replace("_", " "),
            )
            if kind == "unknown" and ticket.account:
                self._search.look_for(ticket.account, ticket.client_order_id)

    def _expired(self, reply_id: str, tickets: Sequence[Ticket]) -> ReplyExpired:
        for ticket in tickets:
            audit.ordered("confirm", ticket, reply_id=reply_id, outcome="expired")
        return ReplyExpired("the question is not open any more, and nothing was placed: place the order anew")

    async def _is_any_placed(self, tickets: Sequence[Ticket]) -> bool:
        """Whether one of these orders may be placed after all."""
        named = [ticket for ticket in tickets if ticket.client_order_id]
        if not named:
            return False
        try:
            listing = await self._book.live(named[0].account)
        except BezantError:
            return True
        return not listing.complete or any(listing.of(ticket.client_order_id) for ticket in named)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The turn to act on orders.

        Raises:
            RateLimited: others took too long.
        """
        try:
            async with asyncio.timeout(remaining_secs()):
                await self._turn_taken.acquire()
        except TimeoutError:
            raise RateLimited("other orders were under way all the time: it was not sent", retry_after_secs=1) from None
        try:
            yield
        finally:
            self._turn_taken.release()

    async def _see_through(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`; once it has sent something, it goes on though its caller leaves."""
        caller = callers.current()
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._finished)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not caller.changes_sent:
                task.cancel()
            raise

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            # Its caller has seen it, or has left; the audit has it in either case.
            task.exception()


def _outcomes(tickets: Sequence[Ticket], answer: Answer) -> list[pb.OrderOutcome]:
    match answer:
        case Question(message=message):
            return [
                pb.OrderOutcome(client_order_id=each.client_order_id, needs_confirmation=message) for each in tickets
            ]
        case Refused(message=refusal):
            return [pb.OrderOutcome(client_order_id=each.client_order_id, rejected=refusal) for each in tickets]
        case Unclear(cause=cause):
            lost = pb.OrderUnknown(cause=cause)
            return [pb.OrderOutcome(client_order_id=each.client_order_id, unknown=lost) for each in tickets]
        case Placed(orders=orders):
            return _placed(tickets, list(orders))


def _placed(
    tickets: Sequence[Ticket], orders: list[tuple[str, pb.OrderAccepted | pb.OrderRejected]]
) -> list[pb.OrderOutcome]:
    """Each order by its client order id if the answer has it, the others in their order."""
    named = {name: placed for name, placed in orders if name}
    known = {ticket.client_order_id for ticket in tickets} - {""}
    unnamed = iter([placed for name, placed in orders if name not in known])
    outcomes = []
    for ticket in tickets:
        outcome = pb.OrderOutcome(client_order_id=ticket.client_order_id)
        placed = named.get(ticket.client_order_id) or next(unnamed, None)
        if isinstance(placed, pb.OrderAccepted):
            outcome.accepted.CopyFrom(placed)
        elif isinstance(placed, pb.OrderRejected):
            outcome.rejected.CopyFrom(placed)
        else:
            outcome.unknown.cause = "the gateway's answer does not speak of it"
        outcomes.append(outcome)
    return outcomes


def _somebodys(reply_id: str) -> Ticket:
    """An order whose question this server did not see being asked, or has forgotten."""
    del reply_id
    return Ticket(account="", client_order_id="", conidex="", side="", quantity="", order_type="", body={})


def _raise_if_about_the_order(response: UpstreamResponse, path: str) -> None:
    """A change that is refused because of the order it is about, not of what it says."""
    try:
        refusals.read(response, path)
    except (OrderNotFound, OrderNotOpen, OrderNotEditable):
        raise
    except BezantError:
        return
