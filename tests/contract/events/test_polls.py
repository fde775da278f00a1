from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.events.conftest import RunFeed
from tests.contract.events.feed import Feed, wait

EVENT_FIELDS = ["cursor", "topic", "received_at", "reset_epoch", "payload"]


def order_frame(order_id: int) -> dict[str, object]:
    return {"topic": "sor", "args": [{"orderId": order_id, "status": "Submitted"}]}


@pytest.mark.parametrize("binary", [True, False])
def test_an_order_frame_is_polled_as_an_event(feed: Feed, *, binary: bool) -> None:
    cursor = feed.oldest("orders")
    frame = order_frame(4711 + binary)
    feed.tell(frame, binary=binary)
    event = feed.until_event("/events/orders?", cursor, lambda payload: payload == frame)
    assert list(event) == EVENT_FIELDS
    assert event["topic"] == "orders"
    assert event["received_at"].endswith("Z")
    assert event["reset_epoch"] == feed.status()["reset_epoch"]


def test_a_poll_answers_json_and_goes_on_from_its_cursor(feed: Feed) -> None:
    feed.oldest("orders")
    for number in range(3):
        feed.tell(order_frame(number))
    wait(lambda: feed.status()["buffer_sizes"]["orders"] >= 3)
    first = feed.get("/events/orders?limit=2")
    assert (first.status, first.header("content-type")) == (200, "application/json")
    page = first.json()
    assert list(page) == ["events", "next_cursor", "reset_epoch"]
    cursors = [event["cursor"] for event in page["events"]]
    assert cursors == [page["next_cursor"] - 1, page["next_cursor"]]
    rest = feed.get(f"/events/orders?since={page['next_cursor']}").json()
    assert rest["events"][0]["cursor"] == page["next_cursor"] + 1


def test_nothing_newer_is_204_with_the_cursor_and_no_body(feed: Feed) -> None:
    cursor = feed.oldest("gap")
    answer = feed.get(f"/events/gap?since={cursor}")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("x-bezant-cursor") == str(cursor)


def test_cursors_that_cannot_be_served_are_412(feed: Feed) -> None:
    head = feed.get("/events/gap").json()["events"][0]["cursor"]
    for since in (1, head - 2, 2**53):
        answer = feed.get(f"/events/gap?since={since}")
        assert answer.status == 412
        body = answer.json()
        assert set(body) == {"code", "message", "head_cursor", "reset_epoch"}
        assert (body["code"], body["head_cursor"]) == ("cursor_expired", head)
        assert body["reset_epoch"] == feed.status()["reset_epoch"]
    assert feed.get(f"/events/gap?since={head - 1}").status == 200


def test_a_market_data_line_begins_with_its_first_poll(feed: Feed) -> None:
    first = feed.get("/events/marketdata?conid=265598").json()
    event = feed.until_event(
        "/events/marketdata?conid=265598&", first["next_cursor"], lambda payload: payload["topic"] == "smd+265598"
    )
    assert event["topic"] == "marketdata:265598"
    assert event["payload"]["conid"] == 265598
    assert "marketdata:265598" in feed.status()["topics_subscribed"]


def test_too_many_market_data_lines_are_502(feed: Feed) -> None:
    for conid in (265598, 756733):
        assert feed.get(f"/events/marketdata?conid={conid}").status in (200, 412)
    answer = feed.get("/events/marketdata?conid=8314")
    assert (answer.status, answer.json()["code"]) == (502, "events_subscribe_failed")
    assert feed.get("/events/marketdata?conid=265598").status in (200, 412)


@pytest.mark.parametrize(
    ("target", "status", "code", "named"),
    [
        ("/events/marketdata", 400, "missing_query_param", "conid"),
        ("/events/marketdata?conid=0", 400, "bad_request", "conid"),
        ("/events/marketdata?conid=AAPL", 400, "bad_request", "conid"),
        ("/events/orders?since=x", 400, "bad_request", "since"),
        ("/events/orders?since=-1", 400, "bad_request", "since"),
        ("/events/orders?limit=0", 400, "bad_request", "limit"),
        ("/events/orders?limit=1.5", 400, "bad_request", "limit"),
        ("/events/orders/history", 400, "missing_query_param", "since_ts"),
        ("/events/orders/history?since_ts=yesterday", 400, "bad_request", "since_ts"),
        ("/events/orders/history?since_ts=2026-01-01T00:00:00Z&limit=x", 400, "bad_request", "limit"),
        ("/events/orders/history?since_ts=2026-01-01T00:00:00Z&after_cursor=x", 400, "bad_request", "after_cursor"),
        ("/events/marketdata/history?since_ts=2026-01-01T00:00:00Z", 400, "missing_query_param", "conid"),
        ("/events/trades/history?since_ts=2026-01-01T00:00:00Z", 404, "not_found", "trades"),
    ],
)
def test_a_request_that_cannot_be_served_says_why(feed: Feed, target: str, status: int, code: str, named: str) -> None:
    answer = feed.get(target)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert named in answer.json()["message"]


def test_the_status_tells_of_the_capture(feed: Feed) -> None:
    status = feed.status()
    assert status["connected"] is True
    assert status["last_message_at"].endswith("Z")
    assert {"orders", "pnl"} <= set(status["topics_subscribed"])
    assert {"orders", "pnl", "gap"} <= set(status["buffer_sizes"])
    assert status["uptime_seconds"] >= 0
    assert status["history"]["enabled"] is True


def test_a_dropped_socket_is_a_gap_in_every_topic(feed: Feed) -> None:
    feed.get("/events/marketdata?conid=265598")
    before = feed.status()
    cursors = {topic: before["next_cursors"][topic] - 1 for topic in ("orders", "pnl", "gap", "marketdata:265598")}
    feed.paper.control("/socket/drop")
    after = feed.until_connected(before["reconnect_count"] + 1)
    assert after["reset_epoch"] == before["reset_epoch"] + 1
    for topic, cursor in cursors.items():
        target = "/events/marketdata?conid=265598&" if topic.startswith("marketdata") else f"/events/{topic}?"
        gap = feed.until_event(target, cursor, lambda payload: payload["topic"] == "gap")
        assert gap["payload"]["reason"] == "reconnected_after_disconnect"
        assert gap["payload"]["new_reset_epoch"] == gap["reset_epoch"] == after["reset_epoch"]
        assert feed.get(f"{target}since={cursor}").json()["reset_epoch"] == after["reset_epoch"]
    frame = order_frame(99)
    feed.tell(frame)
    event = feed.until_event("/events/orders?", cursors["orders"], lambda payload: payload == frame)
    assert event["reset_epoch"] == after["reset_epoch"]


@pytest.mark.parametrize(
    "path",
    [
        "/events/orders",
        "/events/pnl",
        "/events/gap",
        "/events/marketdata?conid=265598",
        "/events/_status",
        "/events/orders/history?since_ts=2026-01-01T00:00:00Z",
    ],
)
def test_with_capture_off_every_path_is_503(without_capture: Feed, path: str) -> None:
    answer = without_capture.get(path)
    assert (answer.status, answer.json()["code"]) == (503, "events_disabled")


@pytest.fixture(scope="module")
def without_capture(run_feed: RunFeed) -> Iterator[Feed]:
    with run_feed(BEZANT_EVENTS_ENABLED="false") as running:
        yield running
