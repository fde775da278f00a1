"""Puts the session together from the configuration."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from random import Random

from google.protobuf.json_format import MessageToJson

from bezant_server.backoff import Backoff
from bezant_server.config import Settings
from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse
from bezant_server.cpapi.pacing.line import Pause
from bezant_server.cpapi.pacing.pacer import Pacer
from bezant_server.errors import BezantError
from bezant_server.maintenance import Maintenance
from bezant_server.session import messages
from bezant_server.session.board import Board
from bezant_server.session.choices import Choices
from bezant_server.session.keeper import SessionKeeper, SessionTimes
from bezant_server.session.machine import Machine, Policy, Snapshot, State
from bezant_server.session.preflights import Preflights
from bezant_server.session.service import SessionService
from bezant_server.session.takeovers import Takeovers
from bezant_server.session.typed import TypedGateway
from bezant_server.session.witness import Witness

_log = logging.getLogger(__name__)

_QUIET_STATES = frozenset({State.STARTING, State.CONNECTING, State.READY})
_WITHOUT_SESSION = frozenset({State.LOGGED_OUT, State.NO_BROKERAGE_SESSION, State.COMPETING, State.CONNECTING})
_EVERYWHERE = ("0.0.0.0", "::")


class Session:
    """The session, in the two halves that the gateway's client stands between: it is heard through, then asked.

    Attributes:
        login_url: where a human logs in.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wake = asyncio.Event()
        self._board = Board()
        self._choices = Choices()
        self.login_url = login_url(settings)
        self._machine = Machine(
            policy=Policy(
                login_url=self.login_url,
                opens_sessions=settings.session_upkeep,
                maintenance=Maintenance(settings.maintenance_windows, settings.maintenance_zone).at,
            ),
            now=time.time,
            changed=self._changed,
        )
        self._witness = Witness(
            gateway=settings.gateway_url,
            machine=self._machine,
            choices=self._choices,
            now=time.time,
            suspect=self._wake.set if settings.session_upkeep else _ignore,
        )
        self._preflights = Preflights(settings.gateway_url)
        self._loses_login: Callable[[], None] = _ignore
        self._forget_answers: Callable[[], None] = _ignore

    def answered(self, request: UpstreamRequest, outcome: UpstreamResponse | BezantError) -> None:
        """See `Witness.answered` and `Preflights.answered`."""
        self._witness.answered(request, outcome)
        self._preflights.answered(request, outcome)

    def framed(self, frame: bytes) -> None:
        """See `Witness.framed`."""
        self._witness.framed(frame)

    def close(self) -> None:
        """Let those who follow the session come to their end."""
        self._board.close()

    def keeper(
        self, client: CpapiClient, *, session_renewed: Callable[[], None], session_ended: Callable[[], None]
    ) -> SessionKeeper:
        """What keeps it.

        Args:
            client: the gateway.
            session_renewed: told when what hung on an earlier brokerage session is gone, and there is a new one.
            session_ended: told when somebody has logged out on purpose.
        """
        settings = self._settings
        pacer = client.pacing if isinstance(client.pacing, Pacer) else None
        self._loses_login = session_ended
        self._forget_answers = _ignore if pacer is None else pacer.forget_answers

        def pause() -> Pause | None:
            return None if pacer is None else pacer.line.pause

        return SessionKeeper(
            client=client,
            machine=self._machine,
            witness=self._witness,
            board=self._board,
            choices=self._choices,
            takeovers=Takeovers(allowed=settings.compete, apart_secs=settings.session_takeovers_apart_secs),
            times=SessionTimes(
                keepalive=settings.keepalive_secs,
                check=settings.session_check_secs,
                spacing=settings.session_spacing_secs,
                login=settings.session_login_secs,
                competing=settings.session_competing_secs,
                connect=settings.session_connect_secs,
                heartbeat=settings.session_heartbeat_secs,
            ),
            backoff=Backoff(
                minimum=settings.session_backoff_min_secs,
                maximum=settings.session_backoff_max_secs,
                random=Random(),  # noqa: S311  jitter needs no secret
            ),
            clock=time.monotonic,
            pause=pause,
            opens_sessions=settings.session_upkeep,
            session_renewed=session_renewed,
            login_changed=self._login_changed,
            wake=self._wake,
        )

    def service(self, keeper: SessionKeeper, client: CpapiClient) -> SessionService:
        """Its RPCs."""
        return SessionService(
            keeper=keeper, gateway=client, login_url=self.login_url, clock=time.monotonic, now=time.time
        )

    def typed(self, keeper: SessionKeeper, client: CpapiClient) -> TypedGateway:
        """The gateway for typed RPCs."""
        return TypedGateway(
            client=client,
            keeper=keeper,
            prepared=self._preflights,
            connect_secs=self._settings.session_connect_secs,
        )

    async def frames(self, keeper: SessionKeeper) -> AsyncGenerator[bytes, None]:
        """The session after each change, as JSON of SessionService's message, until the server stops."""
        async with aclosing(keeper.follow()) as states:
            async for snapshot in states:
                if snapshot is not None:
                    session = messages.session(snapshot, login_url=self.login_url)
                    yield MessageToJson(session, indent=None).encode()

    def _login_changed(self) -> None:
        self._preflights.forget()
        self._forget_answers()

    def _changed(self, before: Snapshot, after: Snapshot) -> None:
        self._board.publish(after)
        if self._machine.rests:
            # Whatever called for another look was the end of the session itself.
            self._wake.clear()
            self._loses_login()
        if after.state is before.state:
            return
        if after.state in _WITHOUT_SESSION:
            self._preflights.forget()
        if after.state is State.LOGGED_OUT:
            self._forget_answers()
        level = logging.INFO if after.state in _QUIET_STATES else logging.WARNING
        _log.log(
            level,
            "the session is %s",
            after.state,
            extra={"was": before.state, "cause": after.cause, "next_action": after.advice},
        )


def login_url(settings: Settings) -> str:
    """The gateway's login page as a browser on this machine reaches it, through Envoy."""
    bind = settings.bind
    host = "localhost" if bind.host in _EVERYWHERE else f"[{bind.host}]" if ":" in bind.host else bind.host
    return f"http://{host}:{bind.port}/sso/Login"


def _ignore() -> None:
    """Nobody wants to know."""
