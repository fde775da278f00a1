"""How orders are spelled: sides, types, quantities, and the errors whose beginning says something."""

from __future__ import annotations

from decimal import Decimal

from bezant_server import decimals

BUY, SELL = "BUY", "SELL"
LIMIT, MARKET = "LMT", "MKT"

UNKNOWN = "outcome unknown"
"""Of an order that may have been placed."""
UNSENT = "not placed: the server stopped before its turn"
"""Of an order that is planned, as long as nothing else is known of it."""


def plain(number: Decimal, *, exactly: bool = False) -> str:
    """A number in the grammar of decimals; without zeros behind its fraction, unless it is to be exactly as given."""
    return decimals.plain(number if exactly else number.normalize()) or "0"
