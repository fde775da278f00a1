"""The gateway's two sessions: single sign-on, and the brokerage session on top of it.

Observed on live gateways and in IBKR's documentation: single sign-on lasts a day at most; the brokerage session
ends after about six minutes without requests, when another client competes, or with single sign-on. What each
session knows (priming, suppressed questions, open market-data lines) is lost with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from bezant_server.paper.clock import Clock

IDLE_SECONDS = 6 * 60
SSO_SECONDS = 24 * 3600
ESTABLISH_SECONDS = 0.5
SERVER_NAME = "JifN19007"
SERVER_VERSION = "Build 10.44.1d, Mar 3, 2026 1:55:32 PM"
MAC = "98:F2:B3:23:BF:A0"
USER_NAME = "paperuser"


@dataclass(slots=True)
class SsoSession:
    """What lives as long as the login does."""

    opened_at: float
    session_id: str = field(default_factory=lambda: secrets.token_hex(16))
    portfolio_primed: bool = False
    positions_seen: set[tuple[str, int]] = field(default_factory=set)


@dataclass(slots=True)
class BrokerageSession:
    """What lives as long as one brokerage session does."""

    opened_at: float
    selected_account: str
    accounts_primed: bool = False
    orders_primed: bool = False
    trades_primed: bool = False
    pnl_primed: bool = False
    order_filters: frozenset[str] = frozenset()
    suppressed: set[str] = field(default_factory=set)
    lines: dict[int, set[str]] = field(default_factory=dict)
    searched: set[int] = field(default_factory=set)
    struck: set[int] = field(default_factory=set)
    hmds: bool = False


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What a session change tells open sockets: the `args` of an `sts` frame, and whether the socket ends."""

    args: dict[str, bool]
    closes_sockets: bool = False


class Session:
    """Both sessions, their timeouts, and who wants to hear of changes."""

    def __init__(self, clock: Clock, *, default_account: str, primed: bool = False) -> None:
        self._clock = clock
        self._default_account = default_account
        self._primed = primed
        self.sso: SsoSession | None = None
        self.brokerage: BrokerageSession | None = None
        self.competing = False
        self.last_request = clock.now()
        self.init_delay = 0.0
        self.affinity = _new_affinity(clock.now())
        self._generation = 0
        self.listeners: list[Callable[[StatusChange], None]] = []
        clock.every(1.0, self.expire)

    @property
    def established(self) -> bool:
        """Whether account information has arrived: shortly after authentication."""
        return self.brokerage is not None and self._clock.now() >= self.brokerage.opened_at + ESTABLISH_SECONDS

    def login(self) -> None:
        """Open single sign-on anew, and the brokerage session that follows every login."""
        self._close_brokerage()
        self.competing = False
        self.sso = SsoSession(self._clock.now(), portfolio_primed=self._primed)
        self.last_request = self._clock.now()
        self._open_brokerage()

    def logout(self) -> None:
        """End both sessions; sockets are told and closed."""
        if self.sso is None:
            return
        self.sso = None
        self.brokerage = None
        self._tell(StatusChange({"authenticated": False, "connected": False}, closes_sockets=True))

    def drop_brokerage(self) -> None:
        """End the brokerage session alone."""
        if self._close_brokerage():
            self._tell(StatusChange({"authenticated": False}))

    def init_brokerage(self, *, compete: bool) -> None:
        """Open a brokerage session; one that is open is torn down first.

        Another client's session is taken over with `compete`, and left alone without it.
        """
        if self.competing and not compete:
            return
        self.competing = False
        self.drop_brokerage()
        if not self.init_delay:
            self._open_brokerage()
            return
        self._generation += 1
        generation = self._generation

        def open_later() -> None:
            if generation == self._generation and self.brokerage is None and self.sso is not None:
                self._open_brokerage()

        self._clock.call_later(self.init_delay, open_later)

    def compete(self, *, on: bool) -> None:
        """Let another client take the brokerage session, or leave again."""
        if on and not self.competing:
            self.competing = True
            self._close_brokerage()
            self._tell(StatusChange({"competing": True, "authenticated": False}))
        elif not on and self.competing:
            self.competing = False
            self._tell(StatusChange({"competing": False}))

    def restart(self) -> None:
        """Begin again as a restarted gateway does: new session id, new cookies, every socket gone."""
        was_open = self.sso is not None
        self.logout()
        self.affinity = _new_affinity(self._clock.now())
        if was_open:
            self.login()

    def touch(self) -> None:
        """Note a request: it keeps the brokerage session alive."""
        self.last_request = self._clock.now()

    def expire(self) -> None:
        """End what has outlived its time."""
        now = self._clock.now()
        if self.sso is not None and now - self.sso.opened_at >= SSO_SECONDS:
            self.logout()
        elif self.brokerage is not None and now - self.last_request >= IDLE_SECONDS:
            self.drop_brokerage()

    def sso_expires_ms(self) -> int:
        """The countdown in /tickle: ten minutes from the last request."""
        return max(0, int((self.last_request + 600 - self._clock.now()) * 1000) - 1)

    def status(self) -> dict[str, object]:
        """The auth/status object; without single sign-on the short form."""
        if self.sso is None:
            return {"authenticated": False, "competing": False, "connected": False, "MAC": MAC}
        return {
            "authenticated": self.brokerage is not None,
            "competing": self.competing,
            "connected": True,
            "established": self.established,
            "message": "",
            "MAC": MAC,
            "serverInfo": {"serverName": SERVER_NAME, "serverVersion": SERVER_VERSION},
            "hardware_info": f"3e2f1a0b|{MAC}",
            "fail": "",
        }

    def _open_brokerage(self) -> None:
        self.brokerage = BrokerageSession(
            self._clock.now(), self._default_account, accounts_primed=self._primed, orders_primed=self._primed
        )
        self._tell(StatusChange({"authenticated": True}))

    def _close_brokerage(self) -> bool:
        was_open = self.brokerage is not None
        self.brokerage = None
        return was_open

    def _tell(self, change: StatusChange) -> None:
        for listener in list(self.listeners):
            listener(change)


def _new_affinity(now: float) -> str:
    return f"0.{secrets.token_hex(4)}.{int(now)}.{secrets.token_hex(4)}"
