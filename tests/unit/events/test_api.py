from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bezant_server.errors import (
    BadRequest,
    CursorExpired,
    EventsDisabled,
    EventsHistoryDisabled,
    MissingQueryParam,
    NotFound,
)
from bezant_server.events.api import DisabledEvents
from tests.unit.events.capture import Running, running
from tests.unit.events.clocks import ManualClock
from tests.unit.events.socket_gateway import SocketGateway, order

ORDER = b'{"topic":"sor","args":[]}'


@pytest.fixture
async def stored(gateway: SocketGateway, tmp_path: Path) -> AsyncIterator[Running]:
    clock = ManualClock().clock
    async with running(gateway.url, {"BEZANT_EVENTS_DB_PATH": str(tmp_path / "events.db")}, clock=clock) as run:
        yield run


async def history(
    run: Running,
    topic: str = "orders",
    *,
    since_ts: str = "2026-01-01T00:00:00Z",
    limit: str = "",
    after_cursor: str = "",
    conid: str = "",
) -> bytes:
    return await run.capture.face.history(topic, since_ts=since_ts, limit=limit, after_cursor=after_cursor, conid=conid)


async def written(run: Running, count: int) -> None:
    while run.status()["history"]["written"] < count:  # noqa: ASYNC110  the writer is a thread
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("topic", "since", "limit", "conid", "error", "field"),
    [
        ("orders", "x", "", "", BadRequest, "since"),
        ("orders", "-1", "", "", BadRequest, "since"),
        ("orders", "1.5", "", "", BadRequest, "since"),
        ("orders", "", "0", "", BadRequest, "limit"),
        ("orders", "", "many", "", BadRequest, "limit"),
        ("marketdata", "", "", "", MissingQueryParam, "conid"),
        ("marketdata", "", "", "0", BadRequest, "conid"),
        ("marketdata", "", "", "AAPL", BadRequest, "conid"),
        ("marketdata", "", "", "265598@NYSE", BadRequest, "conid"),
    ],
)
async def test_a_bad_parameter_of_a_poll_is_named(  # noqa: PLR0917
    stored: Running, topic: str, since: str, limit: str, conid: str, error: type[BadRequest], field: str
) -> None:
    with pytest.raises(error) as caught:
        await stored.capture.face.poll(topic, since=since, limit=limit, conid=conid)
    assert caught.value.field == field
    assert stored.status()["marketdata_lines"] == []


@pytest.mark.parametrize("topic", ["trades", "", "marketdata:265598", "ORDERS"])
async def test_an_unknown_topic_is_not_found(stored: Running, topic: str) -> None:
    with pytest.raises(NotFound):
        await stored.capture.face.poll(topic, since="", limit="")


async def test_limits_have_a_default_and_a_bound(stored: Running) -> None:
    for _ in range(1000):
        stored.capture.topics.publish("pnl", b"{}")
        stored.capture.topics.publish("pnl", b"{}")
    by_default = await stored.poll("pnl")
    assert by_default is not None
    assert len(by_default["events"]) == 100
    at_most = await stored.poll("pnl", limit="5000")
    assert at_most is not None
    assert len(at_most["events"]) == 1000


async def test_history_answers_topic_events_and_count(stored: Running) -> None:
    stored.capture.topics.publish("orders", ORDER)
    stored.capture.topics.publish("orders", ORDER)
    await written(stored, 3)
    page = json.loads(await history(stored, since_ts="2026-03-09T15:30:00.122+01:00"))
    polled = await stored.poll("orders")
    assert polled is not None
    assert page == {"topic": "orders", "events": polled["events"], "count": 2}
    assert page["events"][0]["received_at"] == "2026-03-09T14:30:00.123Z"
    assert json.loads(await history(stored, since_ts="2026-03-09T14:30:00.123Z"))["count"] == 0
    first = json.loads(await history(stored, limit="1"))["events"][0]
    rest = json.loads(await history(stored, since_ts=first["received_at"], after_cursor=str(first["cursor"])))
    assert [event["cursor"] for event in rest["events"]] == [first["cursor"] + 1]


@pytest.mark.parametrize(("topic", "conid"), [("marketdata:265598", ""), ("marketdata", "265598")])
async def test_market_data_history_is_found_by_either_name(stored: Running, topic: str, conid: str) -> None:
    await stored.poll("marketdata", conid="265598")
    stored.capture.topics.publish("marketdata:265598", b'{"31":"1"}')
    await written(stored, 2)
    page = json.loads(await history(stored, topic, conid=conid))
    assert (page["topic"], page["count"]) == ("marketdata:265598", 1)


