"""What of a caller's headers the gateway sees, and what becomes of cookies, Origin and Referer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.edge import Edge
from tests.support.scripted_gateway import Arrival, ScriptedGateway, answer

API = "/v1/api/some/path"
LOGIN = "/sso/Login"


def forwarded(edge: Edge, *headers: tuple[str, str], path: str = API, method: str = "GET") -> Arrival:
    """What arrives at the gateway when a caller sends these headers."""
    edge.gateway.on("*", "*", answer(200, b"done"))
    edge.gateway.arrivals.clear()
    assert edge.send(method, path, headers=headers).status == 200
    (call,) = edge.gateway.arrivals
    return call


@pytest.fixture
def empty_jar(edge: Edge) -> Iterator[None]:
    """Leaves no cookie behind, and starts with none."""
    _forget(edge)
    yield
    _forget(edge)


def _forget(edge: Edge) -> None:
    held = forwarded(edge).header("cookie") or ""
    names = [pair.partition("=")[0] for pair in held.split("; ") if pair]
    edge.gateway.on(
        "GET", "/forget", answer(200, headers=tuple(("Set-Cookie", f"{name}=; Max-Age=0") for name in names))
    )
    edge.get("/forget")
    assert forwarded(edge).header("cookie") is None
    edge.gateway.reset()


def test_end_to_end_headers_pass(edge: Edge) -> None:
    sent = (
        ("User-Agent", "Mozilla/5.0 (X11)"),
        ("Accept", "text/html, */*;q=0.8"),
        ("Accept-Encoding", "gzip, br"),
        ("Accept-Language", "de-CH"),
        ("If-None-Match", '"x"'),
        ("Range", "bytes=0-1"),
        ("Sec-Fetch-Site", "same-origin"),
        ("X-Requested-With", "XMLHttpRequest"),
        ("X-Empty", ""),
        ("Via", "1.1 somewhere"),
    )
    call = forwarded(edge, *sent)
    for name, value in sent:
        assert call.all(name.lower()) == [value], name


def test_nothing_is_added_but_a_user_agent(edge: Edge, empty_jar: None) -> None:
    """IBKR's edge refuses a request without one."""
    call = forwarded(edge)
    assert {name for name, _ in call.headers} == {"host", "user-agent"}
    assert call.header("user-agent") == "bezant-grpc"
    assert call.header("host") == edge.gateway.origin.removeprefix("https://")


def test_a_repeated_header_keeps_its_values(edge: Edge) -> None:
    call = forwarded(edge, ("X-Twice", "1"), ("X-Other", "x"), ("X-Twice", "2"))
    assert ", ".join(call.all("x-twice")) == "1, 2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer secret"),
        ("X-API-Key", "secret"),
        ("X-Bezant-Debug-Token", "secret"),
        ("X-Bezant-Peer", "10.0.0.1:1"),
        ("X-Bezant-Anything", "1"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "example.org"),
        ("X-Forwarded-Anything", "1"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("X-Request-Id", "mine"),
        ("X-Envoy-Original-Path", "/accounts"),
        ("X-Envoy-Original-Method", "DELETE"),
        ("X-Envoy-Internal", "true"),
        ("X-Envoy-Anything", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic x"),
        ("TE", "trailers"),
        ("Trailer", "X-Later"),
        ("Expect", "100-continue"),
        ("Grpc-Timeout", "1n"),
        ("Grpc-Encoding", "gzip"),
        ("Grpc-Anything", "1"),
        ("Trace-Bin", "not base64 !"),
        ("Trace-Bin", "AAAA"),
        ("X!#$%&'*+^`|~", "1"),
        ("X-Umlaut", "\xfc"),
        ("X-Utf8", "\xc3\xbc"),
    ],
)
@pytest.mark.parametrize("path", [API, LOGIN])
def test_what_is_not_the_gateways_business_is_dropped(name: str, value: str, path: str, edge: Edge) -> None:
    call = forwarded(edge, (name, value), ("X-Kept", "1"), path=path)
    assert call.header(name.lower()) is None
    assert (call.method, call.target, call.header("x-kept")) == ("GET", path, "1")


@pytest.mark.parametrize("path", [API, LOGIN, "/accounts", "/nowhere"])
def test_an_api_key_reaches_neither_the_gateway_nor_the_log(path: str, edge: Edge) -> None:
    identity = f"with-a-key-{path}"
    call = forwarded(edge, ("X-API-Key", "bz_very-secret"), ("X-Request-Id", identity), path=path)
    assert "bz_very-secret" not in str(call)
    edge.wait_for_log(request_id=identity, message="served")
    assert "bz_very-secret" not in edge.server_log.read_text(encoding="utf-8")


