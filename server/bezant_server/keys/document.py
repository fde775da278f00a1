"""What a file of API keys says: a JSON object of client names and the SHA-256 of each client's key.

The keys themselves are nowhere: who reads the file learns who may call, and cannot.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

MOST_CLIENTS = 4096
MOST_BYTES = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class MalformedKeysError(Exception):
    """The file says something else; the message tells what is wrong, and nothing of what stands there."""


def is_name(text: str) -> bool:
    """Whether a client may be called so: 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`."""
    return _NAME.fullmatch(text) is not None


def digest(key: str) -> str:
    """What the file holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse(data: bytes) -> dict[str, str]:
    """The digests by client.

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
    digests: dict[str, str] = {}
    seen: set[str] = set()
    for number, (name, value) in enumerate(pairs, 1):
        if not is_name(name):
            raise MalformedKeysError(f"the name of client {number} is not 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
        if not isinstance(value, str) or not _DIGEST.fullmatch(value.lower()):
            raise MalformedKeysError(f"what stands for client {number} is no SHA-256 in 64 hexadecimal digits")
        if name in digests:
            raise MalformedKeysError(f"client {number} has the name of another")
        if value.lower() in seen:
            raise MalformedKeysError(f"client {number} has the key of another")
        seen.add(value.lower())
        digests[name] = value.lower()
    return digests


def render(digests: Mapping[str, str]) -> bytes:
    """The file that says this."""
    return (json.dumps(digests, indent=2) + "\n").encode()


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they stand there, for JSON lets a name stand twice."""
