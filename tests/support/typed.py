"""A server and a paper gateway, as a gRPC program meets them: real processes, no Envoy."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from tests.support.paper import PaperGateway, start_paper
from tests.support.stack import environment

ACCOUNT = "DU8730189"
"""The paper gateway's first account."""
AAPL = 265598

_START_SECS = 30.0
_STOP_SECS = 20.0
_POLL_SECS = 0.02
_SETTINGS = {
    "BEZANT_GRPC_BIND": "127.0.0.1:0",
    "BEZANT_LOG_LEVEL": "DEBUG",
    "BEZANT_LOG_FORMAT": "json",
    "BEZANT_KEEPALIVE_SECS": "1",
    "BEZANT_SESSION_SPACING_SECS": "0.1",
    "BEZANT_SESSION_BACKOFF_MIN_SECS": "0.1",
    "BEZANT_SESSION_BACKOFF_MAX_SECS": "0.5",
    "BEZANT_SHUTDOWN_GRACE_SECS": "1",
    "BEZANT_MAINTENANCE_WINDOWS": "",
    "BEZANT_EVENTS_ENABLED": "true",
    "BEZANT_EVENTS_BACKOFF_MIN_SECS": "0.05",
}


@dataclass(slots=True)
class TypedServer:
    """A running server.

    Attributes:
        paper: the gateway behind it.
        port: of its gRPC.
        process: `bezant serve`.
        log_file: JSON lines.
    """

    paper: PaperGateway
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def channel(self) -> grpc.aio.Channel:
        """A channel to it; close it, or use it with `async with`."""
        return grpc.aio.insecure_channel(self.target)

    def log_lines(self, **fields: object) -> list[dict[str, Any]]:
        """The server's log lines that carry these fields."""
        text = self.log_file.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"]
        return [line for line in lines if fields.items() <= line.items()]

    def wait_for_log(self, **fields: object) -> list[dict[str, Any]]:
        """Wait until a log line carries these fields: a line is written after its answer has gone out."""
        deadline = time.monotonic() + _START_SECS
        while not (lines := self.log_lines(**fields)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = self.log_file.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise TimeoutError(f"no log line with {fields}\n{tail}")
            time.sleep(_POLL_SECS)
        return lines

    def upstream_counts(self) -> dict[str, int]:
        """What the gateway was asked, by method and path."""
        counts: dict[str, int] = self.paper.requests()["counts"]
        return counts


@contextlib.contextmanager
def start_server(paper: PaperGateway, folder: Path, *flags: str, **variables: str) -> Iterator[TypedServer]:
    """Run `bezant serve` in front of a paper gateway, and wait until orders can be sent (unless upkeep is off)."""
    settings = {
        **_SETTINGS,
        "IBKR_GATEWAY_URL": paper.base_url,
        "BEZANT_API_KEYS_PATH": str(folder / "api-keys.json"),
        "BEZANT_STATE_DB_PATH": str(folder / f"state-{time.monotonic_ns()}.db"),
        **variables,
    }
    log_file = folder / f"server-{time.monotonic_ns()}.log"
    with log_file.open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-m", "bezant_server.cli", "serve", *flags),
            cwd=folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    server = TypedServer(paper, 0, process, log_file)
    try:
        (line,) = server.wait_for_log(message="serving gRPC")
        server.port = int(line["port"])
        if settings.get("BEZANT_SESSION_UPKEEP", "on") == "on":
            server.wait_for_log(message="the session is READY")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECS)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def typed_server(folder: Path, *flags: str, **variables: str) -> Iterator[TypedServer]:
    """Run a paper gateway (logged in, with `flags`) and a server (with `variables`) in front of it.

    The paper gateway's own limits are off, and so is pacing, unless a test turns them on.
    """
    with start_paper(folder, "--primed", *flags) as paper:
        settings = {"BEZANT_PACING": "off", **variables}
        with start_server(paper, folder, **settings) as server:
            yield server
