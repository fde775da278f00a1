"""The database of target orders: its schema and every statement.

One process has it at a time, and one thread of that. Every change is on the disk, not only in the system's memory, when
its call returns: an order is sent on the strength of that.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bezant.v1 import targets_service_pb2 as pb
from bezant_server import private_files
from bezant_server.targets.records import Batch, Entry, Phase

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        batch_id TEXT NOT NULL UNIQUE,
        account TEXT NOT NULL,
        client TEXT NOT NULL,
        submitted_at_ms INTEGER NOT NULL,
        idempotency_key TEXT,
        digest TEXT NOT NULL,
        answer BLOB,
        UNIQUE (client, idempotency_key)
    ) STRICT;
    CREATE INDEX batches_by_time ON batches (submitted_at_ms);
    CREATE INDEX batches_unanswered ON batches (number) WHERE answer IS NULL;
    CREATE TABLE orders (
        batch_id TEXT NOT NULL REFERENCES batches (batch_id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        phase TEXT NOT NULL,
        sent_at_ms INTEGER,
        symbol TEXT NOT NULL,
        conid INTEGER NOT NULL,
        current_position TEXT,
        working_quantity TEXT,
        desired_position TEXT NOT NULL,
        delta TEXT,
        action TEXT NOT NULL,
        quantity TEXT NOT NULL,
        order_type TEXT NOT NULL,
        limit_price TEXT,
        client_order_id TEXT NOT NULL,
        order_id TEXT NOT NULL,
        status TEXT NOT NULL,
        error TEXT NOT NULL,
        filled_quantity TEXT NOT NULL,
        average_fill_price TEXT,
        commission TEXT,
        PRIMARY KEY (batch_id, place)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX orders_open ON orders (phase) WHERE phase IN ('planned', 'sending', 'placed');
    """,
)
"""By number: the first makes version 1, each further one the next version. One that was released is never changed."""

_BATCH = ("batch_id", "account", "client", "submitted_at_ms", "idempotency_key", "digest", "answer")
_ENTRY = ("batch_id", "place", "phase", "sent_at_ms")
_ORDER = tuple(field.name for field in pb.TargetOrder.DESCRIPTOR.fields)
_PRESENCE = frozenset(field.name for field in pb.TargetOrder.DESCRIPTOR.fields if field.has_presence)

_INSERT_BATCH = f"INSERT INTO batches ({', '.join(_BATCH)}) VALUES ({', '.join('?' * len(_BATCH))})"  # noqa: S608
_INSERT_ORDER = f"""
INSERT INTO orders ({", ".join((*_ENTRY, *_ORDER))}) VALUES ({", ".join("?" * len((*_ENTRY, *_ORDER)))})
"""  # noqa: S608  the names are the schema's
_UPDATE_ORDER = f"""
UPDATE orders SET phase = ?, sent_at_ms = ?, {", ".join(f"{name} = ?" for name in _ORDER)}
WHERE batch_id = ? AND place = ? AND phase <> 'ended'
"""  # noqa: S608
_SELECT_BATCH = f"SELECT {', '.join(_BATCH)} FROM batches"  # noqa: S608
_SELECT_ORDERS = f"SELECT {', '.join((*_ENTRY, *_ORDER))} FROM orders WHERE batch_id = ? ORDER BY place"  # noqa: S608
_OPEN = f"""
SELECT account, {", ".join((*_ENTRY, *_ORDER))} FROM orders JOIN batches USING (batch_id)
WHERE phase IN ('planned', 'sending', 'placed') AND phase <> 'planned' ORDER BY batch_id, place
"""  # noqa: S608  the first condition is the index's
_UNANSWERED = f"{_SELECT_BATCH} WHERE answer IS NULL ORDER BY number"
_ABANDON = "UPDATE orders SET phase = 'ended' WHERE phase = 'planned'"
_KEPT_MS = 400 * 24 * 3600 * 1000


class StoreUnusable(Exception):
    """The file cannot be used; the message says why and what to do."""


class NewerSchema(StoreUnusable):
    """A newer version of the server has written the file."""


