"""The product as REST callers meet it: `bezant serve` and Envoy, real processes on free ports, in front of a gateway.

Requests are written byte for byte, because what a client library would tidy up (paths, headers, methods) is often what
a test is about.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from bezant_server import config
from bezant_server.local import envoy
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.stack import environment

_START_SECS = 30.0
_STOP_SECS = 20.0
_ANSWER_SECS = 60.0
_POLL_SECS = 0.02

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer as it came; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def names(self) -> set[str]:
        return {name for name, _ in self.headers}

    def json(self) -> Any:
        return json.loads(self.body)


class _Answers(io.BufferedReader):
    """What a connection receives. One answer's reader closes it when done; the next answer follows all the same."""

    def makefile(self, mode: str) -> _Answers:
        return self

    def close(self) -> None:
        pass


class Connection:
    """One TCP connection to Envoy; several requests may follow each other."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=_ANSWER_SECS)
        self._answers = _Answers(socket.SocketIO(self._socket, "r"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def local_address(self) -> str:
        """Host and port of this end."""
        host, port = self._socket.getsockname()[:2]
        return f"{host}:{port}"

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, method: str = "GET") -> HttpAnswer:
        """The next answer; the method decides whether it has a body."""
        response = http.client.HTTPResponse(self._answers, method=method)  # type: ignore[arg-type]
        response.begin()
        headers = tuple((name.lower(), value) for name, value in response.getheaders())
        return HttpAnswer(response.status, headers, response.read())

    def read_head(self) -> int:
        """The status of the next answer; its headers are skipped, and its body, if it has one, stays unread."""
        first = self._answers.readline()
        while self._answers.readline().strip():
            pass
        return int(first.split(b" ")[1])

    def is_closed(self) -> bool:
        """Wait until the other side closes; False when it sends something instead."""
        return self._answers.read(1) == b""


@dataclass(frozen=True, slots=True)
class Edge:
    """Server and Envoy, running.

    Attributes:
        gateway: the gateway behind them.
        host: Envoy's.
        port: Envoy's.
        grpc_port: the server's own.
        server: the process of `bezant serve`.
        server_log: its log, JSON lines.
    """

    gateway: ScriptedGateway
    host: str
    port: int
    grpc_port: int
    server: subprocess.Popen[bytes]
    server_log: Path

    def connect(self) -> Connection:
        return Connection(self.host, self.port)

    def send(
        self,
        method: str,
        target: str,
        *,
        headers: Pairs = (),
        body: bytes | None = None,
        host: str | None = None,
    ) -> HttpAnswer:
        """One request on a connection of its own.

        Args:
            method: as it stands on the wire.
            target: as it stands on the wire.
            headers: beside Host, and Content-Length when there is a body.
            body: None sends no body and no Content-Length.
            host: Envoy's address by default; empty sends no Host.
        """
        with self.connect() as connection:
            connection.write(self.request(method, target, headers=headers, body=body, host=host))
            return connection.read(method)

    def get(self, target: str, *, headers: Pairs = ()) -> HttpAnswer:
        return self.send("GET", target, headers=headers)

    def post(self, target: str, body: bytes, *, headers: Pairs = (("Content-Type", "application/json"),)) -> HttpAnswer:
        return self.send("POST", target, headers=headers, body=body)

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Pairs = (),
        body: bytes | None = None,
        host: str | None = None,
    ) -> bytes:
        """The bytes that `send` sends."""
        lines = [f"{method} {target} HTTP/1.1"]
        if host != "":
            lines.append(f"Host: {host or f'{self.host}:{self.port}'}")
        lines.extend(f"{name}: {value}" for name, value in headers)
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")

    def log_lines(self, **fields: object) -> list[dict[str, Any]]:
        """The server's log lines that carry these fields."""
        text = self.server_log.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"]
        return [line for line in lines if fields.items() <= line.items()]

    def wait_for_log(self, **fields: object) -> list[dict[str, Any]]:
        """Wait until a log line carries these fields: a line is written after its answer has gone out."""
        _wait(lambda: bool(self.log_lines(**fields)), f"a log line with {fields}")
        return self.log_lines(**fields)


