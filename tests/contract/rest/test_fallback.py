"""Any other path: the caller's method, path, query and body, as they came."""

from __future__ import annotations

import pytest

from tests.contract.rest.checks import assert_clean, assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import Arrival, ScriptedGateway, answer

MEBIBYTE = 1024 * 1024

BODIES = (
    ("application/json", b'{"a": 1.00 , "a":2}'),
    ("application/json", b"{broken"),
    ("application/x-www-form-urlencoded", b"user=a%20b&pass=c+d&user="),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'),
    ("application/octet-stream", bytes(range(256))),
    ("text/plain;charset=latin-1", b"\xfc"),
    ("application/x-protobuf", b"\x0a\x03abc"),
    (None, b"typeless"),
)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(("content_type", "body"), BODIES)
def test_a_body_passes_whatever_it_is(
    method: str, content_type: str | None, body: bytes, edge: Edge, gateway: ScriptedGateway
) -> None:
    gateway.on("*", "*", lambda arrival: answer(200, arrival.body))
    headers = (("Content-Type", content_type),) if content_type else ()
    reply = edge.send(method, "/v1/api/some/path", headers=headers, body=body)
    assert (reply.status, reply.body) == (200, body)
    (call,) = gateway.arrivals
    assert (call.method, call.target, call.body) == (method, "/v1/api/some/path", body)
    assert call.all("content-type") == ([content_type] if content_type else [])
    assert call.all("content-length") == [str(len(body))]
    assert_clean(reply)


@pytest.mark.parametrize("body", [None, b""])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_without_a_body(method: str, body: bytes | None, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"done"))
    assert edge.send(method, "/v1/api/some/path", body=body).body == b"done"
    (call,) = gateway.arrivals
    assert (call.method, call.body) == (method, b"")
    if method in ("POST", "PUT", "PATCH"):
        assert call.all("content-length") == ["0"]


@pytest.mark.parametrize("length", [None, 0, 7, 123_456])
def test_head_keeps_the_length_that_the_gateway_gives(length: int | None, edge: Edge, gateway: ScriptedGateway) -> None:
    head = b"HTTP/1.1 200 Scripted\r\nContent-Type: text/css\r\n"
    gateway.on(
        "HEAD", "/sso/style.css", head + (b"" if length is None else b"Content-Length: %d\r\n" % length) + b"\r\n"
    )
    with edge.connect() as connection:
        connection.write(edge.request("HEAD", "/sso/style.css"))
        reply = connection.read("HEAD")
        assert (reply.status, reply.body, reply.header("content-type")) == (200, b"", "text/css")
        assert reply.header("content-length") in ((None, "0") if length is None else (str(length),))
        connection.write(edge.request("HEAD", "/sso/style.css"))
        assert connection.read("HEAD").status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/?",
        "/?a",
        "/v1/api/x?",
        "/v1/api/x?a=1&a=2&a=3&=&&b=",
        "/v1/api/x?q='\"|<>{}[]^`\\~!$()*,;:@/?",
        "/v1/api/x?q=%2F%2f%20+%2B%00%FF%zz%",
        "/v1/api/x?path=/y&body=z&body.data=eA&content_type=w&method=DELETE",
        "/v1/api/a%2Fb/../c/./%2e%2e//d;v=1/e:f",
        "/v1/api/%FF%C3%A9%00",
        "/v1/api/%",
        "/v1/api/'\"|<>{}[]^`\\~!$()*,",
        "//two/slashes",
        "/accounts/DU1",
        "/accounts/DU1/summary/x",
        "/accounts/DU1/summary:verb",
        "/account",
        "/Accounts",
        "/%61ccounts",
        "/v1/api/x?" + "&".join(f"p{number}=v" for number in range(2000)),
    ],
)
def test_path_and_query_pass_untouched(method: str, target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"done"))
    assert edge.send(method, target).status == 200
    assert [(call.method, call.target) for call in gateway.arrivals] == [(method, target)]


