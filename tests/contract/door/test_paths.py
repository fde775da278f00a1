"""REST paths behind the door: which key opens which, what the log says, and what the gateway sees."""

from __future__ import annotations

import re

import pytest

from tests.contract.door.conftest import DEBUG_TOKEN, ORIGIN, Door
from tests.contract.rest.checks import assert_envelope
from tests.support.edge import HttpAnswer

API = "/v1/api"
OPEN_PATHS = [
    ("GET", "/health"),
    ("HEAD", "/health"),
    ("GET", "/ib/health"),
    ("GET", "/api/v1/health"),
    ("GET", "/"),
    ("GET", "/sso/Login?forwardTo=22&RL=1"),
    ("POST", "/sso/Dispatcher"),
    ("GET", "/css/login.css"),
    ("GET", "/sso/images/logo.png"),
]
READ_PATHS = [
    ("GET", "/accounts"),
    ("HEAD", "/accounts"),
    ("GET", "/events/_status"),
    ("GET", "/ib/products"),
    ("GET", "/api/v1/orders"),
    ("GET", f"{API}/portfolio/accounts"),
    ("OPTIONS", f"{API}/portfolio/accounts"),
    ("GET", "/sso/validate"),
    ("GET", "/sso/..%2Fv1/api/portfolio/accounts"),
    ("GET", "/sso/%C0%AE%C0%AE/v1/api/portfolio/accounts"),
    ("GET", "/sso/validate%00"),
    ("GET", "//accounts"),
    ("GET", "/accounts/"),
    ("GET", "/docs"),
    ("OPTIONS", "/health"),
    ("GET", "/bezant.v1.SidecarService/GetHealth"),
    ("GET", "/no/such/path"),
]
TRADE_PATHS = [
    ("POST", "/accounts/DU1/orders"),
    ("DELETE", "/accounts/DU1/orders/5"),
    ("POST", "/api/v1/orders"),
    ("DELETE", "/api/v1/orders/a1b2c3d4e5f67890"),
    ("POST", "/ib/reconnect"),
    ("POST", f"{API}/iserver/account/DU1/orders"),
    ("DELETE", f"{API}/iserver/account/DU1/order/5"),
    ("PUT", f"{API}/x"),
    ("PATCH", f"{API}/x"),
    ("GET", f"{API}/logout"),
    ("GET", f"{API}/tickle"),
    ("GET", "/sso/Logout"),
    ("GET", f"{API}/md/regsnapshot?conid=265598"),
    ("POST", "/sso/../v1/api/iserver/reply/x"),
    ("POST", "/css/login.css"),
]
ADMIN_PATHS = [("GET", "/debug/jar"), ("GET", "/debug/probe")]
GUARDED_PATHS = [*READ_PATHS, *TRADE_PATHS, *ADMIN_PATHS]


def send(door: Door, method: str, path: str, *headers: tuple[str, str]) -> HttpAnswer:
    body = b"{}" if method in ("POST", "PUT", "PATCH") else None
    return door.edge.send(method, path, headers=(*headers, ("X-Bezant-Debug-Token", DEBUG_TOKEN)), body=body)


def assert_too_narrow(answer: HttpAnswer, scope: str, needed: str) -> None:
    assert (answer.status, answer.header("content-type")) == (403, "application/json"), answer
    envelope = answer.json()
    message = envelope.pop("message")
    assert envelope == {"code": "forbidden", "scope": scope, "needed_scope": needed}
    assert f"an API key of the scope {needed}, and that of {scope} has {scope}" in message


@pytest.mark.parametrize(("method", "path"), OPEN_PATHS)
@pytest.mark.parametrize("headers", [(), (("X-API-Key", "bz_wrong"),)], ids=["no key", "a wrong key"])
def test_health_and_the_login_ask_for_no_key(
    method: str, path: str, headers: tuple[tuple[str, str], ...], locked: Door
) -> None:
    assert send(locked, method, path, *headers).status in (200, 503)


