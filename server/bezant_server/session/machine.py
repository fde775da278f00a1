"""The state of the session: what was observed in, what it means out. No input, no output, no waiting.

An observation is read as a signal (`Machine.observe`), and a signal leads from one state to the next by one table,
`TRANSITIONS`. docs/session.md is the readable form of that table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where the session stands. Orders can be sent in READY alone."""

    STARTING = "STARTING"
    GATEWAY_UNREACHABLE = "GATEWAY_UNREACHABLE"
    LOGGED_OUT = "LOGGED_OUT"
    NO_BROKERAGE_SESSION = "NO_BROKERAGE_SESSION"
    CONNECTING = "CONNECTING"
    READY = "READY"
    COMPETING = "COMPETING"
    PENALTY_BOX = "PENALTY_BOX"
    MAINTENANCE = "MAINTENANCE"


class Signal(StrEnum):
    """What an observation says.

    UNREACHABLE: the gateway gives no usable answer. OUTAGE: the same, or a session that does not open, while IBKR
    maintains its systems. RATE_LIMITED: the gateway said 429. LOGGED_OUT: single sign-on is gone. COMPETING: another
    program has the brokerage session. NO_BROKERAGE: single sign-on lives, the brokerage session does not.
    AUTHENTICATED: it is authenticated, account information has not arrived. ESTABLISHED: it has, and the session is not
    primed. USABLE: it has, and the session is primed. OPENING: the gateway was asked to open a brokerage session.
    NOT_OPENED: and did not in time. PRIMED: the calls that must come first have succeeded.
    """

    UNREACHABLE = "UNREACHABLE"
    OUTAGE = "OUTAGE"
    RATE_LIMITED = "RATE_LIMITED"
    LOGGED_OUT = "LOGGED_OUT"
    COMPETING = "COMPETING"
    NO_BROKERAGE = "NO_BROKERAGE"
    AUTHENTICATED = "AUTHENTICATED"
    ESTABLISHED = "ESTABLISHED"
    USABLE = "USABLE"
    OPENING = "OPENING"
    NOT_OPENED = "NOT_OPENED"
    PRIMED = "PRIMED"


class NextAction(StrEnum):
    """What a human is to do."""

    NOTHING = "NOTHING"
    WAIT = "WAIT"
    CHECK_GATEWAY = "CHECK_GATEWAY"
    LOG_IN = "LOG_IN"
    OPEN_SESSION = "OPEN_SESSION"
    END_OTHER_SESSION = "END_OTHER_SESSION"


def _transitions() -> dict[tuple[State, Signal], State]:
    leads_to = {
        Signal.UNREACHABLE: State.GATEWAY_UNREACHABLE,
        Signal.OUTAGE: State.MAINTENANCE,
        Signal.RATE_LIMITED: State.PENALTY_BOX,
        Signal.LOGGED_OUT: State.LOGGED_OUT,
        Signal.COMPETING: State.COMPETING,
        Signal.NO_BROKERAGE: State.NO_BROKERAGE_SESSION,
        Signal.AUTHENTICATED: State.CONNECTING,
        Signal.ESTABLISHED: State.CONNECTING,
        Signal.USABLE: State.READY,
        Signal.OPENING: State.CONNECTING,
    }
    table = {(state, signal): target for signal, target in leads_to.items() for state in State}
    # While it opens, or IBKR maintains its systems, that there is no session is nothing new.
    for state in (State.CONNECTING, State.MAINTENANCE):
        table[state, Signal.NO_BROKERAGE] = state
    for state in State:
        table[state, Signal.NOT_OPENED] = state
        table[state, Signal.PRIMED] = state
    for state in (State.CONNECTING, State.MAINTENANCE):
        table[state, Signal.NOT_OPENED] = State.NO_BROKERAGE_SESSION
    table[State.CONNECTING, Signal.PRIMED] = State.READY
    return table


TRANSITIONS: Mapping[tuple[State, Signal], State] = _transitions()
"""The next state, by state and signal: every pair of them."""

