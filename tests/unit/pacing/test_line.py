from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi.messages import UpstreamRequest
from bezant_server.cpapi.pacing.calls import Lane, profile
from bezant_server.cpapi.pacing.limits import DEFAULT_LIMITS, Limit
from bezant_server.cpapi.pacing.line import Line, RefusedError, Rules
from tests.unit.pacing.simulation import GATEWAY, Ask, Outcome, simulate

RULES = Rules(limits=DEFAULT_LIMITS)
INTERVAL = 0.1
ROUNDING = 1e-6

SUMMARY = ("GET", "/portfolio/DU1/summary")
LIVE_ORDERS = ("GET", "/iserver/account/orders")
SNAPSHOT = ("GET", "/iserver/marketdata/snapshot")
HISTORY = ("GET", "/iserver/marketdata/history")
TICKLE = ("POST", "/tickle")
ORDER = ("POST", "/iserver/account/DU1/orders")
CANCEL = ("DELETE", "/iserver/account/DU1/order/7")


@st.composite
def calls(draw: st.DrawFn) -> Ask:
    method, path = draw(st.sampled_from([SUMMARY, LIVE_ORDERS, SNAPSHOT, HISTORY, TICKLE, ORDER, CANCEL]))
    return Ask(
        at=draw(st.floats(0, 6)),
        method=method,
        path=path,
        client=draw(st.sampled_from("abc")),
        patience=draw(st.floats(0, 20)),
        latency=draw(st.floats(0, 2)),
        # A call is under way for RULES.transit_secs at the most, however long its answer takes.
        transit=draw(st.floats(0, 0.25)),
    )


@given(st.lists(calls(), max_size=60))
def test_no_window_is_ever_exceeded_at_the_gateway(asks: list[Ask]) -> None:
    outcomes = simulate(Line(RULES), asks)
    for limit in DEFAULT_LIMITS:
        covered = [each for each in outcomes if each.sent and limit.covers(each.ask.method, each.ask.path)]
        assert worst_excess(limit, covered) <= limit.count


@given(st.lists(calls(), max_size=60))
def test_every_call_is_sent_once_or_refused_in_time(asks: list[Ask]) -> None:
    for each in simulate(Line(RULES), asks):
        deadline = each.ask.at + each.ask.patience
        if each.refused is not None:
            assert not each.sent
            assert each.late is None
        elif each.late is not None:
            assert not each.sent
            assert each.late >= deadline
        else:
            assert len(each.sent) == 1
            assert each.sent[0] <= deadline + ROUNDING


@given(st.lists(calls(), max_size=60))
def test_nothing_is_sent_beside_an_order_on_its_way(asks: list[Ask]) -> None:
    outcomes = [each for each in simulate(Line(RULES), asks) if each.sent]
    for order in outcomes:
        if (order.ask.method, order.ask.path) != ORDER:
            continue
        held_until = min(order.done, order.sent[0] + RULES.hold_secs)
        beside = [each for each in outcomes if order.sent[0] < each.sent[0] < held_until and each is not order]
        assert not beside


@given(st.lists(calls(), max_size=60), st.floats(0.5, 5))
def test_a_lower_lane_never_goes_while_a_higher_one_could(asks: list[Ask], at: float) -> None:
    """Of a read and a cancellation that wait for the same places, the cancellation goes."""
    cancel = Ask(at=at, method=CANCEL[0], path=CANCEL[1], client="z", patience=60)
    outcomes = simulate(Line(RULES), [*asks, cancel])
    mine = next(each for each in outcomes if each.ask is cancel)
    assert mine.sent
    overtaken = [
        each
        for each in outcomes
        if each.sent and mine.ask.at < each.sent[0] < mine.sent[0] and lane_of(each.ask) is not Lane.ORDERS
    ]
    assert not overtaken


def test_an_order_waits_at_most_an_interval_however_many_reads_wait() -> None:
    reads = [Ask(at=0, method="GET", path=f"/portfolio/DU{number}/summary", patience=600) for number in range(500)]
    orders = [Ask(at=5 + 0.7 * number, method=CANCEL[0], path=CANCEL[1]) for number in range(20)]
    outcomes = simulate(Line(RULES), [*reads, *orders])
    waits = [each.waited for each in outcomes if each.ask.method == "DELETE"]
    assert max(waits) <= INTERVAL + ROUNDING


