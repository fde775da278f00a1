"""A path parameter stays in its segment, and only the path decides it: an order must not reach another account."""

from __future__ import annotations

import pytest

from tests.contract.rest.checks import assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway, answer

API = "/v1/api"

OVERRIDES = (
    "account_id=DU2",
    "accountId=DU2",
    "account_id=DU2&accountId=DU3",
    "order_id=7&orderId=8",
    "topic=x&path=y",
    "body=eA%3D%3D",
    "body.data=eyJvcmRlcnMiOltdfQ%3D%3D",
    "body.content_type=text/plain&body.contentType=text/plain",
    "body.extensions=x",
    "account_id=&accountId=",
    "account%5Fid=DU2",
    "account_id%00=DU2",
    "body%2Edata=eyJvcmRlcnMiOltdfQ%3D%3D",
    "body.data%5B%5D=eA",
)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("..%2F..%2Ftickle", "..%2F..%2Ftickle"),
        ("DU1%2f..", "DU1%2F.."),
        ("DU1%3Fx=1", "DU1%3Fx%3D1"),
        ("DU1%23", "DU1%23"),
        ("%00", "%00"),
        ("%0d%0aX:1", "%0D%0AX%3A1"),
        ("DU%201", "DU%201"),
        ("%C3%A9", "%C3%A9"),
        ("%252e", "%252e"),
        ("%", "%25"),
        ("%zz", "%25zz"),
        ("DU1:all", "DU1%3Aall"),
        ("DU1;v=2", "DU1%3Bv%3D2"),
        ("...", "..."),
        ("*", "%2A"),
    ],
)
def test_an_account_cannot_leave_its_segment(written: str, sent: str, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"{}"))
    assert edge.get(f"/accounts/{written}/summary").status == 200
    assert edge.post(f"/accounts/{written}/orders", b"{}").status == 200
    assert edge.send("DELETE", f"/accounts/{written}/orders/{written}").status == 200
    assert [call.target for call in gateway.arrivals] == [
        f"{API}/portfolio/{sent}/summary",
        f"{API}/iserver/account/{sent}/orders",
        f"{API}/iserver/account/{sent}/order/{sent}",
    ]


@pytest.mark.parametrize("written", [".", "..", "%2e", "%2E%2e", "%20", ""])
def test_an_account_that_is_no_segment_is_refused(written: str, edge: Edge, gateway: ScriptedGateway) -> None:
    assert_envelope(edge.get(f"/accounts/{written}/summary"), 400, "bad_request", naming="account_id")
    assert_envelope(edge.post(f"/accounts/{written}/orders", b"{}"), 400, "bad_request", naming="account_id")
    assert gateway.arrivals == []


def test_text_that_is_not_utf8_is_refused(edge: Edge, gateway: ScriptedGateway) -> None:
    assert_envelope(edge.get("/accounts/%FF/summary"), 400, "bad_request", naming="UTF-8")
    assert_envelope(edge.post("/accounts/%C3/orders", b"{}"), 400, "bad_request", naming="UTF-8")
    assert gateway.arrivals == []


@pytest.mark.parametrize("query", OVERRIDES)
def test_the_query_decides_no_path_parameter(query: str, edge: Edge, gateway: ScriptedGateway) -> None:
    order = b'{"orders": [{"conid": 265598, "side": "BUY"}]}'
    gateway.on("*", "*", answer(200, b"{}"))
    assert edge.post(f"/accounts/DU1/orders?{query}", order).status == 200
    assert edge.send("DELETE", f"/accounts/DU1/orders/5?{query}").status == 200
    for row in ("summary", "ledger", "positions", "orders"):
        assert edge.get(f"/accounts/DU1/{row}?{query}").status == 200
    assert [(call.method, call.target) for call in gateway.arrivals] == [
        ("POST", f"{API}/iserver/account/DU1/orders"),
        ("DELETE", f"{API}/iserver/account/DU1/order/5"),
        ("GET", f"{API}/portfolio/DU1/summary"),
        ("GET", f"{API}/portfolio/DU1/ledger"),
        ("GET", f"{API}/portfolio/DU1/positions/0"),
        ("GET", f"{API}/iserver/account/orders?accountId=DU1"),
    ]
    assert gateway.arrivals[0].body == order


@pytest.mark.parametrize(
    "body", [b'{"account_id": "DU2", "order_id": "7"}', b'{"accountId": "DU2", "orderId": "7"}', b"junk", b""]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_decides_no_path_parameter(body: bytes, chunked: bool, edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"{}"))
    headers = [("Content-Type", "application/json")]
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    framed = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    for method, target in (
        ("DELETE", "/accounts/DU1/orders/5"),
        ("DELETE", "/accounts/DU1/orders/5/"),
        ("GET", "/accounts/DU1/orders"),
        ("GET", "/accounts/DU1/summary"),
    ):
        with edge.connect() as connection:
            connection.write(edge.request(method, target, headers=headers, body=None if chunked else body))
            if chunked:
                connection.write(framed)
            assert connection.read(method).status == 200
            # What follows on the connection is the next request, not a rest of this one.
            connection.write(edge.request("GET", "/accounts"))
            assert connection.read().status == 200
    assert [call.target for call in gateway.arrivals if call.path != f"{API}/portfolio/accounts"] == [
        f"{API}/iserver/account/DU1/order/5",
        f"{API}/iserver/account/DU1/order/5",
        f"{API}/iserver/account/orders?accountId=DU1",
        f"{API}/portfolio/DU1/summary",
    ]
    assert {call.body for call in gateway.arrivals} == {b""}
