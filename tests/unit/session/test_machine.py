from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.session.machine import (
    TRANSITIONS,
    Accounts,
    Hindered,
    Limited,
    LoggedOut,
    Machine,
    NextAction,
    NotOpened,
    Observation,
    Opening,
    Policy,
    Primed,
    Signal,
    Snapshot,
    State,
    Status,
    Tickled,
    Unreachable,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "session.md"

DOWN = Status(authenticated=False, connected=True, competing=False, whole=True)
TAKEN = Status(authenticated=False, connected=True, competing=True, whole=True)
OPEN = Status(authenticated=True, connected=True, competing=False, established=False, whole=True)
ESTABLISHED = Status(authenticated=True, connected=True, competing=False, established=True, whole=True)


class Desk:
    """A machine, the maintenance window around it, and each change that it told of."""

    def __init__(self) -> None:
        self.maintained = False
        self.clock = 0.0
        self.changes: list[tuple[Snapshot, Snapshot]] = []
        self.machine = Machine(
            policy=Policy(
                login_url="http://localhost/sso/Login",
                opens_sessions=True,
                maintenance=lambda _: "IBKR's maintenance" if self.maintained else None,
            ),
            now=lambda: self.clock,
            changed=lambda before, after: self.changes.append((before, after)),
        )

    @property
    def state(self) -> State:
        return self.machine.snapshot.state

    def see(self, *observations: Observation, maintained: bool = False) -> None:
        self.maintained = maintained
        for observation in observations:
            self.clock += 1
            self.machine.observe(observation)

    def come_to(self, state: State, *, primed: bool = False) -> None:
        """Lead the machine to a state, by way of READY when what was primed shall still count."""
        if primed or state is State.READY:
            self.see(Tickled(ESTABLISHED, session="first"), Primed())
        match state:
            case State.GATEWAY_UNREACHABLE:
                self.see(Unreachable("no answer"))
            case State.MAINTENANCE:
                self.see(Unreachable("no answer"), maintained=True)
            case State.LOGGED_OUT:
                self.see(LoggedOut("401"))
            case State.NO_BROKERAGE_SESSION:
                self.see(DOWN)
            case State.CONNECTING:
                self.see(ESTABLISHED)
            case State.COMPETING:
                self.see(TAKEN)
            case State.PENALTY_BOX:
                self.see(Limited("429"))
        assert self.state is state


OBSERVED: dict[Signal, Observation] = {
    Signal.UNREACHABLE: Unreachable("no answer"),
    Signal.OUTAGE: Unreachable("no answer"),
    Signal.RATE_LIMITED: Limited("429"),
    Signal.LOGGED_OUT: LoggedOut("401"),
    Signal.COMPETING: TAKEN,
    Signal.NO_BROKERAGE: DOWN,
    Signal.AUTHENTICATED: OPEN,
    Signal.ESTABLISHED: Tickled(ESTABLISHED, session="second"),
    Signal.USABLE: ESTABLISHED,
    Signal.OPENING: Opening("it dropped"),
    Signal.NOT_OPENED: NotOpened("it took too long"),
    Signal.PRIMED: Primed(),
}
KEEPS_PRIMING = {State.READY, State.GATEWAY_UNREACHABLE, State.PENALTY_BOX, State.MAINTENANCE}
"""What was primed is lost with the session, so in other states nothing is usable before it is primed anew."""


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("state", State)
def test_every_transition(state: State, signal: Signal) -> None:
    if signal is Signal.USABLE and state not in KEEPS_PRIMING:
        return
    desk = Desk()
    desk.come_to(state, primed=signal is Signal.USABLE)
    desk.see(OBSERVED[signal], maintained=signal is Signal.OUTAGE)
    assert desk.state is TRANSITIONS[state, signal]


def test_the_document_has_every_transition() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    header = next(row for row in rows if row[0] == "Signal")
    assert header[1:] == list(State)
    documented = {
        (State(state), Signal(row[0])): State(state) if cell == "·" else State(cell)
        for row in rows
        if row[0] in set(Signal) and len(row) == len(header)
        for state, cell in zip(header[1:], row[1:], strict=True)
    }
    assert documented == TRANSITIONS


def test_the_document_describes_every_state() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    described = [line.split("|")[1].strip(" `") for line in lines if line.count("|") == 5]
    assert [name for name in described if name in set(State)] == list(State)


@pytest.mark.parametrize(
    ("state", "action"),
    {
        State.STARTING: NextAction.WAIT,
        State.GATEWAY_UNREACHABLE: NextAction.CHECK_GATEWAY,
        State.LOGGED_OUT: NextAction.LOG_IN,
        State.NO_BROKERAGE_SESSION: NextAction.WAIT,
        State.CONNECTING: NextAction.WAIT,
        State.READY: NextAction.NOTHING,
        State.COMPETING: NextAction.END_OTHER_SESSION,
        State.PENALTY_BOX: NextAction.WAIT,
        State.MAINTENANCE: NextAction.WAIT,
    }.items(),
)
def test_each_state_says_what_to_do(state: State, action: NextAction) -> None:
    desk = Desk()
    desk.come_to(state)
    assert desk.machine.snapshot.next_action is action
    assert desk.machine.snapshot.can_trade is (state is State.READY)


def test_another_login_is_primed_anew() -> None:
    desk = Desk()
    desk.come_to(State.READY)
    desk.see(Tickled(ESTABLISHED, session="second"))
    assert (desk.state, desk.machine.lost_session) == (State.CONNECTING, True)
    desk.see(Primed())
    assert (desk.state, desk.machine.logins) == (State.READY, 1)


def test_a_partial_frame_adds_to_what_is_known() -> None:
    desk = Desk()
    desk.come_to(State.READY)
    desk.see(Status(competing=True))
    assert desk.state is State.COMPETING
    assert desk.machine.snapshot.status.authenticated is True


def test_nothing_new_is_not_told() -> None:
    desk = Desk()
    desk.come_to(State.READY)
    told = len(desk.changes)
    desk.see(ESTABLISHED, Tickled(ESTABLISHED, session="first", sso_expires_at=5.0))
    assert len(desk.changes) == told


def booleans() -> st.SearchStrategy[bool | None]:
    return st.none() | st.booleans()


STATUSES = st.builds(
    Status,
    authenticated=booleans(),
    connected=booleans(),
    competing=booleans(),
    established=booleans(),
    said=st.none() | st.text(max_size=5),
    whole=st.booleans(),
)
OBSERVATIONS: st.SearchStrategy[Observation] = st.one_of(
    st.just(Unreachable("x")),
    st.just(Limited("x")),
    st.builds(LoggedOut, st.just("x"), st.booleans()),
    STATUSES,
    st.builds(Tickled, STATUSES, st.none() | st.sampled_from("ab"), st.none() | st.floats(0, 9)),
    st.builds(Accounts, st.none() | st.just(("DU1",)), st.none() | st.just("DU1"), booleans()),
    st.just(Opening("x")),
    st.just(NotOpened("x")),
    st.just(Hindered("x")),
    st.just(Primed()),
)


@given(st.lists(st.tuples(OBSERVATIONS, st.booleans()), max_size=30))
def test_any_observations_give_a_state(observations: list[tuple[Observation, bool]]) -> None:
    desk = Desk()
    for observation, maintained in observations:
        before = desk.state
        desk.see(observation, maintained=maintained)
        snapshot = desk.machine.snapshot
        assert snapshot.can_trade is (snapshot.state is State.READY)
        assert snapshot.cause
        assert snapshot.advice
        if snapshot.state is State.READY and before is not State.READY:
            assert desk.machine.layer is Signal.USABLE
