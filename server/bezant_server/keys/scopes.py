"""What each RPC asks of a key: one table.

A path of the REST face asks what its RPC asks. The fallback, through which every path of the gateway can be reached,
is judged call by call.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi import effects
from bezant_server.cpapi.messages import READ_METHODS
from bezant_server.rpc.call import Call


class Scope(enum.IntEnum):
    """What a key is good for; each holds what is before it.

    Attributes:
        READ: looking at everything, and changing nothing.
        TRADE: orders, and what else changes something at the broker.
        ADMIN: ending and beginning the session that all callers share, and the debug pages.
    """

    READ = 1
    TRADE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """As the file of keys and the command line spell it."""
        return self.name.lower()


BY_WORD: Mapping[str, Scope] = MappingProxyType({scope.word: scope for scope in Scope})

OPEN: Final = None
"""No key is ever asked for."""

Need = Scope | None
Judge = Callable[[Call, Any, GatewayUrl], Need]

_SSO = "/sso/"
_TELLS_WHO_IS_LOGGED_IN = "/sso/validate"
_GATEWAYS_API = "/v1"
_REGULATORY_SNAPSHOT = "/md/regsnapshot"
_METHOD_OVERRIDES = frozenset({"x-http-method-override", "x-http-method", "x-method-override"})
# Whatever else may stand in a path, some server may read as the end of it or as a way out.
_PLAIN = re.compile(r"[a-z0-9/._~@$+,=&! -]+")
_ASSET = re.compile(r"(/[a-z0-9._-]+)+\.(css|gif|ico|jpe?g|js|map|png|svg|ttf|woff2?)")


def _of_transcoded(call: Call, request: Any, gateway: GatewayUrl) -> Need:
    del request
    if call.http is None or not _METHOD_OVERRIDES.isdisjoint(call.headers):
        return Scope.TRADE
    return _of_path(call.http.method, call.http.path, gateway)


def _of_forward(call: Call, request: Any, gateway: GatewayUrl) -> Need:
    del call
    if request is None:
        return Scope.TRADE
    return _of_path(request.method.upper(), request.path.partition("?")[0], gateway)


def _of_path(method: str, path: str, gateway: GatewayUrl) -> Need:
    plain = effects.resolved(path)
    # A logout changes the session whatever the method, and below /sso/ as well; a snapshot costs the account money.
    if plain is None or effects.does_something(plain) or plain.endswith(_REGULATORY_SNAPSHOT):
        return Scope.TRADE
    if _is_login(method, path, plain, gateway):
        return OPEN
    return Scope.READ if method in READ_METHODS else Scope.TRADE


def _is_login(method: str, path: str, plain: str, gateway: GatewayUrl) -> bool:
    """Whether it is a page of the gateway's login or an asset of one, however leniently its server reads the path."""
    if not _PLAIN.fullmatch(plain) or _is_api(path.lower(), gateway) or _is_api(plain, gateway):
        return False
    if path.startswith(_SSO) and plain.startswith(_SSO):
        return plain != _TELLS_WHO_IS_LOGGED_IN
    return method in READ_METHODS and (path == "/" or (plain == path.lower() and _ASSET.fullmatch(plain) is not None))


def _is_api(path: str, gateway: GatewayUrl) -> bool:
    return f"{path}/".startswith((f"{_GATEWAYS_API}/", f"{gateway.base_path.lower()}/"))


