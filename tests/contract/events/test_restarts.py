from __future__ import annotations

from pathlib import Path

from tests.contract.events.conftest import RunFeed
from tests.contract.events.feed import wait

LONG_AGO = "2026-01-01T00:00:00Z"


def test_a_killed_process_leaves_its_history_and_its_cursors_expire(run_feed: RunFeed, tmp_path: Path) -> None:
    variables = {"BEZANT_EVENTS_DB_PATH": str(tmp_path / "events.db")}
    frame = {"topic": "sor", "args": [{"orderId": 1}]}
    with run_feed(**variables) as feed:
        feed.until_connected()
        cursor = feed.oldest("orders")
        feed.tell(frame)
        event = feed.until_event("/events/orders?", cursor, lambda payload: payload == frame)
        wait(lambda: feed.status()["history"]["queued"] == 0)
        feed.edge.server.kill()
        wait(lambda: feed.get("/events/_status").status == 503)
    with run_feed(**variables) as feed:
        feed.until_connected()
        expired = feed.get(f"/events/orders?since={event['cursor']}")
        assert (expired.status, expired.json()["code"]) == (412, "cursor_expired")
        assert expired.json()["head_cursor"] > event["cursor"]
        gap = feed.get("/events/gap").json()
        assert gap["reset_epoch"] > event["reset_epoch"]
        assert gap["events"][0]["payload"]["reason"] == "process_restart"
        history = feed.get(f"/events/orders/history?since_ts={LONG_AGO}")
        assert history.header("content-type") == "application/json"
        page = history.json()
        assert list(page) == ["topic", "events", "count"]
        assert page["count"] == len(page["events"])
        assert event in page["events"]


def test_a_stopped_process_stores_what_it_held(run_feed: RunFeed, tmp_path: Path) -> None:
    variables = {"BEZANT_EVENTS_DB_PATH": str(tmp_path / "events.db")}
    frame = {"topic": "sor", "args": [{"orderId": 2}]}
    with run_feed(**variables, BEZANT_EVENTS_FLUSH_SECS="60") as feed:
        feed.until_connected()
        cursor = feed.oldest("orders")
        feed.tell(frame)
        event = feed.until_event("/events/orders?", cursor, lambda payload: payload == frame)
        feed.edge.server.terminate()
        assert feed.edge.server.wait(20) == 0
    with run_feed(**variables) as feed:
        assert event in feed.get(f"/events/orders/history?since_ts={LONG_AGO}").json()["events"]


def test_history_pages_by_time_and_cursor(run_feed: RunFeed, tmp_path: Path) -> None:
    with run_feed(BEZANT_EVENTS_DB_PATH=str(tmp_path / "events.db")) as feed:
        feed.until_connected()
        for number in range(7):
            feed.tell({"topic": "sor", "args": [{"orderId": number}]})
        wait(lambda: feed.status()["buffer_sizes"]["orders"] >= 7)
        wait(lambda: feed.status()["history"]["queued"] == 0)
        polled = feed.get("/events/orders").json()["events"]
        found: list[object] = []
        query = f"since_ts={LONG_AGO}"
        while (page := feed.get(f"/events/orders/history?limit=2&{query}").json())["count"]:
            found.extend(page["events"])
            last = page["events"][-1]
            query = f"since_ts={last['received_at']}&after_cursor={last['cursor']}"
        assert found == polled
        later = polled[-1]["received_at"].replace("Z", "%2B00:00")
        assert feed.get(f"/events/orders/history?since_ts={later}").json()["count"] == 0


def test_without_a_database_history_is_disabled(run_feed: RunFeed) -> None:
    with run_feed() as feed:
        answer = feed.get(f"/events/orders/history?since_ts={LONG_AGO}")
        assert (answer.status, answer.json()["code"]) == (503, "events_history_disabled")


def test_market_data_is_asked_for_again_when_the_gateway_comes_back(run_feed: RunFeed) -> None:
    with run_feed() as feed:
        feed.until_connected()
        feed.paper.control("/gateway/away", {"seconds": 2})
        wait(lambda: not feed.status()["connected"])
        first = feed.get("/events/marketdata?conid=265598")
        assert first.status == 200
        assert first.json()["events"] == []
        event = feed.until_event(
            "/events/marketdata?conid=265598&",
            first.json()["next_cursor"],
            lambda payload: payload["topic"] == "smd+265598",
        )
        assert event["payload"]["conid"] == 265598
