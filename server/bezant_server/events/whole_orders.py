"""Whole orders out of the order channel's frames, which tell of an order only what has changed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from bezant_server.cpapi import document

MOST_ORDERS = 2000
"""Remembered; IBKR lists 1,000 of a day."""

_TELLING = ("conid", "side", "totalSize")
"""Members that a whole order has (recorded frames)."""


class WholeOrders:
    """Remembers orders by their id, and completes what frames tell of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def seed(self, answer: Any) -> None:
        """Take in the live orders."""
        rows = answer.get("orders") if isinstance(answer, dict) else None
        for row in rows if isinstance(rows, list) else ():
            self._merged(row)

    def update(self, frame: bytes) -> bytes:
        """The frame with the orders in it made whole, as `{"topic", "orders", "raw"}`.

        Each order has a member `complete`, which says whether it is known as a whole.
        """
        args = _args(frame)
        orders = [merged for row in args if (merged := self._merged(row)) is not None]
        content = document.dump({"topic": "order_updates", "orders": orders})
        return b'%b,"raw":%b}' % (content[:-1], frame)

    def _merged(self, row: Any) -> dict[str, Any] | None:
        if not isinstance(row, dict) or not isinstance(row.get("orderId"), int | str):
            return None
        key = str(row["orderId"])
        known = self._known.pop(key, {})
        merged = self._known[key] = {**known, **{name: value for name, value in row.items() if value is not None}}
        while len(self._known) > MOST_ORDERS:
            self._known.popitem(last=False)
        return {**merged, "complete": all(merged.get(name) is not None for name in _TELLING)}


def _args(frame: bytes) -> list[Any]:
    try:
        content = document.parse(frame)
    except (ValueError, RecursionError):
        return []
    args = content.get("args") if isinstance(content, dict) else None
    if isinstance(args, dict):
        return [args]
    return args if isinstance(args, list) else []