_LOSES_THE_SESSION = frozenset(
    {Signal.LOGGED_OUT, Signal.COMPETING, Signal.NO_BROKERAGE, Signal.AUTHENTICATED, Signal.OPENING}
)
"""What the gateway knew of a brokerage session (priming, selected account, suppressed questions, subscriptions) is lost
with it."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No usable answer came."""

    why: str


@dataclass(frozen=True, slots=True)
class Limited:
    """The gateway said 429."""

    why: str


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """401, a redirect to the login page, or the answer to a logout (`on_request`)."""

    why: str
    on_request: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """What the gateway says of the brokerage session; what it does not say is None.

    Attributes:
        whole: an answer that says everything, rather than a frame with what has changed.
        gateway_mac: hardware address of the machine that the gateway runs on.
        said: the gateway's own words, if it has any.
    """

    authenticated: bool | None = None
    connected: bool | None = None
    competing: bool | None = None
    established: bool | None = None
    server_name: str | None = None
    server_version: str | None = None
    gateway_mac: str | None = None
    said: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Tickled:
    """The answer to a tickle.

    Attributes:
        session: the id that is another after each login.
        sso_expires_at: when single sign-on ends if nothing is asked before, seconds since 1970.
    """

    status: Status
    session: str | None = None
    sso_expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of the login; what is not said is None."""

    accounts: tuple[str, ...] | None = None
    selected: str | None = None
    is_paper: bool | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """The gateway was asked to open a brokerage session."""

    why: str


@dataclass(frozen=True, slots=True)
class NotOpened:
    """It did not open in time, or was refused."""

    why: str


@dataclass(frozen=True, slots=True)
class Hindered:
    """The session is open and not usable yet: a call that must come first failed."""

    why: str


@dataclass(frozen=True, slots=True)
class Primed:
    """The calls that must come first have succeeded."""


Observation = Unreachable | Limited | LoggedOut | Status | Tickled | Accounts | Opening | NotOpened | Hindered | Primed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The session as it is known.

    Attributes:
        state: where it stands.
        since: when it came there, seconds since 1970.
        cause: why, in words.
        next_action: what a human is to do.
        advice: the same in words.
        logged_in: whether single sign-on lives; None while nobody knows.
        sso_expires_at: when it ends if nothing is asked before, seconds since 1970.
        status: what the gateway last said of the brokerage session.
        accounts: the accounts of the login, with the selected one.
    """

    state: State
    since: float
    cause: str
    next_action: NextAction
    advice: str
    logged_in: bool | None = None
    sso_expires_at: float | None = None
    status: Status = Status()
    accounts: Accounts = Accounts()

    @property
    def can_trade(self) -> bool:
        """Whether orders can be sent."""
        return self.state is State.READY

    def same_as(self, other: Snapshot) -> bool:
        """Whether nothing has changed but the countdown of single sign-on."""
        return replace(self, sso_expires_at=None) == replace(other, sso_expires_at=None)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the machine must know of its surroundings to say what is to be done.

    Attributes:
        login_url: where a human logs in.
        opens_sessions: whether this server opens and primes brokerage sessions by itself.
        maintenance: names IBKR's maintenance window at a time (seconds since 1970), if there is one.
    """

    login_url: str
    opens_sessions: bool
    maintenance: Callable[[float], str | None]


class Machine:
    """Keeps the state.

    Args:
        policy: its surroundings.
        now: seconds since 1970.
        changed: told of each change: the snapshot before, and the one after.
    """

    def __init__(
        self, *, policy: Policy, now: Callable[[], float], changed: Callable[[Snapshot, Snapshot], None]
    ) -> None:
        self._policy = policy
        self._now = now
        self._changed = changed
        self._session: str | None = None
        self._primed = False
        self.lost_session = False
        """Whether a brokerage session was lost since the last priming: its subscriptions are gone with it."""
        self.logins = 0
        """How many logins were seen after the first."""
        self.layer: Signal | None = None
        """What was last said of the two layers; None while nobody says anything."""
        self.gave_up = False
        """Whether the server has stopped taking the session from another program."""
        self.rests = False
        """Whether somebody logged out on purpose: the session is not to be kept alive, nor asked about."""
        self.snapshot = Snapshot(
            State.STARTING, now(), "the gateway has not been asked yet", NextAction.WAIT, "wait for the first answer"
        )

    def observe(self, observation: Observation) -> None:
        """Take in what was seen."""
        before = self.snapshot
        match observation:
            case Unreachable(why):
                self.layer = None
                self._signal(*self._failure(Signal.UNREACHABLE, why))
            case Limited(why):
                self.layer = None
                self._signal(Signal.RATE_LIMITED, why)
            case LoggedOut(why, on_request):
                self.rests = self.rests or on_request
                self._logged_out(why)
            case Status():
                self._status(observation)
            case Tickled(status, session, sso_expires_at):
                self._login(session)
                self.snapshot = replace(self.snapshot, sso_expires_at=sso_expires_at)
                self._status(status)
            case Accounts():
                self._accounts(observation)
            case Opening(why):
                self._signal(Signal.OPENING, why)
            case NotOpened(why):
                signal, why = self._failure(Signal.NOT_OPENED, why)
                if signal is Signal.NOT_OPENED or self._is_without_session():
                    self._signal(signal, why)
            case Hindered(why):
                if self.snapshot.state is State.CONNECTING:
                    self._explain(State.CONNECTING, why)
            case Primed():
                self._prime()
        if not before.same_as(self.snapshot):
            self._changed(before, self.snapshot)

    def _failure(self, signal: Signal, why: str) -> tuple[Signal, str]:
        window = self._policy.maintenance(self._now())
        return (signal, why) if window is None else (Signal.OUTAGE, f"{why}, during {window}")

    def _is_without_session(self) -> bool:
        return self.snapshot.state in (State.CONNECTING, State.MAINTENANCE, State.NO_BROKERAGE_SESSION)

    def _login(self, session: str | None) -> None:
        if session is None:
            return
        self.rests = False
        if self._session not in (None, session):
            self.logins += 1
            self._primed = False
            self.lost_session = True
        self._session = session

    def _logged_out(self, why: str) -> None:
        self.snapshot = replace(self.snapshot, logged_in=False, sso_expires_at=None, status=Status())
        self.layer = Signal.LOGGED_OUT
        self._signal(Signal.LOGGED_OUT, why)

    def _status(self, heard: Status) -> None:
        if heard.whole and heard.authenticated is None:
            return
        known = heard if heard.whole else _merged(self.snapshot.status, heard)
        if known.connected is False and not known.authenticated:
            self._logged_out("the gateway says that nobody is logged in")
            return
        self.snapshot = replace(self.snapshot, status=known)
        if known.authenticated is None:
            return
        signal = self._meaning(known)
        self.snapshot = replace(self.snapshot, logged_in=True)
        self.layer = signal
        self._signal(signal, self._cause(signal, known))

    def _meaning(self, status: Status) -> Signal:
        if status.competing:
            return Signal.COMPETING
        if not status.authenticated:
            return Signal.NO_BROKERAGE
        # Older gateways do not say whether account information has arrived.
        if status.established is False:
            return Signal.AUTHENTICATED
        # A server that opens no sessions prepares none either: callers do.
        return Signal.USABLE if self._primed or not self._policy.opens_sessions else Signal.ESTABLISHED

    def _cause(self, signal: Signal, status: Status) -> str:
        if signal is Signal.COMPETING and self.gave_up:
            return "another program uses this login and takes the session back each time"
        cause = {
            Signal.COMPETING: "another program uses this login",
            Signal.NO_BROKERAGE: "logged in, without a brokerage session",
            Signal.AUTHENTICATED: "the brokerage session is open, its accounts have not arrived",
            Signal.ESTABLISHED: "the brokerage session is open and is being prepared",
            Signal.USABLE: "the brokerage session is open",
        }[signal]
        said = status.said if signal in (Signal.COMPETING, Signal.NO_BROKERAGE) else None
        return f"{cause}; the gateway says: {said}" if said else cause

    def _accounts(self, heard: Accounts) -> None:
        known = self.snapshot.accounts
        self.snapshot = replace(
            self.snapshot,
            accounts=Accounts(
                known.accounts if heard.accounts is None else heard.accounts,
                known.selected if heard.selected is None else heard.selected,
                known.is_paper if heard.is_paper is None else heard.is_paper,
            ),
        )

    def _prime(self) -> None:
        if self.snapshot.state is not State.CONNECTING or self.layer is not Signal.ESTABLISHED:
            return
        self._primed = True
        self.lost_session = False
        self.layer = Signal.USABLE
        self._signal(Signal.PRIMED, self._cause(Signal.USABLE, self.snapshot.status))

    def _signal(self, signal: Signal, why: str) -> None:
        state = TRANSITIONS[self.snapshot.state, signal]
        if signal in _LOSES_THE_SESSION:
            self._primed = False
            self.lost_session = True
        # A state that goes on for another reason keeps the first one: it says what began it.
        moved = state is not self.snapshot.state
        if moved or state is _OWN_STATE.get(signal):
            self._explain(state, why)

    def _explain(self, state: State, why: str) -> None:
        action, advice = self._advice(state)
        since = self.snapshot.since if state is self.snapshot.state else self._now()
        self.snapshot = replace(self.snapshot, state=state, since=since, cause=why, next_action=action, advice=advice)

    def _advice(self, state: State) -> tuple[NextAction, str]:
        match state:
            case State.READY:
                return NextAction.NOTHING, "nothing to do"
            case State.STARTING | State.CONNECTING:
                return NextAction.WAIT, "wait a few seconds"
            case State.GATEWAY_UNREACHABLE:
                return NextAction.CHECK_GATEWAY, "start the Client Portal Gateway, or correct IBKR_GATEWAY_URL"
            case State.LOGGED_OUT:
                return NextAction.LOG_IN, f"log in at {self._policy.login_url}"
            case State.NO_BROKERAGE_SESSION if self._policy.opens_sessions:
                return NextAction.WAIT, "wait: the server opens a brokerage session"
            case State.NO_BROKERAGE_SESSION:
                return NextAction.OPEN_SESSION, "call SessionService.InitBrokerageSession"
            case State.COMPETING:
                return (
                    NextAction.END_OTHER_SESSION,
                    "log out of the other program (TWS, a phone, a gateway), or call InitBrokerageSession(compete)",
                )
            case State.PENALTY_BOX:
                return NextAction.WAIT, "wait: the gateway refuses calls for up to 15 minutes; send less"
            case State.MAINTENANCE:
                return NextAction.WAIT, "wait until IBKR's maintenance is over"


_OWN_STATE: Mapping[Signal, State] = {
    Signal.UNREACHABLE: State.GATEWAY_UNREACHABLE,
    Signal.OUTAGE: State.MAINTENANCE,
    Signal.RATE_LIMITED: State.PENALTY_BOX,
    Signal.LOGGED_OUT: State.LOGGED_OUT,
    Signal.COMPETING: State.COMPETING,
    Signal.OPENING: State.CONNECTING,
    Signal.NOT_OPENED: State.NO_BROKERAGE_SESSION,
}
"""Signals that explain a state anew while it lasts."""


def _merged(known: Status, heard: Status) -> Status:
    """What is known with what a frame adds. A session that is no longer authenticated is not established either."""
    established = known.established if heard.established is None else heard.established
    if heard.authenticated is False:
        established = False
    return Status(
        authenticated=known.authenticated if heard.authenticated is None else heard.authenticated,
        connected=known.connected if heard.connected is None else heard.connected,
        competing=known.competing if heard.competing is None else heard.competing,
        established=established,
        server_name=known.server_name if heard.server_name is None else heard.server_name,
        server_version=known.server_version if heard.server_version is None else heard.server_version,
        gateway_mac=known.gateway_mac if heard.gateway_mac is None else heard.gateway_mac,
        said=known.said if heard.said is None else heard.said,
    )
