"""The database, as a file: what is written is read again, and what cannot be used is told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bezant.v1 import targets_service_pb2 as pb
from bezant_server.targets.records import Batch, Entry, Phase
from bezant_server.targets.store import MIGRATIONS, NewerSchema, Store, StoreUnusable

NOW_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000
FULL = pb.TargetOrder(
    symbol="AAPL",
    conid=265598,
    current_position="-1.5",
    working_quantity="0",
    desired_position="100.50",
    delta="102",
    action="BUY",
    quantity="102",
    order_type="LMT",
    limit_price="150.50",
    client_order_id="bz-1-0",
    order_id="472000001",
    status=pb.TARGET_STATUS_SUBMITTED,
    error="Übergröße 'quoted'; \"x\"",
    filled_quantity="2",
    average_fill_price="150.25",
    commission="0.35",
)
EMPTY = pb.TargetOrder(symbol="NOSUCH", desired_position="1", status=pb.TARGET_STATUS_ERROR, quantity="0")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bezant.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def a_batch(number: int, *entries: tuple[Phase, pb.TargetOrder], **changes: Any) -> Batch:
    batch_id = f"{number:016x}"
    values: dict[str, Any] = {
        "account": "DU8730189",
        "client": "client1",
        "submitted_at_ms": NOW_MS + number,
        "idempotency_key": "",
        "digest": f"digest {number}",
        "answer": None,
    } | changes
    return Batch(
        batch_id=batch_id,
        entries=[Entry(batch_id, place, phase, None, order) for place, (phase, order) in enumerate(entries)],
        **values,
    )


def copied(order: pb.TargetOrder, **changes: Any) -> pb.TargetOrder:
    copy = pb.TargetOrder()
    copy.CopyFrom(order)
    for name, value in changes.items():
        setattr(copy, name, value)
    return copy


def test_nothing_is_made_by_reading(store: Store, path: Path) -> None:
    assert store.batch("1") is None
    assert store.of_key("client1", "key") is None
    assert (store.recent(100), store.unanswered(), store.open()) == ([], [], {})
    assert not path.parent.exists()


def test_what_is_written_is_read_again(store: Store, path: Path) -> None:
    """Every field, absent ones as absent, by another server too."""
    batch = a_batch(1, (Phase.PLACED, FULL), (Phase.ENDED, EMPTY), idempotency_key="ключ")
    batch.entries[0].sent_at_ms = NOW_MS
    store.add(batch, now_ms=NOW_MS)
    assert store.batch(batch.batch_id) == batch
    assert store.of_key("client1", "ключ") == batch
    store.close()
    again = Store(path)
    assert again.batch(batch.batch_id) == batch
    again.close()


def test_nobody_else_can_read_it(store: Store, path: Path) -> None:
    store.add(a_batch(1, (Phase.PLANNED, FULL)), now_ms=NOW_MS)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert set(files) >= {"bezant.db", "bezant.db-wal", "bezant.db.lock"}
    assert set(files.values()) == {0o600}


def test_how_it_is_kept(store: Store, path: Path) -> None:
    store.add(a_batch(1), now_ms=NOW_MS)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_every_version_can_be_brought_up_to_date(path: Path) -> None:
    for version in range(len(MIGRATIONS)):
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as database:
            for statements in MIGRATIONS[:version]:
                database.executescript(statements)
            database.execute(f"PRAGMA user_version = {version}")
        store = Store(path)
        batch = a_batch(1, (Phase.PLANNED, FULL))
        store.add(batch, now_ms=NOW_MS)
        assert store.batch(batch.batch_id) == batch
        store.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE orders (something TEXT)")
        database.commit()
    store = Store(path)
    with pytest.raises(sqlite3.Error):
        store.add(a_batch(1), now_ms=NOW_MS)
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (0,)
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("orders",)]


def test_a_newer_schema_is_refused(path: Path) -> None:
    path.parent.mkdir()
    newer = len(MIGRATIONS) + 1
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {newer}")
    store = Store(path)
    for question in (store.open, lambda: store.add(a_batch(1), now_ms=NOW_MS)):
        with pytest.raises(NewerSchema, match=f"version {newer}"):
            question()
    store.close()


def test_another_server_has_it(store: Store, path: Path) -> None:
    store.add(a_batch(1), now_ms=NOW_MS)
    other = Store(path)
    with pytest.raises(StoreUnusable, match="BEZANT_STATE_DB_PATH"):
        other.open()
    with pytest.raises(StoreUnusable, match="in use"):
        other.add(a_batch(2), now_ms=NOW_MS)
    store.close()
    assert [batch.batch_id for batch in other.recent(9)] == [a_batch(1).batch_id]
    other.close()


def test_the_lock_is_taken_before_the_database_is_made(store: Store, path: Path) -> None:
    path.parent.mkdir()
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(StoreUnusable):
        store.add(a_batch(1), now_ms=NOW_MS)
    assert not path.exists()
    os.close(lock)
    store.add(a_batch(1), now_ms=NOW_MS)


@pytest.mark.parametrize("content", [b"this is no database, and long enough to be looked at by SQLite" * 20])
def test_a_file_that_is_no_database(store: Store, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError):
        store.open()
    assert path.read_bytes() == content


def test_a_directory_in_its_place(store: Store, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises((sqlite3.Error, OSError)):
        store.add(a_batch(1), now_ms=NOW_MS)
    with pytest.raises((sqlite3.Error, OSError)):
        store.open()


def test_a_key_is_used_once_by_each_client(store: Store) -> None:
    store.add(a_batch(1, idempotency_key="key"), now_ms=NOW_MS)
    with pytest.raises(sqlite3.IntegrityError):
        store.add(a_batch(2, (Phase.PLANNED, FULL), idempotency_key="key"), now_ms=NOW_MS)
    store.add(a_batch(3, idempotency_key="key", client="client2"), now_ms=NOW_MS)
    store.add(a_batch(4), now_ms=NOW_MS)
    store.add(a_batch(5), now_ms=NOW_MS)
    assert store.batch(a_batch(2).batch_id) is None
    found = [store.of_key(client, "key") for client in ("client1", "client2", "client3")]
    assert [batch and batch.batch_id for batch in found] == [a_batch(1).batch_id, a_batch(3).batch_id, None]


def test_the_first_answer_stays(store: Store) -> None:
    batch = a_batch(1, (Phase.PLACED, FULL))
    store.add(batch, now_ms=NOW_MS)
    store.answer(batch.batch_id, b"first")
    store.answer(batch.batch_id, b"second")
    kept = store.batch(batch.batch_id)
    assert kept is not None
    assert kept.answer == b"first"


def test_orders_that_have_ended_stay_as_they_are(store: Store) -> None:
    batch = a_batch(1, (Phase.PLANNED, copied(FULL)), (Phase.ENDED, copied(EMPTY)))
    store.add(batch, now_ms=NOW_MS)
    for entry in batch.entries:
        entry.settle(Phase.PLACED, pb.TARGET_STATUS_FILLED, "new")
    store.update(batch.entries)
    kept = store.batch(batch.batch_id)
    assert kept is not None
    assert [(entry.phase, entry.order.error) for entry in kept.entries] == [(Phase.PLACED, "new"), (Phase.ENDED, "")]


def test_the_newest_come_first(store: Store) -> None:
    """By when they were added: two may have the same second, and clocks go back."""
    for number in (3, 1, 2):
        store.add(a_batch(number, (Phase.PLANNED, FULL)), now_ms=NOW_MS)
    newest = store.recent(2)
    assert [batch.batch_id for batch in newest] == [a_batch(2).batch_id, a_batch(1).batch_id]
    assert all(not batch.entries for batch in newest)


def test_what_did_not_come_to_its_end(store: Store) -> None:
    answered = {"answer": b"x"}
    store.add(a_batch(1, (Phase.ENDED, EMPTY), (Phase.PLACED, FULL), **answered), now_ms=NOW_MS)
    store.add(a_batch(2, (Phase.ENDED, EMPTY)), now_ms=NOW_MS)
    store.add(a_batch(3, (Phase.ENDED, EMPTY), (Phase.SENDING, FULL), **answered), now_ms=NOW_MS)
    store.add(a_batch(4, (Phase.PLANNED, FULL), (Phase.PLANNED, FULL)), now_ms=NOW_MS)
    store.add(a_batch(5), now_ms=NOW_MS)
    store.add(a_batch(6, (Phase.SENDING, FULL), account="DUP203550", **answered), now_ms=NOW_MS)
    assert [batch.batch_id for batch in store.unanswered()] == [a_batch(number).batch_id for number in (2, 4, 5)]
    open_orders = store.open()
    assert set(open_orders) == {"DU8730189", "DUP203550"}
    assert [(each.batch_id, each.place, each.phase) for each in open_orders["DU8730189"]] == [
        (a_batch(1).batch_id, 1, Phase.PLACED),
        (a_batch(3).batch_id, 1, Phase.SENDING),
    ]
    assert open_orders["DU8730189"][1].order == FULL
    assert [each.batch_id for each in open_orders["DUP203550"]] == [a_batch(6).batch_id]


def test_what_was_planned_is_not_sent_after_a_restart(store: Store, path: Path) -> None:
    store.add(a_batch(1, (Phase.PLANNED, FULL), (Phase.SENDING, FULL), (Phase.PLACED, FULL)), now_ms=NOW_MS)
    store.close()
    again = Store(path)
    batch = again.batch(a_batch(1).batch_id)
    assert batch is not None
    assert [each.phase for each in batch.entries] == [Phase.ENDED, Phase.SENDING, Phase.PLACED]
    again.close()


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT * FROM orders WHERE phase IN ('planned', 'sending', 'placed')", "orders_open"),
        ("SELECT * FROM batches WHERE answer IS NULL ORDER BY number", "batches_unanswered"),
    ],
)
def test_what_is_open_is_found_without_reading_what_has_ended(
    store: Store, path: Path, statement: str, index: str
) -> None:
    """Both are asked around every batch, and batches are kept for a year."""
    store.add(a_batch(1, (Phase.PLANNED, FULL)), now_ms=NOW_MS)
    with contextlib.closing(sqlite3.connect(path)) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert any(index in step for step in plan), plan


def test_old_batches_are_forgotten(store: Store, path: Path) -> None:
    store.add(a_batch(1, (Phase.ENDED, EMPTY), submitted_at_ms=NOW_MS - 401 * DAY_MS), now_ms=NOW_MS - 401 * DAY_MS)
    store.add(a_batch(2, (Phase.ENDED, EMPTY), submitted_at_ms=NOW_MS - 399 * DAY_MS), now_ms=NOW_MS - 399 * DAY_MS)
    store.add(a_batch(3), now_ms=NOW_MS)
    assert [batch.batch_id for batch in store.recent(9)] == [a_batch(3).batch_id, a_batch(2).batch_id]
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT DISTINCT batch_id FROM orders").fetchall() == [(a_batch(2).batch_id,)]


def test_a_batch_is_written_whole_or_not_at_all(store: Store) -> None:
    entries = [(Phase.PLANNED, FULL), (Phase.PLANNED, FULL)]
    batch = a_batch(1, *entries)
    batch.entries[1].place = 0
    with pytest.raises(sqlite3.IntegrityError):
        store.add(batch, now_ms=NOW_MS)
    assert store.batch(batch.batch_id) is None
    store.add(a_batch(1, *entries), now_ms=NOW_MS)
