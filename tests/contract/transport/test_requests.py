"""What the gateway receives: method, target, headers, body and cookies."""

from __future__ import annotations

import pytest

from bezant_server.cpapi.client import CpapiClient, segment
from bezant_server.cpapi.messages import UpstreamRequest
from tests.contract.transport.conftest import open_client
from tests.support.scripted_gateway import Arrival, ScriptedGateway, answer, json_answer

both = pytest.mark.parametrize("changes_state", [True, False], ids=["change", "read"])


async def sent(client: CpapiClient, gateway: ScriptedGateway, request: UpstreamRequest) -> Arrival:
    await client.exchange(request)
    return gateway.arrivals[-1]


@both
async def test_a_call_of_our_own_speaks_as_the_gateways_own_page(
    client: CpapiClient, gateway: ScriptedGateway, changes_state: bool
) -> None:
    await client.call("POST", "/iserver/auth/status", changes_state=changes_state)

    arrival = gateway.arrivals[-1]
    assert dict(arrival.headers) == {
        "host": f"127.0.0.1:{gateway.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "bezant-grpc",
        "origin": gateway.origin,
        "referer": f"{gateway.origin}/",
        "content-length": "0",
    }
    assert len(arrival.headers) == 7


@both
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_an_empty_body_has_a_length(
    client: CpapiClient, gateway: ScriptedGateway, method: str, changes_state: bool
) -> None:
    arrival = await sent(client, gateway, UpstreamRequest(method, "/x", changes_state=changes_state))
    assert arrival.all("content-length") == ["0"]
    assert arrival.header("transfer-encoding") is None


@pytest.mark.parametrize(
    ("method", "changes_state"), [("GET", True), ("GET", False), ("HEAD", False), ("OPTIONS", False), ("DELETE", True)]
)
async def test_no_body_has_no_length(
    client: CpapiClient, gateway: ScriptedGateway, method: str, changes_state: bool
) -> None:
    arrival = await sent(client, gateway, UpstreamRequest(method, "/x", changes_state=changes_state))
    assert arrival.header("content-length") is None
    assert arrival.header("transfer-encoding") is None


@both
@pytest.mark.parametrize("body", [b'{"a": 1.10,  "a": 2}', bytes(range(256)), b"x" * 300_000])
async def test_a_body_arrives_as_it_is(
    client: CpapiClient, gateway: ScriptedGateway, body: bytes, changes_state: bool
) -> None:
    arrival = await sent(client, gateway, UpstreamRequest("POST", "/x", body=body, changes_state=changes_state))
    assert arrival.body == body
    assert arrival.all("content-length") == [str(len(body))]


@both
async def test_nothing_is_added_to_a_callers_headers(
    client: CpapiClient, gateway: ScriptedGateway, changes_state: bool
) -> None:
    """A browser that accepts no compression must not get any because of a default of ours."""
    request = UpstreamRequest("GET", "/x", headers=(("x-own", "1"),), changes_state=changes_state)
    arrival = await sent(client, gateway, request)
    assert sorted(name for name, _ in arrival.headers) == ["host", "x-own"]


TARGETS = [
    "/",
    "//double//slashes/",
    "/a/./b/../c",
    "/a%2Fb%2f%3F%23",
    "/%e4%B8%AD?q=%E4",
    "/a|b^c`d{e}",
    '/quotes"<>\\',
    "/x?a=1&a=2&&b=&c",
    "/x?a=b?c=d/../e",
    "/x?",
    "/x?a+b=c+d%20e;f",
    "/x?q='(*)!$,:@",
    "/x?[]=1",
    "/%",
    "/%zz",
    "/x;jsessionid=1",
    "/@evil.example/",
    "/:80/",
]


@both
@pytest.mark.parametrize("target", TARGETS)
async def test_a_target_arrives_as_it_is_spelled(
    client: CpapiClient, gateway: ScriptedGateway, target: str, changes_state: bool
) -> None:
    arrival = await sent(client, gateway, UpstreamRequest("GET", target, changes_state=changes_state))
    assert arrival.target == target


@pytest.mark.parametrize("value", ["DU1", "..", "../x", "a/b", "a?b", "a#b", "a%2Fb", "ü", "a b", ";", "\n"])
async def test_a_segment_stays_one(client: CpapiClient, gateway: ScriptedGateway, value: str) -> None:
    await client.call("POST", f"/account/{segment(value)}/orders")
    path = gateway.arrivals[-1].target
    assert path.startswith("/v1/api/account/")
    assert path.endswith("/orders")
    assert path.count("/") == 5