def test_placing_waits_for_what_is_on_its_way() -> None:
    """A read that arrives behind the order would void the question that the order raises."""
    read = Ask(at=0, method="GET", path=SUMMARY[1], latency=0.08)
    order = Ask(at=0.01, method=ORDER[0], path=ORDER[1], question="q")
    sent = {each.ask.method: each for each in simulate(Line(RULES), [read, order])}
    assert sent["POST"].sent[0] >= sent["GET"].done
    assert sent["POST"].waited <= INTERVAL + ROUNDING


def test_a_question_holds_the_line_for_its_reply() -> None:
    order = Ask(at=0, method=ORDER[0], path=ORDER[1], question="q1")
    read = Ask(at=0.1, method=SUMMARY[0], path=SUMMARY[1])
    second_order = Ask(at=0.2, method=ORDER[0], path=ORDER[1], client="b")
    reply = Ask(at=2, method="POST", path="/iserver/reply/q1", question="q2")
    next_reply = Ask(at=5, method="POST", path="/iserver/reply/q2")
    outcomes = simulate(Line(RULES), [order, read, second_order, reply, next_reply])
    in_order_of_sending = [each.ask for each in sorted(outcomes, key=lambda each: each.sent[0])]
    assert in_order_of_sending == [order, reply, next_reply, second_order, read]


def test_an_unanswered_question_holds_the_line_for_its_time_only() -> None:
    order = Ask(at=0, method=ORDER[0], path=ORDER[1], question="q1")
    read = Ask(at=0.1, method=SUMMARY[0], path=SUMMARY[1])
    late_reply = Ask(at=20, method="POST", path="/iserver/reply/q1")
    outcomes = {each.ask: each for each in simulate(Line(RULES), [order, read, late_reply])}
    assert outcomes[read].sent[0] == pytest.approx(outcomes[order].done + RULES.hold_secs)
    assert outcomes[late_reply].waited == 0


def test_clients_take_turns() -> None:
    busy = [
        Ask(at=0, method="GET", path=f"/portfolio/DU{number}/summary", client="busy", patience=600)
        for number in range(200)
    ]
    other = Ask(at=1, method=SUMMARY[0], path=SUMMARY[1], client="other")
    outcomes = simulate(Line(RULES), [*busy, other])
    mine = next(each for each in outcomes if each.ask is other)
    assert mine.waited < 0.5


def test_within_a_client_first_come_is_first_served() -> None:
    asks = [Ask(at=number / 1000, method="GET", path=f"/portfolio/DU{number}/summary") for number in range(40)]
    sent = sorted(simulate(Line(RULES), asks), key=lambda each: each.sent[0])
    assert [each.ask for each in sent] == asks


def test_a_call_that_cannot_be_in_time_is_refused_at_once() -> None:
    line = Line(RULES)
    first, second = simulate(
        line,
        [
            Ask(at=0, method=LIVE_ORDERS[0], path=LIVE_ORDERS[1]),
            Ask(at=1, method=LIVE_ORDERS[0], path=LIVE_ORDERS[1], patience=2),
        ],
    )
    assert first.sent
    assert second.refused == 1


def test_a_full_lane_refuses() -> None:
    line = Line(Rules(limits=DEFAULT_LIMITS, queue_cap=3))
    kind = profile(UpstreamRequest("GET", "/v1/api/portfolio/DU1/summary", changes_state=False), GATEWAY)
    for _ in range(3):
        line.join(kind, client="a", now=0, deadline=math.inf)
    with pytest.raises(RefusedError, match="waiting already"):
        line.join(kind, client="b", now=0, deadline=math.inf)


