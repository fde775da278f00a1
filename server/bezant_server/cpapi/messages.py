"""A call to the gateway and its answer, as bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]

READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One call to the gateway.

    Attributes:
        method: upper case.
        target: path and query from the gateway's root, already encoded (`/v1/api/tickle`); sent as it stands.
        headers: without Host, Cookie and Content-Length, which the client adds.
        body: bytes sent as they are; None means no body (a POST then says Content-Length: 0).
        changes_state: whether a second arrival could do harm. It is then sent once and never retried.
    """

    method: str
    target: str
    headers: Headers = ()
    body: bytes | None = None
    changes_state: bool = True


@dataclass(frozen=True, slots=True)
class UpstreamResponse:
    """A whole answer of the gateway: header names in lower case, the body as it came (content-coding kept)."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every header of that (lower-case) name, in order."""
        return [value for key, value in self.headers if key == name]


def lower_names(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Raw header pairs as text."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