def test_what_the_connection_header_names_is_dropped(edge: Edge) -> None:
    call = forwarded(edge, ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("X-Kept", "1"))
    assert (call.header("connection"), call.header("x-hop"), call.header("x-kept")) == (None, None, "1")


def test_a_forged_original_path_decides_nothing(edge: Edge) -> None:
    """Not on a row, not on a gRPC-looking call: what Envoy says about a request is Envoy's to say."""
    forged = (("x-envoy-original-path", "/accounts/DU2/orders"), ("x-envoy-original-method", "POST"))
    assert forwarded(edge, *forged, path="/accounts/DU1/summary").target == "/v1/api/portfolio/DU1/summary"
    assert forwarded(edge, *forged).target == API


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_origin_and_referer_become_the_gateways_for_the_api(method: str, edge: Edge) -> None:
    own = f"http://{edge.host}:{edge.port}"
    call = forwarded(edge, ("Origin", own), ("Referer", f"{own}/sso/Dispatcher?x=1"), method=method)
    assert call.all("origin") == [edge.gateway.origin]
    assert call.all("referer") == [f"{edge.gateway.origin}/sso/Dispatcher?x=1"]


@pytest.mark.parametrize(
    "referer", ["http://localhost:8080", "http://localhost:8080/", "http://evil.example/", "null", ""]
)
def test_a_referer_of_any_origin_becomes_the_gateways(referer: str, edge: Edge) -> None:
    (seen,) = forwarded(edge, ("Referer", referer)).all("referer")
    assert seen.rstrip("/") == edge.gateway.origin


def test_origin_and_referer_stay_for_the_login(edge: Edge) -> None:
    call = forwarded(
        edge,
        ("Origin", "http://localhost:8080"),
        ("Referer", "http://localhost:8080/sso/Login?x=1"),
        path="/sso/Authenticator",
        method="POST",
    )
    assert call.all("origin") == ["http://localhost:8080"]
    assert call.all("referer") == ["http://localhost:8080/sso/Login?x=1"]


def test_a_browsers_cookies_enter_the_jar_and_the_jars_are_sent(
    edge: Edge, gateway: ScriptedGateway, empty_jar: None
) -> None:
    first = forwarded(edge, ("Cookie", "JSESSIONID=abc; XYZ=1=2"), path=LOGIN)
    assert first.all("cookie") == ["JSESSIONID=abc; XYZ=1=2"]
    gateway.on(
        "GET", LOGIN, answer(200, headers=(("Set-Cookie", "JSESSIONID=def; Path=/sso"), ("Set-Cookie", "api=x")))
    )
    edge.get(LOGIN)
    assert sorted((forwarded(edge).header("cookie") or "").split("; ")) == ["JSESSIONID=def", "XYZ=1=2", "api=x"]
    gateway.on("GET", "/v1/api/portfolio/accounts", answer(200, b"[]"))
    edge.get("/accounts")
    assert gateway.arrivals[-1].header("cookie") == forwarded(edge).header("cookie")


def test_an_expired_cookie_leaves_the_jar(edge: Edge, gateway: ScriptedGateway, empty_jar: None) -> None:
    forwarded(edge, ("Cookie", "a=1; b=2"))
    gateway.on("GET", "/out", answer(200, headers=(("Set-Cookie", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),)))
    edge.get("/out")
    assert forwarded(edge).all("cookie") == ["b=2"]


def test_cookies_of_an_edge_proxy_never_enter_the_jar(edge: Edge, empty_jar: None) -> None:
    call = forwarded(
        edge,
        (
            "Cookie",
            "CF_Authorization=x; AWSELBAuthSessionCookie-0=x; _oauth2_proxy=x; _vercel_jwt=x; _pomerium=x; ok=1",
        ),
    )
    assert call.all("cookie") == ["ok=1"]


def test_cookies_of_a_row_are_left_alone(edge: Edge, gateway: ScriptedGateway, empty_jar: None) -> None:
    gateway.on("GET", "/v1/api/portfolio/accounts", answer(200, b"[]"))
    edge.get("/accounts", headers=(("Cookie", "stray=1"),))
    assert gateway.arrivals[-1].header("cookie") is None
