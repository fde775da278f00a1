"""Numbers that IBKR shortens: `1.2M`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from bezant_server import decimals

SUFFIXES: Mapping[str, int] = MappingProxyType({"": 0, "K": 3, "M": 6, "B": 9, "T": 12})
"""Powers of ten."""


def scaled(number: str, suffix: str) -> str | None:
    """A number in the grammar of decimals, by the suffix that stood behind it."""
    return decimals.plain(Decimal(number).scaleb(SUFFIXES[suffix]))
