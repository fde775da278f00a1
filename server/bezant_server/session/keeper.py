"""Keeps the session: asks after it, keeps it from idling out, opens and primes it, and says what it cannot do.

One task does all of it, so that no two of its calls are ever at work on the session at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NoReturn

from bezant_server.backoff import Backoff
from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.caller import Caller
from bezant_server.cpapi.classify import decode
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.pacing.line import Pause
from bezant_server.errors import BezantError, RateLimited, SessionNotReady, UpstreamTimeout
from bezant_server.session.board import Board
from bezant_server.session.choices import Choices
from bezant_server.session.machine import (
    Hindered,
    Limited,
    Machine,
    NotOpened,
    Opening,
    Primed,
    Signal,
    Snapshot,
    State,
    Unreachable,
)
from bezant_server.session.takeovers import Takeovers
from bezant_server.session.witness import Witness

_log = logging.getLogger(__name__)

_INIT = "/iserver/auth/ssodh/init"
_TOO_MANY = 429
_GRACE_SECS = 0.5
_ON_THE_WAY = frozenset({State.STARTING, State.NO_BROKERAGE_SESSION, State.CONNECTING})
"""Where the server is at work on a session itself."""


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """Durations, in seconds.

    Attributes:
        keepalive: between two tickles of a session that is well; IBKR ends one after about six minutes without a call.
        check: longest wait for the answer to a tickle.
        spacing: shortest time between two tickles.
        login: how often a gateway without a login is looked at.
        competing: how often the state is looked at while another program has the session.
        connect: longest wait for a brokerage session to open.
        heartbeat: between two heartbeats of WatchSession.
    """

    keepalive: float
    check: float
    spacing: float
    login: float
    competing: float
    connect: float
    heartbeat: float


@dataclass(eq=False, slots=True)
class _Request:
    """Somebody asks for a brokerage session."""

    compete: bool
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SessionKeeper:
    """See the module.

    Args:
        client: the gateway.
        machine: the state.
        witness: hears what the gateway answers.
        board: the state for those who follow it.
        choices: what callers have chosen for the session.
        takeovers: whether to take the session from another program.
        times: durations.
        backoff: the waits between tries.
        clock: seconds of a monotonic clock, the one that pauses are on.
        pause: why nothing may be sent, if that is so.
        opens_sessions: whether it does anything by itself but tickle.
        session_renewed: told when what hung on an earlier session is gone, such as the socket's subscriptions.
        login_changed: told when another login has begun, so that earlier answers are no use.
        wake: set when the state is to be looked at again at once.
    """

    def __init__(
        self,
        *,
        client: CpapiClient,
        machine: Machine,
        witness: Witness,
        board: Board,
        choices: Choices,
        takeovers: Takeovers,
        times: SessionTimes,
        backoff: Backoff,
        clock: Callable[[], float],
        pause: Callable[[], Pause | None],
        opens_sessions: bool,
        session_renewed: Callable[[], None],
        login_changed: Callable[[], None],
        wake: asyncio.Event,
    ) -> None:
        self._client = client
        self._machine = machine
        self._witness = witness
        self._board = board
        self._choices = choices
        self._takeovers = takeovers
        self._times = times
        self._backoff = backoff
        self._clock = clock
        self._pause = pause
        self._opens_sessions = opens_sessions
        self._session_renewed = session_renewed
        self._login_changed = login_changed
        self._wake = wake
        self._check: asyncio.Task[None] | None = None
        self._checked_at = -math.inf
        self._requests: list[_Request] = []
        self._failed_tries = 0
        self._others_opened = 0
        self._try_again_at = -math.inf
        self._patience_until: float | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The session as it is known."""
        return self._machine.snapshot

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts of the session, as far as they are known."""
        return self.snapshot.accounts.accounts or ()

    async def run(self) -> NoReturn:
        """Keep the session until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self._look()
                await self._mend()
                await self._rest()
        finally:
            if self._check is not None:
                self._check.cancel()

    async def look(self) -> None:
        """Ask the gateway for its state: one tickle, shared by all who ask at the time, at most one a second."""
        before = self.snapshot.state
        await self._look()
        if self.snapshot.state is not before:
            # There may be something to mend, and long until it would be looked at.
            self._wake.set()

    async def open(self, *, compete: bool) -> None:
        """Have a brokerage session opened, unless there is one.

        Args:
            compete: take it from another program that has it.

        Raises:
            SessionNotReady: it did not open.
        """
        request = _Request(compete)
        self._requests.append(request)
        self._wake.set()
        await request.done
        self._check_ready()

    async def ready(self, *, wait_secs: float) -> None:
        """Wait until orders can be sent, at most so long, and only while that may come without a human.

        Raises:
            SessionNotReady: they cannot.
        """
        if self.snapshot.can_trade:
            return
        try:
            async with asyncio.timeout(wait_secs), aclosing(self.follow()) as states:
                async for snapshot in states:
                    if snapshot is not None and (snapshot.can_trade or not self._comes_by_itself(snapshot)):
                        break
        except TimeoutError:
            pass
        self._check_ready()

    def follow(self) -> AsyncGenerator[Snapshot | None, None]:
        """The state now, then each change; None for a heartbeat. Ends when the server stops."""
        return self._board.follow(self.snapshot, heartbeat_secs=self._times.heartbeat)

    async def _look(self) -> None:
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._tickle())
        await asyncio.shield(self._check)

    def _check_ready(self) -> None:
        snapshot = self.snapshot
        if not snapshot.can_trade:
            raise SessionNotReady(
                state=snapshot.state, cause=snapshot.cause, next_action=snapshot.next_action, advice=snapshot.advice
            )

    def _comes_by_itself(self, snapshot: Snapshot) -> bool:
        return self._opens_sessions and snapshot.state in _ON_THE_WAY

    async def _tickle(self) -> None:
        logins, rests = self._machine.logins, self._machine.rests
        await asyncio.sleep(max(self._checked_at + self._times.spacing - self._clock(), 0.0))
        if self._machine.rests and not rests:
            # Somebody has logged out meanwhile.
            return
        # The deadline lets pacing tell a tickle that was not answered from one that never had its turn.
        callers.enter(Caller(deadline=self._clock() + self._times.check))
        try:
            async with asyncio.timeout(self._times.check + _GRACE_SECS):
                await self._client.call("POST", "/tickle", changes_state=False)
        except (TimeoutError, UpstreamTimeout):
            self._machine.observe(Unreachable(f"no answer within {self._times.check:g} s"))
        except RateLimited:
            self._paused()
        except BezantError as error:
            self._machine.observe(Unreachable(error.message))
        finally:
            self._checked_at = self._clock()
        if self._machine.logins != logins:
            self._login_changed()

    def _paused(self) -> None:
        """Nothing may be sent: after a 429, or because the gateway answers 503 to everything."""
        pause = self._pause()
        if pause is not None:
            limited = self._witness.last_refusal == _TOO_MANY
            self._machine.observe(Limited(pause.why) if limited else Unreachable(pause.why))

    async def _mend(self) -> None:
        """Do what can be done about the state."""
        requests, self._requests = self._requests, []
        try:
            if requests:
                await self._mend_on_request(compete=any(request.compete for request in requests))
            elif self._opens_sessions:
                await self._mend_by_itself()
        finally:
            for request in requests:
                if not request.done.done():
                    request.done.set_result(None)
        if self.snapshot.can_trade:
            self._failed_tries = 0
            self._try_again_at = -math.inf
            self._patience_until = None
            self._backoff.reset()

    async def _mend_on_request(self, *, compete: bool) -> None:
        if compete:
            self._takeovers.decided()
            self._machine.gave_up = False
        match self._machine.layer:
            case Signal.NO_BROKERAGE | Signal.COMPETING:
                await self._open(compete=compete)
            case Signal.AUTHENTICATED:
                await self._open(compete=compete, ask=False)
            case Signal.ESTABLISHED:
                await self._prime()

    async def _mend_by_itself(self) -> None:
        if self._witness.others_opened != self._others_opened:
            self._others_opened = self._witness.others_opened
            self._patience_until = self._clock() + self._times.connect
        if self._clock() < self._try_again_at:
            return
        match self._machine.layer:
            case Signal.ESTABLISHED:
                await self._prime()
                if self.snapshot.can_trade and self._takeovers.stopped:
                    # It was found open, not taken: the other program has left.
                    self._takeovers.released()
                    self._machine.gave_up = False
            case Signal.COMPETING if self._takeovers.may:
                self._takeovers.taken(self._clock())
                await self._open(compete=True)
                self._machine.gave_up = self._takeovers.stopped
            case Signal.NO_BROKERAGE if not self._is_patient():
                await self._open(compete=False)
            case Signal.AUTHENTICATED if not self._is_patient(begin=True):
                await self._open(compete=False)

    def _is_patient(self, *, begin: bool = False) -> bool:
        """Whether a session that somebody else has asked for, or that is opening already, is given time."""
        now = self._clock()
        if self._patience_until is None and begin:
            self._patience_until = now + self._times.connect
        if self._patience_until is None:
            return False
        if now < self._patience_until:
            return True
        self._patience_until = None
        return False

    async def _open(self, *, compete: bool, ask: bool = True) -> None:
        """Ask for a brokerage session, and wait until it can be used."""
        if not self._failed_tries or compete:
            self._machine.observe(Opening("the server has asked for a brokerage session"))
        self._witness.opening = True
        body = json.dumps({"publish": True, "compete": compete}).encode()
        try:
            async with asyncio.timeout(self._times.connect):
                if ask:
                    decode(await self._client.call("POST", _INIT, body=body))
                while self._machine.layer not in (Signal.ESTABLISHED, Signal.USABLE):
                    await self._look()
                    if self._is_hopeless(compete=compete):
                        self._not_opened(self.snapshot.cause)
                        return
            await self._prime()
        except TimeoutError:
            self._not_opened(f"no brokerage session within {self._times.connect:g} s")
        except BezantError as error:
            self._not_opened(error.message)
            # Why it was refused, the state tells.
            self._wake.set()
        finally:
            self._witness.opening = False

    def _is_hopeless(self, *, compete: bool) -> bool:
        layer = self._machine.layer
        return layer in (None, Signal.LOGGED_OUT) or (layer is Signal.COMPETING and not compete)

    def _not_opened(self, why: str) -> None:
        self._failed_tries += 1
        self._try_again_at = self._clock() + self._backoff.next()
        self._machine.observe(NotOpened(why))

    async def _prime(self) -> None:
        """Make the calls that the gateway wants first, and tell it again what it has forgotten."""
        try:
            async with asyncio.timeout(self._times.connect):
                for path in ("/iserver/accounts", "/portfolio/accounts"):
                    decode(await self._client.call("GET", path, changes_state=False))
                await self._restore()
        except TimeoutError:
            self._hindered(f"the accounts have not come within {self._times.connect:g} s")
            return
        except BezantError as error:
            self._hindered(error.message)
            return
        renewed = self._machine.lost_session
        self._machine.observe(Primed())
        if renewed and self.snapshot.can_trade:
            self._session_renewed()

    def _hindered(self, why: str) -> None:
        self._try_again_at = self._clock() + self._backoff.next()
        self._machine.observe(Hindered(why))

    async def _restore(self) -> None:
        account, selected = self._choices.account, self.snapshot.accounts.selected
        if account not in (None, selected):
            await self._tell("/iserver/account", {"acctId": account})
            decode(await self._client.call("GET", "/iserver/accounts", changes_state=False))
        if self._choices.suppressed:
            await self._tell("/iserver/questions/suppress", {"messageIds": sorted(self._choices.suppressed)})

    async def _tell(self, path: str, choice: dict[str, object]) -> None:
        """A choice that the gateway does not take any more is the caller's to make again."""
        try:
            decode(await self._client.call("POST", path, body=json.dumps(choice).encode()))
        except BezantError as error:
            _log.warning("a choice was not restored", extra={"path": path, "reason": error.message})

    async def _rest(self) -> None:
        """Wait until it is time to look again, or something calls for it."""
        if self._requests:
            return
        delay = self._delay()
        try:
            async with asyncio.timeout(None if math.isinf(delay) else delay):
                await self._wake.wait()
        except TimeoutError:
            if self._machine.rests:
                # Somebody has logged out meanwhile.
                await self._wake.wait()

    def _delay(self) -> float:
        if self._machine.rests:
            return math.inf
        if not self._opens_sessions:
            return self._times.keepalive
        pause = self._pause()
        if pause is not None and pause.until > self._clock():
            return pause.until - self._clock()
        match self.snapshot.state:
            case State.READY:
                return self._times.keepalive
            case State.LOGGED_OUT:
                return self._times.login
            case State.COMPETING:
                return self._times.competing
        if self._machine.layer is None:
            return self._backoff.next()
        return max(self._try_again_at - self._clock(), self._times.spacing)