class Store:
    """The database file; nothing is made before the first batch is added.

    Args:
        path: the file.

    Raises:
        sqlite3.Error, OSError, StoreUnusable: by every method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a file: before the first batch there is none."""
        return self._path.exists()

    def add(self, batch: Batch, *, now_ms: int) -> None:
        """Write a batch and all its orders, and forget what is older than 400 days.

        Raises:
            sqlite3.IntegrityError: the client has used the idempotency key.
        """
        with self._transaction() as database:
            database.execute(_INSERT_BATCH, _batch_row(batch))
            database.executemany(_INSERT_ORDER, [_entry_row(entry) for entry in batch.entries])
            database.execute("DELETE FROM batches WHERE submitted_at_ms < ?", (now_ms - _KEPT_MS,))

    def update(self, entries: Iterable[Entry]) -> None:
        """Write where orders stand, all or none; those that have ended stay as they are."""
        rows = [(e.phase, e.sent_at_ms, *_order_row(e.order), e.batch_id, e.place) for e in entries]
        with self._transaction() as database:
            database.executemany(_UPDATE_ORDER, rows)

    def answer(self, batch_id: str, answer: bytes) -> None:
        """Write what the caller of a batch is answered, unless that was written before."""
        with self._transaction() as database:
            database.execute("UPDATE batches SET answer = ? WHERE batch_id = ? AND answer IS NULL", (answer, batch_id))

    def batch(self, batch_id: str) -> Batch | None:
        """A batch with its orders."""
        return self._one(f"{_SELECT_BATCH} WHERE batch_id = ?", batch_id)

    def of_key(self, client: str, idempotency_key: str) -> Batch | None:
        """The batch that a client has made with a key, with its orders."""
        return self._one(f"{_SELECT_BATCH} WHERE client = ? AND idempotency_key = ?", client, idempotency_key)

    def recent(self, most: int) -> list[Batch]:
        """The last batches, the newest first, without their orders."""
        if not self.exists:
            return []
        rows = self._open().execute(f"{_SELECT_BATCH} ORDER BY number DESC LIMIT ?", (most,))
        return [_batch(row, ()) for row in rows]

    def unanswered(self) -> list[Batch]:
        """Batches without an answer, the oldest first, with their orders.

        They are those under way, and those that a crash has cut short.
        """
        if not self.exists:
            return []
        rows = self._open().execute(_UNANSWERED).fetchall()
        return [_batch(row, self._entries(row[0])) for row in rows]

    def open(self) -> dict[str, list[Entry]]:
        """Orders that may be working, by account."""
        found: dict[str, list[Entry]] = {}
        if self.exists:
            for account, *row in self._open().execute(_OPEN):
                found.setdefault(account, []).append(_entry(row))
        return found

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _one(self, statement: str, *arguments: str) -> Batch | None:
        if not self.exists:
            return None
        row = self._open().execute(statement, arguments).fetchone()
        if row is None:
            return None
        return _batch(row, self._entries(row[0]))

    def _entries(self, batch_id: str) -> list[Entry]:
        return [_entry(row) for row in self._open().execute(_SELECT_ORDERS, (batch_id,))]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        database = self._open()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take()
            connection = private_files.database(self._path)
            try:
                self._migrate(connection)
                # What was planned and not sent when an earlier process ended is not sent any more.
                connection.execute(_ABANDON)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _take(self) -> None:
        """Take the file for this process: another server would look for our orders as if we had crashed."""
        if self._lock is not None:
            return
        lock = os.open(f"{self._path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreUnusable(
                f"{self._path} is in use by another server: give each one its own, by BEZANT_STATE_DB_PATH"
            ) from None
        self._lock = lock

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise NewerSchema(
                f"{self._path} was written by a newer bezant-grpc: its schema has version {version}, and this server "
                f"knows {len(MIGRATIONS)}. Use that server, or another file (BEZANT_STATE_DB_PATH)"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version = {number}; COMMIT;")


def _batch_row(batch: Batch) -> tuple[Any, ...]:
    return tuple(
        (getattr(batch, name) or None) if name == "idempotency_key" else getattr(batch, name) for name in _BATCH
    )


def _batch(row: Sequence[Any], entries: Sequence[Entry]) -> Batch:
    values = dict(zip(_BATCH, row, strict=True))
    values["idempotency_key"] = values["idempotency_key"] or ""
    return Batch(**values, entries=entries)


def _entry_row(entry: Entry) -> tuple[Any, ...]:
    return (entry.batch_id, entry.place, entry.phase, entry.sent_at_ms, *_order_row(entry.order))


def _entry(row: Sequence[Any]) -> Entry:
    batch_id, place, phase, sent_at_ms, *values = row
    order = pb.TargetOrder()
    for name, value in zip(_ORDER, values, strict=True):
        if name == "status":
            order.status = pb.TargetStatus.Value(value)
        elif value is not None:
            setattr(order, name, value)
    return Entry(batch_id, place, Phase(phase), sent_at_ms, order)


def _order_row(order: pb.TargetOrder) -> tuple[Any, ...]:
    return tuple(_cell(order, name) for name in _ORDER)


def _cell(order: pb.TargetOrder, name: str) -> Any:
    if name in _PRESENCE and not order.HasField(name):  # type: ignore[arg-type]
        return None
    return pb.TargetStatus.Name(order.status) if name == "status" else getattr(order, name)
