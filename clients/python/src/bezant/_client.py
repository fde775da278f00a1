"""The client of programs without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc

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
    """A client of the server at an address; it connects with the first call, and again whenever it must.

    Args:
        address: host and port.
        tls: True for TLS with the system's authorities, False for plain text. By default TLS, except to this machine.
        api_key: sent with every call; of `bezant keys`.
        timeout_secs: the deadline of a call that answers once and whose caller names none, retries included.
        options: further options of the channel, gRPC's own; they win over those that are set here.

    Raises:
        ValueError: an argument cannot be used.
        OSError: a file of `tls` cannot be read.
    """
    defaults = call_defaults(api_key, timeout_secs)
    secure = credentials(address, tls)
    if secure is None:
        channel = grpc.insecure_channel(address, options=channel_options(options))
    else:
        channel = grpc.secure_channel(address, secure, options=channel_options(options))
    return Client(grpc.intercept_channel(channel, _Calls(defaults)))


class Client:
    """The services of one server; safe to use from several threads. A `with` block closes it.

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

    def __init__(self, channel: grpc.Channel) -> None:
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

    def close(self) -> None:
        """Close the connection; calls that are under way end."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Details(grpc.ClientCallDetails):
    def __init__(self, given: grpc.ClientCallDetails, headers: tuple[tuple[str, str], ...]) -> None:
        self.method = given.method
        self.timeout = given.timeout
        self.metadata = (*(given.metadata or ()), *headers)
        self.credentials = given.credentials
        self.wait_for_ready = given.wait_for_ready
        self.compression = given.compression


class _Calls(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Gives each call the defaults, and raises what it fails with as BezantError."""

    def __init__(self, defaults: CallDefaults) -> None:
        self._defaults = defaults

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        details = _Details(client_call_details, self._defaults.headers)
        if details.timeout is None:
            details.timeout = self._defaults.timeout_secs
        return _Answer(continuation(details, request))

    def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        return _Stream(continuation(_Details(client_call_details, self._defaults.headers), request))


class _Answer:
    """A call that answers once."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._call.result(timeout)
        except grpc.RpcError as error:
            raise BezantError.of(error) from error

    def exception(self, timeout: float | None = None) -> Any:
        error = self._call.exception(timeout)
        return BezantError.of(error) if isinstance(error, grpc.RpcError) else error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


class _Stream(Iterator[Any]):
    """A call that answers with a stream."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise BezantError.of(error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
