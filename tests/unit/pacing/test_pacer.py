from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from bezant_server.cpapi import caller as callers
from bezant_server.cpapi.caller import Caller
from bezant_server.cpapi.messages import UpstreamRequest, UpstreamResponse
from bezant_server.cpapi.pacing.limits import DEFAULT_LIMITS, GLOBAL, Limit
from bezant_server.cpapi.pacing.line import Line, Rules
from bezant_server.cpapi.pacing.pacer import Pacer
from bezant_server.cpapi.pacing.sharing import LastAnswers
from bezant_server.errors import RateLimited, UpstreamTimeout
from tests.unit.pacing.simulation import GATEWAY

QUICK = tuple(Limit(GLOBAL, None, frozenset(), 10, 0.1) if limit.name == GLOBAL else limit for limit in DEFAULT_LIMITS)

SUMMARY = "/portfolio/DU1/summary"
ACCOUNTS = "/portfolio/accounts"
LIVE_ORDERS = "/iserver/account/orders"
ORDERS = "/iserver/account/DU1/orders"
QUESTION = b'[{"id":"q1","message":["sure?"]}]'


class Gateway:
    """Answers when it is told to, and remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[UpstreamRequest] = []
        self.bodies: dict[str, bytes] = {}
        self.status = 200
        self.open = asyncio.Event()
        self.open.set()
        self._changed = asyncio.Condition()

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        async with self._changed:
            self.sent.append(request)
            self._changed.notify_all()
        await self.open.wait()
        path = request.target.removeprefix("/v1/api")
        return UpstreamResponse(self.status, (("set-cookie", "a=1"), ("x", "y")), self.bodies.get(path, b"{}"))

    async def has_sent(self, count: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.sent) >= count)


def pacer_for(gateway: Gateway, *, rules: Rules | None = None) -> Pacer:
    return Pacer(
        line=Line(rules or Rules(limits=QUICK, margin_secs=0.01)),
        gateway=GATEWAY,
        send=gateway.send,
        clock=time.monotonic,
        default_wait_secs=10,
        answers=LastAnswers(max_answers=10, max_bytes=1_000_000),
    )


def get(path: str, **headers: str) -> UpstreamRequest:
    return UpstreamRequest("GET", f"/v1/api{path}", tuple(headers.items()), changes_state=False)


def post(path: str, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest("POST", f"/v1/api{path}", body=body)


def asked_by(pacer: Pacer, request: UpstreamRequest, caller: Caller | None = None) -> asyncio.Task[UpstreamResponse]:
    """Ask in a task of its own, as a caller of its own."""

    async def ask() -> UpstreamResponse:
        callers.enter(caller or Caller())
        return await pacer.exchange(request)

    return asyncio.create_task(ask())


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  nothing announces what is waited for
            await asyncio.sleep(0)


async def test_identical_reads_share_one_call_and_the_cookie_stays_with_the_first() -> None:
    gateway = Gateway()
    gateway.open.clear()
    pacer = pacer_for(gateway)
    tasks = [asked_by(pacer, get(SUMMARY)) for _ in range(20)]
    await gateway.has_sent(1)
    late = asked_by(pacer, get(SUMMARY))
    await settled(lambda: pacer.counters.shared == 20)
    gateway.open.set()
    answers = await asyncio.gather(*tasks, late)
    assert len(gateway.sent) == 1
    assert sum(answer.header("set-cookie") is not None for answer in answers) == 1
    assert all(answer.header("x") == "y" for answer in answers)


async def test_a_shared_read_is_asked_whole_and_in_identity_encoding() -> None:
    gateway = Gateway()
    await pacer_for(gateway).exchange(
        get(SUMMARY, **{"accept-encoding": "gzip", "if-none-match": "x", "accept": "a/b"})
    )
    assert gateway.sent[0].headers == (("accept", "a/b"), ("accept-encoding", "identity"))


async def test_other_reads_do_not_share() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await asyncio.gather(
        pacer.exchange(get(SUMMARY)),
        pacer.exchange(get(f"{SUMMARY}?a=1")),
        pacer.exchange(UpstreamRequest("HEAD", f"/v1/api{SUMMARY}", changes_state=False)),
    )
    assert len(gateway.sent) == 3


async def test_changes_never_share() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await asyncio.gather(*(pacer.exchange(post(ORDERS)) for _ in range(3)))
    assert len(gateway.sent) == 3


async def test_whoever_has_placed_an_order_sees_it() -> None:
    """A read that was sent before the order finished is not joined by one that comes after."""
    gateway = Gateway()
    gateway.open.clear()
    pacer = pacer_for(gateway)
    early = asked_by(pacer, get(SUMMARY))
    await gateway.has_sent(1)
    order = asked_by(pacer, post(ORDERS))
    await gateway.has_sent(2)
    gateway.open.set()
    await order
    gateway.open.clear()
    early_again = asked_by(pacer, get(SUMMARY))
    await gateway.has_sent(3)
    gateway.open.set()
    await asyncio.gather(early, early_again)
    assert [request.method for request in gateway.sent] == ["GET", "POST", "GET"]


async def test_what_rarely_changes_is_served_again_while_its_window_is_closed() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await pacer.exchange(get(ACCOUNTS))
    caller = Caller()
    callers.enter(caller)
    answer = await pacer.exchange(get(ACCOUNTS))
    assert len(gateway.sent) == 1
    assert answer.header("set-cookie") is None
    assert ("age", "0") in caller.headers()


async def test_no_cache_waits_for_a_fresh_answer_and_says_when_it_cannot() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await pacer.exchange(get(ACCOUNTS))
    callers.enter(Caller(max_age_secs=0, deadline=time.monotonic() + 1))
    with pytest.raises(RateLimited) as refused:
        await pacer.exchange(get(ACCOUNTS))
    assert 1 < refused.value.retry_after_secs < 6
    assert len(gateway.sent) == 1


async def test_max_age_accepts_an_earlier_answer_of_any_read_but_orders() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    callers.enter(Caller(max_age_secs=60))
    for _ in range(2):
        await pacer.exchange(get(SUMMARY))
    assert len(gateway.sent) == 1
    await pacer.exchange(post(ORDERS))
    await pacer.exchange(get(SUMMARY))
    assert len(gateway.sent) == 3
    await pacer.exchange(get(f"{LIVE_ORDERS}?accountId=DU1"))
    callers.enter(Caller(max_age_secs=60, deadline=time.monotonic() + 0.5))
    with pytest.raises(RateLimited):
        await pacer.exchange(get(f"{LIVE_ORDERS}?accountId=DU1"))


async def test_another_login_forgets_every_answer() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    callers.enter(Caller(max_age_secs=60))
    await pacer.exchange(get(SUMMARY))
    pacer.forget_answers()
    await pacer.exchange(get(SUMMARY))
    assert len(gateway.sent) == 2


async def test_a_caller_who_goes_away_leaves_the_queue() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await pacer.exchange(get(LIVE_ORDERS))
    waiting = asked_by(pacer, get(LIVE_ORDERS))
    await settled(lambda: any(pacer.line.waiting().values()))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await settled(lambda: not any(pacer.line.waiting().values()))
    assert len(gateway.sent) == 1


async def test_a_shared_call_goes_on_while_somebody_waits_for_it() -> None:
    gateway = Gateway()
    gateway.open.clear()
    pacer = pacer_for(gateway)
    first = asked_by(pacer, get(SUMMARY))
    second = asked_by(pacer, get(SUMMARY))
    await gateway.has_sent(1)
    first.cancel()
    gateway.open.set()
    assert (await second).status == 200
    assert len(gateway.sent) == 1


async def test_an_order_that_was_sent_is_not_called_back(caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway()
    gateway.open.clear()
    pacer = pacer_for(gateway)
    order = asked_by(pacer, post(ORDERS))
    await gateway.has_sent(1)
    order.cancel()
    with pytest.raises(asyncio.CancelledError):
        await order
    assert pacer.line.is_held(time.monotonic())
    gateway.open.set()
    await settled(lambda: not pacer.line.is_held(time.monotonic()))
    await settled(lambda: "whose caller left was answered" in caplog.text)
    assert len(gateway.sent) == 1


async def test_an_order_that_waits_is_called_back() -> None:
    gateway = Gateway()
    gateway.bodies[ORDERS] = QUESTION
    pacer = pacer_for(gateway)
    await pacer.exchange(post(ORDERS))
    second = asked_by(pacer, post(ORDERS))
    await settled(lambda: any(pacer.line.waiting().values()))
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await pacer.exchange(post("/iserver/reply/q1"))
    await pacer.exchange(get(SUMMARY))
    assert [request.target for request in gateway.sent] == [
        f"/v1/api{ORDERS}",
        "/v1/api/iserver/reply/q1",
        f"/v1/api{SUMMARY}",
    ]


async def test_the_deadline_says_whether_the_call_was_sent() -> None:
    gateway = Gateway()
    gateway.open.clear()
    pacer = pacer_for(gateway)
    sent = asked_by(pacer, get(SUMMARY), Caller(deadline=time.monotonic() + 0.2))
    with pytest.raises(UpstreamTimeout):
        await sent
    gateway.open.set()
    gateway.bodies[ORDERS] = QUESTION
    await pacer.exchange(post(ORDERS))
    waits = asked_by(pacer, get(SUMMARY), Caller(deadline=time.monotonic() + 0.2))
    with pytest.raises(RateLimited):
        await waits
    assert len(gateway.sent) == 2


async def test_login_traffic_is_never_paced() -> None:
    gateway = Gateway()
    gateway.bodies[ORDERS] = QUESTION
    pacer = pacer_for(gateway)
    await pacer.exchange(post(ORDERS))
    assert pacer.line.is_held(time.monotonic())
    for _ in range(30):
        await pacer.exchange(UpstreamRequest("GET", "/sso/Login", changes_state=False))
    await pacer.exchange(UpstreamRequest("POST", "/sso/Dispatcher"))
    assert len(gateway.sent) == 32


async def test_waiting_is_reported() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway, rules=Rules(limits=(Limit(GLOBAL, None, frozenset(), 1, 0.3),)))
    await pacer.exchange(get(SUMMARY))
    caller = Caller()
    callers.enter(caller)
    await pacer.exchange(get(SUMMARY))
    assert int(dict(caller.headers())["x-bezant-queued-ms"]) > 100


async def test_a_429_refuses_who_waits_and_who_comes() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await pacer.exchange(get(LIVE_ORDERS))
    waiting = asked_by(pacer, get(LIVE_ORDERS))
    await settled(lambda: any(pacer.line.waiting().values()))
    gateway.status = 429
    assert (await pacer.exchange(get(SUMMARY))).status == 429
    assert pacer.counters.answered_429 == 1
    with pytest.raises(RateLimited):
        await waiting
    with pytest.raises(RateLimited):
        await pacer.exchange(post(ORDERS))
    assert len(gateway.sent) == 2


async def test_nothing_is_left_behind() -> None:
    gateway = Gateway()
    pacer = pacer_for(gateway)
    await asyncio.gather(*(pacer.exchange(get(f"/portfolio/DU{number}/summary")) for number in range(30)))
    await pacer.exchange(post(ORDERS))
    assert not any(pacer.line.waiting().values())
    assert pacer._flights == {}
    assert pacer._waiting == {}
