"""HistoricalDataService."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from bezant.v1 import historical_service_pb2 as pb
from bezant.v1 import historical_service_pb2_grpc as pb_grpc
from bezant_server.errors import BadRequest
from bezant_server.historical.bars import Asked, HistoricalBars
from bezant_server.historical.connection import Connection
from bezant_server.historical.details import Details
from bezant_server.historical.products import Product
from bezant_server.rpc.call import Context

_FIELDS: Mapping[str, str] = MappingProxyType(
    {"barSize": "bar_size", "currency": "currency_code", "secType": "security_type", "whatToShow": "what_to_show"}
)
"""The message's names of what Trader Workstation, and our errors, call otherwise."""


class HistoricalDataService(pb_grpc.HistoricalDataServiceServicer):
    """See the proto file.

    Args:
        connection: what the data comes through.
        bars: reads bars.
        details: reads contracts.
        products: by code.
    """

    def __init__(
        self, *, connection: Connection, bars: HistoricalBars, details: Details, products: Mapping[str, Product]
    ) -> None:
        self._connection = connection
        self._bars = bars
        self._details = details
        self._products = products

    async def GetDataConnection(
        self, request: pb.GetDataConnectionRequest, context: Context
    ) -> pb.GetDataConnectionResponse:
        return pb.GetDataConnectionResponse(connection=await self._connection.look())

    async def ReconnectData(self, request: pb.ReconnectDataRequest, context: Context) -> pb.ReconnectDataResponse:
        return pb.ReconnectDataResponse(connection=await self._connection.renew())

    async def ListHistoricalBars(
        self, request: pb.ListHistoricalBarsRequest, context: Context
    ) -> pb.ListHistoricalBarsResponse:
        asked = Asked.of(
            symbol=request.symbol,
            code=request.code,
            duration=request.duration,
            bar_size=request.bar_size,
            what_to_show=request.what_to_show,
        )
        with _named_as_in_the_message():
            return await self._bars.read(asked)

    async def ListContractDetails(
        self, request: pb.ListContractDetailsRequest, context: Context
    ) -> pb.ListContractDetailsResponse:
        with _named_as_in_the_message():
            contracts = await self._details.read(
                symbol=request.symbol,
                code=request.code,
                security_type=request.security_type,
                exchange=request.exchange,
                currency_code=request.currency_code,
            )
        return pb.ListContractDetailsResponse(contracts=contracts)

    async def ListProducts(self, request: pb.ListProductsRequest, context: Context) -> pb.ListProductsResponse:
        products = [
            pb.Product(
                code=code,
                symbol=product.symbol,
                security_type=product.secType,
                exchange=product.exchange,
                currency_code=product.currency,
                ibkr_symbol=product.traded_as,
                ibkr_exchange=product.traded_at,
                roll_days=product.roll_days,
            )
            for code, product in self._products.items()
        ]
        return pb.ListProductsResponse(products=products)


@contextmanager
def _named_as_in_the_message() -> Iterator[None]:
    try:
        yield
    except BadRequest as error:
        raise error.renamed(_FIELDS) from None
