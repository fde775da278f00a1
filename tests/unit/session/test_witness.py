"""What an answer of the gateway says of the session, and what it only makes suspect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse
from bezant_server.errors import BezantError, UpstreamTimeout, UpstreamUnreachable
from bezant_server.session.choices import Choices
from bezant_server.session.machine import Machine, Policy, Primed, State
from bezant_server.session.witness import Witness

GATEWAY = GatewayUrl.parse("https://localhost:5000/v1/api")
UP = {"authenticated": True, "connected": True, "competing": False, "established": True}
TICKLE = {"session": "a", "ssoExpires": 500_000, "iserver": {"authStatus": UP}}


class Bench:
    """A witness with its machine, READY, and how often it has suspected something."""

    def __init__(self) -> None:
        self.suspicions = 0
        self.choices = Choices()
        policy = Policy("http://here", opens_sessions=True, maintenance=lambda _: None)
        self.machine = Machine(policy=policy, now=lambda: 0.0, changed=lambda _, __: None)
        self.witness = Witness(
            gateway=GATEWAY, machine=self.machine, choices=self.choices, now=lambda: 1000.0, suspect=self._suspect
        )
        self.hear("POST", "/tickle", 200, TICKLE)
        self.machine.observe(Primed())
        assert self.state is State.READY

    @property
    def state(self) -> State:
        return self.machine.snapshot.state

    def hear(self, method: str, path: str, status: int, document: object = None, *, asked: object = None) -> None:
        request = UpstreamRequest(method, f"/v1/api{path}", body=None if asked is None else json.dumps(asked).encode())
        self.witness.answered(request, UpstreamResponse(status, (), json.dumps(document).encode()))

    def _suspect(self) -> None:
        self.suspicions += 1


@pytest.mark.parametrize(
    ("status", "document"),
    [(401, None), (400, {"error": "Bad Request: no bridge"}), (429, None), (503, None)],
)
def test_what_may_have_other_causes_is_only_suspect(status: int, document: object) -> None:
    bench = Bench()
    bench.hear("GET", "/portfolio/accounts", status, document)
    assert (bench.state, bench.suspicions) == (State.READY, 1)


def test_what_is_known_is_not_suspected_again() -> None:
    bench = Bench()
    bench.hear("POST", "/tickle", 401)
    assert bench.state is State.LOGGED_OUT
    for _ in range(10):
        bench.hear("GET", "/portfolio/accounts", 401)
    assert bench.suspicions == 0


def test_an_order_of_a_caller_that_fails_is_not_suspect() -> None:
    bench = Bench()
    for status in (200, 400, 404, 500):
        bench.hear("POST", "/iserver/account/DU1/orders", status, {"error": "rejected"})
    assert bench.suspicions == 0


@pytest.mark.parametrize(("error", "suspicions"), [(UpstreamUnreachable("x"), 1), (UpstreamTimeout("x"), 0)])
def test_no_connection_is_suspect_and_a_slow_answer_is_not(error: BezantError, suspicions: int) -> None:
    bench = Bench()
    bench.witness.answered(UpstreamRequest("GET", "/v1/api/portfolio/accounts"), error)
    assert bench.suspicions == suspicions


@pytest.mark.parametrize(
    ("status", "document", "state"),
    [
        (200, {"iserver": {"authStatus": UP | {"authenticated": False}}}, State.NO_BROKERAGE_SESSION),
        (200, {"error": "failed to process request"}, State.GATEWAY_UNREACHABLE),
        (200, {}, State.GATEWAY_UNREACHABLE),
        (200, "text", State.GATEWAY_UNREACHABLE),
        (401, None, State.LOGGED_OUT),
        (429, None, State.PENALTY_BOX),
        (503, None, State.GATEWAY_UNREACHABLE),
    ],
)
def test_a_tickle_is_believed_whoever_sent_it(status: int, document: object, state: State) -> None:
    bench = Bench()
    bench.hear("POST", "/tickle", status, document)
    assert bench.state is state


@pytest.mark.parametrize("path", ["/Logout", "//logout/", "/x/..%2Flogout"])
def test_a_path_is_known_however_it_is_spelled(path: str) -> None:
    bench = Bench()
    bench.hear("POST", path, 200, {"status": True})
    assert bench.machine.rests


def test_a_callers_own_init_is_waited_for() -> None:
    bench = Bench()
    bench.hear("POST", "/iserver/auth/ssodh/init", 200, UP | {"authenticated": False, "established": False})
    assert (bench.state, bench.witness.others_opened) == (State.CONNECTING, 1)


def test_the_end_of_a_login_is_looked_at() -> None:
    bench = Bench()
    bench.witness.answered(UpstreamRequest("POST", "/sso/Dispatcher"), UpstreamResponse(302, (), b""))
    assert bench.suspicions == 1


def test_choices_are_learnt_and_forgotten() -> None:
    bench = Bench()
    bench.hear("POST", "/iserver/account", 200, {"set": True}, asked={"acctId": "DU2"})
    bench.hear("POST", "/iserver/account", 500, {"error": "x"}, asked={"acctId": "DU3"})
    bench.hear("POST", "/iserver/questions/suppress", 200, {}, asked={"messageIds": ["o163", 7]})
    bench.hear("POST", "/iserver/questions/suppress", 200, {}, asked={"messageIds": ["o354"]})
    assert (bench.choices.account, bench.choices.suppressed) == ("DU2", frozenset({"o163", "o354"}))
    bench.hear("POST", "/iserver/questions/suppress/reset", 200, {})
    assert bench.choices.suppressed == frozenset()
    bench.hear("POST", "/logout", 200, {"status": True})
    assert (bench.choices.account, bench.state) == (None, State.LOGGED_OUT)


NAMES = ["session", "ssoExpires", "iserver", "authStatus", "authenticated", "args", "topic", "accounts", "serverInfo"]
documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3) | st.sampled_from(["sts", "act"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)
PATHS = [
    "/tickle",
    "/iserver/auth/status",
    "/iserver/auth/ssodh/init",
    "/iserver/accounts",
    "/iserver/account",
    "/logout",
]


@given(st.sampled_from(PATHS), st.integers(200, 599), documents, st.none() | documents)
def test_nothing_that_is_heard_does_harm(path: str, status: int, document: object, asked: object) -> None:
    bench = Bench()
    bench.hear("POST", path, status, document, asked=asked)
    bench.witness.framed(json.dumps(document).encode())
    assert bench.state in State


@given(st.binary(max_size=50))
def test_nothing_that_is_no_json_does_harm(body: bytes) -> None:
    bench = Bench()
    for path in PATHS:
        bench.witness.answered(UpstreamRequest("POST", f"/v1/api{path}", body=body), UpstreamResponse(200, (), body))
    bench.witness.framed(body)
    assert bench.state in State
