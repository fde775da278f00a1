"""What callers see of pacing, through Envoy and over gRPC."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc.aio
import pytest
from grpc.aio import AioRpcError

from bezant.v1 import sidecar_service_pb2 as pb
from bezant.v1 import sidecar_service_pb2_grpc as pb_grpc
from tests.contract.pacing.conftest import RunPaced
from tests.support.edge import Edge, HttpAnswer
from tests.support.grpc_errors import reason, retry_delay_secs
from tests.support.scripted_gateway import Arrival, answer, json_answer

ACCOUNTS = "/v1/api/portfolio/accounts"
SUMMARY = "/v1/api/portfolio/DU1/summary"
LEDGER = "/v1/api/portfolio/DU1/ledger"
PLACE = "/v1/api/iserver/account/DU1/orders"
LIVE_ORDERS = "/v1/api/iserver/account/orders"
QUESTION = json_answer([{"id": "q1", "message": ["Are you sure?"], "messageIds": ["o163"]}])
PLACED = json_answer([{"order_id": "7", "order_status": "Submitted"}])


class Gate:
    """An answer that waits until the test lets it go."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, _: Arrival) -> bytes:
        assert await asyncio.to_thread(self._open.wait, 20)
        return self._reply


def code_of(refusal: HttpAnswer) -> str:
    return str(refusal.json()["code"])


def test_a_question_holds_the_line_until_it_is_answered(edge: Edge) -> None:
    edge.gateway.on("POST", PLACE, QUESTION)
    edge.gateway.on("POST", "/v1/api/iserver/reply/q1", PLACED)
    edge.gateway.on("GET", SUMMARY, json_answer({}))
    assert edge.post("/accounts/DU1/orders", b'{"orders":[]}').status == 200
    with ThreadPoolExecutor() as others:
        read = others.submit(edge.get, "/accounts/DU1/summary")
        second_order = others.submit(edge.post, "/accounts/DU1/orders", b'{"orders":[2]}')
        login = edge.get("/sso/Login")
        assert login.status == 404  # the scripted gateway has no such page, and was asked at once
        reply = edge.post("/v1/api/iserver/reply/q1", b'{"confirmed":true}')
        assert reply.json()[0]["order_id"] == "7"
        # The second order raises the same question, which holds the line anew until the hold ends.
        assert second_order.result(30).status == 200
        assert read.result(30).status == 200
    paths = [arrival.path for arrival in edge.gateway.arrivals]
    assert paths == [PLACE, "/sso/Login", "/v1/api/iserver/reply/q1", PLACE, SUMMARY]


async def test_identical_reads_share_one_call_over_rest_and_grpc(edge: Edge) -> None:
    gate = Gate(answer(200, '{"a":1}', headers=(("Set-Cookie", "secret=1"),)))
    edge.gateway.on("GET", SUMMARY, gate)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        stub = pb_grpc.SidecarServiceStub(channel)
        rest = [asyncio.to_thread(edge.get, "/accounts/DU1/summary") for _ in range(3)]
        fallback = asyncio.to_thread(edge.get, SUMMARY, headers=(("Accept-Encoding", "gzip"),))
        over_grpc = stub.GetAccountSummary(pb.SidecarServiceGetAccountSummaryRequest(account_id="DU1"))
        answered = asyncio.gather(*rest, fallback)
        await asyncio.to_thread(edge.wait_for_log, message="sharing a call", sharers=4)
        gate.open()
        assert (await over_grpc).data == b'{"a":1}'
        answers = await answered
    assert [each.body for each in answers] == [b'{"a":1}'] * 4
    assert sum("set-cookie" in each.names() for each in answers) <= 1
    (arrival,) = edge.gateway.received("GET", SUMMARY)
    assert arrival.header("accept-encoding") == "identity"


def test_what_rarely_changes_is_served_with_its_age(edge: Edge) -> None:
    edge.gateway.on("GET", ACCOUNTS, json_answer([{"id": "DU1"}]))
    first = edge.get("/accounts")
    assert first.header("age") is None
    again = edge.get("/accounts")
    assert again.body == first.body
    assert again.header("age") == "0"
    assert len(edge.gateway.received("GET", ACCOUNTS)) == 1


def test_no_cache_waits_for_a_fresh_answer_or_says_when_to_come_back(edge: Edge) -> None:
    edge.gateway.on("GET", ACCOUNTS, json_answer([]))
    edge.get("/accounts")
    refused = edge.get("/accounts", headers=(("Cache-Control", "no-cache"), ("X-Request-Timeout", "1")))
    assert refused.status == 429
    assert code_of(refused) == "rate_limited"
    assert 1 <= int(refused.header("retry-after") or 0) <= 6
    assert len(edge.gateway.received("GET", ACCOUNTS)) == 1
    fresh = edge.get("/accounts", headers=(("Cache-Control", "no-cache"),))
    assert fresh.status == 200
    assert int(fresh.header("x-bezant-queued-ms") or 0) > 1000
    assert len(edge.gateway.received("GET", ACCOUNTS)) == 2