SERVICES: Mapping[str, Mapping[Need | Judge, tuple[str, ...]]] = MappingProxyType(
    {
        "bezant.v1.ContractsService": {
            Scope.READ: (
                "GetContract",
                "GetContractRules",
                "GetExchangeRate",
                "GetTradingSchedule",
                "ListAlgorithms",
                "ListBondFilters",
                "ListConids",
                "ListCurrencyPairs",
                "ListDerivatives",
                "ListFutures",
                "ListOptionChain",
                "ListStocks",
                "ListStrikes",
                "ResolveContract",
                "SearchContracts",
            ),
        },
        "bezant.v1.DocsService": {
            Scope.READ: ("GetAsset", "GetOpenApi", "GetPage"),
        },
        "bezant.v1.EventsService": {
            Scope.READ: ("GetEventsStatus", "ListEventHistory", "ListEvents", "StreamEvents"),
        },
        "bezant.v1.GatewayService": {
            _of_forward: ("Forward",),
            _of_transcoded: ("ForwardRead", "ForwardWrite"),
        },
        "bezant.v1.HistoricalDataService": {
            OPEN: ("GetDataConnection",),
            Scope.READ: ("ListContractDetails", "ListHistoricalBars", "ListProducts"),
            Scope.TRADE: ("ReconnectData",),
        },
        "bezant.v1.HistoricalRestService": {
            OPEN: ("GetHealth",),
            Scope.READ: ("GetContractDetails", "GetMarketData", "GetProducts"),
            Scope.TRADE: ("Reconnect",),
        },
        "bezant.v1.MarketDataService": {
            Scope.READ: (
                "GetQuotes",
                "ListBars",
                "ListMarketDataFields",
                "SubscribeBars",
                "SubscribeDepth",
                "SubscribeQuotes",
            ),
            # IBKR charges the account for each.
            Scope.TRADE: ("GetRegulatorySnapshot",),
        },
        "bezant.v1.OrdersService": {
            Scope.READ: ("GetOrder", "ListExecutions", "ListOrders"),
            Scope.TRADE: (
                "AnswerPrompt",
                "CancelAllOrders",
                "CancelOrder",
                "ConfirmOrder",
                "ModifyOrder",
                "PlaceOrders",
                "PreviewOrders",
                "ResetSuppressedWarnings",
                "SuppressWarnings",
            ),
        },
        "bezant.v1.PortfolioService": {
            Scope.READ: (
                "GetAccountSummary",
                "GetAllocation",
                "GetBalances",
                "GetLedger",
                "GetPerformance",
                "GetPerformanceAllPeriods",
                "GetPnl",
                "GetPosition",
                # Of IBKR's cache: the positions stay what they are.
                "InvalidatePositions",
                "ListAccounts",
                "ListBrokerageAccounts",
                "ListComboPositions",
                "ListPositions",
                "ListSubaccounts",
                "ListTransactions",
            ),
            Scope.TRADE: ("SetActiveAccount",),
        },
        "bezant.v1.ScannerService": {
            Scope.READ: ("GetScannerParameters", "RunScan"),
        },
        "bezant.v1.SessionService": {
            Scope.READ: ("GetPacing", "GetSession", "ValidateSso", "WatchSession"),
            Scope.TRADE: ("Tickle",),
            Scope.ADMIN: ("InitBrokerageSession", "Logout", "Reauthenticate"),
        },
        "bezant.v1.SidecarService": {
            OPEN: ("GetHealth",),
            Scope.READ: (
                "GetAccountSummary",
                "GetEventsStatus",
                "GetLedger",
                "GetMarketSnapshot",
                "ListAccounts",
                "ListEventHistory",
                "ListOrders",
                "ListPositions",
                "PollEvents",
                "SearchContracts",
            ),
            Scope.TRADE: ("CancelOrder", "PlaceOrders"),
            Scope.ADMIN: ("GetCookieJar", "Probe"),
        },
        "bezant.v1.TargetOrdersRestService": {
            OPEN: ("GetHealth",),
            Scope.READ: ("GetOrders", "ListOrders", "ListPositions"),
            Scope.TRADE: ("CancelOrders", "PlaceOrders"),
        },
        "bezant.v1.TargetOrdersService": {
            OPEN: ("GetTargetHealth",),
            Scope.READ: ("GetTargetBatch", "ListStockPositions", "ListTargetBatches"),
            Scope.TRADE: ("CancelTargetBatch", "SubmitTargets"),
        },
        "grpc.health.v1.Health": {
            OPEN: ("Check", "List", "Watch"),
        },
        "grpc.reflection.v1alpha.ServerReflection": {
            Scope.READ: ("ServerReflectionInfo",),
        },
    }
)
"""By service and need, its methods."""

TABLE: Mapping[str, Need | Judge] = MappingProxyType(
    {
        f"/{service}/{method}": need
        for service, needs in SERVICES.items()
        for need, methods in needs.items()
        for method in methods
    }
)
"""By an RPC's full name, what it asks."""

_ALWAYS_GUARDED = ("/bezant.v1.TargetOrdersRestService/", "/bezant.v1.TargetOrdersService/")


def of(rpc: str) -> Need | Judge:
    """What an RPC asks, by its full name; the most of one that has no row."""
    return TABLE.get(rpc, Scope.ADMIN)


def is_always_guarded(rpc: str) -> bool:
    """Whether it asks for a key where the rest of the server trusts its callers."""
    return rpc.startswith(_ALWAYS_GUARDED)
