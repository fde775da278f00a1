"""Headers between a caller and the gateway, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezant_server.addresses import GatewayUrl
from bezant_server.cpapi.messages import UpstreamResponse
from bezant_server.sidecar import headers

GATEWAY = GatewayUrl.parse("https://localhost:5000/v1/api")
API = "/v1/api/iserver/accounts"


def to_gateway(*given: tuple[str, str | bytes], path: str = API) -> dict[str, str]:
    passed = headers.for_gateway(given, path, GATEWAY)
    return {name: value for name, value in passed if name != "user-agent"}


def to_caller(*given: tuple[str, str]) -> list[tuple[str, str]]:
    return headers.for_caller(UpstreamResponse(200, given, b""), GATEWAY)


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "authorization",
        "x-api-key",
        "x-bezant-debug-token",
        "x-bezant-peer",
        "x-forwarded-for",
        "x-forwarded-proto",
        "forwarded",
        "x-real-ip",
        "x-envoy-original-path",
        "x-request-id",
        "grpc-timeout",
        "cookie",
        "host",
        "content-length",
        "expect",
    ],
)
def test_a_header_that_the_gateway_does_not_see(name: str) -> None:
    assert to_gateway((name, "x"), ("accept", "text/html")) == {"accept": "text/html"}


def test_headers_that_connection_names_end_here() -> None:
    assert to_gateway(("connection", "close, X-Hop"), ("x-hop", "1"), ("x-end", "2")) == {"x-end": "2"}
    assert to_caller(("connection", "X-Hop"), ("x-hop", "1"), ("x-end", "2")) == [("x-end", "2")]


def test_binary_metadata_is_not_sent() -> None:
    assert to_gateway(("x-bin", b"\x00")) == {}


@pytest.mark.parametrize(("given", "sent"), [((), "bezant-grpc"), ((("user-agent", "mine"),), "mine")])
def test_there_is_always_one_user_agent(given: tuple[tuple[str, str], ...], sent: str) -> None:
    passed = headers.for_gateway(given, API, GATEWAY)
    assert [value for name, value in passed if name == "user-agent"] == [sent]


@pytest.mark.parametrize(
    ("referer", "sent"),
    [
        ("https://evil.example/a/b?c=d#e", "https://localhost:5000/a/b?c=d"),
        ("http://127.0.0.1:8080/sso/Dispatcher", "https://localhost:5000/sso/Dispatcher"),
        ("http://127.0.0.1:8080", "https://localhost:5000/"),
        ("http://127.0.0.1:8080/#x", "https://localhost:5000/"),
        ("about:blank", "https://localhost:5000/"),
        (".evil.example", "https://localhost:5000/"),
        ("http://[::1", "https://localhost:5000/"),
        ("", "https://localhost:5000/"),
    ],
)
def test_origin_and_referer_become_the_gateways(referer: str, sent: str) -> None:
    assert to_gateway(("origin", "https://evil.example"), ("referer", referer)) == {
        "origin": "https://localhost:5000",
        "referer": sent,
    }


def test_the_login_pages_see_origin_and_referer_as_they_are() -> None:
    given = {"origin": "http://127.0.0.1:8080", "referer": "http://127.0.0.1:8080/sso/Login?x=1"}
    assert to_gateway(*given.items(), path="/sso/Authenticator") == given


def test_the_api_is_where_the_address_says() -> None:
    elsewhere = GatewayUrl.parse("https://localhost:5000/ibkr/api/")
    given = (("origin", "https://evil.example"),)
    for path, own in (("/ibkr/api/x", True), ("/ibkr/api", True), ("/ibkr/apis", False), ("/v1/api/x", False)):
        passed = dict(headers.for_gateway(given, path, elsewhere))
        assert (passed["origin"] == elsewhere.origin) is own
        answered = headers.content_type(UpstreamResponse(200, (), b"x"), path, elsewhere)
        assert answered == ("" if own else "text/html")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_any_referer_ends_on_the_gateways_origin(referer: str) -> None:
    for text in (referer, f"http://{referer}", f"https://[{referer}"):
        assert to_gateway(("referer", text))["referer"].startswith("https://localhost:5000/")


@pytest.mark.parametrize(
    "name",
    [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "trailer",
        "upgrade",
        "content-length",
        "content-type",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "grpc-status",
        "x-envoy-upstream-service-time",
        "x-error-envelope",
        "x-http-status",
        "x-content-length",
        "x-bezant-cursor",
        "x-thing-bin",
    ],
)
def test_a_header_that_the_caller_does_not_see(name: str) -> None:
    assert to_caller((name, "1"), ("etag", '"x"')) == [("etag", '"x"')]


def test_headers_keep_their_order_and_number() -> None:
    given = (("server", "gw"), ("x-a", "1"), ("etag", "e"), ("x-a", "2"))
    assert to_caller(*given) == list(given)


@pytest.mark.parametrize("value", ["caf\xe9", "a\x00b", "a\nb"])
def test_a_value_that_metadata_cannot_carry_is_left_out(value: str) -> None:
    assert to_caller(("x-odd", value), ("x-fine", "1")) == [("x-fine", "1")]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("a=1", "a=1"),
        ("a=1; Domain=localhost", "a=1"),
        ("a=1; domain=.ibkr.example ; Path=/; Secure", "a=1; Path=/; Secure"),
        ("a=1; Path=/; DOMAIN=x; HttpOnly; SameSite=None", "a=1; Path=/; HttpOnly; SameSite=None"),
        ("a=domain=1; Max-Age=5", "a=domain=1; Max-Age=5"),
    ],
)
def test_a_cookie_loses_its_domain_alone(given: str, passed: str) -> None:
    assert headers.without_domain(given) == passed


@pytest.mark.parametrize(
    ("location", "passed"),
    [
        ("https://localhost:5000/sso/Login?x=1#y", "/sso/Login?x=1#y"),
        ("HTTPS://LocalHost:5000/a", "/a"),
        ("https://localhost:5000", "/"),
        ("https://localhost:5000?x", "/?x"),
        ("/sso/Login", "/sso/Login"),
        ("relative", "relative"),
        ("https://localhost:50001/a", "https://localhost:50001/a"),
        ("https://localhost:5000.evil.example/a", "https://localhost:5000.evil.example/a"),
        ("https://localhost:5000@evil.example/a", "https://localhost:5000@evil.example/a"),
        ("http://localhost:5000/a", "http://localhost:5000/a"),
        ("https://ndcdyn.example/sso?RL=1", "https://ndcdyn.example/sso?RL=1"),
        ("http://[::1", "http://[::1"),
        ("/a b", "/a%20b"),
        ("/caf\xe9", "/caf%C3%A9"),
        ("", ""),
    ],
)
def test_a_location_on_the_gateway_becomes_relative(location: str, passed: str) -> None:
    assert headers.relative_location(location, GATEWAY) == passed


@given(st.text(max_size=60))
def test_any_location_can_be_passed_on(location: str) -> None:
    for text in (location, f"http://{location}", f"https://[{location}"):
        passed = headers.relative_location(text, GATEWAY)
        assert passed.isascii()


@pytest.mark.parametrize(
    ("status", "given", "body", "path", "kind"),
    [
        (200, "text/plain", b"x", "/sso/Login", "text/plain"),
        (200, None, b"x", "/sso/Login", "text/html"),
        (200, "application/octet-stream", b"x", "/css/a.css", "text/html"),
        (200, None, b"", "/sso/Login", ""),
        (200, None, b"x", "/v1/api/x", ""),
        (200, None, b"x", "/v1/api", ""),
        (200, None, b"x", "/v1/portal/x", ""),
        (200, None, b"x", "/v1/apis", "text/html"),
        (200, "application/octet-stream", b"x", "/v1/api/x", "application/octet-stream"),
        (204, "text/plain", b"", "/x", ""),
        (304, "text/plain", b"", "/x", ""),
    ],
)
def test_the_content_type(status: int, given: str | None, body: bytes, path: str, kind: str) -> None:
    known = (("content-type", given),) if given is not None else ()
    assert headers.content_type(UpstreamResponse(status, known, body), path, GATEWAY) == kind
