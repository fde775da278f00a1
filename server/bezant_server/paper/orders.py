"""The order desk: places, questions, modifies and cancels orders, and tells who listens what became of them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from bezant_server.paper.book import Book
from bezant_server.paper.clock import Clock
from bezant_server.paper.hours import TradingHours
from bezant_server.paper.instruments import Instrument, Universe
from bezant_server.paper.order_state import (
    CANCELLED,
    FILLED,
    PENDING_CANCEL,
    PENDING_SUBMIT,
    PRE_SUBMITTED,
    SUBMITTED,
    Order,
    fill_delta,
    live_row,
    marker,
    place_row,
    status_delta,
)
from bezant_server.paper.prices import Market, Quote
from bezant_server.paper.questions import Question, questions_for
from bezant_server.paper.session import Session
from bezant_server.paper.validation import WRONG_TYPE, BadOrder, OrderRejected, OrderSpec, parse_order

SUBMIT_SECONDS = 0.05
CANCEL_SECONDS = 0.05
COID_LIFETIME_SECONDS = 24 * 3600
_FIRST_ORDER_ID = 472_000_000
_LEVERAGE = 4

Rows = list[dict[str, Any]]
Listener = Callable[[Order, dict[str, Any]], None]


class UnknownReply(Exception):
    """The reply id is not, or no longer, that of an open question."""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question waiting for its reply, those that follow it, and what happens when all are confirmed."""

    reply_id: str
    question: Question
    rest: tuple[Question, ...]
    act: Callable[[], Rows]


