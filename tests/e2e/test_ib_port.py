"""The port of historical data: /ib on this machine, and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from bezant.v1 import session_service_pb2, session_service_pb2_grpc
from tests.support.stack import COMMAND, Stack, environment, start_stack

_SECS = 45.0
_ANYWHERE = "127.0.0.1:0"
_ELSEWHERE = [
    "/",
    "/health",
    "/accounts",
    "/ib",
    "/ibx/health",
    "/IB/health",
    "//ib/health",
    "/./ib/health",
    "/%69b/health",
    "/v1/api/iserver/accounts",
    "/v1/api/../../ib/health",
    "/sso/Login",
    "/events/_status",
    "/debug/jar",
    "/api/v1/health",
    "/api/v1/positions",
]


def _send(
    url: str, method: str, target: str, *, body: bytes | None = None, host: str = ""
) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=_SECS)) as connection:
        connection.request(method, target, body, {"Host": host} if host else {})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def _get(url: str, target: str, *, host: str = "") -> tuple[int, object]:
    status, _, body = _send(url, "GET", target, host=host)
    return status, json.loads(body)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    variables = {"IB_SERVER_PORT": "0", "BEZANT_MAX_REQUEST_BODY_BYTES": "1000"}
    with start_stack(tmp_path_factory.mktemp("stack"), env=variables) as stack:
        yield stack


@pytest.fixture
def ib_url(shared: Stack) -> str:
    assert shared.ib_url is not None
    return shared.ib_url


def test_it_is_on_this_machine_and_named_in_the_banner(shared: Stack, ib_url: str) -> None:
    place = urlsplit(ib_url)
    assert (place.scheme, place.hostname) == ("http", "127.0.0.1")
    assert ib_url != shared.rest_url
    assert f"  historical data {ib_url}/ib/" in shared.output.splitlines()


def test_it_serves_what_the_public_port_does(shared: Stack, ib_url: str) -> None:
    status, health = _get(ib_url, "/ib/health")
    assert status == 200
    assert isinstance(health, dict)
    assert health["status"] == "healthy"
    status, products = _get(ib_url, "/ib/products")
    assert status == 200
    assert products == _get(shared.rest_url, "/ib/products")[1]
    status, _, body = _send(ib_url, "POST", "/ib/reconnect")
    assert (status, json.loads(body)["connected"]) == (200, True)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("target", _ELSEWHERE)
def test_no_other_path_reaches_the_server(method: str, target: str, shared: Stack, ib_url: str) -> None:
    # A server that cannot answer shows who did.
    os.kill(shared.pids["server"], signal.SIGSTOP)
    try:
        status, headers, body = _send(ib_url, method, target)
    finally:
        os.kill(shared.pids["server"], signal.SIGCONT)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert json.loads(body) == {"code": "not_found", "message": "there is no such path"}


@pytest.mark.parametrize(
    "target", ["/ib/", "/ib/nothing", "/ib/../health", "/ib/../v1/api/iserver/accounts", "/ib/%2e%2e/health"]
)
def test_no_path_leads_out_of_it(target: str, ib_url: str) -> None:
    status, envelope = _get(ib_url, target)
    assert isinstance(envelope, dict)
    assert (status, envelope["code"]) == (404, "not_found")


async def test_it_serves_no_rpc(shared: Stack, ib_url: str) -> None:
    for url, expected in ((shared.rest_url, grpc.StatusCode.OK), (ib_url, grpc.StatusCode.UNIMPLEMENTED)):
        async with grpc.aio.insecure_channel(urlsplit(url).netloc) as channel:
            session = session_service_pb2_grpc.SessionServiceStub(channel)
            call = session.GetSession(session_service_pb2.GetSessionRequest(), timeout=_SECS)
            assert await call.code() is expected


def test_it_has_the_public_ports_refusals(ib_url: str) -> None:
    status, envelope = _get(ib_url, "/ib/health", host="evil.example")
    assert isinstance(envelope, dict)
    assert (status, envelope["code"]) == (403, "forbidden")
    status, headers, _ = _send(ib_url, "TRACE", "/ib/health")
    assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE")
    status, _, body = _send(ib_url, "POST", "/ib/reconnect", body=b"x" * 1001)
    assert (status, json.loads(body)["code"]) == (413, "body_too_large")


def _up(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    binds = ("--grpc-bind", "--paper-bind", "--paper-control-bind")
    return subprocess.run(
        [*COMMAND, "--paper", *(part for bind in binds for part in (bind, _ANYWHERE)), *args],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECS,
        check=False,
    )


def test_a_taken_port_is_named_with_the_variable_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = _up(tmp_path, "--bind", _ANYWHERE, "--ib-server-port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    remedy = "choose another with --ib-server-port (IB_SERVER_PORT)"
    assert done.stderr == f"bezant: Envoy, for /ib: 127.0.0.1:{port} is taken: {remedy}\n"


def test_the_public_port_is_no_port_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = _up(tmp_path, "--bind", f"127.0.0.1:{port}", "--ib-server-port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    remedy = "choose another with --ib-server-port (IB_SERVER_PORT)"
    assert done.stderr == f"bezant: Envoy, for /ib: 127.0.0.1:{port} is also that of Envoy: {remedy}\n"
