"""The edge: headers, methods, what is refused before any handler sees it."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from tests.paper.client import PaperClient
from tests.support.paper import PaperGateway


async def raw(paper: PaperGateway, request: str) -> bytes:
    """Send bytes of our own making; the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", paper.port, ssl=paper.ssl_context())
    writer.write(request.replace("\n", "\r\n").encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_headers_of_an_answer(client: PaperClient) -> None:
    answer = await client.call("GET", "/iserver/auth/status")
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert answer.headers["Cache-Control"] == "max-age=0,no-cache,no-store"
    assert answer.headers["Vary"] == "origin"
    assert answer.headers["x-response-time"].endswith("ms")
    assert "Server" not in answer.headers


async def test_the_old_prefix_serves_the_same(client: PaperClient) -> None:
    answer = await client.call("GET", "//v1/portal/iserver/auth/status")
    assert answer.json["authenticated"] is True


async def test_unknown_routes_and_wrong_methods(client: PaperClient) -> None:
    unknown = await client.call("GET", "/no/such/route")
    assert (unknown.status, unknown.json) == (404, {"error": "Not Found", "statusCode": 404})
    assert (await client.call("PUT", "/iserver/accounts", headers={"Origin": client.paper.origin})).status == 405
    head = await client.call("HEAD", "/iserver/auth/status")
    assert (head.status, head.body) == (200, b"")


async def test_a_post_needs_its_length(paper: PaperGateway) -> None:
    head = "POST /v1/api/tickle HTTP/1.1\nHost: localhost\nUser-Agent: t\nConnection: close\n"
    assert (await raw(paper, f"{head}\n")).startswith(b"HTTP/1.1 411")
    assert (await raw(paper, f"{head}Transfer-Encoding: chunked\n\n0\n\n")).startswith(b"HTTP/1.1 411")
    assert (await raw(paper, f"{head}Content-Length: 0\n\n")).startswith(b"HTTP/1.1 200")


async def test_a_user_agent_is_needed(paper: PaperGateway) -> None:
    answer = await raw(paper, "GET /v1/api/tickle HTTP/1.1\nHost: localhost\nConnection: close\n\n")
    assert answer.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("header", ["Origin", "Referer"])
async def test_a_foreign_origin_is_refused_on_posts_only(client: PaperClient, header: str) -> None:
    foreign = {header: "http://127.0.0.1:8080/somewhere"}
    own = {header: client.paper.origin + "/sso"}
    assert (await client.call("POST", "/tickle", headers=foreign)).status == 401
    assert (await client.call("POST", "/tickle", headers=own)).status == 200
    assert (await client.call("GET", "/tickle", headers=foreign)).status == 200


async def test_only_its_own_authority_vouches_for_it(paper: PaperGateway) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", paper.port, ssl=ssl.create_default_context())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/iserver/marketdata/unsubscribe", {"conid": [1]}, 500),
        ("/iserver/account", {"acctId": {"a": 1}}, 400),
        ("/portfolio/allocation", {"acctIds": 5}, 400),
        ("/iserver/questions/suppress", {"messageIds": [1]}, 500),
        ("/iserver/contract/rules", {"conid": "x"}, 400),
        ("/iserver/secdef/search", [], 400),
        ("/iserver/reply/nobody", {"confirmed": "yes"}, 400),
    ],
)
async def test_nonsense_is_an_error_of_ours(client: PaperClient, path: str, body: Any, status: int) -> None:
    await client.prime()
    answer = await client.call("POST", path, json=body)
    assert answer.status == status
    assert answer.json["error"]
    assert "Traceback" not in client.paper.log
