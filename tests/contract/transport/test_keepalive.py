"""The heartbeat: it goes on whatever happens, and says what happened once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from bezant_server.cpapi.client import CpapiClient
from bezant_server.session.keepalive import Keepalive
from tests.support.scripted_gateway import CLOSE, ScriptedGateway, answer, json_answer

TICKLE = ("POST", "/v1/api/tickle")


@contextlib.asynccontextmanager
async def tickling(client: CpapiClient, interval: float = 0.01) -> AsyncIterator[None]:
    task = asyncio.create_task(Keepalive(gateway=client, interval=interval).run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_tickle_is_an_empty_post(client: CpapiClient, gateway: ScriptedGateway) -> None:
    gateway.on(*TICKLE, json_answer({"session": "x"}))
    async with tickling(client):
        await gateway.wait_for(*TICKLE)
    tickle = gateway.received(*TICKLE)[0]
    assert tickle.header("content-length") == "0"
    assert tickle.header("origin") == gateway.origin


async def test_tickles_go_on(client: CpapiClient, gateway: ScriptedGateway) -> None:
    gateway.on(*TICKLE, json_answer({}))
    async with tickling(client):
        await gateway.wait_for(*TICKLE, 5)


async def test_the_interval_is_kept(client: CpapiClient, gateway: ScriptedGateway) -> None:
    gateway.on(*TICKLE, json_answer({}))
    gateway.on("GET", "/v1/api/other", json_answer({}))
    async with tickling(client, interval=3600):
        await gateway.wait_for(*TICKLE)
        for _ in range(20):
            await client.call("GET", "/other", changes_state=False)
    assert len(gateway.received(*TICKLE)) == 1


@pytest.mark.parametrize(
    "failure",
    [
        CLOSE,
        answer(401),
        answer(500, "<html>"),
        answer(302, headers=(("Location", "/sso/Login"),)),
        answer(200, "<html>"),
        answer(200, "[" * 100_000),
        answer(200, b"\xff\xfe"),
        answer(
            200, headers=(("Set-Cookie", "x=1; Max-Age=--1; Expires=Mon, 01 Jan 2020 00:00:00 +99999999999999999999"),)
        ),
        b"nonsense\r\n\r\n",
    ],
)
async def test_a_failure_is_survived_and_said_once(
    client: CpapiClient, gateway: ScriptedGateway, failure: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bezant_server")
    gateway.on(*TICKLE, failure)
    async with tickling(client):
        await gateway.wait_for(*TICKLE, 8)
        assert [record.getMessage() for record in caplog.records] == ["tickle failed"]

        gateway.on(*TICKLE, json_answer({}))
        await gateway.wait_for(*TICKLE, len(gateway.received(*TICKLE)) + 4)
        assert [record.getMessage() for record in caplog.records] == [
            "tickle failed",
            "the gateway answers tickles again",
        ]


async def test_a_failure_of_another_kind_is_said_again(
    client: CpapiClient, gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bezant_server")
    async with tickling(client):
        for reply in (answer(401), answer(500)):
            gateway.on(*TICKLE, reply)
            await gateway.wait_for(*TICKLE, len(gateway.received(*TICKLE)) + 4)
    assert [vars(record)["code"] for record in caplog.records] == ["not_authenticated", "upstream_status"]


async def test_the_log_holds_no_session(
    client: CpapiClient, gateway: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bezant_server")
    gateway.on(*TICKLE, answer(500, '{"session":"SECRETSESSION"}', headers=(("Set-Cookie", "api=SECRETCOOKIE"),)))
    async with tickling(client):
        await gateway.wait_for(*TICKLE, 3)
    assert "SECRET" not in "".join(str(vars(record)) for record in caplog.records)
