"""The client of programs with an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc.aio

from bezant._channel import (
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_SECS,
    CallDefaults,
    call_defaults,
    channel_options,
    credentials,
)
from bezant._errors import BezantError
from bezant._tls import Tls
from bezant.v1 import (
    contracts_service_pb2_grpc,
    events_service_pb2_grpc,
    gateway_service_pb2_grpc,
    historical_service_pb2_grpc,
    marketdata_service_pb2_grpc,
    orders_service_pb2_grpc,
    portfolio_service_pb2_grpc,
    scanner_service_pb2_grpc,
    session_service_pb2_grpc,
    targets_service_pb2_grpc,
)


def connect(
    address: str = DEFAULT_ADDRESS,
    *,
    tls: Tls | bool | None = None,
    api_key: str | None = None,
    timeout_secs: float = DEFAULT_TIMEOUT_SECS,
    options: Iterable[tuple[str, str | int]] = (),
) -> Client:
    """As `bezant.connect`. To be called where the event loop runs."""
    defaults = call_defaults(api_key, timeout_secs)
    secure = credentials(address, tls)
    interceptors = [_Unary(defaults), _Streams(defaults)]
    if secure is None:
        channel = grpc.aio.insecure_channel(address, options=channel_options(options), interceptors=interceptors)
    else:
        channel = grpc.aio.secure_channel(address, secure, options=channel_options(options), interceptors=interceptors)
    return Client(channel)


class Client:
    """The services of one server. An `async with` block closes it.

    Attributes:
        channel: gRPC's own, for stubs that are not here; it has the same defaults and raises the same errors.
        contracts: ContractsService.
        events: EventsService; see `follow_events`.
        gateway: GatewayService.
        historical: HistoricalDataService.
        market_data: MarketDataService.
        orders: OrdersService.
        portfolio: PortfolioService.
        scanner: ScannerService.
        session: SessionService.
        targets: TargetOrdersService.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.contracts = contracts_service_pb2_grpc.ContractsServiceStub(channel)
        self.events = events_service_pb2_grpc.EventsServiceStub(channel)
        self.gateway = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        self.historical = historical_service_pb2_grpc.HistoricalDataServiceStub(channel)
        self.market_data = marketdata_service_pb2_grpc.MarketDataServiceStub(channel)
        self.orders = orders_service_pb2_grpc.OrdersServiceStub(channel)
        self.portfolio = portfolio_service_pb2_grpc.PortfolioServiceStub(channel)
        self.scanner = scanner_service_pb2_grpc.ScannerServiceStub(channel)
        self.session = session_service_pb2_grpc.SessionServiceStub(channel)
        self.targets = targets_service_pb2_grpc.TargetOrdersServiceStub(channel)

    async def close(self) -> None:
        """Close the connection; calls that are under way end."""
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


# gRPC sorts each interceptor into one kind of call, so there is a class for each.
class _Unary(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives each call that answers once the defaults, and raises what it fails with as BezantError."""

    def __init__(self, defaults: CallDefaults) -> None:
        self._defaults = defaults

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        timeout = client_call_details.timeout
        details = _details(
            client_call_details, self._defaults, self._defaults.timeout_secs if timeout is None else timeout
        )
        call = await continuation(details, request)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            raise BezantError.of(error) from error
        return call


class _Streams(grpc.aio.UnaryStreamClientInterceptor):
    """The same for each call that answers with a stream, which has no deadline by default."""

    def __init__(self, defaults: CallDefaults) -> None:
        self._defaults = defaults

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        details = _details(client_call_details, self._defaults, client_call_details.timeout)
        return _messages(await continuation(details, request))


async def _messages(call: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise BezantError.of(error) from error


def _details(
    given: grpc.aio.ClientCallDetails, defaults: CallDefaults, timeout: float | None
) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(given.metadata or ()), *defaults.headers)
    return grpc.aio.ClientCallDetails(given.method, timeout, metadata, given.credentials, given.wait_for_ready)
