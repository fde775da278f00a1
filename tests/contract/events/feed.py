"""The events as their REST callers meet them, and the gateway that makes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.edge import Edge, HttpAnswer
from tests.support.paper import PaperGateway

_DEADLINE_SECS = 30.0
_POLL_SECS = 0.02


@dataclass(frozen=True, slots=True)
class Feed:
    """Server and Envoy with capture on, in front of a paper gateway."""

    edge: Edge
    paper: PaperGateway

    def get(self, target: str) -> HttpAnswer:
        return self.edge.get(target)

    def status(self) -> dict[str, Any]:
        answer = self.get("/events/_status")
        assert answer.status == 200
        report: dict[str, Any] = answer.json()
        return report

    def until_connected(self, reconnects: int = 0) -> dict[str, Any]:
        """Wait until orders and PnL are captured over a socket that followed so many others."""
        wait(lambda: self.status()["connected"] and self.status()["reconnect_count"] >= reconnects)
        return self.status()

    def oldest(self, topic: str) -> int:
        """A cursor to start from: everything held comes after it."""
        answer = self.get(f"/events/{topic}")
        assert answer.status in (200, 412), answer.body
        return int(answer.json()["next_cursor"]) if answer.status == 200 else int(answer.json()["head_cursor"]) - 1

    def tell(self, frame: dict[str, Any], *, binary: bool = True) -> None:
        """Have the gateway send a frame on every socket."""
        self.paper.control("/socket/frame", {"frame": frame, "binary": binary})

    def until_event(self, target: str, cursor: int, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll on from a cursor until an event's payload is the one wanted; that event."""
        deadline = time.monotonic() + _DEADLINE_SECS
        while time.monotonic() < deadline:
            answer = self.get(f"{target}since={cursor}")
            if answer.status == 204:
                time.sleep(_POLL_SECS)
                continue
            assert answer.status == 200, answer.body
            page = answer.json()
            for event in page["events"]:
                if wanted(event["payload"]):
                    found: dict[str, Any] = event
                    return found
            cursor = page["next_cursor"]
        raise TimeoutError(f"no such event at {target}")


def wait(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + _DEADLINE_SECS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(_POLL_SECS)