@contextlib.contextmanager
def running_edge(
    gateway: ScriptedGateway, variables: Mapping[str, str] | None = None, *, host: str = "127.0.0.1"
) -> Iterator[Edge]:
    """Run server and Envoy in front of `gateway`, with `variables` of the configuration; Envoy listens on `host`."""
    # A Unix socket's path has room for about a hundred characters: pytest's own folders are too deep.
    with (
        TemporaryDirectory(prefix="bezant-") as name,
        _reserved_port(host) as port,
        contextlib.ExitStack() as processes,
    ):
        directory = Path(name)
        server_socket = directory / "server.sock"
        settings = {
            "IBKR_GATEWAY_URL": gateway.url,
            "BEZANT_BIND": f"{host}:{port}",
            "BEZANT_GRPC_BIND": "127.0.0.1:0",
            "BEZANT_ENVOY_SOCKET": str(server_socket),
            "BEZANT_API_KEYS_PATH": str(directory / "api-keys.json"),
            "BEZANT_STATE_DB_PATH": str(directory / "state.db"),
            "BEZANT_KEEPALIVE_SECS": "3600",
            # Every call reaches the gateway, at once, unless a test is about pacing.
            "BEZANT_PACING": "off",
            # Nor does the server itself call it in the middle of a test that is not about the session.
            "BEZANT_SESSION_UPKEEP": "off",
            "BEZANT_SHUTDOWN_GRACE_SECS": "1",
            "BEZANT_LOG_LEVEL": "DEBUG",
            **(variables or {}),
        }
        server_log = directory / "server.log"
        command = (sys.executable, "-m", "bezant_server.cli", "serve")
        server = processes.enter_context(_process(command, directory, server_log, settings))

        envoy_yaml = directory / "envoy.yaml"
        envoy_yaml.write_text(envoy.render(config.load(settings), socket=server_socket), encoding="utf-8")
        envoy_log = directory / "envoy.log"
        front = processes.enter_context(
            _process(
                (str(envoy.binary()), "-c", str(envoy_yaml), "--disable-hot-restart", "--concurrency", "1"),
                directory,
                envoy_log,
                {},
            )
        )
        edge = Edge(gateway, host, port, 0, server, server_log)
        _wait(lambda: bool(edge.log_lines(message="serving gRPC")), "the server", server, server_log)
        _wait(lambda: _listens(host, port), "Envoy", front, envoy_log)
        if settings["IBKR_GATEWAY_URL"] == gateway.url:
            # The server tickles as it starts; a test shall not meet that call among its own.
            _wait(lambda: bool(gateway.arrivals), "the first tickle", server, server_log)
        (line,) = edge.log_lines(message="serving gRPC")
        yield Edge(gateway, host, port, int(line["port"]), server, server_log)


def edge_before(gateway_url: str, variables: Mapping[str, str]) -> contextlib.AbstractContextManager[Edge]:
    """As `running_edge`, in front of a gateway that is a process of its own: `Edge.gateway` tells nothing then."""
    return running_edge(ScriptedGateway(), {"IBKR_GATEWAY_URL": gateway_url, **variables})


@contextlib.contextmanager
def _reserved_port(host: str) -> Iterator[int]:
    """A free port that nobody else is given: bound here, not listened on, shared with whoever asks for it by number."""
    with socket.socket() as holder:
        holder.bind((host, 0))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield int(holder.getsockname()[1])


@contextlib.contextmanager
def _process(
    command: tuple[str, ...], directory: Path, log: Path, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a folder without a `.env`, with no variable of ours but `variables`."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=directory,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(_STOP_SECS)
        finally:
            child.kill()
            child.wait()


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait(condition: Any, what: str, child: subprocess.Popen[bytes] | None = None, log: Path | None = None) -> None:
    deadline = time.monotonic() + _START_SECS
    while not condition():
        died = child is not None and child.poll() is not None
        if died or time.monotonic() > deadline:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log else ""
            raise TimeoutError(f"{what} did not come{' and its process died' if died else ''}\n{tail}")
        time.sleep(_POLL_SECS)
