from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.errors import CursorExpired
from bezant_server.events.numbering import Numbering
from bezant_server.events.poll import PollAnswer, poll
from bezant_server.events.ring import Ring
from bezant_server.events.topics import Topics
from tests.unit.events.clocks import START_MS, ManualClock

BASE = 5000


def ring_of(count: int, *, capacity: int = 10) -> Ring:
    ring = Ring("orders", capacity=capacity, first_cursor=BASE)
    for number in range(count):
        push(ring, number)
    return ring


def push(ring: Ring, number: int) -> None:
    ring.push(b'{"n": %d}' % number, received_at_ms=START_MS, reset_epoch=7)


def ask(ring: Ring, since: int, limit: int = 100) -> PollAnswer:
    return poll(ring, since=since, limit=limit, reset_epoch=9)


def numbers(answer: PollAnswer) -> list[int]:
    assert answer.body is not None
    return [event["payload"]["n"] for event in json.loads(answer.body)["events"]]


def test_an_event_is_rendered_with_its_frame_byte_for_byte() -> None:
    ring = Ring("pnl", capacity=1, first_cursor=3)
    frame = '{ "topic":"spl", "args":{"DU1.Core":{"nl":1.10E6}}, "ü":1e999 }'.encode()
    event = ring.push(frame, received_at_ms=START_MS, reset_epoch=8)
    assert event.payload == frame
    assert event.encoded == (
        b'{"cursor":3,"topic":"pnl","received_at":"2026-03-09T14:30:00.123Z","reset_epoch":8,"payload":' + frame + b"}"
    )


def test_a_poll_answers_events_next_cursor_and_epoch() -> None:
    ring = ring_of(2)
    answer = ask(ring, BASE)
    assert answer.body == b'{"events":[%b],"next_cursor":%d,"reset_epoch":9}' % (
        ring.after(BASE, 1)[0].encoded,
        BASE + 1,
    )
    assert answer.next_cursor == BASE + 1


def test_zero_starts_at_the_oldest_held() -> None:
    assert numbers(ask(ring_of(3), 0)) == [0, 1, 2]


def test_zero_on_a_ring_that_dropped_events_is_expired() -> None:
    with pytest.raises(CursorExpired) as caught:
        ask(ring_of(11), 0)
    assert (caught.value.fields["head_cursor"], caught.value.http_status) == (BASE + 1, 412)
    assert caught.value.envelope()["reset_epoch"] == 9


def test_zero_on_a_full_ring_that_dropped_nothing_is_served() -> None:
    assert len(numbers(ask(ring_of(10), 0))) == 10


def test_an_empty_topic_answers_an_empty_list_and_a_cursor_to_go_on_from() -> None:
    ring = ring_of(0)
    answer = ask(ring, 0)
    assert answer.body is not None
    assert json.loads(answer.body) == {"events": [], "next_cursor": BASE - 1, "reset_epoch": 9}
    assert ask(ring, answer.next_cursor) == PollAnswer(None, BASE - 1)
    push(ring, 42)
    assert numbers(ask(ring, answer.next_cursor)) == [42]


def test_nothing_newer_keeps_the_cursor() -> None:
    assert ask(ring_of(3), BASE + 2) == PollAnswer(None, BASE + 2)


def test_limit_cuts_the_answer_and_the_cursor_goes_on_behind_it() -> None:
    ring = ring_of(5)
    answer = ask(ring, BASE - 1, limit=2)
    assert numbers(answer) == [0, 1]
    assert numbers(ask(ring, answer.next_cursor, limit=2)) == [2, 3]


@pytest.mark.parametrize("since", [BASE + 3, 1, BASE - 2, 2**53])
def test_a_cursor_that_cannot_be_served_is_expired(since: int) -> None:
    with pytest.raises(CursorExpired) as caught:
        ask(ring_of(3), since)
    assert caught.value.fields["head_cursor"] == BASE


def test_an_empty_ring_names_the_next_cursor_as_its_head() -> None:
    ring = ring_of(0)
    with pytest.raises(CursorExpired) as caught:
        ask(ring, BASE)
    assert caught.value.fields["head_cursor"] == BASE
    assert ask(ring, int(caught.value.fields["head_cursor"]) - 1) == PollAnswer(None, BASE - 1)


