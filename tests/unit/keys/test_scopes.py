"""The table of scopes: whole, without a row too many, and as the RPCs describe themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from bezant.v1 import gateway_service_pb2 as gateway_pb
from bezant_server.addresses import GatewayUrl
from bezant_server.keys import scopes
from bezant_server.keys.scopes import OPEN, Scope
from bezant_server.rpc.call import Call, HttpRequest

_ROOT = Path(__file__).parents[3]
_SECURITY = _ROOT / "docs" / "security.md"
GATEWAY = GatewayUrl.parse("https://localhost:5000")
FORWARD = "/bezant.v1.GatewayService/Forward"
FORWARD_READ = "/bezant.v1.GatewayService/ForwardRead"
FORWARD_WRITE = "/bezant.v1.GatewayService/ForwardWrite"


def described() -> dict[str, bool]:
    """Every RPC of the contract, of health and of reflection, and whether it says that it has no side effects."""
    everything = descriptor_pb2.FileDescriptorSet.FromString((_ROOT / "envoy" / "bezant.binpb").read_bytes())
    files = list(everything.file)
    modules: list[Any] = [health_pb2, reflection_pb2]
    for module in modules:
        files.append(descriptor_pb2.FileDescriptorProto())
        module.DESCRIPTOR.CopyToProto(files[-1])
    none = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    return {
        f"/{file.package}.{service.name}/{rpc.name}": rpc.options.idempotency_level == none
        for file in files
        for service in file.service
        for rpc in service.method
    }


def test_every_rpc_has_a_row_and_every_row_an_rpc() -> None:
    assert scopes.TABLE.keys() == described().keys()
    assert len(scopes.TABLE) > 90


def test_no_rpc_has_two_rows() -> None:
    rows = [method for needs in scopes.SERVICES.values() for methods in needs.values() for method in methods]
    assert len(rows) == len(scopes.TABLE)


def test_what_has_no_side_effects_is_at_most_read() -> None:
    for rpc, harmless in described().items():
        if harmless:
            assert scopes.TABLE[rpc] in (OPEN, Scope.READ), rpc


@pytest.mark.parametrize(
    "word", ["Place", "Cancel", "Modify", "Confirm", "Submit", "Suppress", "SetActive", "Reconnect"]
)
def test_what_changes_something_is_more_than_read(word: str) -> None:
    named = [rpc for rpc in described() if rpc.rpartition("/")[2].startswith(word)]
    assert named
    assert {scopes.TABLE[rpc] for rpc in named} == {Scope.TRADE}


def test_what_is_open_is_health_alone() -> None:
    assert {rpc for rpc, need in scopes.TABLE.items() if need is OPEN} == {
        "/bezant.v1.HistoricalDataService/GetDataConnection",
        "/bezant.v1.HistoricalRestService/GetHealth",
        "/bezant.v1.SidecarService/GetHealth",
        "/bezant.v1.TargetOrdersRestService/GetHealth",
        "/bezant.v1.TargetOrdersService/GetTargetHealth",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
    }


def test_what_has_no_row_needs_the_most() -> None:
    assert scopes.of("/bezant.v1.OrdersService/Invented") is Scope.ADMIN


def test_the_documentation_has_the_table() -> None:
    lines = _SECURITY.read_text(encoding="utf-8").splitlines()
    words: dict[scopes.Need, str] = {OPEN: "none", **{scope: scope.word for scope in Scope}}
    expected = [
        f"| `{service}` | {words[need]} | {', '.join(f'`{method}`' for method in methods)} |"
        for service, needs in scopes.SERVICES.items()
        for need, methods in needs.items()
        if not callable(need)
    ]
    assert [line for line in lines if line.startswith(("| `bezant.", "| `grpc."))] == expected


def of_path(method: str, path: str, gateway: GatewayUrl = GATEWAY) -> scopes.Need:
    """What a path of the fallback asks, whichever way it is called."""
    rest = Call(FORWARD_READ, "", {}, (), HttpRequest(method, f"{path}?x=/sso/"), through_envoy=True, peer="")
    grpc = Call(FORWARD, "", {}, (), None, through_envoy=False, peer="")
    request = gateway_pb.ForwardRequest(method=method.lower(), path=f"{path}?x=/sso/")
    asked = {
        judged(call, message, gateway)
        for rpc, call, message in ((FORWARD, grpc, request), (FORWARD_READ, rest, None), (FORWARD_WRITE, rest, None))
        if callable(judged := scopes.of(rpc))
    }
    (need,) = asked
    return need


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/sso/Login"),
        ("GET", "/sso/Login;jsessionid=1"),
        ("POST", "/sso/Authenticator"),
        ("POST", "/sso/Dispatcher"),
        ("OPTIONS", "/sso/Dispatcher"),
        ("GET", "/sso/images/logo.png"),
        ("GET", "/css/login.css"),
        ("GET", "/favicon.ico"),
        ("GET", "/en/includes/Fonts/x.woff2"),
    ],
)
def test_the_login_and_its_assets_ask_for_no_key(method: str, path: str) -> None:
    assert of_path(method, path) is OPEN


@pytest.mark.parametrize(
    "path",
    [
        "/v1/api/portfolio/accounts",
        "/v1/portal/portfolio/accounts",
        "/v1/api",
        "/v1/other",
        "/elsewhere",
        "/sso",
        "/ssox/Login",
        "/sso/validate",
        "/sso/./validate",
        "/sso/x/..%2fvalidate;x",
        "/SSO/Login",
        "/v1/api/x.css",
        "/V1/api/x.css",
        "/v1/api/sso/Login",
        "/sso/../v1/api/portfolio/accounts",
        "/sso/..%2Fv1/api/portfolio/accounts",
        "/sso/..%252Fv1/api/x.css",
        "/sso/%2e%2e/v1/api/portfolio/accounts",
        "/sso/..;/v1/api/portfolio/accounts",
        "/sso/..%5Cv1/api/portfolio/accounts",
        "/v1/api/../../sso/Login",
        "/css/../v1/api/x.css",
        "/css/..%2Fv1/api/x.css",
        "//x.css",
        "/x.css/..",
        "/x/%2e%2e/x.css",
        "/sso/validate%00",
        "/sso/validate%3Fx",
        "/sso/validate%23x",
        "/sso/%C0%AE%C0%AE/v1/api/portfolio/accounts",
        "/sso/%EF%BC%8E%EF%BC%8E/v1/api/portfolio/accounts",
        "/sso/.%09./v1/api/portfolio/accounts",
    ],
)
def test_other_reads_are_reads_and_other_writes_trade(path: str) -> None:
    assert of_path("GET", path) is Scope.READ
    assert of_path("HEAD", path) is Scope.READ
    if not path.startswith("/sso/"):
        assert of_path("POST", path) is Scope.TRADE


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "INVENTED"])
@pytest.mark.parametrize("path", ["/", "/v1/api/iserver/account/DU1/orders", "/css/login.css", "/sso/../v1/api/x"])
def test_whatever_is_no_get_trades(method: str, path: str) -> None:
    assert of_path(method, path) is Scope.TRADE


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/api/logout",
        "/v1/api/tickle",
        "/v1/api/iserver/auth/ssodh/init",
        "/v1/api/log%6Fut",
        "/sso/Logout",
        "/sso/%2525252525",
        "/v1/api/md/regsnapshot",
        "/v1/portal/md/regsnapshot;x",
        "/v1/api/md/%72egsnapshot/",
    ],
)
def test_a_get_that_does_something_trades(method: str, path: str) -> None:
    assert of_path(method, path) is Scope.TRADE


@pytest.mark.parametrize("header", ["x-http-method-override", "x-http-method", "x-method-override"])
@pytest.mark.parametrize("path", ["/v1/api/iserver/account/DU1/order/5", "/sso/Login", "/css/login.css"])
def test_a_get_that_asks_to_be_taken_for_another_method_trades(header: str, path: str) -> None:
    call = Call(FORWARD_READ, "", {header: "DELETE"}, (), HttpRequest("GET", path), through_envoy=True, peer="")
    judged = scopes.of(FORWARD_READ)
    assert callable(judged)
    assert judged(call, None, GATEWAY) is Scope.TRADE


@pytest.mark.parametrize("base", ["/sso/api", "/Proxy/Api"])
def test_an_api_elsewhere_is_no_login(base: str) -> None:
    gateway = GatewayUrl.parse(f"https://gateway.example{base}")
    for path in (f"{base}/x.css", f"{base}/portfolio/accounts", base):
        assert of_path("GET", path, gateway) is Scope.READ
    assert of_path("POST", f"{base}/iserver/account/DU1/orders", gateway) is Scope.TRADE
    assert of_path("GET", "/sso/Login", gateway) is OPEN


def test_in_doubt_the_fallback_trades() -> None:
    call = Call(FORWARD, "", {}, (), None, through_envoy=False, peer="")
    for rpc in (FORWARD, FORWARD_READ, FORWARD_WRITE):
        judged = scopes.of(rpc)
        assert callable(judged)
        # A request that cannot be read, and a call that no path came with.
        assert judged(call, None, GATEWAY) is Scope.TRADE
