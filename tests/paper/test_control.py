"""The control endpoint: faults, absences, restarts, and the record of requests."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from tests.paper.client import AAPL, ACCOUNT, PaperClient, an_order
from tests.support.paper import ControlError, PaperGateway

STATUS = "/iserver/auth/status"


async def fault(client: PaperClient, **body: Any) -> None:
    await client.paper.acontrol("/faults", {"path": STATUS, **body})


@pytest.mark.parametrize(
    ("body", "status", "content_type", "content"),
    [
        ({"status": 500, "body": '{"error":"x"}'}, 500, "application/json;charset=utf-8", b'{"error":"x"}'),
        ({"status": 429}, 429, "application/json;charset=utf-8", b""),
        ({"body": "{nonsense"}, 200, "application/json;charset=utf-8", b"{nonsense"),
        ({"status": 503, "body": "busy", "content_type": "text/plain"}, 503, "text/plain", b"busy"),
    ],
)
async def test_answers_can_be_replaced(
    client: PaperClient, body: dict[str, Any], status: int, content_type: str, content: bytes
) -> None:
    await fault(client, **body)
    answer = await client.call("GET", STATUS)
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (status, content_type, content)


async def test_html_where_json_is_due(client: PaperClient) -> None:
    await fault(client, status=503, html=True, headers={"Retry-After": "7"})
    answer = await client.call("GET", STATUS)
    assert (answer.status, answer.headers["Content-Type"]) == (503, "text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert answer.headers["Retry-After"] == "7"


async def test_faults_choose_method_path_and_number(client: PaperClient) -> None:
    await client.paper.acontrol("/faults", {"path": "/portfolio/", "method": "get", "status": 500, "times": 2})
    assert (await client.call("GET", STATUS)).status == 200
    assert (await client.call("POST", f"/portfolio/{ACCOUNT}/positions/invalidate")).status == 503
    assert [(await client.call("GET", "/portfolio/accounts")).status for _ in range(3)] == [500, 500, 200]
    await client.paper.acontrol("/faults", {"path": r"auth/sta\w+$", "status": 502})
    assert (await client.call("GET", STATUS)).status == 502
    await client.paper.acontrol("/faults", method="DELETE")
    assert (await client.call("GET", STATUS)).status == 200


async def test_answers_can_be_delayed(client: PaperClient) -> None:
    await fault(client, delay_seconds=0.5, times=1)
    begin = time.monotonic()
    assert (await client.call("GET", STATUS)).json["authenticated"] is True
    assert time.monotonic() - begin >= 0.5


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_connection_can_be_closed_on_receipt(client: PaperClient, method: str) -> None:
    await client.call("GET", STATUS)
    await client.paper.acontrol("/requests", method="DELETE")
    await fault(client, close=True)
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        async with asyncio.timeout(10):
            await client.call("POST" if method == "POST" else "GET", STATUS)
    assert client.paper.requests()["counts"][f"{method} /v1/api{STATUS}"] >= 1
    assert "Traceback" not in client.paper.log


async def test_answers_can_be_cut_in_the_middle(client: PaperClient) -> None:
    await fault(client, truncate=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.call("GET", STATUS)
    assert "Traceback" not in client.paper.log


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {}),
        ("/faults", {"path": "("}),
        ("/faults", {"path": "/x", "status": 99}),
        ("/faults", {"path": "/x", "staus": 500}),
        ("/faults", {"path": "/x", "times": 0}),
        ("/faults", {"path": "/x", "delay_seconds": "long"}),
        ("/clock/advance", {}),
        ("/clock/advance", {"seconds": -1}),
        ("/quotes", {"conid": 1, "bid": 1, "ask": 2}),
        ("/quotes", {"conid": 265598, "bid": 2, "ask": 1}),
        ("/orders", {}),
        ("/orders", {"acctId": ACCOUNT, "conid": 265598, "side": "BUY", "orderType": "MKT", "tif": "DAY"}),
        ("/orders", {"acctId": "DU1", "conid": 265598, "side": "BUY", "orderType": "MKT", "tif": "DAY", "quantity": 1}),
        ("/session/expire", {"layer": "all"}),
        ("/session/unauthorized", {"answer": "200"}),
        ("/socket/silence", {}),
        ("/socket/frame", {}),
    ],
)
async def test_nonsense_is_explained(paper: PaperGateway, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        await paper.acontrol(path, body)


async def test_going_away_and_coming_back(client: PaperClient) -> None:
    session = await client.session_id()
    await client.paper.acontrol("/gateway/away", {"seconds": 0.5})
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.call("GET", STATUS)
    async with asyncio.timeout(15):
        while True:
            try:
                assert await client.session_id() == session
                return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def test_a_restart_changes_session_and_cookies(client: PaperClient) -> None:
    before = await client.call("POST", "/tickle")
    async with await client.greeted() as socket:
        await client.paper.acontrol("/gateway/restart")
        assert await socket.closed()
    after = await client.call("POST", "/tickle")
    assert before.json["session"] != after.json["session"]
    assert before.headers["Set-Cookie"] != after.headers["Set-Cookie"]


async def test_sockets_can_be_dropped_and_silenced(client: PaperClient) -> None:
    async with await client.greeted() as socket:
        await client.paper.acontrol("/socket/silence", {"on": True})
        await client.paper.acontrol("/clock/advance", {"seconds": 60, "keep_alive": True})
        await socket.send("ech+hb")
        await client.paper.acontrol("/socket/silence", {"on": False})
        await client.paper.acontrol("/clock/advance", {"seconds": 10, "keep_alive": True})
        assert "hb" in await socket.frame()
        assert await client.paper.acontrol("/socket/drop") == {"sockets": 1}
        assert await socket.closed()


@pytest.mark.parametrize("frame", ["{nonsense", {"topic": "ntf", "args": {"id": "n1"}}, "x" * 2_000_000])
@pytest.mark.parametrize("binary", [True, False])
async def test_frames_can_be_injected(client: PaperClient, frame: Any, *, binary: bool) -> None:
    async with await client.connect() as socket:
        await socket.topic("sts")
        sent = frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":"))
        await client.paper.acontrol("/socket/frame", {"frame": frame, "binary": binary})
        assert await socket.message() == (sent.encode() if binary else sent)


async def test_the_record_of_requests(client: PaperClient) -> None:
    await client.call("GET", f"{STATUS}?a=1&b=%2F", headers={"Cookie": "secret=value", "X-Request-Id": "r1"})
    report = client.paper.requests()
    assert (report["total"], report["counts"]) == (1, {f"GET /v1/api{STATUS}": 1})
    seen = report["recent"][0]
    assert (seen["query"], seen["headers"]["x-request-id"], seen["cookie_names"]) == ("a=1&b=%2F", "r1", ["secret"])
    assert "value" not in json.dumps(report)
    await client.paper.acontrol("/requests", method="DELETE")
    assert client.paper.requests()["total"] == 0


async def test_an_order_can_be_entered_elsewhere(client: PaperClient) -> None:
    await client.prime()
    await client.pin(AAPL, 199.99, 200.01, 200.0)
    # A market order, about which the API would ask.
    entered = await client.paper.acontrol("/orders", an_order(acctId=ACCOUNT, orderType="MKT", price=None))
    resting = await client.paper.acontrol("/orders", an_order(acctId=ACCOUNT, price=150.0, quantity=3))
    assert entered["order_id"] != resting["order_id"]
    await client.paper.acontrol("/clock/advance", {"seconds": 5, "keep_alive": True})
    await client.get("/iserver/account/orders?force=true")
    listed = (await client.get("/iserver/account/orders"))["orders"]
    rows = {row["orderId"]: row for row in listed}
    assert (rows[resting["order_id"]]["status"], rows[resting["order_id"]]["remainingQuantity"]) == ("Submitted", 3)
    assert rows[entered["order_id"]]["status"] == "Filled"
    assert (await client.paper.acontrol("/state", method="GET"))["open_question"] is False
