"""Starts the paper gateway as a process of its own, for any test that needs one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class ControlError(Exception):
    """The control endpoint refused a request."""


@dataclass(frozen=True, slots=True)
class PaperGateway:
    """A running paper gateway.

    `base_url` ends in /v1/api, without a slash. `control` is synchronous, `acontrol` the same for coroutines:
    both take a path of the control endpoint and its body, and return its answer.
    """

    base_url: str
    control_url: str
    ca_file: Path
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def origin(self) -> str:
        return self.base_url.removesuffix("/v1/api")

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    @property
    def socket_url(self) -> str:
        return self.base_url.replace("https://", "wss://") + "/ws"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def ssl_context(self) -> ssl.SSLContext:
        """Trusts this gateway's certificate authority and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def control(self, path: str, body: dict[str, Any] | None = None, *, method: str = "POST") -> dict[str, Any]:
        request = urllib.request.Request(
            self.control_url + path,
            method=method,
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlError(error.read().decode()) from None
        return answer

    async def acontrol(self, path: str, body: dict[str, Any] | None = None, *, method: str = "POST") -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=30)
        content = io.BytesIO(json.dumps(body or {}).encode())
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.request(method, self.control_url + path, data=content) as response,
        ):
            answer: dict[str, Any] = await response.json()
            if response.status != 200:
                raise ControlError(answer["error"])
            return answer

    def requests(self) -> dict[str, Any]:
        """What the gateway has been asked: see GET /requests of the control endpoint."""
        return self.control("/requests", method="GET")

    def state(self) -> dict[str, Any]:
        return self.control("/state", method="GET")

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

    def terminate(self) -> int:
        """Ask the process to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)


@contextlib.contextmanager
def start_paper(folder: Path, *args: str, port: int = 0) -> Iterator[PaperGateway]:
    """Run `python -m bezant_server.paper` with free ports and the given flags until the block ends.

    `port` asks for a certain port, to start a gateway anew where another one was. `folder` keeps its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    serial = f"paper-{os.getpid()}-{time.monotonic_ns()}"
    ready_file, ca_file, log_file = (folder / f"{serial}.{kind}" for kind in ("ready", "pem", "log"))
    command = [
        *(sys.executable, "-m", "bezant_server.paper"),
        *("--bind", f"127.0.0.1:{port}", "--control-bind", "127.0.0.1:0"),
        *("--ready-file", str(ready_file), "--ca-file", str(ca_file)),
        *args,
    ]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL)
    try:
        ready = _wait_until_ready(process, ready_file, log_file)
        yield PaperGateway(ready["base_url"], ready["control_url"], ca_file, process, log_file)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], ready_file: Path, log_file: Path) -> dict[str, Any]:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if ready_file.exists():
            ready: dict[str, Any] = json.loads(ready_file.read_text())
            return ready
        if process.poll() is not None:
            raise RuntimeError(f"the paper gateway ended with {process.returncode}: {log_file.read_text()}")
        time.sleep(0.02)
    raise RuntimeError(f"the paper gateway did not start: {log_file.read_text()}")
