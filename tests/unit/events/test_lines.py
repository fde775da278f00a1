from __future__ import annotations

import asyncio

import pytest

from bezant_server.cpapi.socket import SocketFailed
from bezant_server.errors import EventsSubscribeFailed
from bezant_server.events.lines import Lines
from bezant_server.events.numbering import Numbering
from bezant_server.events.topics import Topics
from tests.unit.events.clocks import ManualClock


def lines_of(*, max_lines: int) -> Lines:
    manual = ManualClock()
    topics = Topics(
        capacities={"orders": 5, "pnl": 5, "gap": 5, "marketdata": 5},
        numbering=Numbering(manual.clock),
        clock=manual.clock,
        record=lambda event: None,
    )
    return Lines(topics, clock=manual.clock, max_lines=max_lines, renew_secs=600, release_secs=300)


async def test_a_socket_that_does_not_take_the_request_fails_the_poll_and_the_next_one_tries_again() -> None:
    lines = lines_of(max_lines=5)
    asked: list[str] = []

    async def broken(text: str) -> None:
        asked.append(text)
        raise SocketFailed("the socket broke")

    async def sound(text: str) -> None:
        asked.append(text)

    await lines.attach(broken)
    with pytest.raises(EventsSubscribeFailed, match="conid 265598 could not be subscribed: the socket broke") as caught:
        await lines.read(265598)
    assert caught.value.http_status == 502
    assert lines.readers() == {}
    await lines.attach(sound)
    await lines.read(265598)
    assert len(asked) == 2


async def test_a_reader_that_leaves_while_the_line_is_asked_for_leaves_no_line_behind() -> None:
    lines = lines_of(max_lines=5)

    async def slow(text: str) -> None:
        await asyncio.Event().wait()

    await lines.attach(slow)
    reader = asyncio.create_task(lines.read(265598))
    await asyncio.sleep(0)
    assert list(lines.readers()) == [265598]
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert lines.readers() == {}


async def test_lines_are_bounded_but_those_held_are_still_served() -> None:
    lines = lines_of(max_lines=2)
    await lines.read(1)
    await lines.read(2)
    with pytest.raises(EventsSubscribeFailed, match="BEZANT_EVENTS_MAX_CONIDS"):
        await lines.read(3)
    assert (await lines.read(1)).topic == "marketdata:1"
