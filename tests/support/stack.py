"""Starts everything as a user does, `bezant up`, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bezant_server.local.environment import without_settings

_START_SECS = 60.0
_STOP_SECS = 45.0
_POLL_SECS = 0.02
_ANYWHERE = "127.0.0.1:0"

COMMAND = (sys.executable, "-m", "bezant_server.cli", "up")


@dataclass(frozen=True, slots=True)
class PaperPlace:
    """Where the stack's paper gateway is."""

    base_url: str
    control_url: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A running `bezant up`.

    Attributes:
        rest_url: Envoy's, without a slash at the end.
        grpc_target: the server's own gRPC address.
        ib_url: Envoy's on the port that serves /ib alone; None without one.
        api_key: of the client `paper`; None when the run was given a file of keys, or has no paper gateway.
        paper: None when it runs in front of another gateway.
        pids: process ids of the children by name: paper, server, envoy.
        process: the supervisor.
    """

    rest_url: str
    grpc_target: str
    ib_url: str | None
    api_key: str | None
    paper: PaperPlace | None
    pids: Mapping[str, int]
    process: subprocess.Popen[bytes]
    output_file: Path
    log_file: Path

    @property
    def output(self) -> str:
        """What the supervisor has written to its standard output: the banner."""
        return self.output_file.read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        """What the supervisor and its children have logged so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask for the end, as Ctrl-C does, and wait for it; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECS)

    def kill(self, name: str) -> None:
        """End a child at once, as a crash would."""
        os.kill(self.pids[name], signal.SIGKILL)


@contextlib.contextmanager
def start_stack(
    folder: Path,
    *,
    gateway_url: str | None = None,
    paper: bool = True,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] = (),
    command: Sequence[str] = COMMAND,
) -> Iterator[Stack]:
    """Run `bezant up` until the block ends.

    Args:
        folder: keeps its output; it runs there too, so that no `.env` of a developer is read.
        gateway_url: the gateway to use; needs `paper=False`.
        paper: with a paper gateway of its own.
        env: further variables; none of ours is inherited.
        args: further flags; an address given here or in `env` wins over the free port it would get.
        command: what runs `bezant up`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    serial = f"stack-{os.getpid()}-{time.monotonic_ns()}"
    ready_file, output_file, log_file = (folder / f"{serial}.{kind}" for kind in ("ready", "out", "log"))
    variables = {"BEZANT_BIND": _ANYWHERE, "BEZANT_GRPC_BIND": _ANYWHERE}
    if not paper:
        # With a paper gateway a run has files of its own; without, it would use a developer's.
        variables["BEZANT_API_KEYS_PATH"] = str(folder / f"{serial}.api-keys.json")
        variables["BEZANT_STATE_DB_PATH"] = str(folder / f"{serial}.state.db")
    flags = [
        *("--ready-file", str(ready_file)),
        *(["--paper", "--paper-bind", _ANYWHERE, "--paper-control-bind", _ANYWHERE] if paper else []),
        *(["--gateway-url", gateway_url] if gateway_url else []),
    ]
    with output_file.open("wb") as output, log_file.open("wb") as log:
        process = subprocess.Popen(
            [*command, *flags, *args],
            cwd=folder,
            env=environment(variables | dict(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
        )
    try:
        wait_until(lambda: ready_file.exists() or process.poll() is not None, "bezant up", log_file.read_text)
        if process.poll() is not None:
            raise RuntimeError(f"bezant up ended with {process.returncode}: {log_file.read_text()}")
        ready: dict[str, Any] = json.loads(ready_file.read_text())
        yield Stack(
            rest_url=ready["rest_url"],
            grpc_target=ready["grpc_target"],
            ib_url=ready["ib_url"],
            api_key=ready["api_key"],
            paper=PaperPlace(ready["paper_url"], ready["paper_control_url"]) if paper else None,
            pids=ready["pids"],
            process=process,
            output_file=output_file,
            log_file=log_file,
        )
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with no variable of ours but the given ones."""
    return {**without_settings(), **(variables or {})}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def wait_until(condition: Callable[[], bool], what: str, context: Callable[[], str] = str) -> None:
    """Wait for a condition; TimeoutError, with the context, when it does not come."""
    deadline = time.monotonic() + _START_SECS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come\n{context()}")
        time.sleep(_POLL_SECS)
