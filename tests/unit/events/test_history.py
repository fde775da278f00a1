from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from bezant_server.errors import ServerUnavailable
from bezant_server.events.history import History
from bezant_server.events.ring import Event
from bezant_server.events.store import Page, Retention, Store, StoreUnusable
from tests.unit.events.clocks import START_MS, ManualClock

RETENTION = Retention(orders=90, pnl=90, marketdata=14, gap=365, other=30)
DAY_MS = 24 * 60 * 60 * 1000


def event(cursor: int, *, topic: str = "orders", at: int = START_MS, epoch: int = 1, payload: bytes = b"{}") -> Event:
    return Event.of(cursor=cursor, topic=topic, received_at_ms=at, reset_epoch=epoch, payload=payload)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "events.db")
    yield store
    store.close()


@asynccontextmanager
async def running(
    path: Path, *, queue_cap: int = 10_000, clock: ManualClock | None = None, retention: Retention = RETENTION
) -> AsyncIterator[History]:
    history = History(
        Store(path),
        queue_cap=queue_cap,
        flush_secs=0.01,
        prune_secs=3600,
        retention=retention,
        close_secs=10,
        clock=(clock or ManualClock()).clock,
    )
    history.start()
    try:
        yield history
    finally:
        await history.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  the writer is a thread
            await asyncio.sleep(0.01)


def cursors(events: list[Event]) -> list[int]:
    return [event.cursor for event in events]


def page(store: Store, since_ms: int, after_cursor: int = 0, limit: int = 100, topic: str = "orders") -> list[Event]:
    return store.page(Page(topic, since_ms=since_ms, after_cursor=after_cursor, limit=limit))


def test_what_is_stored_comes_back_as_it_was(store: Store) -> None:
    original = event(1, topic="pnl", epoch=3, payload='{ "topic":"spl", "ü": 1.10 }'.encode())
    store.write([original])
    assert page(store, START_MS - 1, topic="pnl") == [original]
    assert page(store, START_MS - 1, topic="orders") == []


def test_since_is_exclusive(store: Store) -> None:
    store.write([event(1, at=START_MS), event(2, at=START_MS + 1)])
    assert cursors(page(store, START_MS)) == [2]
    assert cursors(page(store, START_MS - 1)) == [1, 2]


@pytest.mark.parametrize("advance_since", [True, False])
def test_pages_lose_and_repeat_nothing_within_one_millisecond(store: Store, *, advance_since: bool) -> None:
    times = [0, 0, 0, 1, 1, 1, 1, 5, 5]
    store.write([event(cursor, at=START_MS + ms) for cursor, ms in enumerate(times, start=10)])
    seen: list[int] = []
    since, after = START_MS - 1, 0
    while found := page(store, since, after, limit=2):
        seen.extend(cursors(found))
        after = found[-1].cursor
        if advance_since:
            since = found[-1].received_at_ms
    assert seen == list(range(10, 19))


def test_paging_survives_a_clock_that_was_set_back(store: Store) -> None:
    store.write([event(10, at=START_MS + 100), event(11, at=START_MS + 50), event(12, at=START_MS + 60)])
    seen: list[int] = []
    since, after = START_MS, 0
    while found := page(store, since, after, limit=1):
        seen.extend(cursors(found))
        since, after = found[-1].received_at_ms, found[-1].cursor
    assert sorted(seen) == [10, 11, 12]


def test_an_event_is_stored_once_even_if_it_is_written_twice(store: Store) -> None:
    store.write([event(1)])
    store.write([event(1), event(2)])
    assert cursors(page(store, 0)) == [1, 2]


