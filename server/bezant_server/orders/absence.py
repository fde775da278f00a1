"""When an order that IBKR does not list is certainly not there."""

from __future__ import annotations

from collections import OrderedDict

from bezant_server.orders.book import Listing

_LOOKS = 3
"""Complete lists in a row that must lack an order: IBKR lists one a moment after it has taken it."""
_MOST_WATCHED = 10_000


class Absences:
    """Counts the lists in a row that lack an order. Only a list that IBKR calls complete counts."""

    def __init__(self) -> None:
        self._looks: OrderedDict[str, int] = OrderedDict()

    def seen(self, client_order_id: str) -> None:
        """The order is there."""
        self._looks.pop(client_order_id, None)

    def lacks(self, client_order_id: str, listing: Listing) -> bool:
        """Another list lacks the order; whether that is certain by now."""
        looks = self._looks.pop(client_order_id, 0) + listing.complete
        self._looks[client_order_id] = looks
        while len(self._looks) > _MOST_WATCHED:
            self._looks.popitem(last=False)
        return looks >= _LOOKS
