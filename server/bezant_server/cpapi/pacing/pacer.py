"""The asyncio side of pacing: callers wait, calls go when the line says so, identical reads share one."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.caller import Caller
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse
from bezant_server.cpapi.pacing.calls import Profile, profile, questions
from bezant_server.cpapi.pacing.line import Line, RefusedError, Ticket
from bezant_server.cpapi.pacing.outliving import Outliving
from bezant_server.cpapi.pacing.sharing import LastAnswer, LastAnswers, ShareKey, for_sharers, share_key
from bezant_server.errors import BezantError, RateLimited, UpstreamTimeout

_log = logging.getLogger(__name__)

_ONE_CALLERS = frozenset({"accept-encoding", "range", "if-match", "if-none-match", "if-modified-since", "if-range"})

Send = Callable[[UpstreamRequest], Coroutine[Any, Any, UpstreamResponse]]


@dataclass(slots=True)
class Counters:
    """What pacing has done since the process began."""

    sent: int = 0
    shared: int = 0
    served_from_last: int = 0
    refused: int = 0
    answered_429: int = 0


@dataclass(eq=False, slots=True)
class _Flight:
    """A call, waiting or under way, and those who wait for its answer."""

    task: asyncio.Task[UpstreamResponse]
    ticket: Ticket
    callers: int = 0
    changes: int | None = None
    """State-changing calls that had finished when it was sent; None while it waits."""


@dataclass(eq=False, slots=True)
class _Waiting:
    ticket: Ticket
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Pacer:
    """Sends calls by the rules of a line.

    Args:
        line: the decisions.
        gateway: whose API is paced.
        send: hands a call to the transport.
        clock: the monotonic clock that callers' deadlines are on, in seconds.
        default_wait_secs: longest that a caller waits who names no deadline.
        answers: the last answers.
    """

    def __init__(
        self,
        *,
        line: Line,
        gateway: GatewayUrl,
        send: Send,
        clock: Callable[[], float],
        default_wait_secs: float,
        answers: LastAnswers,
    ) -> None:
        self.line = line
        self.counters = Counters()
        # Paths are told apart in lower case.
        self._gateway = replace(gateway, base_path=gateway.base_path.lower())
        self._send = send
        self._clock = clock
        self._default_wait_secs = default_wait_secs
        self._answers = answers
        self._flights: dict[ShareKey, _Flight] = {}
        self._waiting: dict[Ticket, _Waiting] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._changes = 0
        self._outliving = Outliving()

    async def exchange(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send a call when its turn comes, or give an answer that serves.

        Raises:
            RateLimited: its turn cannot come in time; it was not sent.
            UpstreamError: as the transport raises it.
        """
        caller = callers.current()
        kind = profile(request, self._gateway)
        if kind.path is None:
            return await self._send(request)
        if not kind.shareable:
            return await self._change(request, kind, caller)
        key = share_key(request)
        if (served := self._from_last(key, kind, caller)) is not None:
            return served
        return await self._share(key, request, kind, caller)

    @asynccontextmanager
    async def turn(self, request: UpstreamRequest) -> AsyncIterator[None]:
        """The turn of a call that somebody else sends; its place is held until the block ends.

        Raises:
            RateLimited: its turn cannot come in time.
        """
        caller = callers.current()
        ticket = self._join(profile(request, self._gateway), caller.name, self._deadline(caller))
        await self._turn(ticket)
        try:
            yield
        finally:
            self.line.answered(ticket, self._clock(), status=None, questions=frozenset())
            self._advance()

    def forget_answers(self) -> None:
        """Let no earlier answer serve: another login has begun."""
        self._answers.clear()

    async def _share(self, key: ShareKey, request: UpstreamRequest, kind: Profile, caller: Caller) -> UpstreamResponse:
        flight = self._flights.get(key)
        joined = flight is not None and flight.changes in (None, self._changes)
        if flight is None or not joined:
            # A call sent before the last change finished may show the account as it was.
            flight = self._start(key, request, kind, caller)
        else:
            self.counters.shared += 1
            flight.ticket.deadline = max(flight.ticket.deadline, self._deadline(caller))
        flight.callers += 1
        if joined:
            _log.debug("sharing a call", extra={"path": kind.path, "sharers": flight.callers - 1})
        began = self._clock()
        try:
            async with asyncio.timeout(max(self._deadline(caller) - began, 0.0)):
                response = await asyncio.shield(flight.task)
        except TimeoutError:
            raise self._too_late(flight.ticket) from None
        finally:
            flight.callers -= 1
            if not flight.callers and not flight.task.done():
                flight.task.cancel()
            sent_at = flight.ticket.sent_at
            caller.queued_secs += max((self._clock() if sent_at is None else sent_at) - began, 0.0)
        return for_sharers(response) if joined else response

    def _start(self, key: ShareKey, request: UpstreamRequest, kind: Profile, caller: Caller) -> _Flight:
        deadline = self._deadline(caller)
        ticket = self._join(kind, caller.name, deadline)
        flight = _Flight(asyncio.create_task(self._fly(_for_all(request), ticket, key)), ticket)
        self._flights[key] = flight
        flight.task.add_done_callback(lambda _: self._landed(key, flight))
        return flight

    async def _fly(self, request: UpstreamRequest, ticket: Ticket, key: ShareKey) -> UpstreamResponse:
        await self._turn(ticket)
        changes = self._changes
        flight = self._flights.get(key)
        if flight is not None and flight.ticket is ticket:
            flight.changes = changes
        response = await self._sent(request, ticket)
        if response.status == 200:
            self._answers.put(key, LastAnswer(for_sharers(response), self._clock(), changes))
        return response

    def _landed(self, key: ShareKey, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.task.cancelled():
            # Whoever waited has seen it; that nobody did is no defect.
            flight.task.exception()

    async def _change(self, request: UpstreamRequest, kind: Profile, caller: Caller) -> UpstreamResponse:
        ticket = self._join(kind, caller.name, self._deadline(caller))
        began = self._clock()
        try:
            await self._turn(ticket)
        finally:
            caller.queued_secs += self._clock() - began
        caller.changes_sent += 1
        return await self._outliving.see_through(request, self._changing(request, ticket))

    async def _changing(self, request: UpstreamRequest, ticket: Ticket) -> UpstreamResponse:
        try:
            return await self._sent(request, ticket)
        finally:
            self._changes += 1

    async def _sent(self, request: UpstreamRequest, ticket: Ticket) -> UpstreamResponse:
        status: int | None = None
        asked: frozenset[str] = frozenset()
        self.counters.sent += 1
        try:
            response = await self._send(request)
            status = response.status
            self.counters.answered_429 += status == 429
            if ticket.profile.asks:
                asked = questions(response)
            return response
        finally:
            self.line.answered(ticket, self._clock(), status=status, questions=asked)
            self._advance()

    def _join(self, kind: Profile, client: str, deadline: float) -> Ticket:
        try:
            ticket = self.line.join(kind, client=client, now=self._clock(), deadline=deadline)
        except RefusedError as error:
            raise self._refused(error) from None
        self._waiting[ticket] = _Waiting(ticket)
        self._advance()
        return ticket

    async def _turn(self, ticket: Ticket) -> None:
        waiting = self._waiting[ticket]
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if not self.line.leave(ticket):
                # Its turn had come, and nobody will send it.
                self.line.answered(ticket, self._clock(), status=None, questions=frozenset())
            self._advance()
            raise
        finally:
            self._waiting.pop(ticket, None)

    def _advance(self) -> None:
        """Send what may be sent, refuse what cannot be any more, and set the alarm for the next look."""
        now = self._clock()
        if self.line.pause is not None:
            for stopped in self.line.stopped(now):
                self._refuse(stopped, RefusedError(self.line.pause.why, self.line.pause.until - now))
        for late in self.line.late(now):
            self._refuse(late, RefusedError("the deadline passed while the call waited for its turn", 1.0))
        while (ticket := self.line.next_to_send(now)) is not None:
            turn = self._waiting[ticket].turn
            if not turn.done():
                turn.set_result(None)
        self._set_alarm(now)

    def _set_alarm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        look_at = self.line.look_again_at(now)
        if not math.isinf(look_at):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(look_at - now, 0.001), self._advance)

    def _refuse(self, ticket: Ticket, error: RefusedError) -> None:
        waiting = self._waiting.get(ticket)
        if waiting is not None and not waiting.turn.done():
            waiting.turn.set_exception(self._refused(error))

    def _refused(self, error: RefusedError) -> RateLimited:
        self.counters.refused += 1
        return RateLimited(error.why, retry_after_secs=error.retry_after_secs)

    def _too_late(self, ticket: Ticket) -> BezantError:
        if ticket.sent_at is None:
            return self._refused(RefusedError("the deadline passed while the call waited for its turn", 1.0))
        return UpstreamTimeout("the gateway gave no whole answer before the caller's deadline")

    def _deadline(self, caller: Caller) -> float:
        return caller.deadline if caller.deadline is not None else self._clock() + self._default_wait_secs

    def _from_last(self, key: ShareKey, kind: Profile, caller: Caller) -> UpstreamResponse | None:
        if kind.always_fresh or caller.max_age_secs == 0:
            return None
        answer = self._answers.get(key)
        if answer is None:
            return None
        now = self._clock()
        age = now - answer.received_at
        if caller.max_age_secs is not None:
            serves = age <= caller.max_age_secs and (kind.rarely_changes or answer.changes == self._changes)
        else:
            serves = kind.rarely_changes and self.line.ready_at(kind, now) > now
        if not serves:
            return None
        self.counters.served_from_last += 1
        caller.age_secs = age
        return answer.response


def _for_all(request: UpstreamRequest) -> UpstreamRequest:
    """A read whose answer serves every caller: whole, unconditional, in identity encoding."""
    headers = tuple((name, value) for name, value in request.headers if name not in _ONE_CALLERS)
    return replace(request, headers=(*headers, ("accept-encoding", "identity")))
