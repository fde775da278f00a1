"""Changes the file of API keys: whole or not at all, and one change at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bezant_server import private_files
from bezant_server.keys import document
from bezant_server.keys.scopes import Scope

_PREFIX = "bz_"
_KEY_BYTES = 32
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600


class KeysError(Exception):
    """The file cannot be read or changed as asked; the message says why."""


class KeyFile:
    """The keys of clients.

    Args:
        path: the file; a missing one has no clients, and is made with the first, for this user alone.
    """

    def __init__(self, path: Path) -> None:
        # A symbolic link stays one: what it points to is replaced.
        self._path = Path(os.path.realpath(path))

    def scopes(self) -> dict[str, Scope]:
        """The scope of each client's key, sorted by the client's name.

        Raises:
            KeysError: the file cannot be used.
        """
        return {name: entry.scope for name, entry in sorted(self._read().items())}

    def add(self, name: str, scope: Scope = Scope.TRADE) -> str:
        """A new key of a new client, good for `scope`. Nothing can tell it again: the file holds its digest.

        Raises:
            KeysError: the name is none or taken, or the file cannot be used.
        """
        if not document.is_name(name):
            raise KeysError("the name of a client is 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
        key = _PREFIX + secrets.token_urlsafe(_KEY_BYTES)
        with self._alone():
            entries = self._read()
            if name in entries:
                raise KeysError(f"there is a key of {name} already: for a new one, remove that first")
            if len(entries) >= document.MOST_CLIENTS:
                raise KeysError(f"{self._path} has {document.MOST_CLIENTS} clients already, which is the most")
            self._write({**entries, name: document.Entry(document.digest(key), scope)})
        return key

    def remove(self, name: str) -> None:
        """Take a client's key away.

        Raises:
            KeysError: there is no such client, or the file cannot be used.
        """
        # A file that is not there has no directory to be locked in, and no client.
        if name not in self._read():
            raise KeysError(f"there is no key of {name!r}")
        with self._alone():
            entries = self._read()
            entries.pop(name, None)
            self._write(entries)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off whoever else changes the file. The lock is a file of its own: the other one is replaced."""
        with self._told():
            self._path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            lock = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, _PRIVATE_FILE)
        try:
            with self._told():
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> dict[str, document.Entry]:
        with self._told():
            try:
                with self._path.open("rb") as file:
                    data = file.read(document.MOST_BYTES + 1)
            except FileNotFoundError:
                return {}
        try:
            return document.parse(data)
        except document.MalformedKeysError as error:
            raise KeysError(f"{self._path} is malformed: {error}") from None

    def _write(self, entries: Mapping[str, document.Entry]) -> None:
        with self._told():
            private_files.write(self._path, document.render(entries))
            self._settle_directory()

    def _settle_directory(self) -> None:
        # A key that was taken away must not be back after a power failure.
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise KeysError(f"{self._path} cannot be used: {error.strerror or error}") from None
