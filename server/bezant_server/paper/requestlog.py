"""What arrived: counts by method and path, and the most recent requests, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEPT = 500
_COUNTED = 1000
_OTHERS = "others"
_BODY_KEPT = 64 * 1024
# Headers whose values a test may want to see. Of Cookie only the names are kept: its values are secrets.
_SHOWN = frozenset(
    {
        "host", "origin", "referer", "user-agent", "accept", "content-type", "content-length",
        "transfer-encoding", "authorization", "x-api-key", "x-forwarded-for", "x-forwarded-proto",
        "x-forwarded-host", "forwarded", "x-real-ip", "x-request-id", "connection", "te",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it came."""

    method: str
    path: str
    query: str
    header_names: list[str]
    headers: dict[str, str]
    cookie_names: list[str]
    body: str


class RequestLog:
    """Bounded, and counted since the last `clear`. Of so many methods and paths; all further ones count as `others`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._recent: deque[SeenRequest] = deque(maxlen=_KEPT)

    def arrived(self, method: str, raw_path: str, headers: Mapping[str, str], body: bytes) -> None:
        path, _, query = raw_path.partition("?")
        counted = f"{method} {path}"
        self._counts[counted if counted in self._counts or len(self._counts) < _COUNTED else _OTHERS] += 1
        cookies = [part.split("=", 1)[0].strip() for part in headers.get("Cookie", "").split(";")]
        self._recent.append(
            SeenRequest(
                method=method,
                path=path,
                query=query,
                header_names=[name.lower() for name in headers],
                headers={name.lower(): value for name, value in headers.items() if name.lower() in _SHOWN},
                cookie_names=[name for name in cookies if name],
                body=body[:_BODY_KEPT].decode(errors="replace"),
            )
        )

    def answered(self, status: int) -> None:
        self._statuses[status] += 1

    def clear(self) -> None:
        self._counts.clear()
        self._statuses.clear()
        self._recent.clear()

    def report(self) -> dict[str, Any]:
        """Totals, and the recent requests, oldest first."""
        return {
            "total": self._counts.total(),
            "too_many": self._statuses[429],
            "counts": dict(self._counts),
            "statuses": {str(status): count for status, count in self._statuses.items()},
            "recent": [
                {
                    "method": seen.method,
                    "path": seen.path,
                    "query": seen.query,
                    "header_names": seen.header_names,
                    "headers": seen.headers,
                    "cookie_names": seen.cookie_names,
                    "body": seen.body,
                }
                for seen in self._recent
            ],
        }
