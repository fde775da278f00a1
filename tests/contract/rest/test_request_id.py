"""X-Request-Id: kept or made, returned, and in every log line of the request."""

from __future__ import annotations

import re

import pytest

from tests.support.edge import Edge
from tests.support.scripted_gateway import CLOSE, ScriptedGateway, answer

# A good row, a good fallback, an upstream failure, a refusal of ours, a wrong method, a disabled page, a missing page.
CALLS = (
    ("GET", "/accounts"),
    ("GET", "/v1/api/x"),
    ("POST", "/v1/api/x"),
    ("GET", "/v1/api/broken"),
    ("GET", "/contracts/search"),
    ("DELETE", "/accounts"),
    ("GET", "/events/orders"),
    ("GET", "/debug/jar"),
    ("GET", "/accounts/%FF/summary"),
)
EVERY_CALL = pytest.mark.parametrize(("method", "target"), CALLS)


@pytest.fixture(autouse=True)
def script(gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"{}"))
    gateway.on("GET", "/v1/api/broken", CLOSE)


@EVERY_CALL
def test_a_given_id_is_kept_returned_and_logged(method: str, target: str, edge: Edge) -> None:
    identity = f"test-{method}-{abs(hash(target))}"
    reply = edge.send(method, target, headers=(("X-Request-Id", identity),))
    assert reply.all("x-request-id") == [identity]
    lines = edge.wait_for_log(request_id=identity)
    assert {line["http_method"] for line in lines} == {method}
    assert {line["path"] for line in lines} == {target}


@EVERY_CALL
def test_an_id_is_made_returned_and_logged(method: str, target: str, edge: Edge) -> None:
    (identity,) = edge.send(method, target).all("x-request-id")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identity)
    assert edge.wait_for_log(request_id=identity)


@pytest.mark.parametrize(
    ("given", "returned", "logged"),
    [
        ("of two words", "of two words", "of two words"),
        ("l" * 200, "l" * 200, "l" * 128),
        ("tab\there", "tab?here", "tab?here"),
        ("umlaut\xfc", "umlaut?", "umlaut?"),
    ],
)
@pytest.mark.parametrize("target", ["/accounts", "/contracts/search"])
def test_an_odd_id_is_logged_as_it_is_returned(given: str, returned: str, logged: str, target: str, edge: Edge) -> None:
    reply = edge.get(target, headers=(("X-Request-Id", given),))
    assert reply.all("x-request-id") == [returned]
    assert edge.wait_for_log(request_id=logged, path=target)


@pytest.mark.parametrize("forged", [(), (("X-Bezant-Peer", "10.0.0.1:1"),), (("X-Forwarded-For", "10.0.0.1"),)])
def test_the_callers_address_is_logged(forged: tuple[tuple[str, str], ...], edge: Edge) -> None:
    identity = f"peer-{len(forged)}-{forged[0][0] if forged else ''}"
    with edge.connect() as connection:
        connection.write(edge.request("GET", "/accounts", headers=(("X-Request-Id", identity), *forged)))
        connection.read()
        (line,) = edge.wait_for_log(request_id=identity)
        assert line["peer"] == connection.local_address


@pytest.mark.parametrize("method", ["TRACE", "GET"])
def test_envoys_own_replies_name_it(method: str, edge: Edge) -> None:
    host = "evil.example" if method == "GET" else None
    reply = edge.send(method, "/accounts", headers=(("X-Request-Id", "kept"),), host=host)
    assert (reply.status in (403, 405), reply.all("x-request-id")) == (True, ["kept"])


def test_two_requests_have_two_ids(edge: Edge) -> None:
    first, second = (edge.get("/accounts").header("x-request-id") for _ in range(2))
    assert first != second


def test_an_id_of_the_gateway_is_not_ours(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("GET", "/v1/api/x", answer(200, b"{}", headers=(("X-Request-Id", "theirs"),)))
    assert edge.get("/v1/api/x", headers=(("X-Request-Id", "mine"),)).all("x-request-id") == ["mine"]


def test_no_secret_is_logged(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b'{"session":"body-secret"}', headers=(("Set-Cookie", "a=set-secret"),)))
    for target in ("/v1/api/x?token=query-secret", "/accounts?token=query-secret", "/debug/jar?token=query-secret"):
        edge.get(
            target,
            headers=(
                ("X-Request-Id", "secrets"),
                ("Cookie", "b=cookie-secret; c=umlaut-secret\xfc"),
                ("Authorization", "Bearer auth-secret"),
                ("X-Bezant-Debug-Token", "debug-secret"),
            ),
        )
    edge.wait_for_log(request_id="secrets", path="/debug/jar")
    assert "-secret" not in edge.server_log.read_text(encoding="utf-8")
