"""HistoricalRestService: the JSON of /ib, in the spelling of its clients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from time import perf_counter
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from bezant.v1 import historical_rest_service_pb2 as rest_pb
from bezant.v1 import historical_rest_service_pb2_grpc as pb_grpc
from bezant.v1 import historical_service_pb2 as pb
from bezant_server.historical.bars import Asked, HistoricalBars
from bezant_server.historical.connection import Connection
from bezant_server.historical.details import Details
from bezant_server.historical.products import Product
from bezant_server.rpc import rest
from bezant_server.rpc.call import Context
from bezant_server.rpc.rows import Rows

_PRICES = ("open", "high", "low", "close")
_OF_BARS = ("duration", "barSize", "whatToShow", "code")
_OF_DETAILS = ("code", "secType", "exchange", "currency")


class HistoricalRestService(pb_grpc.HistoricalRestServiceServicer):
    """See the proto file.

    Args:
        connection: what the data comes through.
        bars: reads bars.
        details: reads contracts.
        products: by code.
        rows: what the segments of a path mean.
    """

    def __init__(
        self,
        *,
        connection: Connection,
        bars: HistoricalBars,
        details: Details,
        products: Mapping[str, Product],
        rows: Rows,
    ) -> None:
        self._connection = connection
        self._bars = bars
        self._details = details
        self._products = products
        self._rows = rows

    async def GetHealth(self, request: rest_pb.HistoricalRestServiceGetHealthRequest, context: Context) -> HttpBody:
        rest.parameters(request, ())
        return await rest.answer(context, _health(await self._connection.look()))

    async def Reconnect(self, request: rest_pb.HistoricalRestServiceReconnectRequest, context: Context) -> HttpBody:
        rest.parameters(request, ())
        return await rest.answer(context, _health(await self._connection.renew()))

    async def GetMarketData(
        self, request: rest_pb.HistoricalRestServiceGetMarketDataRequest, context: Context
    ) -> HttpBody:
        started = perf_counter()
        given = rest.parameters(request, _OF_BARS)
        asked = Asked.of(
            symbol=rest.path_field(self._rows, request, "symbol"),
            code=given["code"],
            duration=given["duration"],
            bar_size=given["barSize"],
            what_to_show=given["whatToShow"],
        )
        found = await self._bars.read(asked)
        return await rest.answer(
            context,
            {
                "symbol": asked.symbol,
                "duration": asked.duration,
                "barSize": asked.bar_size,
                "data": [_bar(each) for each in found.bars],
                "count": len(found.bars),
                "durationMs": round((perf_counter() - started) * 1000),
            },
        )

    async def GetContractDetails(
        self, request: rest_pb.HistoricalRestServiceGetContractDetailsRequest, context: Context
    ) -> HttpBody:
        given = rest.parameters(request, _OF_DETAILS)
        symbol = rest.path_field(self._rows, request, "symbol")
        contracts = await self._details.read(
            symbol=symbol,
            code=given["code"],
            security_type=given["secType"],
            exchange=given["exchange"],
            currency_code=given["currency"],
        )
        listed = [_contract(each) for each in contracts]
        return await rest.answer(context, {"symbol": symbol, "contracts": listed, "count": len(listed)})

    async def GetProducts(self, request: rest_pb.HistoricalRestServiceGetProductsRequest, context: Context) -> HttpBody:
        rest.parameters(request, ())
        products = {
            code: {
                "symbol": product.symbol,
                "secType": product.secType,
                "exchange": product.exchange,
                "currency": product.currency,
            }
            for code, product in self._products.items()
        }
        return await rest.answer(context, {"products": products, "count": len(products)})


def _health(connection: pb.DataConnection) -> dict[str, Any]:
    checked_at = connection.checked_at.ToDatetime(UTC)
    return {
        "status": "healthy" if connection.connected and connection.ready else "unhealthy",
        "connected": connection.connected,
        "host": connection.host,
        "port": connection.port,
        "client_id": connection.client_id,
        "ready": connection.ready,
        "timestamp": f"{checked_at:%Y-%m-%dT%H:%M:%S}.{checked_at.microsecond // 1000:03}Z",
    }


def _bar(bar: pb.HistoricalBar) -> dict[str, Any]:
    volume = rest.optional(bar, "volume")
    return {
        "time": bar.local_time,
        **{name: rest.fraction(rest.optional(bar, name)) for name in _PRICES},
        "volume": None if volume is None else rest.whole_or_fraction(volume),
        # The gateway gives neither.
        "count": None,
        "wap": None,
    }


def _contract(contract: pb.ContractDetails) -> dict[str, Any]:
    return {
        "symbol": contract.symbol,
        "secType": contract.security_type,
        "exchange": contract.exchange,
        "currency": contract.currency_code,
        "localSymbol": contract.local_symbol,
        "conId": contract.conid,
        "longName": contract.long_name,
        "category": contract.category,
        "timeZoneId": contract.time_zone,
    }