def test_a_large_body_passes_whole(edge: Edge, gateway: ScriptedGateway) -> None:
    """10 MiB is what is taken in, to the byte."""
    body = bytes(range(256)) * (10 * MEBIBYTE // 256)
    gateway.on("POST", "/v1/api/upload", answer(200, b"done"))
    assert edge.post("/v1/api/upload", body, headers=()).status == 200
    (call,) = gateway.arrivals
    assert call.body == body


def test_a_large_order_passes_whole(edge: Edge, gateway: ScriptedGateway) -> None:
    body = b'"' + b"x" * (10 * MEBIBYTE - 2) + b'"'
    gateway.on("POST", "/v1/api/iserver/account/DU1/orders", answer(200, b"done"))
    assert edge.post("/accounts/DU1/orders", body).status == 200
    (call,) = gateway.arrivals
    assert call.body == body


def test_a_body_over_the_limit(edge: Edge, gateway: ScriptedGateway) -> None:
    for target in ("/v1/api/upload", "/accounts/DU1/orders"):
        reply = edge.post(target, b" " * (10 * MEBIBYTE + 1))
        assert_envelope(reply, 413, "body_too_large")
    assert gateway.arrivals == []


def test_a_large_answer_passes_whole(edge: Edge, gateway: ScriptedGateway) -> None:
    body = bytes(range(256)) * (24 * MEBIBYTE // 256)
    gateway.on("*", "*", answer(200, body))
    for target in ("/v1/api/large", "/accounts"):
        reply = edge.get(target)
        assert (reply.status, reply.header("content-length")) == (200, str(len(body)))
        assert reply.body == body


def test_an_answer_over_the_limit(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b" " * (25 * MEBIBYTE + 1)))
    for target in ("/v1/api/large", "/accounts"):
        assert_envelope(edge.get(target), 502, "upstream_http_error", naming="26214400")


CUT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 100\r\n\r\n[1,2",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Le",
)


@pytest.mark.parametrize("cut", CUT)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_truncated_answer_is_no_answer(method: str, cut: bytes, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", cut)
    for target in ("/v1/api/x", "/accounts/DU1/orders"):
        gateway.arrivals.clear()
        reply = edge.send(method, target, body=b"{}" if method == "POST" else None)
        assert_envelope(reply, 502, "upstream_http_error")
        assert ("outcome is unknown" in reply.json()["message"]) == (method == "POST")
        assert len(gateway.arrivals) == 1 or method == "GET"


def test_a_chunked_answer_passes(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on(
        "*", "*", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n[1,\r\n2\r\n2]\r\n0\r\nX-T: 1\r\n\r\n"
    )
    reply = edge.get("/v1/api/x")
    assert (reply.status, reply.body, reply.header("content-length")) == (200, b"[1,2]", "5")
    assert_clean(reply)


@pytest.mark.parametrize(
    ("path", "given", "body", "seen"),
    [
        ("/sso/Login", None, b"<html>", "text/html"),
        ("/sso/Login", "application/octet-stream", b"<html>", "text/html"),
        ("/sso/Login", "text/html;charset=utf-8", b"<html>", "text/html;charset=utf-8"),
        ("/sso/font.woff", "font/woff", b"wOFF", "font/woff"),
        ("/", None, b"<html>", "text/html"),
        ("/sso/Login", None, b"", None),
        ("/v1/api/x", None, b"<html>", None),
        ("/v1/api/x", "application/octet-stream", b"PK", "application/octet-stream"),
    ],
)
def test_a_page_without_a_type_is_html(path: str, given: str | None, body: bytes, seen: str | None, edge: Edge) -> None:
    edge.gateway.on("GET", path, answer(200, body, content_type=given))
    reply = edge.get(path)
    assert (reply.status, reply.body, reply.header("content-type")) == (200, body, seen)


def test_many_requests_on_one_connection(edge: Edge, gateway: ScriptedGateway) -> None:
    def echo(arrival: Arrival) -> bytes:
        return answer(200, arrival.target)

    gateway.on("*", "*", echo)
    with edge.connect() as connection:
        for number in range(30):
            connection.write(edge.request("GET", f"/v1/api/{number}"))
            assert connection.read().body == f"/v1/api/{number}".encode()
