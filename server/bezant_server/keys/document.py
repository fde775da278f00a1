"""What a file of API keys says: a JSON object of client names, and the SHA-256 and the scope of each client's key.

    {"alice": "5e88…", "bob": {"sha256": "2bb8…", "scope": "read"}}

A key without a scope is one to trade with. The keys themselves are nowhere: who reads the file learns who may call,
and cannot.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bezant_server.keys.scopes import BY_WORD, Scope

MOST_CLIENTS = 4096
MOST_BYTES = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGEST_MEMBER = "sha256"
_SCOPE_MEMBER = "scope"
_DEFAULT_SCOPE = Scope.TRADE


class MalformedKeysError(Exception):
    """The file says something else; the message tells what is wrong, and nothing of what stands there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A client's.

    Attributes:
        digest: the SHA-256 of its key, in 64 hexadecimal digits.
        scope: what the key is good for.
    """

    digest: str
    scope: Scope = _DEFAULT_SCOPE


def is_name(text: str) -> bool:
    """Whether a client may be called so: 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`."""
    return _NAME.fullmatch(text) is not None


def digest(key: str) -> str:
    """What the file holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse(data: bytes) -> dict[str, Entry]:
    """The entries by client.

    Raises:
        MalformedKeysError: it is no such file.
    """
    if len(data) > MOST_BYTES:
        raise MalformedKeysError(f"it is larger than {MOST_BYTES} bytes")
    try:
        pairs = json.loads(data.decode(), object_pairs_hook=_Pairs)
    except UnicodeDecodeError:
        raise MalformedKeysError("it is not text in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise MalformedKeysError(f"it is not JSON: {error}") from None
    if not isinstance(pairs, _Pairs):
        raise MalformedKeysError("it is no JSON object of client names and SHA-256 digests")
    if len(pairs) > MOST_CLIENTS:
        raise MalformedKeysError(f"it has more than {MOST_CLIENTS} clients")
    entries: dict[str, Entry] = {}
    seen: set[str] = set()
    for number, (name, value) in enumerate(pairs, 1):
        if not is_name(name):
            raise MalformedKeysError(f"the name of client {number} is not 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
        entry = _entry(number, value)
        if name in entries:
            raise MalformedKeysError(f"client {number} has the name of another")
        if entry.digest in seen:
            raise MalformedKeysError(f"client {number} has the key of another")
        seen.add(entry.digest)
        entries[name] = entry
    return entries


def render(entries: Mapping[str, Entry]) -> bytes:
    """The file that says this."""
    members = {
        name: entry.digest
        if entry.scope is _DEFAULT_SCOPE
        else {_DIGEST_MEMBER: entry.digest, _SCOPE_MEMBER: entry.scope.word}
        for name, entry in entries.items()
    }
    return (json.dumps(members, indent=2) + "\n").encode()


def _entry(number: int, value: object) -> Entry:
    scope: object = _DEFAULT_SCOPE.word
    if isinstance(value, _Pairs):
        members = dict(value)
        # A slip in the name of the scope must not make a key good for more.
        if len(members) != len(value) or not members.keys() <= {_DIGEST_MEMBER, _SCOPE_MEMBER}:
            raise MalformedKeysError(f"client {number} has other members than sha256 and scope, once each")
        value, scope = members.get(_DIGEST_MEMBER), members.get(_SCOPE_MEMBER, scope)
    if not isinstance(value, str) or not _DIGEST.fullmatch(value.lower()):
        raise MalformedKeysError(f"what stands for client {number} is no SHA-256 in 64 hexadecimal digits")
    if not isinstance(scope, str) or scope not in BY_WORD:
        raise MalformedKeysError(f"the scope of client {number} is none of {', '.join(BY_WORD)}")
    return Entry(value.lower(), BY_WORD[scope])


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they stand there, for JSON lets a name stand twice."""
