"""Faults that the control endpoint asks for: which requests they hit, and what happens to those."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_HTML = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Service Unavailable</h1></body></html>"
_FIELDS = frozenset(
    {
        "path", "method", "status", "body", "content_type", "html", "headers",
        "delay_seconds", "close", "truncate", "times",
    }
)  # fmt: skip


class BadFault(Exception):
    """A fault that makes no sense; the message says why."""


@dataclass(slots=True)
class Fault:
    """One fault. With neither status, body nor html the real answer is delayed, truncated or lost."""

    pattern: re.Pattern[str]
    prefix: str | None
    method: str | None
    status: int | None
    body: bytes | None
    content_type: str
    headers: tuple[tuple[str, str], ...]
    delay_seconds: float
    close: bool
    truncate: bool
    remaining: int | None
    hits: int = 0

    @property
    def replaces_answer(self) -> bool:
        return self.status is not None or self.body is not None

    @classmethod
    def parse(cls, body: Any) -> Fault:
        """Read a fault from the control endpoint's JSON.

        Raises:
            BadFault: says what is wrong with it.
        """
        if not isinstance(body, dict) or not isinstance(body.get("path"), str):
            raise BadFault("a fault needs a path: a prefix beginning with /, or a regular expression")
        if unknown := sorted(set(body) - _FIELDS):
            raise BadFault(f"unknown fields: {', '.join(unknown)}")
        path = body["path"]
        try:
            pattern = re.compile(path)
        except re.error as error:
            raise BadFault(f"path is not a regular expression: {error}") from None
        content = body.get("body")
        if body.get("html"):
            content, content_type = content or _HTML, "text/html"
        else:
            content_type = "application/json;charset=utf-8"
        if content is not None and not isinstance(content, str):
            raise BadFault("body must be a string: the bytes of the answer as they are")
        status = body.get("status")
        if status is not None and (not isinstance(status, int) or not 200 <= status <= 599):
            raise BadFault("status must be an HTTP status from 200 to 599")
        times = body.get("times")
        if times is not None and (not isinstance(times, int) or times < 1):
            raise BadFault("times must be a whole number from 1 on")
        delay = body.get("delay_seconds") or 0
        if not isinstance(delay, int | float) or not 0 <= delay <= 3600:
            raise BadFault("delay_seconds must be a number from 0 to 3600")
        headers = body.get("headers") or {}
        if not isinstance(headers, dict):
            raise BadFault("headers must be an object of strings")
        return cls(
            pattern=pattern,
            prefix=path if path.startswith("/") else None,
            method=str(body["method"]).upper() if body.get("method") else None,
            status=status,
            body=None if content is None else content.encode(),
            content_type=str(body.get("content_type") or content_type),
            headers=tuple((str(name), str(value)) for name, value in headers.items()),
            delay_seconds=float(delay),
            close=bool(body.get("close")),
            truncate=bool(body.get("truncate")),
            remaining=times,
        )

    def matches(self, method: str, *paths: str) -> bool:
        """Whether a request under any of these names of its path is hit."""
        if self.method not in {None, method}:
            return False
        return any(
            (self.prefix is not None and path.startswith(self.prefix)) or self.pattern.search(path) for path in paths
        )


class Faults:
    """The faults in force, first come first served."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def __len__(self) -> int:
        return len(self._faults)

    def take(self, method: str, *paths: str) -> Fault | None:
        """The first fault that hits a request; it counts as used."""
        for fault in self._faults:
            if not fault.matches(method, *paths):
                continue
            fault.hits += 1
            if fault.remaining is not None:
                fault.remaining -= 1
                if fault.remaining <= 0:
                    self._faults.remove(fault)
            return fault
        return None
