"""Whose a key is: the file of API keys, read anew whenever it changes."""

from __future__ import annotations

import hmac
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from bezant_server.keys import document
from bezant_server.keys.scopes import Scope

_log = logging.getLogger(__name__)

_Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls, and what its key is good for."""

    name: str
    scope: Scope


class KeyRing:
    """The keys of a file.

    A file that is missing, unreadable or malformed lets nobody in until it is mended: a key that somebody took away
    must not come back because of a slip of the pen.

    Args:
        path: the file; see `document`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, document.Entry] = {}
        self._version: _Version | None = None
        self._complaint: tuple[object, ...] = ()
        self._told_of_others = False

    def client(self, key: str) -> Client | None:
        """The client whose key this is; None when it is nobody's."""
        self._refresh()
        given = document.digest(key)
        found = None
        # All of them, each in constant time: how long it takes tells nothing of how near a guess came.
        for name, entry in self._entries.items():
            if hmac.compare_digest(entry.digest, given):
                found = Client(name, entry.scope)
        return found

    def _refresh(self) -> None:
        version: _Version | None = None
        try:
            version = _version(self._path.stat())
            if version != self._version:
                # Only a file that was read is known; one that could not be opened is tried again at the next call.
                self._version = None
                self._entries = {}
                self._read()
        except FileNotFoundError:
            self._forget()
            self._complain(
                "there is no file of API keys, so no call that needs a key is served: `bezant keys add NAME` makes one"
            )
        except OSError as error:
            self._forget()
            self._complain(
                "the file of API keys cannot be read: no key is valid", version, error.strerror or str(error)
            )

    def _read(self) -> None:
        # Without O_NONBLOCK a named pipe in its place would hold the whole server up.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            version = _version(found)
            if not stat.S_ISREG(found.st_mode):
                self._reject(version, "it is no regular file")
                return
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(document.MOST_BYTES + 1)
        finally:
            os.close(descriptor)
        try:
            self._entries = document.parse(data)
        except document.MalformedKeysError as error:
            self._reject(version, str(error))
            return
        self._version = version
        self._complaint = ()
        if found.st_mode & 0o077 and not self._told_of_others:
            self._told_of_others = True
            _log.warning("the file of API keys is open to other users: chmod 600", extra={"path": str(self._path)})
        _log.info("API keys read", extra={"path": str(self._path), "clients": len(self._entries)})

    def _reject(self, version: _Version, reason: str) -> None:
        self._version = version
        self._complain("the file of API keys is malformed: no key is valid", version, reason)

    def _forget(self) -> None:
        self._version = None
        self._entries = {}

    def _complain(self, message: str, version: _Version | None = None, reason: str = "") -> None:
        """Log what is wrong, once until the file changes."""
        complaint = (message, version, reason)
        if complaint == self._complaint:
            return
        self._complaint = complaint
        _log.warning(message, extra={"path": str(self._path)} | ({"reason": reason} if reason else {}))


def _version(found: os.stat_result) -> _Version:
    # The last of them tells that chmod mended it.
    return (found.st_mtime_ns, found.st_size, found.st_dev, found.st_ino, found.st_ctime_ns)