@pytest.mark.parametrize(("method", "path"), GUARDED_PATHS)
def test_everything_else_asks_for_one(method: str, path: str, locked: Door) -> None:
    for headers in ((), (("X-API-Key", "bz_wrong"),), (("Authorization", "Bearer bz_wrong"),)):
        answer = send(locked, method, path, *headers)
        if method == "HEAD":
            assert answer.status == 401
        else:
            assert_envelope(answer, 401, "unauthorized", naming="X-API-Key")
    both = (("X-API-Key", locked.keys["admin"]), ("Authorization", f"Bearer {locked.keys['trade']}"))
    assert send(locked, method, path, *both).status == 401
    assert locked.edge.gateway.arrivals == []


@pytest.mark.parametrize(("method", "path"), [*TRADE_PATHS, *ADMIN_PATHS])
def test_a_key_to_read_changes_nothing(method: str, path: str, locked: Door) -> None:
    needed = "admin" if (method, path) in ADMIN_PATHS else "trade"
    assert_too_narrow(send(locked, method, path, ("X-API-Key", locked.keys["read"])), "read", needed)
    assert locked.edge.gateway.arrivals == []


@pytest.mark.parametrize(("method", "path"), ADMIN_PATHS)
def test_a_key_to_trade_opens_no_debug_page(method: str, path: str, locked: Door) -> None:
    assert_too_narrow(send(locked, method, path, ("X-API-Key", locked.keys["trade"])), "trade", "admin")
    assert locked.edge.gateway.arrivals == []


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_key_to_read_is_for_no_other_method_by_a_header(name: str, locked: Door) -> None:
    override = (name, "DELETE")
    answer = send(locked, "GET", f"{API}/iserver/account/DU1/order/5", ("X-API-Key", locked.keys["read"]), override)
    assert_too_narrow(answer, "read", "trade")
    assert send(locked, "GET", "/sso/Login", override).status == 401
    assert locked.edge.gateway.arrivals == []


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Envoy-Original-Path", "/health")],
        [("X-Envoy-Original-Path", "/sso/Login"), ("X-Envoy-Original-Method", "GET")],
        [("X-Original-URL", "/health"), ("X-Rewrite-URL", "/health")],
        [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https")],
        [("X-Bezant-Client", "admin"), ("X-Bezant-Peer", "127.0.0.1:1")],
        [("X-API-Key", "")],
        [("Authorization", "Bearer")],
        [("Proxy-Authorization", "Bearer {admin}")],
        [("Authorization", "Basic {admin}")],
        [("Cookie", "x-api-key={admin}")],
        [("X-API-Key", "{admin},{admin}")],
        [("X-API-Key", "{admin}"), ("X-API-Key", "{read}")],
    ],
)
def test_no_other_header_tells_who_calls_or_for_what(headers: list[tuple[str, str]], locked: Door) -> None:
    sent = [(name, value.format(**locked.keys)) for name, value in headers]
    for method, path in (("GET", "/accounts"), ("POST", "/accounts/DU1/orders"), ("GET", f"{API}/portfolio/accounts")):
        answer = send(locked, method, path, *sent)
        assert_envelope(answer, 401, "unauthorized", naming="X-API-Key")
    assert locked.edge.gateway.arrivals == []


@pytest.mark.parametrize("scope", ["read", "trade", "admin"])
def test_a_key_is_good_for_its_scope_and_those_before(scope: str, locked: Door) -> None:
    paths = {"read": READ_PATHS, "trade": [*READ_PATHS, *TRADE_PATHS], "admin": GUARDED_PATHS}[scope]
    for method, path in paths:
        for header in (("X-API-Key", locked.keys[scope]), ("Authorization", f"Bearer {locked.keys[scope]}")):
            assert send(locked, method, path, header).status not in (401, 403), (method, path)


@pytest.mark.parametrize(("method", "path"), GUARDED_PATHS)
def test_without_required_keys_target_orders_alone_ask_for_one(method: str, path: str, unlocked: Door) -> None:
    guarded = path.startswith("/api/v1/")
    assert (send(unlocked, method, path).status == 401) is guarded
    answer = send(unlocked, method, path, ("X-API-Key", unlocked.keys["read"]))
    assert (answer.status == 403) is (guarded and method != "GET")


