"""Orders sent while the session is lost: none twice, and none lost without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from tests.contract.session.conftest import RunDesk
from tests.contract.session.desk import Desk, Journal
from tests.support.edge import HttpAnswer

NOTHING_WAS_SENT = ("upstream_unreachable", "rate_limited", "no bridge", "Unauthorized")
"""In the body of an answer: the order is not at the gateway."""


def goes_away(desk: Desk) -> None:
    desk.paper.control("/gateway/away", {"seconds": 2})


def restarts(desk: Desk) -> None:
    desk.paper.control("/gateway/restart")


def sleeps_until_tomorrow(desk: Desk) -> None:
    desk.paper.control("/clock/advance", {"seconds": 86_400, "keep_alive": True})


def loses_the_login(desk: Desk) -> None:
    desk.paper.control("/session/expire", {"layer": "sso"})


def loses_the_session(desk: Desk) -> None:
    desk.paper.control("/session/expire", {"layer": "brokerage"})


def is_competed_with(desk: Desk) -> None:
    desk.paper.control("/session/compete", {"on": True})


def refuses_everything(desk: Desk) -> None:
    desk.paper.control("/faults", {"path": "/", "status": 429, "times": 3})


def hangs(desk: Desk) -> None:
    desk.paper.control("/faults", {"path": "/tickle", "delay_seconds": 600, "times": 1})


def loses_answers(desk: Desk) -> None:
    desk.paper.control(
        "/faults", {"path": "/iserver/account/.*/orders", "method": "POST", "truncate": True, "times": 3}
    )


def leave_alone(_: Desk) -> None:
    pass


def log_in(desk: Desk) -> None:
    desk.paper.control("/session/login")


def leave(desk: Desk) -> None:
    desk.paper.control("/session/compete", {"on": False})


LOSSES = {
    "the gateway goes away": (goes_away, "GATEWAY_UNREACHABLE", leave_alone),
    "the gateway restarts": (restarts, "CONNECTING", log_in),
    "the night resets it": (sleeps_until_tomorrow, "LOGGED_OUT", log_in),
    "the login ends": (loses_the_login, "LOGGED_OUT", log_in),
    "the brokerage session ends": (loses_the_session, "CONNECTING", leave_alone),
    "another program takes it": (is_competed_with, "COMPETING", leave),
    "too many calls": (refuses_everything, "PENALTY_BOX", leave_alone),
    "the gateway hangs": (hangs, "GATEWAY_UNREACHABLE", leave_alone),
    "answers are lost": (loses_answers, "READY", leave_alone),
}


@pytest.mark.parametrize(("lose", "state", "mend"), LOSSES.values(), ids=LOSSES)
async def test_none_twice_and_none_lost(
    run_desk: RunDesk, lose: Callable[[Desk], None], state: str, mend: Callable[[Desk], None]
) -> None:
    brief = {"BEZANT_PACING_BACKOFF_MIN_SECS": "0.5", "BEZANT_PACING_BACKOFF_MAX_SECS": "1"}
    with run_desk(**brief) as desk:
        desk.quiet_market()
        async with desk.sessions() as sessions:
            await sessions.until("READY")
            answers: dict[str, HttpAnswer] = {}
            going_on = asyncio.Event()
            going_on.set()

            async def send() -> None:
                for number in count():
                    if not going_on.is_set():
                        return
                    name = f"order-{number}"
                    answers[name] = await desk.order(name)
                    # Faster than IBKR's ten calls a second, orders would leave no room for anything else.
                    await asyncio.sleep(0.2)

            async with Journal(sessions).kept() as journal, asyncio.TaskGroup() as tasks:
                tasks.create_task(send())
                await at_least(answers, 3)
                lose(desk)
                await journal.until(state)
                mend(desk)
                await sessions.until("READY")
                await at_least(answers, len(answers) + 3)
                going_on.clear()

        orders = names_at(desk)
    assert len(orders) == len(set(orders)), "an order arrived twice"
    for name, answer in answers.items():
        if answer.status == 200:
            assert "order_id" in answer.json()[0]
            assert name in orders, "accepted, and not at the gateway"
        elif any(words in answer.body.decode() for words in NOTHING_WAS_SENT):
            assert name not in orders, "said not to be sent, and at the gateway"
        else:
            assert answer.status >= 400, "an order without a word about what became of it"
    assert sum(name in orders for name in answers) >= 6


async def at_least(answers: dict[str, HttpAnswer], number: int) -> None:
    async with asyncio.timeout(60):
        while len(answers) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def names_at(desk: Desk) -> list[object]:
    return [order.get("order_ref") for order in desk.paper.state()["orders"] if "order_ref" in order]
