"""Puts the historical data together."""

from __future__ import annotations

from collections.abc import Callable

from bezant_server.config import Settings
from bezant_server.contracts.resolving import Resolver
from bezant_server.historical import products
from bezant_server.historical.bars import HistoricalBars
from bezant_server.historical.connection import Connection
from bezant_server.historical.details import Details
from bezant_server.historical.rest_service import HistoricalRestService
from bezant_server.historical.service import HistoricalDataService
from bezant_server.historical.sides import SideBars
from bezant_server.historical.symbols import Symbols
from bezant_server.historical.zones import Zones
from bezant_server.marketdata.bars import Bars
from bezant_server.rpc.rows import Rows
from bezant_server.session.keeper import SessionKeeper
from bezant_server.session.typed import TypedGateway


class Historical:
    """HistoricalDataService, and the same as JSON.

    Args:
        settings: the configuration.
        gateway: where they ask.
        keeper: the session.
        replace_socket: has the gateway's WebSocket replaced.
        rows: what the segments of a path mean.
        now: seconds since 1970.

    Attributes:
        service: the typed one.
        rest: the JSON.

    Raises:
        ConfigError: BEZANT_PRODUCTS_PATH cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        gateway: TypedGateway,
        keeper: SessionKeeper,
        replace_socket: Callable[[], None],
        rows: Rows,
        now: Callable[[], float],
    ) -> None:
        table = products.table(settings.products_path)
        resolver = Resolver(gateway)
        symbols = Symbols(resolver, table, now=now)
        zones = Zones(gateway)
        connection = Connection(
            keeper=keeper,
            gateway=settings.gateway_url,
            replace_socket=replace_socket,
            client_id=settings.ib_client_id,
            now=now,
        )
        bars = HistoricalBars(symbols=symbols, bars=Bars(gateway, now=now), sides=SideBars(gateway), zones=zones)
        details = Details(gateway=gateway, resolver=resolver, symbols=symbols, zones=zones)
        self.service = HistoricalDataService(connection=connection, bars=bars, details=details, products=table)
        self.rest = HistoricalRestService(connection=connection, bars=bars, details=details, products=table, rows=rows)
