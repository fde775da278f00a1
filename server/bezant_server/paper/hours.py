"""When the paper market trades: always, unless real market hours are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bezant_server.paper.validation import OrderSpec

_NEW_YORK = ZoneInfo("America/New_York")
_OPEN, _CLOSE = time(9, 30), time(16)
_EARLY, _LATE = time(4), time(20)


class TradingHours:
    """Opening hours of the paper market.

    With `real`, US hours: stocks and options 9:30 to 16:00 New York time on weekdays (4:00 to 20:00 for orders
    that allow it), futures and currencies at any time on weekdays. Holidays are not simulated.
    """

    def __init__(self, *, real: bool) -> None:
        self._real = real

    def is_open(self, spec: OrderSpec, when: float) -> bool:
        if not self._real:
            return True
        local = datetime.fromtimestamp(when, UTC).astimezone(_NEW_YORK)
        if local.weekday() >= 5:
            return False
        if spec.instrument.sec_type in {"FUT", "CASH"}:
            return True
        opening, closing = (_EARLY, _LATE) if spec.outside_rth else (_OPEN, _CLOSE)
        return opening <= local.time() < closing

    def day_end(self, when: float) -> float:
        """When a DAY order placed at `when` expires: the next close, or midnight in a market that never closes."""
        local = datetime.fromtimestamp(when, UTC).astimezone(_NEW_YORK)
        closing = _CLOSE if self._real else time(0)
        end = datetime.combine(local.date(), closing, _NEW_YORK)
        while end <= local or (self._real and end.weekday() >= 5):
            end = datetime.combine(end.date() + timedelta(days=1), closing, _NEW_YORK)
        return end.timestamp()
