"""How long a typed RPC may take when its caller names no deadline.

What IBKR's limits hold back for longer is refused by pacing at once. Streams have no deadline: they end when their
caller leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_TYPED = frozenset(
    {
        "ContractsService",
        "EventsService",
        "HistoricalDataService",
        "HistoricalRestService",
        "MarketDataService",
        "OrdersService",
        "PortfolioService",
        "ScannerService",
        "TargetOrdersRestService",
        "TargetOrdersService",
    }
)
_USUAL_SECS = 30.0
_LONGER_SECS: Mapping[str, float] = MappingProxyType(
    {
        # A hundred orders at IBKR's limits.
        "/bezant.v1.TargetOrdersRestService/PlaceOrders": 120.0,
        "/bezant.v1.TargetOrdersService/SubmitTargets": 120.0,
    }
)


def default_secs(method: str) -> float | None:
    """Seconds for a unary RPC, by its full name; None when it has no default of its own."""
    service, _, _ = method.removeprefix("/bezant.v1.").partition("/")
    return _LONGER_SECS.get(method, _USUAL_SECS) if service in _TYPED else None
