"""HTTP as attackers and odd clients speak it, and the port itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bezant_server import config
from bezant_server.local import envoy
from tests.contract.rest.checks import assert_clean, assert_envelope
from tests.support.edge import Edge
from tests.support.scripted_gateway import ScriptedGateway, answer


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: -1",
        "Bad Name: x",
        "X-Null: a\x00b",
    ],
)
@pytest.mark.parametrize("target", ["/accounts/DU1/orders", "/v1/api/x"])
def test_an_ambiguous_request_is_refused(head: str, target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    """Two readers of one connection must not disagree where a request ends."""
    with edge.connect() as connection:
        start = f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n"
        connection.write(start.encode("latin-1") + b"0\r\n\r\n")
        reply = connection.read("POST")
        assert_envelope(reply, 400, "bad_request")
        assert connection.is_closed()
    assert gateway.arrivals == []


@pytest.mark.parametrize("target", ["/v1/api/\xe9", "/v1/api/x?y=\xfc", "accounts", "/v1/api/a b", "/v1/api/\x01"])
def test_a_target_that_is_none_is_refused(target: str, edge: Edge, gateway: ScriptedGateway) -> None:
    assert edge.get(target).status == 400
    assert gateway.arrivals == []


def test_noise_is_refused(edge: Edge) -> None:
    with edge.connect() as connection:
        connection.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert_envelope(connection.read(), 400, "bad_request")


def test_http_1_0(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"done"))
    with edge.connect() as connection:
        connection.write(b"GET /v1/api/x HTTP/1.0\r\nHost: localhost\r\n\r\n")
        reply = connection.read()
        assert (reply.status, reply.body) == (200, b"done")
        assert_clean(reply)


def test_expect_continue(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", answer(200, b"done"))
    with edge.connect() as connection:
        headers = (("Expect", "100-continue"), ("Content-Length", "2"))
        connection.write(edge.request("POST", "/accounts/DU1/orders", headers=headers))
        assert connection.read_head() == 100
        connection.write(b"{}")
        assert connection.read("POST").body == b"done"
    assert [call.body for call in gateway.arrivals] == [b"{}"]


def test_pipelined_requests_are_answered_in_order(edge: Edge, gateway: ScriptedGateway) -> None:
    gateway.on("*", "*", lambda arrival: answer(200, arrival.target))
    with edge.connect() as connection:
        connection.write(b"".join(edge.request("GET", f"/v1/api/{number}") for number in range(5)))
        replies = [connection.read().body for _ in range(5)]
    assert replies == [f"/v1/api/{number}".encode() for number in range(5)]


def test_a_port_is_not_shared_with_a_second_envoy(edge: Edge, tmp_path: Path) -> None:
    """Otherwise the system would hand half of the connections to each."""
    settings = config.load({"BEZANT_BIND": f"{edge.host}:{edge.port}"})
    configuration = tmp_path / "envoy.yaml"
    configuration.write_text(envoy.render(settings, socket=tmp_path / "server.sock"), encoding="utf-8")
    second = subprocess.run(
        (str(envoy.binary()), "-c", str(configuration), "--disable-hot-restart"),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert second.returncode != 0
    assert b"Address already in use" in second.stderr
