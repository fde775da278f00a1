"""Executions that are new: the trades channel repeats those it has sent (recorded frames)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from bezant_server.cpapi import document

MOST_TRADES = 5000
"""Remembered."""


class NewTrades:
    """Remembers executions by their id."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def fresh(self, frame: bytes) -> bytes | None:
        """The frame with new and changed executions alone; None when there is none.

        A frame of another shape is passed on as it is: whoever reads it decides.
        """
        try:
            content = document.parse(frame)
        except (ValueError, RecursionError):
            return frame
        rows = content.get("args") if isinstance(content, dict) else None
        if not isinstance(rows, list):
            return frame
        new = [row for row in rows if self._is_new(row)]
        if not new:
            return None
        return frame if len(new) == len(rows) else document.dump({**content, "args": new})

    def _is_new(self, row: Any) -> bool:
        key = row.get("execution_id") if isinstance(row, dict) else None
        if not isinstance(key, str):
            return True
        if self._known.get(key) == row:
            return False
        self._known[key] = row
        self._known.move_to_end(key)
        while len(self._known) > MOST_TRADES:
            self._known.popitem(last=False)
        return True
