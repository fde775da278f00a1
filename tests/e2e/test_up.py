"""`bezant up` as an operator meets it: real processes, real signals."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bezant_server.keys.keyring import Client, KeyRing
from bezant_server.keys.scopes import Scope
from tests.support.paper import start_paper
from tests.support.stack import COMMAND, Stack, environment, is_alive, start_stack, wait_until

_SECS = 45.0


def _get(url: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    place = urlsplit(url)
    with closing(http.client.HTTPConnection(place.hostname or "", place.port, timeout=_SECS)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def _up(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A `bezant up` that is expected to end by itself."""
    return subprocess.run(
        [*COMMAND, *args],
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECS,
        check=False,
    )


def _all_gone(stack: Stack) -> None:
    wait_until(lambda: not any(map(is_alive, stack.pids.values())), "the children's end", lambda: stack.log)


@contextmanager
def _taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """Where runs make their private directories; short, for the sockets in them."""
    with tempfile.TemporaryDirectory(prefix="runs-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with start_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def test_health_answers_through_envoy_with_the_paper_session(shared: Stack) -> None:
    status, _, body = _get(shared.rest_url, "/health")

    assert status == 200
    assert json.loads(body) == {"authenticated": True, "connected": True, "competing": False, "message": ""}


def test_the_banner_names_where_everything_is_and_its_commands_work(shared: Stack) -> None:
    assert shared.paper is not None
    page = f"{shared.rest_url}/docs"
    for place in (shared.rest_url, shared.grpc_target, shared.paper.base_url, shared.paper.control_url, page):
        assert place in shared.output
    assert _get(shared.rest_url, "/docs")[0] == 200
    lines = [line.split("curl ")[1] for line in shared.output.splitlines() if "curl " in line]
    commands = [line.strip("'") for line in lines if not line.startswith("-H")]
    assert len(commands) == 3
    for command in commands:
        status, _, body = _get(shared.rest_url, command.removeprefix(shared.rest_url))
        assert status == 200, (command, body)


def test_events_are_captured_on_the_paper_gateway(shared: Stack) -> None:
    def connected() -> bool:
        status, _, body = _get(shared.rest_url, "/events/_status")
        return status == 200 and json.loads(body)["connected"] is True

    wait_until(connected, "the capture's connection", lambda: shared.log)


def test_events_stay_off_when_the_operator_says_so(tmp_path: Path) -> None:
    with start_stack(tmp_path, env={"BEZANT_EVENTS_ENABLED": "false"}) as stack:
        status, _, body = _get(stack.rest_url, "/events/_status")
        assert (status, json.loads(body)["code"]) == (503, "events_disabled")
        assert f"grpcurl -plaintext {stack.grpc_target} list" in stack.output


def test_every_child_logs_under_its_name(shared: Stack) -> None:
    prefixes = {line.split(" ", 1)[0] for line in shared.log.splitlines()}

    assert {"[paper]", "[server]"} <= prefixes <= {"[paper]", "[server]", "[envoy]", "[bezant]"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order_and_leaves_nothing(
    tmp_path: Path, runs: Path, number: signal.Signals
) -> None:
    with start_stack(tmp_path, env={"XDG_RUNTIME_DIR": str(runs)}) as stack:
        (directory,) = runs.iterdir()
        assert directory.stat().st_mode & 0o777 == 0o700

        assert stack.stop(number) == 0

        assert not any(map(is_alive, stack.pids.values()))
        assert list(runs.iterdir()) == []
        assert stack.log.index('"message": "stopped"') < stack.log.index("paper: stopping")
        assert not list(tmp_path.glob("*.ready"))


async def test_health_says_not_serving_before_the_server_ends(tmp_path: Path) -> None:
    with start_stack(tmp_path) as stack:
        async with grpc.aio.insecure_channel(stack.grpc_target) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=_SECS)  # type: ignore[attr-defined]
            seen = [(await watch.read()).status]
            stack.process.send_signal(signal.SIGTERM)
            seen.append((await watch.read()).status)

        assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
        assert await asyncio.to_thread(stack.process.wait, _SECS) == 0


def test_a_signal_while_things_start_stops_them_too(tmp_path: Path, runs: Path) -> None:
    binds = ("--bind", "--grpc-bind", "--paper-bind", "--paper-control-bind")
    process = subprocess.Popen(
        [*COMMAND, "--paper", *(part for bind in binds for part in (bind, "127.0.0.1:0"))],
        cwd=tmp_path,
        env=environment({"XDG_RUNTIME_DIR": str(runs)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stderr is not None
        # The paper gateway is the first to start: the server and Envoy have yet to come.
        assert process.stderr.readline().startswith(b"[paper] ")
        process.send_signal(signal.SIGTERM)
        output, log = process.communicate(timeout=_SECS)

    assert (process.returncode, output) == (0, b"")
    assert b"[bezant] SIGTERM: stopping" in log
    assert list(runs.iterdir()) == []


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    with start_stack(tmp_path) as stack:
        # A child that cannot answer SIGTERM holds the orderly stop up.
        os.kill(stack.pids["server"], signal.SIGSTOP)
        stack.process.send_signal(signal.SIGINT)
        wait_until(lambda: "SIGINT: stopping" in stack.log, "the stop", lambda: stack.log)
        assert stack.process.poll() is None

        assert stack.stop(signal.SIGINT) == 128 + signal.SIGINT

        assert not any(map(is_alive, stack.pids.values()))


@pytest.mark.parametrize("name", ["paper", "server", "envoy"])
def test_a_child_that_dies_takes_the_rest_with_it(tmp_path: Path, name: str) -> None:
    with start_stack(tmp_path) as stack:
        stack.kill(name)

        assert stack.process.wait(_SECS) == 1

        assert f"[bezant] {name} was killed by SIGKILL" in stack.log
        assert not any(map(is_alive, stack.pids.values()))


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path, runs: Path) -> None:
    with start_stack(tmp_path, env={"XDG_RUNTIME_DIR": str(runs)}) as stack:
        stack.process.kill()
        stack.process.wait(_SECS)
        _all_gone(stack)
        (left,) = runs.iterdir()

    with start_stack(tmp_path, env={"XDG_RUNTIME_DIR": str(runs)}) as stack:
        assert not left.exists()
        assert _get(stack.rest_url, "/health")[0] == 200


def test_two_run_side_by_side(tmp_path: Path, runs: Path) -> None:
    variables = {"XDG_RUNTIME_DIR": str(runs)}
    with start_stack(tmp_path, env=variables) as one, start_stack(tmp_path, env=variables) as other:
        assert len(list(runs.iterdir())) == 2
        assert one.rest_url != other.rest_url
        assert one.stop() == 0

        assert _get(other.rest_url, "/health")[0] == 200


@pytest.mark.parametrize(
    ("flag", "owner", "remedy"),
    [
        ("--bind", "Envoy", "--bind (BEZANT_BIND)"),
        ("--grpc-bind", "gRPC server", "--grpc-bind (BEZANT_GRPC_BIND)"),
        ("--paper-bind", "paper gateway", "--paper-bind"),
        ("--paper-control-bind", "paper gateway's control endpoint", "--paper-control-bind"),
    ],
)
def test_a_taken_address_is_named_with_the_flag_that_changes_it(
    tmp_path: Path, flag: str, owner: str, remedy: str
) -> None:
    binds = dict.fromkeys(("--bind", "--grpc-bind", "--paper-bind", "--paper-control-bind"), "127.0.0.1:0")
    with _taken() as port:
        binds[flag] = f"127.0.0.1:{port}"
        done = _up(tmp_path, "--paper", *(part for pair in binds.items() for part in pair))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bezant: {owner}: 127.0.0.1:{port} is taken: choose another with {remedy}\n"


def test_an_address_that_the_check_could_not_see_taken_is_told_by_the_child(tmp_path: Path) -> None:
    with _taken() as port:
        pass
    # Two different addresses, both free; Envoy meets the paper gateway's once that listens.
    done = _up(
        tmp_path,
        *("--paper", "--paper-bind", f"127.0.0.1:{port}", "--bind", f"0.0.0.0:{port}"),
        *("--grpc-bind", "127.0.0.1:0", "--paper-control-bind", "127.0.0.1:0"),
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot bind '0.0.0.0:{port}': Address already in use" in done.stderr
    assert "[bezant] envoy ended by itself with status 1" in done.stderr


def test_one_address_for_two_programs_is_refused(tmp_path: Path) -> None:
    with _taken() as port:
        pass
    address = f"127.0.0.1:{port}"
    done = _up(tmp_path, "--bind", address, "--grpc-bind", address)

    assert done.returncode == 2
    expected = f"gRPC server: {address} is also that of Envoy: choose another with --grpc-bind (BEZANT_GRPC_BIND)"
    assert done.stderr == f"bezant: {expected}\n"


@pytest.mark.parametrize(
    ("args", "variables", "said"),
    [
        (["--limits"], {}, "--limits is of the paper gateway: add --paper"),
        (["--paper-bind", "127.0.0.1:1"], {}, "--paper-bind is of the paper gateway: add --paper"),
        (["--paper", "--gateway-url", "https://localhost:5000"], {}, "leave out --gateway-url"),
        (["--ready-file", "/nowhere/at/all"], {}, "--ready-file: /nowhere/at is no directory"),
        (["--paper", "--paper-bind", "5000"], {}, "'5000' is not host:port"),
        ([], {"IBKR_GATEWAY_URL": "ftp://localhost"}, "IBKR_GATEWAY_URL"),
        ([], {"BEZANT_FAILPOINT": "anywhere"}, "BEZANT_FAILPOINT: it is for tests on the paper gateway"),
        (["--failpoint", "anywhere"], {}, "needs --paper"),
        (["--paper", "--ib-server-port", "70000"], {}, "IB_SERVER_PORT"),
        ([], {"BEZANT_BIND": "192.0.2.1:8080"}, "Envoy: 192.0.2.1:8080 is not an address of this machine"),
        ([], {"BEZANT_BIND": "nowhere.invalid:8080"}, "Envoy: nowhere.invalid:8080 cannot be resolved"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_starts(
    tmp_path: Path, args: list[str], variables: dict[str, str], said: str
) -> None:
    done = _up(tmp_path, *args, **variables)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_logged_out_shows_the_login(tmp_path: Path) -> None:
    with start_stack(tmp_path, args=["--logged-out"]) as stack:
        assert json.loads(_get(stack.rest_url, "/health")[2])["code"] == "not_authenticated"
        status, headers, _ = _get(stack.rest_url, "/", Accept="text/html")
        assert (status, headers["location"].split("?")[0]) == (302, "/sso/Login")

        (line,) = (line for line in stack.output.splitlines() if "log in at" in line)
        status, headers, body = _get(stack.rest_url, line.split(stack.rest_url)[1])
        assert (status, headers["content-type"].split(";")[0]) == (200, "text/html")
        assert b"<form" in body


def test_the_paper_gateway_gets_its_flags(tmp_path: Path) -> None:
    with start_stack(tmp_path, args=["--seed", "7", "--limits"]) as stack:
        assert stack.paper is not None
        assert b"\0--seed\x007\0" in Path(f"/proc/{stack.pids['paper']}/cmdline").read_bytes()
        # IBKR allows this one once in five seconds.
        statuses = {_unpaced_status(stack.paper.base_url + "/iserver/account/trades") for _ in range(3)}
        assert 429 in statuses


def test_without_paper_the_gateway_of_the_configuration_is_used(tmp_path: Path) -> None:
    with (
        start_paper(tmp_path / "gateway") as gateway,
        start_stack(
            tmp_path,
            gateway_url=gateway.base_url,
            paper=False,
            env={"BEZANT_VERIFY_TLS": "true", "BEZANT_CA_FILE": str(gateway.ca_file)},
        ) as stack,
    ):
        assert sorted(stack.pids) == ["envoy", "server"]
        assert _get(stack.rest_url, "/health")[0] == 200
        assert gateway.base_url in stack.output
        assert f"{stack.rest_url}/sso/Login?" in stack.output
        assert json.loads(_get(stack.rest_url, "/events/_status")[2])["code"] == "events_disabled"


def test_the_paper_certificate_is_verified_when_asked(tmp_path: Path) -> None:
    with start_stack(tmp_path, env={"BEZANT_VERIFY_TLS": "true"}) as stack:
        assert _get(stack.rest_url, "/health")[0] == 200


def test_a_gateway_that_is_down_keeps_nothing_from_starting(tmp_path: Path) -> None:
    with _taken() as port:
        pass
    with start_stack(tmp_path, gateway_url=f"https://127.0.0.1:{port}", paper=False) as stack:
        status, _, body = _get(stack.rest_url, "/health")
        assert (status, json.loads(body)["code"]) == (503, "upstream_unreachable")


def test_a_name_can_be_listened_on(tmp_path: Path) -> None:
    with start_stack(tmp_path, args=["--bind", "localhost:0"]) as stack:
        assert _get(stack.rest_url, "/health")[0] == 200


def test_secrets_reach_the_server_alone_and_no_command_line(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("open-sesame\n")
    with start_stack(tmp_path, env={"BEZANT_DEBUG_TOKEN_FILE": str(secret)}) as stack:
        assert _get(stack.rest_url, "/debug/jar", **{"X-Bezant-Debug-Token": "open-sesame"})[0] == 200
        for name, pid in stack.pids.items():
            assert b"open-sesame" not in Path(f"/proc/{pid}/cmdline").read_bytes()
            assert (b"open-sesame" in Path(f"/proc/{pid}/environ").read_bytes()) is (name == "server")
        assert "open-sesame" not in stack.log


def test_paper_gets_a_key_and_a_store_of_its_own(tmp_path: Path, runs: Path) -> None:
    with start_stack(tmp_path, env={"XDG_RUNTIME_DIR": str(runs)}) as stack:
        key = stack.api_key
        assert key is not None
        assert key.startswith("bz_")
        (directory,) = runs.iterdir()
        variables = Path(f"/proc/{stack.pids['server']}/environ").read_bytes().decode().split("\0")
        keys = directory / "api-keys.json"
        assert {f"BEZANT_API_KEYS_PATH={keys}", f"BEZANT_STATE_DB_PATH={directory / 'state.db'}"} <= set(variables)
        assert KeyRing(keys).client(key) == Client("paper", Scope.TRADE)
        assert keys.stat().st_mode & 0o777 == 0o600
        (ready_file,) = tmp_path.glob("*.ready")
        assert ready_file.stat().st_mode & 0o777 == 0o600

        command = f"curl -H 'X-API-Key: {key}' {stack.rest_url}/api/v1/positions"
        assert f"  {command}" in stack.output.splitlines()
        assert _get(stack.rest_url, "/api/v1/positions", **{"X-API-Key": key})[0] == 200
        assert _get(stack.rest_url, "/api/v1/positions")[0] == 401
        assert stack.stop() == 0

        assert key not in stack.log
        assert list(runs.iterdir()) == []


def test_no_child_is_handed_the_key(shared: Stack) -> None:
    assert shared.api_key is not None
    for pid in shared.pids.values():
        for place in ("cmdline", "environ"):
            assert shared.api_key.encode() not in Path(f"/proc/{pid}/{place}").read_bytes()


def test_an_operators_own_keys_and_store_are_used_on_paper_too(tmp_path: Path) -> None:
    own = {"BEZANT_API_KEYS_PATH": str(tmp_path / "keys.json"), "BEZANT_STATE_DB_PATH": str(tmp_path / "state.db")}
    with start_stack(tmp_path, env=own) as stack:
        variables = Path(f"/proc/{stack.pids['server']}/environ").read_bytes().decode().split("\0")
        assert {f"{name}={value}" for name, value in own.items()} <= set(variables)
        assert stack.api_key is None
        assert "X-API-Key" not in stack.output
        assert not (tmp_path / "keys.json").exists()


def test_the_server_knows_when_the_gateway_is_paper(shared: Stack) -> None:
    assert b"\0serve\0--paper\0" in Path(f"/proc/{shared.pids['server']}/cmdline").read_bytes()


def test_without_paper_there_is_no_key_and_what_has_no_effect_is_said_once(tmp_path: Path) -> None:
    with _taken() as port:
        pass
    variables = {"IB_HOST": "10.0.0.1", "IB_PORT": "7497"}
    with start_stack(tmp_path, gateway_url=f"https://127.0.0.1:{port}", paper=False, env=variables) as stack:
        assert b"--paper" not in Path(f"/proc/{stack.pids['server']}/cmdline").read_bytes()
        assert (stack.api_key, stack.ib_url) == (None, None)
        assert "X-API-Key" not in stack.output
        assert stack.stop() == 0

        for name in variables:
            assert stack.log.count(name) == 1
            assert f"[bezant] {name} has no effect: the gateway is IBKR_GATEWAY_URL" in stack.log.splitlines()


def _unpaced_status(url: str) -> int:
    """The answer of the paper gateway itself, whose certificate is of its own making."""
    request = urllib.request.Request(url, headers={"User-Agent": "tests"})
    try:
        with urllib.request.urlopen(request, timeout=_SECS, context=ssl._create_unverified_context()) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