async def test_query_pairs_are_encoded(client: CpapiClient, gateway: ScriptedGateway) -> None:
    await client.call("GET", "/x", query=(("conids", "1,2@NYSE"), ("q", "a&b=c d")), changes_state=False)
    assert gateway.arrivals[-1].target == "/v1/api/x?conids=1,2@NYSE&q=a%26b%3Dc%20d"


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    client: CpapiClient, gateway: ScriptedGateway, status: int, changes_state: bool
) -> None:
    gateway.on("GET", "/v1/api/x", answer(status, headers=(("Location", f"{gateway.origin}/sso/Login"),)))
    response = await client.call("GET", "/x", changes_state=changes_state)
    assert response.status == status
    assert response.header("location") == f"{gateway.origin}/sso/Login"
    assert len(gateway.arrivals) == 1


@both
async def test_cookies_are_learned_and_sent_as_one_header(
    client: CpapiClient, gateway: ScriptedGateway, changes_state: bool
) -> None:
    gateway.on(
        "POST",
        "/v1/api/x",
        answer(
            200,
            headers=(
                ("Set-Cookie", "a=1; Path=/; Secure"),
                ("Set-Cookie", "b=2; Path=/sso"),
                ("Set-Cookie", "a=3; Path=/v1; Domain=ibkr.example"),
            ),
        ),
    )
    response = await client.call("POST", "/x", changes_state=changes_state)
    assert len(response.all("set-cookie")) == 3

    for later in (True, False):
        await client.call("POST", "/y", changes_state=later)
        assert gateway.arrivals[-1].all("cookie") == ["a=3; b=2"]


@both
async def test_an_expired_cookie_is_forgotten(
    client: CpapiClient, gateway: ScriptedGateway, changes_state: bool
) -> None:
    gateway.on("POST", "/v1/api/in", answer(200, headers=(("Set-Cookie", "a=1"),)))
    gateway.on("POST", "/v1/api/out", answer(200, headers=(("Set-Cookie", "a=; Max-Age=0"),)))
    await client.call("POST", "/in", changes_state=changes_state)
    await client.call("POST", "/out", changes_state=changes_state)
    await client.call("POST", "/y", changes_state=changes_state)
    assert gateway.arrivals[-1].header("cookie") is None


@both
@pytest.mark.parametrize("value", ["caf\xe9", "a\tb", "\xb2"])
async def test_a_cookie_that_no_header_can_carry_does_no_harm(
    client: CpapiClient, gateway: ScriptedGateway, value: str, changes_state: bool
) -> None:
    headers = (("Set-Cookie", f"odd={value}; Max-Age={value}"), ("Set-Cookie", "good=1"))
    gateway.on("POST", "/v1/api/x", answer(200, headers=headers))
    await client.call("POST", "/x", changes_state=changes_state)
    await client.call("POST", "/y", changes_state=changes_state)
    assert gateway.arrivals[-1].header("cookie") == "good=1"


@both
async def test_an_answer_comes_as_it_is(client: CpapiClient, gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on(
        "GET",
        "/v1/api/x",
        answer(418, b"\x1f\x8bnot really gzip", headers=(("Content-Encoding", "gzip"), ("X-A", "1"), ("x-a", "2"))),
    )
    response = await client.call("GET", "/x", changes_state=changes_state)
    assert response.status == 418
    assert response.body == b"\x1f\x8bnot really gzip"
    assert response.all("x-a") == ["1", "2"]


@both
async def test_interim_answers_are_skipped(client: CpapiClient, gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on("GET", "/v1/api/x", b"HTTP/1.1 103 Early Hints\r\n\r\n" + json_answer({"final": True}))
    response = await client.call("GET", "/x", changes_state=changes_state)
    assert (response.status, response.body) == (200, b'{"final": true}')


@both
async def test_connections_are_kept_alive(gateway: ScriptedGateway, changes_state: bool) -> None:
    gateway.on("GET", "/v1/api/x", json_answer({}))
    async with open_client(gateway.url) as client:
        for _ in range(5):
            await client.call("GET", "/x", changes_state=changes_state)
        assert gateway.connections_accepted == 1