def test_the_highest_number_issued_is_remembered_beyond_pruning(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with closing(Store(path)) as store:
        assert store.issued() == 0
        store.write([event(70, epoch=5), event(90, topic="gap", epoch=1000)])
        store.prune(RETENTION, now_ms=START_MS + 400 * DAY_MS)
        assert page(store, 0) == []
    with closing(Store(path)) as again:
        assert again.issued() == 1000


def test_each_topic_is_kept_as_long_as_configured(store: Store) -> None:
    kept = {"orders": 90, "pnl": 90, "marketdata:265598": 14, "gap": 365, "something": 30}
    for topic, days in kept.items():
        store.write(
            [event(1, topic=topic, at=START_MS - days * DAY_MS - 1), event(2, topic=topic, at=START_MS - days * DAY_MS)]
        )
    store.prune(RETENTION, now_ms=START_MS)
    for topic in kept:
        assert cursors(page(store, 0, topic=topic)) == [2]


def test_the_file_is_the_owners_alone(tmp_path: Path, store: Store) -> None:
    store.write([event(1)])
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store.size_bytes() > 0


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with closing(Store(path)) as store, pytest.raises(StoreUnusable, match="schema version 99"):
        store.issued()


async def test_events_are_stored_in_order_and_flushed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with running(path) as history:
        for number in range(1, 2501):
            history.offer(event(number, at=START_MS))
    assert history.stats().written == 2500
    assert history.stats().dropped == 0
    with closing(Store(path)) as store:
        assert cursors(page(store, 0, limit=5000)) == list(range(1, 2501))


async def test_events_become_readable_while_running(tmp_path: Path) -> None:
    async with running(tmp_path / "events.db") as history:
        history.offer(event(1))
        await until(lambda: history.stats().written == 1)
        assert cursors(await history.page("orders", since_ms=0, after_cursor=0, limit=5)) == [1]
        assert history.stats().queued == 0
        assert history.stats().db_bytes > 0


async def test_what_is_offered_is_stored_although_the_closing_caller_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with running(path) as history:
        history.offer(event(1))
        closing_task = asyncio.create_task(history.aclose())
        await asyncio.sleep(0)
        closing_task.cancel()
        await asyncio.gather(closing_task, return_exceptions=True)
    assert history.stats().written == 1


async def test_pruning_happens_at_the_start_and_when_due(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    manual = ManualClock()
    with closing(Store(path)) as store:
        store.write([event(1, at=START_MS - 91 * DAY_MS), event(2, at=START_MS - 89 * DAY_MS)])
    async with running(path, clock=manual) as history:
        await until(lambda: stored(path) == [2])
        manual.advance(2 * 24 * 3600)
        history.offer(event(3, at=START_MS))
        await until(lambda: stored(path) == [3])


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [cursor for (cursor,) in db.execute("SELECT cursor FROM events ORDER BY cursor")]


async def test_a_broken_disk_is_reported_once_and_storing_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    path.mkdir()
    caplog.set_level(logging.INFO)
    async with running(path, queue_cap=3) as history:
        for number in range(1, 6):
            history.offer(event(number))
        await until(lambda: history.stats().last_error is not None)
        with pytest.raises(ServerUnavailable):
            await history.page("orders", since_ms=0, after_cursor=0, limit=5)
        assert (history.stats().queued, history.stats().dropped) == (3, 2)
        path.rmdir()
        await until(lambda: history.stats().written == 3)
        assert history.stats().last_error is None
        assert cursors(await history.page("orders", since_ms=0, after_cursor=0, limit=5)) == [1, 2, 3]
    assert sum("cannot be stored" in message for message in caplog.messages) == 1
    assert sum("2 events are missing" in message for message in caplog.messages) == 1


async def test_a_full_disk_is_reported_and_storing_recovers_with_every_event(tmp_path: Path) -> None:
    async with running(tmp_path / "events.db") as history:
        history.offer(event(1))
        await until(lambda: history.stats().written == 1)
        with full_disk(at_bytes=history.stats().db_bytes):
            for number in range(2, 200):
                history.offer(event(number, payload=json.dumps({"x": "y" * 2000}).encode()))
            await until(lambda: history.stats().last_error is not None)
            assert history.stats().queued > 0
        await until(lambda: history.stats().written == 199)
        assert history.stats().last_error is None
        assert history.stats().dropped == 0
        found = await history.page("orders", since_ms=0, after_cursor=0, limit=500)
        assert cursors(found) == list(range(1, 200))


async def test_a_defect_is_reported_and_storing_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # More days than SQLite can count milliseconds of.
    retention = Retention(orders=10**12, pnl=90, marketdata=14, gap=365, other=30)
    path = tmp_path / "events.db"
    with closing(Store(path)) as store:
        store.write([event(1)])
    async with running(path, retention=retention) as history:
        await until(lambda: history.stats().last_error is not None)
        history.offer(event(2))
        await until(lambda: history.stats().written == 1)
        assert history.stats().writer_alive
    assert not history.stats().writer_alive
    assert sum("cannot be stored" in message and "OverflowError" in message for message in caplog.messages) == 1


@contextmanager
def full_disk(*, at_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond a size: writes fail as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (at_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_corrupt_file_is_reported_and_what_cannot_be_stored_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(os.urandom(8192))
    async with running(path) as history:
        history.offer(event(1))
        await until(lambda: history.stats().last_error is not None)
    assert history.stats().dropped == 1
    assert any("1 events were not stored" in message for message in caplog.messages)
