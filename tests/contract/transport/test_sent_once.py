"""How often a request arrives when its connection breaks.

An order that arrives twice is two orders. So a gateway here closes the connection when it has received a request, on
a connection that served one before, and what arrived is counted.
"""

from __future__ import annotations

import asyncio

import pytest

from bezant_server.cpapi.client import CpapiClient
from bezant_server.cpapi.messages import UpstreamRequest
from bezant_server.errors import UpstreamHttpError, UpstreamTimeout
from tests.contract.transport.conftest import open_client
from tests.support.scripted_gateway import CLOSE, Arrival, ScriptedGateway, answer, json_answer

CHANGES = ("POST", "PUT", "PATCH", "DELETE", "GET")
READS = ("GET", "HEAD", "OPTIONS")


async def warm(client: CpapiClient, gateway: ScriptedGateway, *, changes_state: bool) -> None:
    """Leave a kept-alive connection behind on the transport in question."""
    gateway.on("GET", "/v1/api/warm", json_answer({}))
    await client.call("GET", "/warm", changes_state=changes_state)


@pytest.mark.parametrize("method", CHANGES)
@pytest.mark.parametrize("kept_alive", [True, False])
async def test_a_change_arrives_exactly_once(
    client: CpapiClient, gateway: ScriptedGateway, method: str, kept_alive: bool
) -> None:
    gateway.on(method, "/v1/api/order", CLOSE)
    if kept_alive:
        await warm(client, gateway, changes_state=True)

    with pytest.raises(UpstreamHttpError, match="outcome is unknown"):
        await client.call(method, "/order", body=b"{}" if method != "GET" else None)

    assert len(gateway.received(method, "/v1/api/order")) == 1


@pytest.mark.parametrize("method", CHANGES)
async def test_a_change_whose_answer_is_cut_arrives_once(
    client: CpapiClient, gateway: ScriptedGateway, method: str
) -> None:
    gateway.on(method, "/v1/api/order", answer(200, b"half", length=100, headers=(("Connection", "close"),)))
    await warm(client, gateway, changes_state=True)

    with pytest.raises(UpstreamHttpError, match="outcome is unknown"):
        await client.call(method, "/order", body=b"{}" if method != "GET" else None)

    assert len(gateway.received(method, "/v1/api/order")) == 1


@pytest.mark.parametrize("method", CHANGES)
async def test_a_change_that_is_never_answered_arrives_once(gateway: ScriptedGateway, method: str) -> None:
    async def never(_: Arrival) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    gateway.on(method, "/v1/api/order", never)
    async with open_client(gateway.url, request_timeout=0.3) as client:
        with pytest.raises(UpstreamTimeout, match="outcome is unknown"):
            await client.call(method, "/order")

    assert len(gateway.received(method, "/v1/api/order")) == 1


@pytest.mark.parametrize("method", READS)
async def test_a_read_arrives_twice_at_most(client: CpapiClient, gateway: ScriptedGateway, method: str) -> None:
    gateway.on(method, "/v1/api/read", CLOSE)
    await warm(client, gateway, changes_state=False)

    with pytest.raises(UpstreamHttpError) as caught:
        await client.call(method, "/read", changes_state=False)

    assert 1 <= len(gateway.received(method, "/v1/api/read")) <= 2
    assert "outcome" not in caught.value.message


async def test_a_post_that_reads_arrives_twice_at_most(client: CpapiClient, gateway: ScriptedGateway) -> None:
    gateway.on("POST", "/v1/api/iserver/auth/status", CLOSE)
    await warm(client, gateway, changes_state=False)

    with pytest.raises(UpstreamHttpError):
        await client.call("POST", "/iserver/auth/status", changes_state=False)

    assert 1 <= len(gateway.received("POST", "/v1/api/iserver/auth/status")) <= 2


@pytest.mark.parametrize("method", [*READS, "POST"])
async def test_a_read_survives_one_dead_connection(client: CpapiClient, gateway: ScriptedGateway, method: str) -> None:
    answers = iter([CLOSE, json_answer({"whole": True})])
    gateway.on(method, "/v1/api/read", lambda _: next(answers))
    await warm(client, gateway, changes_state=False)

    response = await client.call(method, "/read", changes_state=False)

    assert response.status == 200


@pytest.mark.parametrize("changes_state", [True, False])
async def test_a_connection_closed_while_idle_is_not_used(
    client: CpapiClient, gateway: ScriptedGateway, changes_state: bool
) -> None:
    """The gateway may close a connection between two calls; the next call must not suffer for it."""
    gateway.on("POST", "/v1/api/order", json_answer({}))
    await warm(client, gateway, changes_state=changes_state)
    gateway.drop_connections()
    await gateway.wait_until_closed()

    response = await client.call("POST", "/order", changes_state=changes_state)

    assert response.status == 200
    assert len(gateway.received("POST", "/v1/api/order")) == 1


async def test_a_read_that_aiohttp_would_respell_goes_the_way_that_sends_once(
    client: CpapiClient, gateway: ScriptedGateway
) -> None:
    """aiohttp loses the question mark of an empty query."""
    gateway.on("GET", "/v1/api/a", CLOSE)
    await warm(client, gateway, changes_state=False)
    await warm(client, gateway, changes_state=True)

    with pytest.raises(UpstreamHttpError):
        await client.exchange(UpstreamRequest("GET", "/v1/api/a?", changes_state=False))

    assert [arrival.target for arrival in gateway.received("GET", "/v1/api/a")] == ["/v1/api/a?"]
