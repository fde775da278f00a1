"""A book of orders, out of the frames of IBKR's price ladder."""

from __future__ import annotations

import re
from decimal import Decimal

from bezant.v1 import marketdata_service_pb2 as pb
from bezant_server import decimals
from bezant_server.cpapi.document import Row
from bezant_server.marketdata.live import Live

_MOST_ROWS = 1000
_PRICE = re.compile(r"(?:([0-9][0-9.,]*)\s*@\s*)?(-?[0-9.][0-9.,]*)")


class Ladder(Live):
    """The rows of a price ladder as they are now; a frame has those that have changed, each as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[int, Row] = {}

    @property
    def has_begun(self) -> bool:
        """Whether any row is known."""
        return bool(self._rows)

    def depth(self, conid: int) -> pb.Depth:
        """The book."""
        made = pb.Depth(conid=conid)
        bids: dict[Decimal, pb.DepthLevel] = {}
        asks: dict[Decimal, pb.DepthLevel] = {}
        for row in self._rows.values():
            last_size, price = _price(row)
            if price is None:
                continue
            for side, name in ((bids, "bid"), (asks, "ask")):
                size = _size(row, name)
                if size is not None:
                    side[Decimal(price)] = pb.DepthLevel(price=price, size=size)
            if str(row.raw("focus")) == "1":
                made.last_price = price
                if last_size is not None:
                    made.last_size = last_size
        made.bids.extend(bids[price] for price in sorted(bids, reverse=True))
        made.asks.extend(asks[price] for price in sorted(asks))
        return made

    def _merge(self, content: Row) -> None:
        changed = {row.integer("row"): row for row in content.rows("data")}
        self._rows |= {
            number: row for number, row in changed.items() if number is not None and 0 <= number < _MOST_ROWS
        }

    def _forget(self) -> None:
        self._rows.clear()


def _price(row: Row) -> tuple[str | None, str | None]:
    """The size of the last trade, where the row has one, and the price: `100 @ 191.54`."""
    match = _PRICE.fullmatch(str(row.raw("price") or "").strip())
    if match is None:
        return None, None
    return None if match[1] is None else decimals.read(match[1]), decimals.read(match[2])


def _size(row: Row, name: str) -> str | None:
    size = decimals.read(str(row.raw(name) or "").strip())
    return None if size is None or Decimal(size) == 0 else size
