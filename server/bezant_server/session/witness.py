"""Hears every answer of the gateway and the socket's `sts` and `act` frames, and tells the machine.

What an answer is about decides how far it is believed. A tickle, a status, a logout or a frame speaks of the session
itself, and is believed. Any other answer (a 401, "no bridge", no connection) only raises a suspicion, so that the state
is looked at again: a 401 may have other causes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import effects
from bezant_server.cpapi.classify import decode, is_login_redirect
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse
from bezant_server.errors import BezantError, NotAuthenticated, UpstreamStatus, UpstreamUnreachable
from bezant_server.session import reading
from bezant_server.session.choices import Choices
from bezant_server.session.machine import Accounts, Limited, LoggedOut, Machine, Opening, State, Unreachable

_INIT = "/iserver/auth/ssodh/init"
_OPENS = frozenset({_INIT, "/iserver/reauthenticate"})
_SPEAKS_AGAIN = frozenset({State.STARTING, State.GATEWAY_UNREACHABLE, State.LOGGED_OUT, State.PENALTY_BOX})
_HAS_NO_BRIDGE = frozenset({State.NO_BROKERAGE_SESSION, State.COMPETING, State.CONNECTING, State.MAINTENANCE})
_TOO_MANY = 429
_UNAVAILABLE = 503


class Witness:
    """See the module.

    Args:
        gateway: where its API is.
        machine: the state.
        choices: what callers have chosen.
        now: seconds since 1970.
        suspect: asks for the state to be looked at again.
    """

    def __init__(
        self,
        *,
        gateway: GatewayUrl,
        machine: Machine,
        choices: Choices,
        now: Callable[[], float],
        suspect: Callable[[], None],
    ) -> None:
        self._gateway = replace(gateway, base_path=gateway.base_path.lower())
        self._machine = machine
        self._choices = choices
        self._now = now
        self._suspect = suspect
        self.opening = False
        """Whether this server itself is opening a brokerage session."""
        self.others_opened = 0
        """How often a caller has asked the gateway for a brokerage session."""
        self.last_refusal = 0
        """429 or 503, whichever the gateway said last."""

    def answered(self, request: UpstreamRequest, outcome: UpstreamResponse | BezantError) -> None:
        """An exchange with the gateway is over."""
        path = self._api_path(request)
        if isinstance(outcome, BezantError):
            if isinstance(outcome, UpstreamUnreachable) and path != "/tickle":
                self._suspect_unless(State.GATEWAY_UNREACHABLE, State.MAINTENANCE)
            return
        if outcome.status in (_TOO_MANY, _UNAVAILABLE):
            self.last_refusal = outcome.status
        if path is None:
            # A login ends with a POST to /sso/Dispatcher.
            if request.method == "POST":
                self._suspect()
        elif path == "/tickle":
            self._tickle(outcome)
        elif outcome.status < 300:
            self._success(request, path, outcome)
        else:
            self._failure(outcome)

    def framed(self, raw: bytes) -> None:
        """A `sts` or `act` frame of the gateway's socket."""
        heard = reading.frame(raw)
        if heard is None:
            return
        before = self._machine.snapshot
        self._machine.observe(heard)
        if self._machine.snapshot.state is not before.state:
            self._suspect()

    def _api_path(self, request: UpstreamRequest) -> str | None:
        """The path below the API's base path, however it is spelled; None for login traffic."""
        path = effects.resolved(request.target.partition("?")[0])
        if path is None or not self._gateway.is_api_path(path):
            return None
        return self._gateway.below_base(path)

    def _tickle(self, response: UpstreamResponse) -> None:
        try:
            answer = reading.tickled(decode(response), now=self._now())
        except NotAuthenticated:
            self._machine.observe(LoggedOut("the gateway wants a login"))
        except UpstreamStatus as error:
            limited = response.status == _TOO_MANY
            self._machine.observe(Limited(error.message) if limited else Unreachable(error.message))
        except BezantError as error:
            self._machine.observe(Unreachable(error.message))
        else:
            if answer.status.authenticated is None:
                self._machine.observe(Unreachable("the gateway's tickle says nothing of the session"))
            else:
                self._machine.observe(answer)

    def _success(self, request: UpstreamRequest, path: str, response: UpstreamResponse) -> None:
        if path == "/logout" and request.method == "POST":
            self._choices.forget()
            self._machine.observe(LoggedOut("somebody logged out", on_request=True))
            return
        if path in _OPENS and not self.opening:
            self.others_opened += 1
            self._machine.observe(Opening("a caller has asked for a brokerage session"))
            self._suspect()
        if path in (_INIT, "/iserver/auth/status"):
            # Answered without a login as well, so that it was answered says nothing.
            self._machine.observe(reading.status(reading.document(response.body), whole=True))
            return
        if path == "/iserver/accounts":
            self._machine.observe(reading.accounts(reading.document(response.body)))
        elif request.method == "POST":
            chosen = self._choices.account
            self._choices.learn(path, request.body)
            if self._choices.account != chosen:
                self._machine.observe(Accounts(selected=self._choices.account))
        if self._machine.snapshot.state in _SPEAKS_AGAIN:
            self._suspect()

    def _failure(self, response: UpstreamResponse) -> None:
        if response.status == 401 or is_login_redirect(response):
            self._suspect_unless(State.LOGGED_OUT)
        elif response.status == 400 and b"no bridge" in response.body:
            self._suspect_unless(*_HAS_NO_BRIDGE)
        elif response.status in (_TOO_MANY, _UNAVAILABLE):
            self._suspect_unless(State.PENALTY_BOX, State.GATEWAY_UNREACHABLE, State.MAINTENANCE)

    def _suspect_unless(self, *known: State) -> None:
        if self._machine.snapshot.state not in known:
            self._suspect()
