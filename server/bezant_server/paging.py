"""Pages of a list: `page_size`, `page_token` and `next_page_token`, the same in every RPC that lists.

A token says where the next page begins and which request it continues, so one that is made up, cut short or given to
another request is refused, never misread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bezant_server.inputs import Checks

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

Element = TypeVar("Element")
_DIGEST_BYTES = 8
_OFFSET_BYTES = 4


@dataclass(frozen=True, slots=True)
class Page(Generic[Element]):
    """A page.

    Attributes:
        elements: on it.
        next_token: of the page behind it; empty at the end.
    """

    elements: Sequence[Element]
    next_token: str


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for."""

    offset: int
    size: int
    request: str

    def cut(self, elements: Sequence[Element]) -> Page[Element]:
        """The page out of the whole list."""
        end = self.offset + self.size
        return Page(elements[self.offset : end], self.next_token() if end < len(elements) else "")

    def next_token(self) -> str:
        """The token of the page behind this one, if there is one."""
        return _token(self.offset + self.size, self.request)


def paging(checks: Checks, *, page_size: int, page_token: str, request: str) -> Paging:
    """Read what a request says of its page.

    Args:
        checks: collects what is wrong.
        page_size: 0 for the default of 100; more than 1000 counts as 1000.
        page_token: empty for the first page.
        request: what the pages belong to (the RPC with its other fields): a token fits no other.
    """
    checks.holds("page_size", page_size >= 0, "must not be negative", page_size)
    offset = _offset(page_token, request) if page_token else 0
    if offset is None:
        checks.refuse("page_token", "must be the next_page_token of the page before, in an otherwise same request")
        offset = 0
    return Paging(offset, min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE), request)


def _token(offset: int, request: str) -> str:
    position = offset.to_bytes(_OFFSET_BYTES, "big")
    return base64.urlsafe_b64encode(position + _digest(position, request)).decode().rstrip("=")


def _offset(token: str, request: str) -> int | None:
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    position, digest = data[:_OFFSET_BYTES], data[_OFFSET_BYTES:]
    return int.from_bytes(position, "big") if digest == _digest(position, request) else None


def _digest(position: bytes, request: str) -> bytes:
    return hashlib.sha256(position + request.encode()).digest()[:_DIGEST_BYTES]


def pieces(elements: Sequence[Element], size: int) -> list[Sequence[Element]]:
    """The elements in pieces of at most so many, as the gateway takes them."""
    return [elements[start : start + size] for start in range(0, len(elements), size)]