@pytest.mark.parametrize("capacity", [1, 3])
def test_after_a_reset_to_the_head_the_whole_ring_is_served(capacity: int) -> None:
    ring = ring_of(20, capacity=capacity)
    with pytest.raises(CursorExpired) as caught:
        ask(ring, BASE)
    assert numbers(ask(ring, int(caught.value.fields["head_cursor"]) - 1)) == list(range(20 - capacity, 20))
    assert len(ring) == capacity


@given(
    capacity=st.integers(1, 5),
    steps=st.lists(st.one_of(st.just("push"), st.integers(1, 4)), max_size=80),
)
def test_a_reader_sees_each_event_once_in_order_or_is_told_of_the_hole(capacity: int, steps: list[str | int]) -> None:
    ring = Ring("orders", capacity=capacity, first_cursor=BASE)
    pushed = 0
    seen: list[int] = []
    cursor = 0
    for step in steps:
        if isinstance(step, str):
            push(ring, pushed)
            pushed += 1
            continue
        try:
            answer = ask(ring, cursor, step)
        except CursorExpired as expired:
            hole = int(expired.fields["head_cursor"]) - BASE
            assert hole > len(seen)
            seen.extend(range(len(seen), hole))
            cursor = int(expired.fields["head_cursor"]) - 1
            continue
        if answer.body is not None:
            seen.extend(numbers(answer))
        else:
            assert len(seen) == pushed
        cursor = answer.next_cursor
    assert seen == list(range(len(seen)))
    assert len(seen) <= pushed


def test_a_base_is_the_clock_or_lies_above_what_was_issued() -> None:
    manual = ManualClock()
    assert Numbering(manual.clock).base() == manual.wall_us < 2**53
    assert Numbering(manual.clock, issued=manual.wall_us - 5).base() == manual.wall_us
    ahead = manual.wall_us + 1000
    assert Numbering(manual.clock, issued=ahead).base() - 1 > ahead


def topics_of(manual: ManualClock, issued: int = 0) -> Topics:
    return Topics(
        capacities={"orders": 5, "pnl": 5, "gap": 5, "marketdata": 5},
        numbering=Numbering(manual.clock, issued=issued),
        clock=manual.clock,
        record=lambda event: None,
    )


@pytest.mark.parametrize("clock_step_seconds", [-3600.0, 0.0, 3600.0])
def test_a_cursor_of_an_earlier_process_is_expired_whatever_the_clock_did(clock_step_seconds: float) -> None:
    manual = ManualClock()
    first = topics_of(manual)
    first.publish("orders", b'{"n":1}')
    before = first.get("orders")
    assert before is not None
    manual.advance(clock_step_seconds)
    second = topics_of(manual, issued=max(before.newest_cursor, first.reset_epoch))
    after = second.get("orders")
    assert after is not None
    assert second.reset_epoch > first.reset_epoch
    with pytest.raises(CursorExpired):
        ask(after, before.newest_cursor)


def test_a_ring_that_is_opened_again_never_repeats_a_cursor() -> None:
    manual = ManualClock()
    topics = topics_of(manual)
    ring = topics.open("marketdata:1")
    topics.publish("marketdata:1", b'{"n":1}')
    topics.close("marketdata:1")
    again = topics.open("marketdata:1")
    assert len(again) == 0
    with pytest.raises(CursorExpired):
        ask(again, ring.newest_cursor)


def test_a_reconnect_tells_every_topic_and_begins_an_epoch() -> None:
    topics = topics_of(ManualClock())
    topics.open("marketdata:265598")
    epoch = topics.reset_epoch
    topics.publish("orders", b'{"n":1}')
    topics.reconnected(disconnected_at="2026-03-09T14:29:00.000Z")
    assert topics.reset_epoch == epoch + 1
    for ring in topics:
        gap = ring.after(ring.newest_cursor - 1, 1)[0]
        assert gap.reset_epoch == epoch + 1
        assert json.loads(gap.payload) == {
            "topic": "gap",
            "reason": "reconnected_after_disconnect",
            "new_reset_epoch": epoch + 1,
            "disconnected_at": "2026-03-09T14:29:00.000Z",
        }
    topics.publish("orders", b'{"n":2}')
    orders = topics.get("orders")
    assert orders is not None
    assert [event.reset_epoch for event in orders.after(orders.head_cursor - 1, 9)] == [epoch, epoch + 1, epoch + 1]


def test_a_frame_without_a_ring_is_dropped() -> None:
    topics = topics_of(ManualClock())
    topics.publish("marketdata:1", b"{}")
    assert topics.get("marketdata:1") is None
