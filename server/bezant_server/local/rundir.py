"""The private directory of one run: socket, Envoy's configuration, ready files."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "bezant-up-"
_LONGEST_PARENT = 64
"""A Unix socket's path has room for about a hundred characters on every system."""


@contextmanager
def run_directory() -> Iterator[Path]:
    """A new directory that only this user may enter, removed at the end.

    It lies in XDG_RUNTIME_DIR, or else among the temporary files. Directories of runs that were killed are removed too:
    a run holds a lock on its own, so one that can be locked belongs to nobody.
    """
    parent = _parent()
    _sweep(parent)
    path, lock = _locked(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _parent() -> Path:
    candidates = (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp")  # noqa: S108  mkdtemp makes it private
    for candidate in candidates:
        if candidate and len(os.fsencode(candidate)) <= _LONGEST_PARENT and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    raise OSError(
        f"no directory for a socket: none of {', '.join(filter(None, candidates))} is writable and short enough"
    )


def _locked(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        # Another run swept it away between its making and its locking.
        os.close(lock)


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        try:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