class OrderDesk:
    """Every order of the login, in any account."""

    def __init__(
        self,
        *,
        universe: Universe,
        market: Market,
        book: Book,
        clock: Clock,
        session: Session,
        hours: TradingHours,
        seed: int,
    ) -> None:
        self._universe = universe
        self._market = market
        self._book = book
        self._clock = clock
        self._session = session
        self._hours = hours
        self._random = random.Random(seed)
        self._last_id = _FIRST_ORDER_ID + self._random.randrange(1_000_000)
        self._coids: dict[str, float] = {}
        self._question: OpenQuestion | None = None
        self.orders: dict[int, Order] = {}
        self.listeners: list[Listener] = []

    # What clients ask for.

    def place(self, account: str, body: Any) -> Rows:
        """Take one order, or one bracket or OCA group; the answer is a question or the orders.

        Raises:
            BadOrder: answered 400.
            OrderRejected: answered 200 with an error.
        """
        specs = self.parse(account, body)
        for spec in specs:
            self._check_coid(spec)
            self._check_funds(spec)
        return self._ask(self._questions(specs), lambda: self._submit(specs))

    def enter(self, account: str, body: Any) -> Order:
        """Take an order from another program of the login, which has answered IBKR's questions there.

        Raises:
            BadOrder, OrderRejected: it makes no sense.
        """
        (row,) = self._submit([self._parse_one(account, body)])
        return self.orders[int(row["order_id"])]

    def parse(self, account: str, body: Any) -> list[OrderSpec]:
        """Read the `orders` of a request."""
        orders = body.get("orders") if isinstance(body, dict) else None
        if not isinstance(orders, list) or not orders:
            raise BadOrder(WRONG_TYPE)
        return [self._parse_one(account, order) for order in orders]

    def modify(self, account: str, order_id: int, body: Any) -> Rows:
        """Change a working order; the body is the whole order with the edits in it."""
        order = self._existing(account, order_id)
        if order.is_final or order.status == PENDING_CANCEL:
            raise OrderRejected(f"Order {order_id} cannot be modified: it is {order.status}")
        body = {"conid": order.spec.instrument.conid, **body} if isinstance(body, dict) else body
        spec = self._parse_one(account, body)
        spec = replace(spec, coid=spec.coid or order.spec.coid)
        old = order.spec
        if (spec.account, spec.instrument, spec.side) != (old.account, old.instrument, old.side):
            raise OrderRejected("Only price, quantity, type and time in force of an order can be modified")
        if spec.quantity <= order.filled:
            raise OrderRejected("The quantity must be more than what has been filled")
        return self._ask(self._questions([spec], previous=old), lambda: self._modified(order, spec))

    def cancel(self, account: str, order_id: int) -> Order:
        """Ask for one order's cancellation; it is confirmed a moment later."""
        order = self._existing(account, order_id)
        if order.is_final:
            raise OrderRejected(f"OrderID {order_id} can't be cancelled: it is {order.status}")
        self._begin_cancel(order)
        return order

    def cancel_all(self, account: str) -> None:
        for order in list(self.orders.values()):
            if order.spec.account == account and not order.is_final:
                self._begin_cancel(order)

    def reply(self, reply_id: str, *, confirmed: bool) -> Rows:
        """Answer the open question. A reply id works once.

        Raises:
            UnknownReply: there is no such open question.
            OrderRejected: not confirmed, or refused after all.
        """
        question, self._question = self._question, None
        if question is None or question.reply_id != reply_id:
            raise UnknownReply(reply_id)
        if not confirmed:
            raise OrderRejected("Order not confirmed ")
        return self._ask(question.rest, question.act)

    def forget_question(self) -> None:
        """Drop the open question, as any other request on the session does."""
        self._question = None

    @property
    def open_reply_id(self) -> str | None:
        return self._question.reply_id if self._question else None

    def working(self) -> list[Order]:
        """Orders that can be filled or triggered now."""
        return [
            order
            for order in self.orders.values()
            if not (order.is_final or order.held or order.spec.deactivated or order.status == PENDING_SUBMIT)
        ]

    def reserved_funds(self, spec: OrderSpec) -> float:
        """What an order commits, in the base currency."""
        price = spec.limit_price or self.quote(spec.instrument).ask
        return spec.quantity * price * spec.instrument.multiplier * self._book.rate(spec.instrument.currency)

    def quote(self, instrument: Instrument) -> Quote:
        """The instrument's book now."""
        return self._market.quote(instrument, self._market.step_at(self._clock.now()))

    # What the market does to them.

    def filled(self, order: Order, size: float, price: float, when: float) -> None:
        """Book a fill and whatever follows from it: children that wake, siblings that go."""
        order.filled = round(order.filled + size, 8)
        order.cost += size * price
        order.updated_at = when
        if order.remaining <= 0:
            order.status = FILLED
        self._book.fill(
            order_id=order.order_id,
            account_id=order.spec.account,
            instrument=order.spec.instrument,
            side=order.spec.side,
            size=size,
            price=price,
            when=when,
            order_ref=order.spec.coid,
        )
        self._tell(order, fill_delta(order))
        if order.status == FILLED:
            for child in self._children(order):
                self._wake(child, when)
            self._cancel_siblings(order)

    def triggered(self, order: Order, when: float) -> None:
        """A stop has been reached: the order works as a market or limit order from now on."""
        order.triggered = True
        order.updated_at = when
        self._set_status(order, SUBMITTED)

    def expired(self, order: Order, reason: str) -> None:
        """End an order that time in force has ended."""
        order.reason = reason
        self._finish_cancel(order)

    def open_for_trading(self, order: Order) -> None:
        """Show an order as working, once its market is open."""
        if order.status == PRE_SUBMITTED and not order.waits_for_trigger:
            self._set_status(order, SUBMITTED)

    # Inside.

    def _parse_one(self, account: str, body: Any) -> OrderSpec:
        return parse_order(
            body,
            account=account,
            universe=self._universe,
            accounts=frozenset(self._book.accounts),
            reference_price=self._book.mark,
        )

    def _existing(self, account: str, order_id: int) -> Order:
        order = self.orders.get(order_id)
        if order is None or order.spec.account != account:
            raise OrderRejected(f"OrderID {order_id} doesn't exist")
        return order

    def _check_coid(self, spec: OrderSpec) -> None:
        if spec.coid is None:
            return
        used_at = self._coids.get(spec.coid)
        if used_at is not None and self._clock.now() - used_at < COID_LIFETIME_SECONDS:
            raise OrderRejected(f"Order couldn't be submitted: Local order ID={spec.coid} is already registered.")

    def _check_funds(self, spec: OrderSpec) -> None:
        quote = self.quote(spec.instrument)
        limit = spec.limit_price
        if limit is not None and (limit > 2 * quote.ask if spec.side == "BUY" else limit < quote.bid / 2):
            raise OrderRejected(
                "We cannot accept an order at the limit price you selected. Please submit your order using a "
                f"limit price that is closer to the current market price of {spec.instrument.format(quote.mark)}."
            )
        value = self._book.value(self._book.accounts[spec.account])
        if spec.side == "BUY" and self.reserved_funds(spec) > _LEVERAGE * max(value.available_funds, 0.0):
            raise OrderRejected(
                "Your order is not accepted. In order to obtain the desired position your equity with loan value "
                f"[{value.net_liquidation:,.2f} USD] must exceed the initial margin "
                f"[{self.reserved_funds(spec) / _LEVERAGE + value.initial_margin:,.2f} USD]"
            )

    def _questions(self, specs: Iterable[OrderSpec], previous: OrderSpec | None = None) -> list[Question]:
        found: dict[str, Question] = {}
        for spec in specs:
            rate = self._book.rate(spec.instrument.currency)
            for question in questions_for(spec, self.quote(spec.instrument), rate=rate, previous=previous):
                found.setdefault(question.message_id, question)
        return list(found.values())

    def _ask(self, questions: Iterable[Question], act: Callable[[], Rows]) -> Rows:
        brokerage = self._session.brokerage
        suppressed = brokerage.suppressed if brokerage else set()
        open_questions = [question for question in questions if question.message_id not in suppressed]
        if not open_questions:
            return act()
        first, *rest = open_questions
        self._question = OpenQuestion(str(uuid.uuid4()), first, tuple(rest), act)
        return [
            {
                "id": self._question.reply_id,
                "message": [first.text],
                "isSuppressed": False,
                "messageIds": [first.message_id],
                "messageOptions": ["Yes", "No"],
            }
        ]

    def _submit(self, specs: list[OrderSpec]) -> Rows:
        for spec in specs:
            self._check_coid(spec)
        placed: list[Order] = []
        shared_group = self._new_group() if any(spec.single_group for spec in specs) else None
        child_groups: dict[int, str] = {}
        for spec in specs:
            parent = self._parent_of(spec)
            order = self._new_order(spec)
            order.group = shared_group if spec.single_group else None
            if parent is not None:
                order.parent = parent.order_id
                order.held = parent.status != FILLED
                order.group = child_groups.setdefault(parent.order_id, parent.group or self._new_group())
            placed.append(order)
        for order in placed:
            self._announce(order)
        return [place_row(order) for order in placed]

    def _new_order(self, spec: OrderSpec) -> Order:
        now = self._clock.now()
        self._last_id += 1 + self._random.randrange(97)
        order = Order(
            order_id=self._last_id,
            spec=spec,
            updated_at=now,
            working_from=now + SUBMIT_SECONDS,
            expires_at=self._hours.day_end(now) if spec.tif in {"DAY", "OPG"} else None,
        )
        self.orders[order.order_id] = order
        if spec.coid is not None:
            self._coids[spec.coid] = now
        return order

    def _announce(self, order: Order) -> None:
        """Run a new order through its first statuses, as the order channel shows them."""
        self._tell(order, live_row(order))
        self._tell(order, marker(order))
        if order.spec.deactivated:
            return
        self._set_status(order, PENDING_SUBMIT)
        self._set_status(order, PRE_SUBMITTED)
        self._clock.call_at(order.working_from, lambda: self._begin_working(order))

    def _begin_working(self, order: Order) -> None:
        if not order.held and self._hours.is_open(order.spec, self._clock.now()):
            self.open_for_trading(order)

    def _modified(self, order: Order, spec: OrderSpec) -> Rows:
        if order.is_final:
            raise OrderRejected(f"Order {order.order_id} cannot be modified: it is {order.status}")
        order.spec = spec
        order.triggered = False
        order.trail_stop = None
        order.updated_at = self._clock.now()
        if spec.deactivated:
            return [place_row(order)]
        order.status = PRE_SUBMITTED
        order.working_from = order.updated_at + SUBMIT_SECONDS
        self._tell(order, live_row(order))
        self._clock.call_at(order.working_from, lambda: self._begin_working(order))
        return [place_row(order)]

    def _begin_cancel(self, order: Order) -> None:
        if order.status == PENDING_CANCEL:
            return
        order.status = PENDING_CANCEL
        order.updated_at = self._clock.now()
        self._tell(order, live_row(order))
        self._clock.call_later(CANCEL_SECONDS, lambda: self._finish_cancel(order))

    def _finish_cancel(self, order: Order) -> None:
        if order.is_final:
            return
        self._set_status(order, CANCELLED)
        for child in self._children(order):
            if child.held:
                self._finish_cancel(child)

    def _wake(self, child: Order, when: float) -> None:
        if not child.held or child.is_final:
            return
        child.held = False
        child.working_from = when
        self._begin_working(child)

    def _cancel_siblings(self, order: Order) -> None:
        if order.group is None:
            return
        for other in list(self.orders.values()):
            same = other.group == order.group and other is not order and other.order_id != order.parent
            if same and other.parent == order.parent and not other.is_final:
                other.reason = "Cancelled by the fill of an order in the same group"
                self._finish_cancel(other)

    def _children(self, order: Order) -> list[Order]:
        return [child for child in self.orders.values() if child.parent == order.order_id]

    def _parent_of(self, spec: OrderSpec) -> Order | None:
        if spec.parent_id is None:
            return None
        for order in self.orders.values():
            if spec.parent_id in {order.spec.coid, str(order.order_id)} and order.spec.account == spec.account:
                return order
        raise OrderRejected(f"Parent order {spec.parent_id} doesn't exist")

    def _new_group(self) -> str:
        return str(self._random.randrange(10**9))

    def _set_status(self, order: Order, status: str) -> None:
        if order.is_final:
            return
        order.status = status
        order.updated_at = self._clock.now()
        self._tell(order, status_delta(order))

    def _tell(self, order: Order, payload: dict[str, Any]) -> None:
        for listener in list(self.listeners):
            listener(order, payload)
