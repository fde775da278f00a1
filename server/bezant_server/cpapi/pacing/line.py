"""Who may be sent now: the decisions of the scheduler, without a clock, a task or a socket of its own.

A call waits until every limit that covers it has a place, until nothing of a higher lane could go instead, and until
nobody holds the line. Calls other than orders never take the last place of the global limit, and keep one interval of
it apart (100 ms at ten a second): an order finds a place at once, and another behind it within an interval, however
many reads are queued.

The line is held while an order is on its way, and after a question until it is answered or `hold_secs` have passed:
IBKR drops a question when any other call comes in between.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from bezant_server.cpapi.pacing.calls import Lane, Profile
from bezant_server.cpapi.pacing.limits import GLOBAL, Limit
from bezant_server.cpapi.pacing.windows import Gauge, Place, gauge


@dataclass(frozen=True, slots=True)
class Rules:
    """How the line behaves. Durations are seconds.

    Attributes:
        limits: what the gateway allows.
        margin_secs: added to every window.
        transit_secs: longest that a call is on its way to the gateway.
        hold_secs: longest that a question, or an order without an answer, holds the line.
        queue_cap: calls that may wait, in each lane.
        backoff_min_secs: first pause after the gateway's 429.
        backoff_max_secs: longest such pause.
        burst_503: so many 503 in a row count as a 429.
    """

    limits: tuple[Limit, ...]
    margin_secs: float = 0.05
    transit_secs: float = 0.5
    hold_secs: float = 5.0
    queue_cap: int = 2000
    backoff_min_secs: float = 5.0
    backoff_max_secs: float = 900.0
    burst_503: int = 5


class RefusedError(Exception):
    """A call cannot be sent in time; it was not sent.

    Attributes:
        retry_after_secs: when to try again.
    """

    def __init__(self, why: str, retry_after_secs: float) -> None:
        super().__init__(why)
        self.why = why
        self.retry_after_secs = retry_after_secs


@dataclass(eq=False, slots=True)
class Ticket:
    """A call in the line.

    Attributes:
        profile: what the call is.
        client: whose it is; callers are served in turn.
        arrived: when it joined the line.
        deadline: when it must have been sent.
        sent_at: when it was.
    """

    profile: Profile
    client: str
    arrived: float
    deadline: float
    gauges: tuple[Gauge, ...]
    order: int
    sent_at: float | None = None
    places: list[tuple[Gauge, Place]] = field(default_factory=list)


@dataclass(slots=True)
class _Queue:
    """One lane: a first-come-first-served queue a client, the clients in turn."""

    lane: Lane
    clients: dict[str, deque[Ticket]] = field(default_factory=dict)
    size: int = 0

    def add(self, ticket: Ticket) -> None:
        self.clients.setdefault(ticket.client, deque()).append(ticket)
        self.size += 1

    def remove(self, ticket: Ticket) -> bool:
        queue = self.clients.get(ticket.client)
        if queue is None or ticket not in queue:
            return False
        queue.remove(ticket)
        self.size -= 1
        if not queue:
            del self.clients[ticket.client]
        return True

    def served(self, ticket: Ticket) -> None:
        """Take a ticket out and send its client to the end of the round."""
        self.remove(ticket)
        queue = self.clients.pop(ticket.client, None)
        if queue:
            self.clients[ticket.client] = queue

    def tickets(self) -> Iterator[Ticket]:
        """Everyone, in the order of service if all could go: a round over the clients, and another."""
        rounds = list(self.clients.values())
        depth = 0
        while rounds:
            rounds = [queue for queue in rounds if len(queue) > depth]
            for queue in rounds:
                yield queue[depth]
            depth += 1


@dataclass(frozen=True, slots=True)
class Pause:
    """Sending has stopped, because the gateway said 429 or answers 503 in bursts."""

    why: str
    until: float
    backoff_secs: float


class Line:
    """The line itself. Every method is told the time, in seconds of one monotonic clock."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.gauges: tuple[Gauge, ...] = tuple(
            gauge(limit, margin_secs=rules.margin_secs, transit_secs=rules.transit_secs) for limit in rules.limits
        )
        first = next((limit for limit in rules.limits if limit.name == GLOBAL and limit.window_secs), None)
        self._interval = first.window_secs / first.count if first else 0.0
        self._queues = {lane: _Queue(lane) for lane in Lane}
        self._in_flight: set[Ticket] = set()
        self._numbers = count()
        self._spaced_until = -math.inf
        self._held_until = -math.inf
        self._asking: Ticket | None = None
        self._open_questions: frozenset[str] = frozenset()
        self.pause: Pause | None = None
        self._probe: Ticket | None = None
        self._row_of_503 = 0

    def join(self, profile: Profile, *, client: str, now: float, deadline: float) -> Ticket:
        """Take a call in.

        Raises:
            RefusedError: sending has stopped, the lane is full, or the wait would pass the deadline for certain.
        """
        if self.pause is not None and (now < self.pause.until or self._probe is not None):
            raise RefusedError(self.pause.why, max(self.pause.until - now, 1.0))
        queue = self._queues[profile.lane]
        if queue.size >= self.rules.queue_cap:
            raise RefusedError(f"{queue.size} calls are waiting already", self._interval * queue.size or 1.0)
        path = profile.path or "/"
        gauges = tuple(each for each in self.gauges if each.limit.covers(profile.method, path))
        ticket = Ticket(profile, client, now, deadline, gauges, next(self._numbers))
        self._check_in_time(ticket, now)
        queue.add(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> bool:
        """Take a waiting call out; False when it was sent already."""
        return self._queues[ticket.profile.lane].remove(ticket)

    def late(self, now: float) -> list[Ticket]:
        """The waiting calls whose deadline has passed; they are out of the line."""
        late = [ticket for queue in self._queues.values() for ticket in queue.tickets() if ticket.deadline <= now]
        for ticket in late:
            self.leave(ticket)
        return late

    def stopped(self, now: float) -> list[Ticket]:
        """While sending has stopped: every waiting call; they are out of the line."""
        if self.pause is None or now >= self.pause.until:
            return []
        waiting = [ticket for queue in self._queues.values() for ticket in queue.tickets()]
        for ticket in waiting:
            self.leave(ticket)
        return waiting

    def next_to_send(self, now: float) -> Ticket | None:
        """The call to send now, if any may be sent; it counts as sent from here on."""
        if self.pause is not None and (now < self.pause.until or self._probe is not None):
            return None
        for queue in self._queues.values():
            for ticket in queue.tickets():
                if self._ready_at(ticket, now) <= now:
                    self._send(ticket, queue, now)
                    return ticket
        return None

    def look_again_at(self, now: float) -> float:
        """When the next call may be sent or is late, if nothing happens before; infinity when nothing waits."""
        waiting = [ticket for queue in self._queues.values() for ticket in queue.tickets()]
        if not waiting:
            return math.inf
        soonest = min(min(self._ready_at(ticket, now), ticket.deadline) for ticket in waiting)
        return max(soonest, now)

    def answered(self, ticket: Ticket, now: float, *, status: int | None, questions: frozenset[str]) -> None:
        """A sent call is over.

        Args:
            ticket: the call.
            now: the time.
            status: of its answer; None when none came.
            questions: the ids of the questions in it.
        """
        self._in_flight.discard(ticket)
        for each, place in ticket.places:
            each.settle(place, now)
        if ticket is self._asking:
            self._asking = None
            self._open_questions = questions
            self._held_until = now + self.rules.hold_secs if questions else -math.inf
        self._judge(ticket, now, status)

    def waiting(self) -> dict[Lane, list[Ticket]]:
        """Who waits, by lane."""
        return {lane: list(queue.tickets()) for lane, queue in self._queues.items()}

    def is_held(self, now: float) -> bool:
        """Whether an order or a question holds the line."""
        return now < self._held_until

    def ready_at(self, profile: Profile, now: float) -> float:
        """When the limits that cover a call would let it through if nobody else waited."""
        path = profile.path or "/"
        return max((each.ready_at(now) for each in self.gauges if each.limit.covers(profile.method, path)), default=now)

    def _check_in_time(self, ticket: Ticket, now: float) -> None:
        soonest = max((each.ready_at(now, self._ahead(ticket, each)) for each in ticket.gauges), default=now)
        if soonest != math.inf and soonest > ticket.deadline:
            worst = max(ticket.gauges, key=lambda each: each.ready_at(now, self._ahead(ticket, each)))
            raise RefusedError(f"IBKR's limit '{worst.limit.name}' has no place before the deadline", soonest - now)

    def _ahead(self, ticket: Ticket, each: Gauge) -> int:
        """How many waiting calls will take a place of this limit before a call that joins now."""
        ahead = 0
        for lane, queue in self._queues.items():
            if lane > ticket.profile.lane:
                break
            own = queue.clients.get(ticket.client)
            turn = sum(each in other.gauges for other in own or ()) if lane == ticket.profile.lane else math.inf
            for client, tickets in queue.clients.items():
                counted = sum(each in other.gauges for other in tickets)
                if lane == ticket.profile.lane and client != ticket.client:
                    counted = int(min(counted, turn + 1))
                ahead += counted
        return ahead

    def _ready_at(self, ticket: Ticket, now: float) -> float:
        profile = ticket.profile
        ready = max((each.ready_at(now, self._kept_for_orders(each, profile)) for each in ticket.gauges), default=now)
        if now < self._held_until and not (self._asking is None and profile.reply_to in self._open_questions):
            ready = max(ready, self._held_until)
        if profile.lane is not Lane.ORDERS:
            ready = max(ready, self._spaced_until)
        if profile.asks and profile.reply_to is None:
            # What is still on its way could come in behind the question that this order may raise.
            ready = max(ready, self._quiet_at())
        return ready

    def _kept_for_orders(self, each: Gauge, profile: Profile) -> int:
        return int(each.limit.name == GLOBAL and each.limit.count > 1 and profile.lane is not Lane.ORDERS)

    def _quiet_at(self) -> float:
        return max(
            (ticket.sent_at + self._interval for ticket in self._in_flight if ticket.sent_at is not None),
            default=-math.inf,
        )

    def _send(self, ticket: Ticket, queue: _Queue, now: float) -> None:
        queue.served(ticket)
        ticket.sent_at = now
        ticket.places = [(each, each.take(now)) for each in ticket.gauges]
        self._in_flight.add(ticket)
        if any(each.limit.name == GLOBAL for each in ticket.gauges):
            self._spaced_until = now + self._interval
        if ticket.profile.asks:
            self._asking = ticket
            self._held_until = now + self.rules.hold_secs
        if self.pause is not None:
            self._probe = ticket

    def _judge(self, ticket: Ticket, now: float, status: int | None) -> None:
        """Stop sending when the gateway has had enough, and begin again when a probe succeeds."""
        self._row_of_503 = self._row_of_503 + 1 if status == 503 else 0
        if status == 429 or self._row_of_503 >= self.rules.burst_503:
            last = self.pause.backoff_secs if self.pause else 0.0
            backoff = min(max(last * 2, self.rules.backoff_min_secs), self.rules.backoff_max_secs)
            if self.pause is None or ticket is self._probe:
                why = "the gateway answered 429" if status == 429 else "the gateway answers 503 again and again"
                self.pause = Pause(f"{why}: nothing is sent for {backoff:g} s", now + backoff, backoff)
            self._row_of_503 = 0
        elif ticket is self._probe and status is not None:
            self.pause = None
        if ticket is self._probe:
            self._probe = None