def test_after_a_429_nothing_is_sent_until_a_probe_succeeds() -> None:
    line = Line(RULES)
    kind = profile(UpstreamRequest("GET", "/v1/api/portfolio/DU1/summary", changes_state=False), GATEWAY)
    first = line.join(kind, client="a", now=0, deadline=60)
    waiting = line.join(kind, client="a", now=0, deadline=60)
    assert line.next_to_send(0) is first
    line.answered(first, 0.1, status=429, questions=frozenset())
    assert line.stopped(0.1) == [waiting]
    with pytest.raises(RefusedError) as refused:
        line.join(kind, client="a", now=1, deadline=60)
    assert refused.value.retry_after_secs == pytest.approx(RULES.backoff_min_secs - 0.9)

    probe = line.join(kind, client="a", now=6, deadline=60)
    assert line.next_to_send(6) is probe
    with pytest.raises(RefusedError):
        line.join(kind, client="a", now=6.1, deadline=60)
    line.answered(probe, 6.2, status=429, questions=frozenset())
    assert line.pause is not None
    assert line.pause.backoff_secs == 2 * RULES.backoff_min_secs

    again = line.join(kind, client="a", now=17, deadline=60)
    assert line.next_to_send(17) is again
    line.answered(again, 17.1, status=200, questions=frozenset())
    assert line.pause is None


def test_the_back_off_doubles_up_to_its_limit() -> None:
    line = Line(RULES)
    kind = profile(UpstreamRequest("GET", "/v1/api/portfolio/DU1/summary", changes_state=False), GATEWAY)
    now = 0.0
    pauses = []
    for _ in range(12):
        ticket = line.join(kind, client="a", now=now, deadline=now + 60)
        assert line.next_to_send(now) is ticket
        line.answered(ticket, now, status=429, questions=frozenset())
        assert line.pause is not None
        pauses.append(line.pause.backoff_secs)
        now = line.pause.until
    assert pauses[:3] == [5, 10, 20]
    assert pauses[-1] == RULES.backoff_max_secs


def test_one_503_is_no_reason_to_stop_but_a_row_of_them_is() -> None:
    line = Line(RULES)
    kind = profile(UpstreamRequest("GET", "/v1/api/iserver/account/order/status/1", changes_state=False), GATEWAY)
    now = 0.0
    for number in range(RULES.burst_503):
        assert line.pause is None, number
        ticket = line.join(kind, client="a", now=now, deadline=now + 60)
        assert line.next_to_send(now) is ticket
        line.answered(ticket, now, status=503, questions=frozenset())
        now += 2
    assert line.pause is not None


def lane_of(ask: Ask) -> Lane:
    return profile(UpstreamRequest(ask.method, f"/v1/api{ask.path}", changes_state=ask.method != "GET"), GATEWAY).lane


def worst_excess(limit: Limit, outcomes: list[Outcome]) -> int:
    """The most arrivals in any window of the limit; for a limit of calls at once, the most under way."""
    if not limit.window_secs:
        return max(
            (sum(other.sent[0] <= each.sent[0] < other.done for other in outcomes) for each in outcomes), default=0
        )
    arrivals = [each.arrived for each in outcomes]
    return max((sum(start <= other < start + limit.window_secs for other in arrivals) for start in arrivals), default=0)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/api/iserver/account/DU1/orders",
        "/v1/portal/iserver/account/DU1/orders/",
        "/v1/api/iserver%2Faccount/DU1/orders",
        "/sso/..%2Fv1/api/iserver/account/DU1/orders",
        "/v1//api/./iserver/account/DU1/orders;x=1",
        "/V1/API/iserver/account/DU1/Orders?a=/sso/Login",
    ],
)
def test_an_order_is_known_however_its_path_is_spelled(target: str) -> None:
    kind = profile(UpstreamRequest("POST", target), GATEWAY)
    assert (kind.lane, kind.asks, kind.path) == (Lane.ORDERS, True, "/iserver/account/du1/orders")


@pytest.mark.parametrize("target", ["/sso/Login", "/", "/css/login.css", "/sso/Dispatcher?to=/v1/api/tickle"])
def test_login_traffic_is_not_the_apis(target: str) -> None:
    assert profile(UpstreamRequest("GET", target), GATEWAY).path is None


def test_what_nobody_can_resolve_is_paced() -> None:
    kind = profile(UpstreamRequest("GET", "/sso/%2525252e%2525252e/v1/api/x"), GATEWAY)
    assert kind.path is not None


def test_another_base_path_is_paced_too() -> None:
    kind = profile(UpstreamRequest("GET", "/ibkr/tickle"), GatewayUrl("https", "gw", "/ibkr"))
    assert (kind.path, kind.lane) == ("/tickle", Lane.SESSION)