@pytest.mark.parametrize(
    "since_ts",
    [
        "yesterday",
        "2026-03-09",
        "2026-03-09T14:30:00",
        "1773066600",
        "2026-13-01T00:00:00Z",
        "2026-03-09T14:30:00 00:00",
    ],
)
async def test_since_ts_must_be_rfc_3339(stored: Running, since_ts: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await history(stored, since_ts=since_ts)
    assert caught.value.field == "since_ts"


async def test_bad_parameters_of_history_are_named(stored: Running) -> None:
    with pytest.raises(MissingQueryParam, match="since_ts"):
        await history(stored, since_ts="")
    with pytest.raises(MissingQueryParam, match="conid"):
        await history(stored, "marketdata")
    with pytest.raises(BadRequest, match="after_cursor"):
        await history(stored, after_cursor="x")
    with pytest.raises(BadRequest, match="limit"):
        await history(stored, limit="0")
    for topic in ("trades", "marketdata:", "marketdata:0", "marketdata:x"):
        with pytest.raises(NotFound):
            await history(stored, topic)


async def test_without_a_database_history_is_disabled(gateway: SocketGateway) -> None:
    async with running(gateway.url) as run:
        with pytest.raises(EventsHistoryDisabled):
            await history(run)
        assert run.status()["history"] == {"enabled": False}


async def test_with_capture_off_everything_is_disabled() -> None:
    face = DisabledEvents()
    with pytest.raises(EventsDisabled):
        await face.poll("orders", since="", limit="")
    with pytest.raises(EventsDisabled):
        await face.history("orders", since_ts="", limit="", after_cursor="", conid="")
    with pytest.raises(EventsDisabled):
        face.status()


async def test_the_status_tells_what_operators_need(gateway: SocketGateway, stored: Running) -> None:
    await gateway.subscribed()
    await stored.poll("marketdata", conid="265598")
    await gateway.say('{"topic":"system","hb":1}')
    await stored.until_status("frames", {"hb": 1, "ready": 1})
    await written(stored, 1)
    status = stored.status()
    assert status["connected"] is True
    assert status["last_message_at"] == "2026-03-09T14:30:00.123Z"
    assert status["uptime_seconds"] == 0
    assert status["last_error"] is None
    assert status["marketdata_lines"] == [{"conid": 265598, "last_read_seconds_ago": 0.0}]
    assert status["history"]["enabled"] is True
    assert status["history"]["db_bytes"] > 0


async def test_a_restart_stores_what_waits_expires_old_cursors_and_grows_the_epoch(
    gateway: SocketGateway, tmp_path: Path
) -> None:
    path = tmp_path / "events.db"
    variables = {"BEZANT_EVENTS_DB_PATH": str(path), "BEZANT_EVENTS_FLUSH_SECS": "30"}
    manual = ManualClock()
    async with running(gateway.url, variables, clock=manual.clock) as first:
        await gateway.subscribed()
        await gateway.say(order(1), order(2))
        await first.payloads("orders", 2)
        before = await first.poll("orders")
        assert before is not None
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM events WHERE topic = 'orders'").fetchone() == (2,)
    manual.advance(-3600)
    async with running(gateway.url, variables, clock=manual.clock) as second:
        with pytest.raises(CursorExpired) as caught:
            await second.poll("orders", before["next_cursor"])
        assert caught.value.fields["head_cursor"] > before["next_cursor"]
        gap = await second.poll("gap")
        assert gap is not None
        assert gap["reset_epoch"] > before["reset_epoch"]
        assert [event["payload"]["reason"] for event in gap["events"]] == ["process_restart"]
        page = json.loads(await history(second))
        assert [event["cursor"] for event in page["events"]] == [event["cursor"] for event in before["events"]]


async def test_a_database_that_cannot_be_opened_does_not_stop_the_capture(
    gateway: SocketGateway, tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "events.db"
    async with running(gateway.url, {"BEZANT_EVENTS_DB_PATH": str(path)}) as run:
        await gateway.subscribed()
        await gateway.say(order(1))
        assert len(await run.payloads("orders", 1)) == 1
        while run.status()["history"]["last_error"] is None:
            await gateway.say('{"topic":"system","hb":1}')
        path.parent.mkdir()
        await written(run, 2)
        assert json.loads(await history(run))["count"] == 1
