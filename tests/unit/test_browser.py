"""The guard against other web sites."""

from __future__ import annotations

import pytest

from bezant_server.errors import Forbidden
from bezant_server.rpc.browser import check_origin
from bezant_server.rpc.call import Call, HttpRequest

ALLOWED = frozenset({"https://mine.example"})


def guard(method: str, target: str, site: str | None, origin: str | None = None, host: str | None = None) -> None:
    given = {"sec-fetch-site": site, "origin": origin, "x-bezant-host": host}
    headers = {name: value for name, value in given.items() if value is not None}
    http = HttpRequest(method, target)
    call = Call("/x", "id", headers, tuple(headers.items()), http, through_envoy=True, peer="127.0.0.1:1")
    check_origin(call, cors_origins=ALLOWED, gateway_origin="https://localhost:5000")


def refused(method: str, target: str, site: str | None, origin: str | None = None, host: str | None = None) -> bool:
    try:
        guard(method, target, site, origin, host)
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "nonsense"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_sites_change_nothing(method: str, site: str) -> None:
    assert refused(method, "/v1/api/x", site)
    assert refused(method, "/accounts/DU1/orders", site)


@pytest.mark.parametrize("site", ["same-origin", "none", None])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_our_own_pages_and_programs_may(method: str, site: str | None) -> None:
    assert not refused(method, "/v1/api/x", site)


def test_a_listed_origin_may() -> None:
    assert not refused("POST", "/v1/api/x", "cross-site", "https://mine.example")
    assert refused("POST", "/v1/api/x", "cross-site", "https://mine.example.evil.example")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "trader.lan:8080",
        "http://trader.lan",
        "http://trader.lan:8081",
        "http://trader.lan:8080.evil.example",
        "http://evil.example/trader.lan:8080",
    ],
)
def test_without_a_site_the_origin_tells(origin: str) -> None:
    """Browsers send Sec-Fetch-Site to addresses that they trust alone, and http://trader.lan:8080 is none."""
    host = "trader.lan:8080"
    assert refused("POST", "/accounts/DU1/orders", None, origin, host)
    assert refused("GET", "/v1/api/logout", None, origin, host)
    assert not refused("GET", "/accounts", None, origin, host)
    assert not refused("POST", "/sso/Authenticator", None, origin, host)


@pytest.mark.parametrize(
    "origin",
    ["http://trader.lan:8080", "https://TRADER.lan:8080", "https://mine.example", "https://localhost:5000", None],
)
def test_without_a_site_our_own_origin_may(origin: str | None) -> None:
    assert not refused("POST", "/accounts/DU1/orders", None, origin, "trader.lan:8080")


def test_without_a_host_no_origin_is_ours() -> None:
    assert refused("POST", "/v1/api/x", None, "http://trader.lan:8080")
    assert refused("POST", "/v1/api/x", None, "null", "")


def test_reads_and_the_login_are_free() -> None:
    assert not refused("GET", "/accounts", "cross-site")
    assert not refused("POST", "/sso/Authenticator", "cross-site")


@pytest.mark.parametrize(
    "target",
    [
        "/v1/api/logout",
        "/v1/api/logout/",
        "/v1/api/logout?x=1",
        "/v1/api/LOGOUT",
        "/v1/api/log%6Fut",
        "/v1/api/logout;x",
        "/v1/api/tickle",
        "/v1/api/iserver/auth/ssodh/init",
        "/v1/api/iserver/marketdata/unsubscribeall",
        "/sso/../v1/api/logout",
        "/sso/..%2Fv1/api/logout",
        "/sso/%2e%2e/v1/api/logout",
        "/sso/%252e%252e/v1/api/logout",
        "/sso/..\\v1\\api\\logout",
        "/sso/%25252525252e%2e/v1/api/logout",
    ],
)
def test_a_get_that_does_something_is_refused(target: str) -> None:
    assert refused("GET", target, "cross-site")


@pytest.mark.parametrize("target", ["/sso/../v1/api/x", "/sso/..%2Fv1/api/iserver/account/DU1/orders", "/ssox/y"])
def test_the_login_is_no_way_around(target: str) -> None:
    assert refused("POST", target, "cross-site")


def test_a_path_that_is_encoded_endlessly_is_refused() -> None:
    assert refused("GET", "/sso/%" + "25" * 29_000, "cross-site")
