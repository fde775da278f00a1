"""Each row of the sidecar's REST table: one upstream call, and the gateway's own bytes as the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.contract.rest.checks import assert_clean
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway, answer

API = "/v1/api"
BODY = b'{"of": "the gateway"}'


@dataclass(frozen=True, slots=True)
class Row:
    method: str
    target: str
    upstream_method: str
    upstream_target: str
    body: bytes | None = None
    upstream_body: object = None

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


READS = (
    Row("GET", "/accounts", "GET", "/portfolio/accounts"),
    Row("GET", "/accounts/DU1/summary", "GET", "/portfolio/DU1/summary"),
    Row("GET", "/accounts/DU1/positions", "GET", "/portfolio/DU1/positions/0"),
    Row("GET", "/accounts/DU1/positions?page=", "GET", "/portfolio/DU1/positions/0"),
    Row("GET", "/accounts/DU1/positions?page=3", "GET", "/portfolio/DU1/positions/3"),
    Row("GET", "/accounts/DU1/ledger", "GET", "/portfolio/DU1/ledger"),
    Row("GET", "/accounts/DU1/orders", "GET", "/iserver/account/orders?accountId=DU1"),
    Row(
        "GET",
        "/contracts/search?symbol=AAPL",
        "POST",
        "/iserver/secdef/search",
        upstream_body={"symbol": "AAPL", "name": False, "secType": "STK"},
    ),
    Row(
        "GET",
        "/contracts/search?symbol=Alphabet+%26%20Co&name=true",
        "POST",
        "/iserver/secdef/search",
        upstream_body={"symbol": "Alphabet & Co", "name": True, "secType": "STK"},
    ),
    Row(
        "GET",
        "/contracts/search?symbol=SPX&secType=IND",
        "POST",
        "/iserver/secdef/search",
        upstream_body={"symbol": "SPX", "name": False, "secType": "IND"},
    ),
    Row(
        "GET",
        "/market/snapshot?conids=265598",
        "GET",
        "/iserver/marketdata/snapshot?conids=265598&fields=31,84,86,87",
    ),
    Row(
        "GET",
        "/market/snapshot?conids=265598,8314@NYSE&fields=31,7635",
        "GET",
        "/iserver/marketdata/snapshot?conids=265598,8314@NYSE&fields=31,7635",
    ),
)
CHANGES = (
    Row(
        "POST",
        "/accounts/DU1/orders",
        "POST",
        "/iserver/account/DU1/orders",
        body=b'{"orders": [{"conid": 265598}]}',
        upstream_body={"orders": [{"conid": 265598}]},
    ),
    Row("DELETE", "/accounts/DU1/orders/1799796559", "DELETE", "/iserver/account/DU1/order/1799796559"),
)


@pytest.mark.parametrize("row", [*READS, *CHANGES], ids=str)
def test_a_row_makes_one_upstream_call_and_gives_its_body(row: Row, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, BODY))
    reply = edge.send(row.method, row.target, body=row.body)
    assert (reply.status, reply.body) == (200, BODY)
    (call,) = gateway.arrivals
    assert (call.method, call.target) == (row.upstream_method, API + row.upstream_target)
    assert (json.loads(call.body) if call.body else None) == row.upstream_body
    assert_clean(reply)


@pytest.mark.parametrize("row", READS, ids=str)
def test_head_works_where_get_does(row: Row, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, BODY))
    reply = edge.send("HEAD", row.target)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.header("content-length") == str(len(BODY))
    assert reply.header("content-type") == "application/json;charset=utf-8"
    assert [call.target for call in gateway.arrivals] == [API + row.upstream_target]


@pytest.mark.parametrize("row", [*READS, *CHANGES], ids=str)
def test_a_rows_call_is_our_own(row: Row, edge: Edge, gateway: ScriptedGateway) -> None:
    """The gateway refuses a POST with a foreign Origin; nothing of the caller's goes along."""
    gateway.on("*", "*", answer(200, BODY))
    edge.send(
        row.method,
        row.target,
        body=row.body,
        headers=(
            ("Origin", f"http://{edge.host}:{edge.port}"),
            ("Referer", f"http://{edge.host}:{edge.port}/page"),
            ("User-Agent", "a caller"),
            ("Authorization", "Bearer secret"),
            ("X-Custom", "1"),
        ),
    )
    (call,) = gateway.arrivals
    assert (call.all("origin"), call.all("referer")) == ([gateway.origin], [f"{gateway.origin}/"])
    assert (call.all("user-agent"), call.all("accept-encoding")) == (["bezant-grpc"], ["identity"])
    assert call.header("authorization") is None
    assert call.header("x-custom") is None


@pytest.mark.parametrize(
    "target",
    [
        "/accounts/DU1/positions?page=x",
        "/accounts/DU1/positions?page=-1",
        "/accounts/DU1/positions?page=1.5",
        "/accounts/DU1/positions?page=%2B1",
        "/accounts/DU1/positions?page=9999999999999999999999",
        "/accounts/DU1/positions?page=%D9%A1",  # an Arabic digit
        "/contracts/search?symbol=A&name=perhaps",
        "/contracts/search?symbol=%FF",
        "/market/snapshot?conids=1,x",
        "/market/snapshot?conids=1,,2",
        "/market/snapshot?conids=1.5",
        "/market/snapshot?conids=-1",
        "/market/snapshot?conids=1&fields=31,last",
    ],
)
def test_a_bad_parameter_is_named_and_nothing_is_sent(target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    reply = edge.get(target)
    assert (reply.status, reply.json()["code"]) == (400, "bad_request")
    if "%FF" not in target:
        assert reply.json()["message"].startswith(target.partition("?")[2].rpartition("&")[2].partition("=")[0])
    assert gateway.arrivals == []


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/contracts/search", "symbol"),
        ("/contracts/search?symbol=", "symbol"),
        ("/contracts/search?symbol=+", "symbol"),
        ("/contracts/search?name=true", "symbol"),
        ("/market/snapshot", "conids"),
        ("/market/snapshot?conids=", "conids"),
        ("/market/snapshot?fields=31", "conids"),
    ],
)
def test_a_missing_parameter_is_named_and_nothing_is_sent(
    target: str, name: str, edge: Edge, gateway: ScriptedGateway
) -> None:
    reply = edge.get(target)
    assert (reply.status, reply.json()["code"]) == (400, "missing_query_param")
    assert f"'{name}'" in reply.json()["message"]
    assert gateway.arrivals == []


def test_unknown_parameters_are_ignored(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("GET", f"{API}/portfolio/accounts", answer(200, BODY))
    assert edge.get("/accounts?_=1700000000&x[]=1&y").status == 200
    assert [call.target for call in gateway.arrivals] == [f"{API}/portfolio/accounts"]


def test_a_trailing_slash_changes_nothing(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("GET", f"{API}/portfolio/accounts", answer(200, BODY))
    assert edge.get("/accounts/").body == BODY
