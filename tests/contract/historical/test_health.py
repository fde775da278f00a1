"""Health and reconnecting: read from the body, 200 whatever it is."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.contract.historical.conftest import RunFace
from tests.contract.historical.face import INIT, Face
from tests.support.stack import wait_until

KEYS = ["status", "connected", "host", "port", "client_id", "ready", "timestamp"]


def assert_unhealthy(face: Face, *, connected: bool) -> None:
    """The state is told once it is known, with every key and 200."""
    health = face.read("health")
    assert list(health) == KEYS
    assert (health["status"], health["ready"], health["connected"]) == ("unhealthy", False, connected), health
    assert (health["host"], health["port"]) == ("127.0.0.1", face.paper.port)
    assert type(health["client_id"]) is int
    datetime.strptime(health["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").astimezone()


def test_a_gateway_that_is_logged_out(run_face: RunFace) -> None:
    with run_face("--logged-out", ready=False) as face:
        assert_unhealthy(face, connected=False)
        refused = face.refused("market-data/AAPL", status=401, code="not_authenticated")
        assert "/sso/Login" in refused["message"]
        answer = face.read("reconnect", method="POST")
        assert (list(answer), answer["status"]) == (KEYS, "unhealthy")
        assert face.count(INIT) == 0
        face.paper.control("/session/login")
        wait_until(lambda: face.read("health")["status"] == "healthy", "health after the login")


def test_a_gateway_that_is_away(run_face: RunFace) -> None:
    with run_face() as face:
        face.paper.control("/gateway/away", {"seconds": 3})
        assert_unhealthy(face, connected=False)
        face.refused("market-data/AAPL", status=503, code="upstream_unreachable")
        assert face.read("reconnect", method="POST")["status"] == "unhealthy"
        wait_until(lambda: face.read("health")["status"] == "healthy", "health once it is back")


def test_the_client_id_can_be_fixed(run_face: RunFace) -> None:
    with run_face(IB_CLIENT_ID="17") as face:
        assert face.read("health")["client_id"] == 17
        assert face.read("reconnect", method="POST")["client_id"] == 17
        assert type(face.read("health")["client_id"]) is int


def test_reconnecting_replaces_the_socket_and_opens_no_session_that_is_open(face: Face) -> None:
    def status() -> dict[str, int]:
        answer: dict[str, int] = face.edge.get("/events/_status").json()
        return answer

    wait_until(lambda: bool(status()["connected"]), "the socket")
    before = status()["reconnect_count"]
    ids = {face.read("reconnect", method="POST")["client_id"] for _ in range(3)}
    assert len(ids) >= 2
    wait_until(lambda: bool(status()["connected"]) and status()["reconnect_count"] > before, "another socket")
    assert face.paper.state()["sockets"] == 1
    assert face.count(INIT) == 0


def test_reconnecting_opens_a_brokerage_session_that_is_gone(run_face: RunFace) -> None:
    with run_face(BEZANT_SESSION_UPKEEP="off", ready=False) as face:
        wait_until(lambda: face.read("health")["connected"] is True, "the gateway")
        face.paper.control("/session/expire", {"layer": "brokerage"})
        assert_unhealthy(face, connected=True)
        face.forget()
        assert face.read("reconnect", method="POST")["status"] == "healthy"
        assert face.count(INIT) == 1
        assert face.read("reconnect", method="POST")["status"] == "healthy"
        assert face.count(INIT) == 1


def test_reconnecting_waits_for_a_session_that_is_on_its_way(run_face: RunFace) -> None:
    with run_face("--init-delay", "1") as face:
        face.forget()
        face.paper.control("/session/expire", {"layer": "brokerage"})
        wait_until(lambda: face.count(INIT) == 1, "the server's own request")
        assert face.read("reconnect", method="POST")["status"] == "healthy"
        assert face.count(INIT) == 1


def test_reconnecting_takes_the_session_from_nobody(run_face: RunFace) -> None:
    with run_face() as face:
        face.paper.control("/session/compete", {"on": True})
        assert face.read("reconnect", method="POST")["status"] == "unhealthy"
        assert face.paper.state()["competing"] is True


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "health", "GET, HEAD"),
        ("DELETE", "products", "GET, HEAD"),
        ("PUT", "market-data/AAPL", "GET, HEAD"),
        ("POST", "contract-details/AAPL", "GET, HEAD"),
        ("GET", "reconnect", "POST"),
    ],
)
def test_other_methods(face: Face, method: str, path: str, allowed: str) -> None:
    answer = face.call(path, method=method)
    assert (answer.status, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.header("allow") == allowed


@pytest.mark.parametrize("path", ["health", "products", "market-data/AAPL", "contract-details/AAPL"])
def test_head(face: Face, path: str) -> None:
    answer = face.call(path, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.header("content-length") or 0) > 50


@pytest.mark.parametrize("path", ["unknown", "", "market-data", "market-data/AAPL/bars", "health/x"])
def test_paths_that_are_none(face: Face, path: str) -> None:
    answer = face.call(path)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize(("method", "path"), [("GET", "health"), ("POST", "reconnect"), ("GET", "products")])
def test_parameters_where_there_are_none(face: Face, method: str, path: str) -> None:
    answer = face.call(path, {"x": "1"}, method=method)
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["message"] == "there is no query parameter 'x': it takes none"
