"""Browsers as attackers: another site's page may not change state, and a name that is not ours is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.conftest import RunEdge
from tests.contract.rest.checks import assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway, answer

OURS = "https://app.example"
CHANGES = (
    ("POST", "/accounts/DU1/orders"),
    ("DELETE", "/accounts/DU1/orders/5"),
    ("POST", "/v1/api/iserver/reply/x"),
    ("PUT", "/v1/api/x"),
    ("PATCH", "/v1/api/x"),
    ("DELETE", "/v1/api/iserver/account/DU1/order/5"),
    ("POST", "/v1/api/logout"),
    # IBKR's older documentation lists these as GET, and the gateway still takes it.
    ("GET", "/v1/api/logout"),
    ("GET", "/v1/api/logout?x=1"),
    ("GET", "/v1/api/logout/"),
    ("GET", "/v1/api/tickle"),
    ("GET", "/v1/api/iserver/auth/ssodh/init"),
    ("GET", "/v1/api/iserver/reauthenticate"),
    ("GET", "/v1/api/log%6Fut"),
    ("GET", "/v1/api//logout"),
    ("GET", "/v1/api/./logout"),
    ("GET", "/v1/api/logout;x=1"),
    ("GET", "/sso/../v1/api/logout"),
    ("POST", "/sso/../v1/api/iserver/reply/x"),
    ("POST", "/sso/%2e%2e/v1/api/iserver/reply/x"),
    ("POST", "/sso/..%2Fv1/api/iserver/reply/x"),
    ("POST", "/sso/..;/v1/api/iserver/reply/x"),
    ("POST", "/sso/..%5Cv1/api/iserver/reply/x"),
    ("POST", "/sso/..%252Fv1/api/iserver/reply/x"),
    ("POST", "/sso/.%252e/v1/api/iserver/reply/x"),
)
READS = (
    ("GET", "/accounts"),
    ("HEAD", "/accounts"),
    ("GET", "/v1/api/portfolio/accounts"),
    ("HEAD", "/v1/api/portfolio/accounts"),
    ("OPTIONS", "/v1/api/portfolio/accounts"),
)
LOGIN = (("GET", "/sso/Login"), ("POST", "/sso/Authenticator"), ("POST", "/sso/Dispatcher"))


@pytest.fixture(scope="module")
def cors_edge(run_edge: RunEdge) -> Iterator[Edge]:
    with run_edge(
        {"BEZANT_CORS_ORIGINS": f"{OURS}, http://localhost:3000", "BEZANT_ALLOWED_HOSTS": "sidecar.lan"}
    ) as up:
        yield up


@pytest.fixture
def cors(cors_edge: Edge) -> Edge:
    cors_edge.gateway.reset()
    cors_edge.gateway.on("*", "*", answer(200, b"done"))
    return cors_edge


@pytest.fixture(autouse=True)
def script(gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"done"))


def body_of(method: str) -> bytes | None:
    return b"{}" if method in ("POST", "PUT", "PATCH") else None


@pytest.mark.parametrize(("method", "target"), CHANGES)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "invented", ""])
def test_another_site_changes_nothing(
    method: str, target: str, site: str, edge: Edge, gateway: ScriptedGateway
) -> None:
    for origin in ((), (("Origin", "https://evil.example"),), (("Origin", OURS),), (("Origin", "null"),)):
        headers = (("Sec-Fetch-Site", site), *origin)
        reply = edge.send(method, target, headers=headers, body=body_of(method))
        assert_envelope(reply, 403, "forbidden", naming="BEZANT_CORS_ORIGINS")
    assert gateway.arrivals == []


@pytest.mark.parametrize(("method", "target"), [*CHANGES[:7], *READS, *LOGIN])
@pytest.mark.parametrize("site", ["same-origin", "none", None])
def test_our_own_pages_and_programs_may(method: str, target: str, site: str | None, edge: Edge) -> None:
    headers = () if site is None else (("Sec-Fetch-Site", site), ("Origin", "http://127.0.0.1:8080"))
    assert edge.send(method, target, headers=headers, body=body_of(method)).status == 200


@pytest.mark.parametrize(("method", "target"), [*CHANGES[:4], *CHANGES[6:8]])
def test_a_browser_that_names_no_site(method: str, target: str, cors: Edge) -> None:
    """It trusts neither http://sidecar.lan nor, in its older versions, anybody: Origin alone tells the sender."""

    def status(origin: str) -> int:
        return cors.send(
            method, target, headers=(("Origin", origin),), body=body_of(method), host="sidecar.lan:8080"
        ).status

    for foreign in ("https://evil.example", "null", "http://sidecar.lan", "http://localhost:8080"):
        assert status(foreign) == 403
    assert cors.gateway.arrivals == []
    for own in ("http://sidecar.lan:8080", OURS, cors.gateway.origin):
        assert status(own) == 200
    forged = (("Origin", "https://evil.example"), ("X-Bezant-Host", "evil.example"))
    assert cors.send(method, target, headers=forged, body=body_of(method)).status == 403


@pytest.mark.parametrize(("method", "target"), [*READS, *LOGIN])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_read_and_log_in(method: str, target: str, site: str, edge: Edge) -> None:
    """IBKR's login pages post across sites; what is read, the browser keeps from the other site's page."""
    reply = edge.send(method, target, headers=(("Sec-Fetch-Site", site), ("Origin", "https://evil.example")))
    assert reply.status == 200
    assert not [name for name in reply.names() if name.startswith("access-control-")]