def test_the_debug_pages_ask_for_their_token_besides(locked: Door) -> None:
    answer = locked.edge.get("/debug/jar", headers=[("X-API-Key", locked.keys["admin"])])
    assert_envelope(answer, 401, "debug_unauthorized")


def test_the_gateway_sees_no_key(locked: Door) -> None:
    for header in (("X-API-Key", locked.keys["trade"]), ("Authorization", f"Bearer {locked.keys['trade']}")):
        for method, path in (("GET", f"{API}/x"), ("POST", f"{API}/x"), ("GET", "/sso/Login"), ("GET", "/accounts")):
            assert send(locked, method, path, header).status == 200
    assert len(locked.edge.gateway.arrivals) == 8
    for arrival in locked.edge.gateway.arrivals:
        assert not {"x-api-key", "authorization"} & {name for name, _ in arrival.headers}
        assert locked.keys["trade"] not in f"{arrival}"


def test_the_log_names_the_client_and_never_a_key(locked: Door) -> None:
    edge, keys = locked.edge, locked.keys
    served = edge.get("/accounts", headers=[("X-API-Key", keys["trade"]), ("X-Request-Id", "served")])
    refused = edge.post(
        "/accounts/DU1/orders", b"{}", headers=[("X-API-Key", keys["read"]), ("X-Request-Id", "narrow")]
    )
    unknown = edge.get("/accounts", headers=[("X-API-Key", "bz_of-somebody-else"), ("X-Request-Id", "unknown")])
    nobody = edge.get("/health", headers=[("X-API-Key", keys["admin"]), ("X-Request-Id", "nobody")])
    assert (served.status, refused.status, unknown.status, nobody.status) == (200, 403, 401, 200)

    (line,) = edge.wait_for_log(message="served", request_id="served")
    assert (line["client"], "scope" in line) == ("trade", False)
    (line,) = edge.wait_for_log(message="failed", request_id="narrow")
    assert (line["code"], line["client"], line["scope"]) == ("forbidden", "read", "read")
    (line,) = edge.wait_for_log(message="failed", request_id="unknown")
    assert (line["code"], "client" in line) == ("unauthorized", False)
    (line,) = edge.wait_for_log(message="served", request_id="nobody")
    assert "client" not in line
    # Between the call's arrival and its end as well: this is of the connection to the gateway.
    assert all(
        each["client"] == "trade" for each in edge.log_lines(request_id="served") if each["message"] != "API keys read"
    )

    log = edge.server_log.read_text(encoding="utf-8") + (edge.server_log.parent / "envoy.log").read_text(
        encoding="utf-8"
    )
    for secret in (*keys.values(), "bz_of-somebody-else"):
        assert secret not in log
    assert re.search(r"\bBearer bz_", log) is None


def test_a_page_of_a_listed_origin_may_send_its_key_over_grpc_web(locked: Door, unlocked: Door) -> None:
    rpc = "/bezant.v1.SidecarService/ListAccounts"
    preflight = [
        ("Origin", ORIGIN),
        ("Sec-Fetch-Site", "cross-site"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type,x-api-key,x-grpc-web"),
    ]
    allowed = locked.edge.send("OPTIONS", rpc, headers=preflight)
    assert (allowed.status, allowed.header("access-control-allow-origin")) == (200, ORIGIN)
    names = {name.strip() for name in (allowed.header("access-control-allow-headers") or "").split(",")}
    assert {"content-type", "x-api-key", "x-grpc-web", "authorization"} <= names
    # Of an origin that is not listed, none of it.
    assert not [
        name for name in unlocked.edge.send("OPTIONS", rpc, headers=preflight).names() if "access-control" in name
    ]

    def called(*headers: tuple[str, str]) -> HttpAnswer:
        common = (("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site"), ("Content-Type", "application/grpc-web+proto"))
        return locked.edge.send("POST", rpc, headers=(*common, ("X-Grpc-Web", "1"), *headers), body=bytes(5))

    answer = called(("X-API-Key", locked.keys["read"]))
    assert (answer.status, answer.header("access-control-allow-origin")) == (200, ORIGIN)
    assert b"done" in answer.body
    assert b"grpc-status:0" in answer.body.replace(b" ", b"")
    assert called().header("grpc-status") == "16"
