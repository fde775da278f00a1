"""The gateway's answer is the caller's answer: bytes, status, content type and end-to-end headers."""

from __future__ import annotations

import pytest

from tests.contract.rest.checks import assert_clean, assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway, answer

ACCOUNTS = "/v1/api/portfolio/accounts"

# A named row, and a path that only the fallback serves.
ROW = ("/accounts", ACCOUNTS)
FALLBACK = ("/v1/api/trsrv/all", "/v1/api/trsrv/all")
BOTH = pytest.mark.parametrize(("target", "upstream"), [ROW, FALLBACK], ids=["row", "fallback"])


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b' {\r\n\t"b" : 1 , "a" : 2 }\n\n',
        b'{"n":12345678901234567890123456789,"f":1.10,"e":1E+400,"neg":-0.0}',
        b'{"a":1,"a":2,"a":{"a":3}}',
        '{"name":"Zürich 東京 \U0001f4c8","esc":"\\u00fc\\/"}'.encode(),
        b'{"latin": "\xfc\xff\xfe"}',
        b"{not json at all",
        b"null",
        b"\x00\x01\x02\xff",
        b"",
    ],
)
def test_bytes_pass_unchanged(target: str, upstream: str, body: bytes, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("GET", upstream, answer(200, body))
    reply = edge.get(target)
    assert (reply.status, reply.body) == (200, body)
    assert reply.header("content-type") == "application/json;charset=utf-8"
    assert_clean(reply)


@BOTH
@pytest.mark.parametrize(
    "status", [200, 201, 202, 203, 206, 300, 400, 401, 403, 404, 409, 418, 423, 429, 500, 502, 503, 504, 599]
)
def test_any_status_passes_with_its_body(
    target: str, upstream: str, status: int, edge: Edge, gateway: ScriptedGateway
) -> None:
    """401, 429 and 5xx included: what the gateway says is not ours to reword."""
    body = b'{"error":"the gateway\'s own words","statusCode":%d}' % status
    gateway.on("GET", upstream, answer(status, body, headers=(("Retry-After", "7"),)))
    reply = edge.get(target)
    assert (reply.status, reply.body, reply.header("retry-after")) == (status, body, "7")
    assert_clean(reply)


@BOTH
def test_html_passes_unchanged(target: str, upstream: str, edge: Edge, gateway: ScriptedGateway) -> None:
    page = b"<!doctype html><title>Access Denied</title>"
    gateway.on("GET", upstream, answer(403, page, content_type="text/html;charset=ISO-8859-1"))
    reply = edge.get(target)
    assert (reply.status, reply.body) == (403, page)
    assert reply.header("content-type") == "text/html;charset=ISO-8859-1"


@BOTH
def test_end_to_end_headers_pass(target: str, upstream: str, edge: Edge, gateway: ScriptedGateway) -> None:
    sent = (
        ("Server", "Vert.x"),
        ("Date", "Mon, 09 Mar 2026 14:30:00 GMT"),
        ("ETag", '"x-1"'),
        ("Cache-Control", "no-store"),
        ("Vary", "Origin"),
        ("X-Response-Time", "12ms"),
        ("Content-Encoding", "gzip"),
        ("WWW-Authenticate", 'Basic realm="x"'),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("X-Empty", ""),
    )
    gateway.on("GET", upstream, answer(200, b"\x1f\x8bwhatever", headers=sent))
    reply = edge.get(target)
    assert reply.body == b"\x1f\x8bwhatever"
    for name, _ in sent:
        wanted = [value for key, value in sent if key == name]
        assert ", ".join(reply.all(name.lower())) == ", ".join(wanted), name


@BOTH
def test_several_cookies_stay_several(target: str, upstream: str, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on(
        "GET",
        upstream,
        answer(
            200,
            b"{}",
            headers=(
                ("Set-Cookie", "a=1; Domain=.ibkr.com; Path=/sso; Secure; HttpOnly; SameSite=None"),
                ("Set-Cookie", "b=x=y; Path=/; domain = ibkr.com ; Max-Age=60"),
                ("Set-Cookie", "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; DOMAIN=x"),
            ),
        ),
    )
    assert edge.get(target).all("set-cookie") == [
        "a=1; Path=/sso; Secure; HttpOnly; SameSite=None",
        "b=x=y; Path=/; Max-Age=60",
        "c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ]


@BOTH
def test_what_is_not_end_to_end_is_dropped(target: str, upstream: str, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on(
        "GET",
        upstream,
        answer(
            200,
            b"{}",
            headers=(
                ("Connection", "X-Hop, close"),
                ("X-Hop", "1"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Authenticate", "Basic"),
                ("Trailer", "X-Later"),
                ("Upgrade", "h2c"),
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Allow-Credentials", "true"),
                ("X-Envoy-Upstream-Service-Time", "1"),
                ("X-Http-Status", "500"),
                ("X-Error-Envelope", "{}"),
                ("X-Content-Length", "7"),
                ("X-No-Content-Type", "1"),
                ("X-Bezant-Cursor", "7"),
                ("X-Request-Id", "the gateway's"),
                ("Grpc-Status", "13"),
                ("Grpc-Message", "forged"),
                ("Trace-Bin", "AAAA"),
                ("X-Kept", "1"),
            ),
        ),
    )
    reply = edge.get(target)
    assert (reply.status, reply.body, reply.header("x-kept")) == (200, b"{}", "1")
    assert reply.header("content-type") == "application/json;charset=utf-8"
    assert reply.header("content-length") == "2"
    assert reply.header("x-request-id") != "the gateway's"
    assert reply.names() <= {"content-type", "content-length", "date", "server", "x-kept", "x-request-id"}


@BOTH
def test_a_header_value_that_is_not_ascii_is_dropped_alone(
    target: str, upstream: str, edge: Edge, gateway: ScriptedGateway
) -> None:
    gateway.on("GET", upstream, answer(200, b"{}", headers=(("X-Umlaut", "\xfc"), ("X-Kept", "1"))))
    reply = edge.get(target)
    assert (reply.status, reply.header("x-umlaut"), reply.header("x-kept")) == (200, None, "1")


@BOTH
@pytest.mark.parametrize("status", [204, 304])
def test_no_body_and_no_type_where_http_has_none(
    target: str, upstream: str, status: int, edge: Edge, gateway: ScriptedGateway
) -> None:
    empty = b'HTTP/1.1 %d Scripted\r\nETag: "x"\r\nContent-Type: application/json\r\n\r\n' % status
    gateway.on("GET", upstream, empty)
    with edge.connect() as connection:
        connection.write(edge.request("GET", target))
        reply = connection.read()
        assert (reply.status, reply.body, reply.header("etag")) == (status, b"", '"x"')
        assert reply.header("content-type") is None
        assert_clean(reply)
        # No stray byte of a body stays behind on the connection.
        gateway.on("GET", upstream, answer(200, b"next"))
        connection.write(edge.request("GET", target))
        assert connection.read().body == b"next"


def test_a_login_redirect_on_a_row_is_not_authenticated(edge: Edge, gateway: ScriptedGateway) -> None:
    for location in (
        "/sso/Login?forwardTo=22",
        f"{gateway.origin}/sso/Login",
        "https://ndcdyn.interactivebrokers.com/sso/Login?x=1",
        f"{gateway.origin}/sso/Dispatcher",
    ):
        gateway.on("GET", ACCOUNTS, answer(302, b"", content_type=None, headers=(("Location", location),)))
        assert_envelope(edge.get("/accounts"), 401, "not_authenticated", naming="/sso/Login")


def test_any_other_redirect_on_a_row_passes(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("GET", ACCOUNTS, answer(307, b"", headers=(("Location", f"{gateway.origin}/elsewhere?x=1"),)))
    reply = edge.get("/accounts")
    assert (reply.status, reply.header("location")) == (307, "/elsewhere?x=1")


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("{origin}/sso/Login?forwardTo=22&RL=1", "/sso/Login?forwardTo=22&RL=1"),
        ("{origin}", "/"),
        ("{origin}/sso/Dispatcher#top", "/sso/Dispatcher#top"),
        ("/sso/Login", "/sso/Login"),
        ("../Login", "../Login"),
        ("https://www.interactivebrokers.com/x?y=1", "https://www.interactivebrokers.com/x?y=1"),
        ("{origin}1/x", "{origin}1/x"),
        ("//127.0.0.1/x", "//127.0.0.1/x"),
    ],
)
def test_a_redirect_passes_through_the_fallback(location: str, seen: str, edge: Edge, gateway: ScriptedGateway) -> None:
    """Followed by nobody but the browser, which stays on this origin."""
    sent = location.format(origin=gateway.origin)
    gateway.on("GET", "/sso/Start", answer(302, b"", content_type=None, headers=(("Location", sent),)))
    reply = edge.get("/sso/Start")
    assert (reply.status, reply.header("location")) == (302, seen.format(origin=gateway.origin))
    assert len(gateway.arrivals) == 1
