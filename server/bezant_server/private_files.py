"""Files that are their owner's alone from the moment they are made: keys, orders, what was captured."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

_BUSY_SECS = 5.0


def write(path: Path, data: bytes) -> None:
    """Put a file in the place of another, whole and on the disk, or leave the other as it is.

    Raises:
        OSError: it cannot be written.
    """
    # Readable by its owner alone, as mkstemp makes it.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def database(path: Path) -> sqlite3.Connection:
    """A connection to an SQLite database, which is made if it is not there; what SQLite puts beside it is as private.

    Transactions are begun by whoever wants one, on any thread, but not on two at a time.

    Raises:
        sqlite3.Error, OSError: it cannot be opened.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    return sqlite3.connect(path, timeout=_BUSY_SECS, isolation_level=None, check_same_thread=False)
