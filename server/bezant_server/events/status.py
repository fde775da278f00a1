"""`/events/_status`: how the capture does."""

from __future__ import annotations

import json
from dataclasses import asdict

from bezant_server.events import frames
from bezant_server.events.clock import Clock, rfc3339
from bezant_server.events.connector import ConnectorState
from bezant_server.events.history import History
from bezant_server.events.lines import Lines
from bezant_server.events.topics import ORDERS, PNL, Topics, marketdata_topic


class StatusReport:
    """Gathers the state of every part of the capture."""

    def __init__(
        self, *, state: ConnectorState, topics: Topics, lines: Lines, history: History | None, clock: Clock
    ) -> None:
        self._state = state
        self._topics = topics
        self._lines = lines
        self._history = history
        self._clock = clock
        self._began = clock.monotonic()

    def render(self) -> bytes:
        """The report as JSON; every duration is in seconds."""
        state = self._state
        readers = self._lines.readers()
        rings = list(self._topics)
        subscribed = [ORDERS, PNL, *(marketdata_topic(conid) for conid in readers)]
        report = {
            "connected": state.connected,
            "last_message_at": None if state.last_message_ms is None else rfc3339(state.last_message_ms),
            "reconnect_count": state.reconnect_count,
            "uptime_seconds": int(self._clock.monotonic() - self._began),
            "reset_epoch": self._topics.reset_epoch,
            "topics_subscribed": subscribed if state.connected else [],
            "buffer_sizes": {ring.topic: len(ring) for ring in rings},
            "next_cursors": {ring.topic: ring.next_cursor for ring in rings},
            "frames": dict(sorted(state.frames.items())),
            "frames_malformed": state.frames[frames.MALFORMED],
            "frames_unknown": state.frames[frames.UNKNOWN],
            "frames_oversize": state.frames[frames.OVERSIZE],
            "last_error": state.last_error,
            "marketdata_lines": [
                {"conid": conid, "last_read_seconds_ago": round(age, 1)} for conid, age in readers.items()
            ],
            "history": {"enabled": False}
            if self._history is None
            else {"enabled": True, **asdict(self._history.stats())},
        }
        return json.dumps(report, separators=(",", ":")).encode()