@pytest.mark.parametrize(("method", "target"), CHANGES[:7])
def test_an_origin_that_is_listed_may_change_state(method: str, target: str, cors: Edge) -> None:
    def status(origin: str) -> int:
        headers = (("Sec-Fetch-Site", "cross-site"), ("Origin", origin))
        return cors.send(method, target, headers=headers, body=body_of(method)).status

    assert (status(OURS), status("http://localhost:3000")) == (200, 200)
    for other in ("https://evil.example", "https://app.example.evil", "http://app.example", "null", "", f"{OURS}:8443"):
        assert status(other) == 403
    assert len(cors.gateway.arrivals) == 2


def test_a_preflight_of_a_listed_origin(cors: Edge) -> None:
    reply = cors.send(
        "OPTIONS",
        "/accounts/DU1/orders",
        headers=(
            ("Origin", OURS),
            ("Sec-Fetch-Site", "cross-site"),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type"),
        ),
    )
    assert (reply.status, reply.header("access-control-allow-origin")) == (200, OURS)
    assert "POST" in (reply.header("access-control-allow-methods") or "")
    assert "content-type" in (reply.header("access-control-allow-headers") or "")
    assert reply.header("access-control-allow-credentials") is None
    assert cors.gateway.arrivals == []


def test_answers_to_a_listed_origin_may_be_read(cors: Edge) -> None:
    for target in ("/accounts", "/v1/api/x", "/contracts/search"):
        reply = cors.get(target, headers=(("Origin", OURS),))
        assert reply.all("access-control-allow-origin") == [OURS]
        assert "x-request-id" in (reply.header("access-control-expose-headers") or "")


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_nobody_else_gets_cors_headers(method: str, cors: Edge, edge: Edge) -> None:
    preflight = (("Access-Control-Request-Method", "POST"),) if method == "OPTIONS" else ()
    for running, origin in (
        (cors, "https://evil.example"),
        (cors, "null"),
        (edge, OURS),
        (edge, "https://evil.example"),
    ):
        reply = running.send(method, "/accounts", headers=(("Origin", origin), *preflight))
        assert not [name for name in reply.names() if name.startswith("access-control-")]


HOSTS = ("127.0.0.1", "127.0.0.1:{port}", "127.0.0.1:1", "localhost", "localhost:{port}", "LOCALHOST", "[::1]:{port}")
FOREIGN = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "localhost.evil.example:{port}",
    "evil.example:127.0.0.1",
    "127.0.0.2",
    "0.0.0.0:{port}",
    "sidecar.lan.evil.example",
    "169.254.169.254",
)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_ours(host: str, edge: Edge) -> None:
    assert edge.send("GET", "/accounts", host=host.format(port=edge.port)).status == 200


@pytest.mark.parametrize("host", [*FOREIGN, "sidecar.lan"])
@pytest.mark.parametrize("target", ["/accounts", "/v1/api/x", "/sso/Login", "/health", "/events/orders", "/debug/jar"])
def test_a_host_that_is_not_ours(host: str, target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    """DNS rebinding: the page's own name points at 127.0.0.1, so that for the browser it is the same origin."""
    host = host.format(port=edge.port)
    headers = (("Sec-Fetch-Site", "same-origin"), ("Origin", f"http://{host}"), ("X-Forwarded-Host", "localhost"))
    for method in ("GET", "POST"):
        reply = edge.send(method, target, headers=headers, host=host, body=body_of(method))
        assert_envelope(reply, 403, "forbidden", naming="BEZANT_ALLOWED_HOSTS")
    assert gateway.arrivals == []


def test_a_host_that_is_allowed(cors: Edge) -> None:
    for host in ("sidecar.lan", "sidecar.lan:8080", "Sidecar.LAN", "localhost"):
        assert cors.send("GET", "/accounts", host=host).status == 200
    for host in ("evil.example", "a.sidecar.lan", "sidecar.lan.evil.example"):
        assert_envelope(cors.send("GET", "/accounts", host=host), 403, "forbidden")


def test_the_bind_address_is_ours(run_edge: RunEdge) -> None:
    """127.0.0.2 is loopback as well, and no name of ours unless it is what we listen on."""
    with run_edge({}, host="127.0.0.2") as running:
        running.gateway.on("*", "*", answer(200, b"done"))
        assert running.send("GET", "/accounts", host="127.0.0.2").status == 200
        assert running.send("GET", "/accounts", host=f"127.0.0.2:{running.port}").status == 200
        assert running.send("GET", "/accounts", host="evil.example").status == 403


def test_no_host(edge: Edge, gateway: ScriptedGateway) -> None:
    assert_envelope(edge.send("GET", "/accounts", host=""), 400, "bad_request")
    with edge.connect() as connection:
        connection.write(b"GET /accounts HTTP/1.1\r\nHost: \r\n\r\n")
        assert connection.read().status in (400, 403)
    with edge.connect() as connection:
        connection.write(b"GET /accounts HTTP/1.0\r\n\r\n")
        assert connection.read().status in (400, 403)
    assert gateway.arrivals == []


def test_two_hosts(edge: Edge, gateway: ScriptedGateway) -> None:
    for hosts in (("evil.example", "localhost"), ("localhost", "evil.example")):
        reply = edge.send("GET", "/accounts", host=hosts[0], headers=(("Host", hosts[1]),))
        assert reply.status in (400, 403)
    assert gateway.arrivals == []


def test_an_absolute_target_names_the_host(edge: Edge, gateway: ScriptedGateway) -> None:
    """RFC 9112, section 3.2.2: Host is then ignored."""
    assert edge.send("GET", "http://localhost/accounts", host="evil.example").status == 200
    gateway.arrivals.clear()
    assert_envelope(edge.send("GET", "http://evil.example/accounts", host="localhost"), 403, "forbidden")
    assert gateway.arrivals == []
