"""The history's SQLite database: its schema and every statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from bezant_server import private_files
from bezant_server.events.ring import Event
from bezant_server.events.topics import GAP, MARKETDATA, ORDERS, PNL

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    received_at_ms INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    reset_epoch INTEGER NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (topic, cursor)
) STRICT;
CREATE INDEX events_by_time ON events (topic, received_at_ms, cursor);
CREATE TABLE topics (
    topic TEXT PRIMARY KEY,
    last_cursor INTEGER NOT NULL,
    last_reset_epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
# `topics` outlives pruning: it knows which numbers were issued.

_INSERT = """
INSERT OR IGNORE INTO events (topic, received_at_ms, cursor, reset_epoch, payload) VALUES (?, ?, ?, ?, ?)
"""
_REMEMBER = """
INSERT INTO topics (topic, last_cursor, last_reset_epoch) VALUES (?, ?, ?)
ON CONFLICT (topic) DO UPDATE SET
    last_cursor = max(last_cursor, excluded.last_cursor),
    last_reset_epoch = max(last_reset_epoch, excluded.last_reset_epoch)
"""
_ISSUED = "SELECT max(max(last_cursor), max(last_reset_epoch)) FROM topics"
_TIME_OF = "SELECT received_at_ms FROM events WHERE topic = ? AND cursor = ?"
_PAGE = """
SELECT cursor, received_at_ms, reset_epoch, payload FROM events
WHERE topic = ? AND (received_at_ms, cursor) > (?, ?)
ORDER BY received_at_ms, cursor LIMIT ?
"""
_PRUNE = """
DELETE FROM events WHERE id IN (SELECT id FROM events WHERE topic = ? AND received_at_ms < ? LIMIT ?)
"""
_PRUNE_BATCH = 5000
_BUSY_SECS = 5.0
_MAX_CURSOR = 2**63 - 1
_DAY_MS = 24 * 60 * 60 * 1000


class StoreUnusable(Exception):
    """The file is a database that this version cannot use."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that events are kept, by topic."""

    orders: int
    pnl: int
    marketdata: int
    gap: int
    other: int

    def days(self, topic: str) -> int:
        """Days for one topic; `marketdata:<conid>` counts as market data."""
        known = {ORDERS: self.orders, PNL: self.pnl, MARKETDATA: self.marketdata, GAP: self.gap}
        return known.get(topic.partition(":")[0], self.other)


@dataclass(frozen=True, slots=True)
class Page:
    """Which events to read.

    Attributes:
        topic: their topic.
        since_ms: only those received later than this, milliseconds since 1970.
        after_cursor: go on behind the event of this cursor, within its millisecond too; 0 for the first page.
        limit: how many at most.
    """

    topic: str
    since_ms: int
    after_cursor: int
    limit: int


class Store:
    """The database file. One thread writes; every page is read over a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: sqlite3.Connection | None = None

    def issued(self) -> int:
        """The highest cursor or epoch ever stored; 0 for a new database.

        Raises:
            sqlite3.Error, OSError, StoreUnusable: the database cannot be opened.
        """
        (number,) = self._connection().execute(_ISSUED).fetchone()
        return number if isinstance(number, int) else 0

    def write(self, events: Sequence[Event]) -> None:
        """Store events, all or none.

        Raises:
            sqlite3.Error, OSError, StoreUnusable: none was stored.
        """
        last = {event.topic: event for event in events}
        connection = self._connection()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                _INSERT,
                [(e.topic, e.received_at_ms, e.cursor, e.reset_epoch, e.payload) for e in events],
            )
            connection.executemany(_REMEMBER, [(e.topic, e.cursor, e.reset_epoch) for e in last.values()])

    def prune(self, retention: Retention, *, now_ms: int) -> None:
        """Delete what is older than its topic is kept.

        Raises:
            sqlite3.Error, OSError, StoreUnusable: not everything could be deleted.
        """
        connection = self._connection()
        for (topic,) in connection.execute("SELECT topic FROM topics").fetchall():
            oldest = now_ms - retention.days(topic) * _DAY_MS
            while connection.execute(_PRUNE, (topic, oldest, _PRUNE_BATCH)).rowcount == _PRUNE_BATCH:
                pass

    def page(self, page: Page) -> list[Event]:
        """Events of a topic in the order of their arrival.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECS)) as db:
            position = (page.since_ms, page.after_cursor or _MAX_CURSOR)
            if page.after_cursor:
                row = db.execute(_TIME_OF, (page.topic, page.after_cursor)).fetchone()
                if row is not None:
                    position = max(position, (row[0], page.after_cursor))
            rows = db.execute(_PAGE, (page.topic, *position, page.limit)).fetchall()
        return [
            Event.of(cursor=cursor, topic=page.topic, received_at_ms=ms, reset_epoch=epoch, payload=payload)
            for cursor, ms, epoch, payload in rows
        ]

    def knows(self, topic: str, cursor: int) -> bool:
        """Whether the event of a cursor is stored.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECS)) as db:
            return db.execute(_TIME_OF, (topic, cursor)).fetchone() is not None

    def size_bytes(self) -> int:
        """Size on disk, the write-ahead log included."""
        size = 0
        for suffix in ("", "-wal"):
            with suppress(OSError):
                size += Path(f"{self._path}{suffix}").stat().st_size
        return size

    def close(self) -> None:
        """Close the writer's connection; the next write opens another."""
        if self._writer is not None:
            with suppress(sqlite3.Error):
                self._writer.close()
            self._writer = None

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._open()
        return self._writer

    def _open(self) -> sqlite3.Connection:
        # The events tell what somebody trades.
        connection = private_files.database(self._path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise StoreUnusable(f"{self._path} has schema version {version}, this server knows {SCHEMA_VERSION}")