def test_max_age_accepts_an_earlier_answer_but_orders_are_always_fresh(edge: Edge) -> None:
    edge.gateway.on("GET", LEDGER, json_answer({}))
    edge.gateway.on("GET", LIVE_ORDERS, json_answer({"orders": []}))
    for _ in range(2):
        assert edge.get("/accounts/DU1/ledger", headers=(("Cache-Control", "max-age=60"),)).status == 200
    assert len(edge.gateway.received("GET", LEDGER)) == 1
    edge.get("/accounts/DU1/orders")
    refused = edge.get("/accounts/DU1/orders", headers=(("Cache-Control", "max-age=60"), ("X-Request-Timeout", "1")))
    assert code_of(refused) == "rate_limited"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "1e3", "4000", "", "nan"])
def test_a_bad_timeout_is_named(edge: Edge, value: str) -> None:
    refused = edge.get("/health", headers=(("X-Request-Timeout", value),))
    assert refused.status == 400
    assert "X-Request-Timeout" in refused.json()["message"]
    assert edge.gateway.arrivals == []


async def test_over_grpc_a_refusal_says_when_to_retry(edge: Edge) -> None:
    edge.gateway.on("GET", LIVE_ORDERS, json_answer({"orders": []}))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{edge.grpc_port}") as channel:
        stub = pb_grpc.SidecarServiceStub(channel)
        request = pb.SidecarServiceListOrdersRequest(account_id="DU1")
        await stub.ListOrders(request, timeout=10)
        with pytest.raises(AioRpcError) as refused:
            await stub.ListOrders(request, timeout=1)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(refused.value) == "RATE_LIMITED"
    assert 0 < retry_delay_secs(refused.value) <= 6
    assert len(edge.gateway.received("GET", LIVE_ORDERS)) == 1


def test_after_a_429_nothing_is_sent_until_a_probe_succeeds(run_paced: RunPaced) -> None:
    with run_paced({"BEZANT_PACING_BACKOFF_MIN_SECS": "2"}) as edge:
        edge.gateway.on("GET", SUMMARY, json_answer({"error": "slow down"}, 429))
        edge.gateway.on("POST", PLACE, PLACED)
        verbatim = edge.get("/accounts/DU1/summary")
        assert (verbatim.status, verbatim.json()) == (429, {"error": "slow down"})
        for refused in (edge.get("/accounts/DU1/ledger"), edge.post("/accounts/DU1/orders", b"{}")):
            assert (refused.status, code_of(refused)) == (429, "rate_limited")
            assert "429" in refused.json()["message"]
            wait = int(refused.header("retry-after") or 0)
            assert 1 <= wait <= 2
        assert len(edge.gateway.arrivals) == 1
        edge.gateway.on("GET", SUMMARY, json_answer({}))
        probe = edge.get("/accounts/DU1/summary", headers=())
        while probe.status == 429:
            probe = edge.get("/accounts/DU1/summary")
        assert probe.status == 200
        assert edge.post("/accounts/DU1/orders", b"{}").status == 200
        assert len(edge.gateway.arrivals) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/accounts",
        "/accounts/DU1/summary",
        "/accounts/DU1/ledger",
        "/accounts/DU1/positions",
        "/accounts/DU1/orders",
        "/market/snapshot?conids=265598",
        "/contracts/search?symbol=AAPL",
        "/v1/api/iserver/account/trades",
    ],
)
def test_pacing_changes_no_body(edge: Edge, path: str) -> None:
    body = b'{"a" : 1,"a":2, "n":123456789012345678901234567890.10}'
    edge.gateway.on("GET", "*", answer(200, body, headers=(("X-Response-Time", "3ms"),)))
    paced = edge.get(path)
    assert (paced.status, paced.body, paced.header("x-response-time")) == (200, body, "3ms")
    assert len(edge.gateway.arrivals) == 1


def test_a_bad_pacing_file_stops_the_start(run_paced: RunPaced, tmp_path: Path) -> None:
    path = tmp_path / "pacing.toml"
    path.write_text("[global]\ncount = 'ten'\n")
    with (
        pytest.raises(TimeoutError, match=r"BEZANT_PACING_FILE: \[global\] needs count"),
        run_paced({"BEZANT_PACING_FILE": str(path)}),
    ):
        pass
