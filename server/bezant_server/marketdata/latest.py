"""The newest value of each field of a contract, out of the frames of its market-data line."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from bezant_server.cpapi.document import Row
from bezant_server.marketdata.live import Live


class Latest(Live):
    """The newest values, each with the version that brought it: so a reader is told what has changed for it."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, tuple[Any, int]] = {}

    @property
    def has_begun(self) -> bool:
        """Whether any value is known."""
        return bool(self._values)

    def missing(self, names: Iterable[str]) -> set[str]:
        """Those of the names that have no value."""
        return {name for name in names if name not in self._values}

    def since(self, version: int, names: Iterable[str]) -> dict[str, Any]:
        """The values of these names that came after a version."""
        held = ((name, self._values.get(name, (None, -1))) for name in names)
        return {name: value for name, (value, came) in held if came > version}

    def _merge(self, content: Row) -> None:
        content.moment("_updated")
        for name in content:
            value = content.raw(name)
            known = self._values.get(name)
            if _is_plain(value) and (known is None or known[0] != value):
                self._values[name] = (value, self.version)

    def _forget(self) -> None:
        self._values.clear()


def _is_plain(value: Any) -> bool:
    """What a field can be. Anything else is left to those who follow the frames."""
    return isinstance(value, str | int | Decimal) and not isinstance(value, bool)
