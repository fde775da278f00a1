"""The processes of a benchmark: started, waited for, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from bezant_server import config
from bezant_server.local import environment, envoy


@contextmanager
def apart(directory: Path) -> Iterator[None]:
    """Nothing of the operator's configuration is seen here or in a child: no variable, and no `.env` to find.

    A benchmark that read it would write its own orders into the operator's history of events.
    """
    before = dict(os.environ)
    with contextlib.chdir(directory):
        for name in before.keys() - environment.without_settings().keys():
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(before)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(*command: str, env: dict[str, str] | None = None, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the length of the context."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=output, stderr=output)
        try:
            yield child
        finally:
            child.terminate()
            child.wait(20)


@contextmanager
def envoy_process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run Envoy on a configuration file."""
    command = (str(envoy.binary()), "-c", str(path), "--disable-hot-restart", "--log-level", "warning")
    with process(*command, log=path.with_suffix(".log")) as child:
        yield child


@contextmanager
def front(directory: Path, name: str, *, port: int, server_socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the product's Envoy in front of a server."""
    settings = config.load({"BEZANT_BIND": f"127.0.0.1:{port}"})
    path = directory / f"{name}.yaml"
    path.write_text(envoy.render(settings, socket=server_socket), encoding="utf-8")
    with envoy_process(path) as child:
        yield child


@contextmanager
def server(
    directory: Path, name: str, *, grpc_port: int, server_socket: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the product's server."""
    variables = {
        "BEZANT_GRPC_BIND": f"127.0.0.1:{grpc_port}",
        "BEZANT_ENVOY_SOCKET": str(server_socket),
        **env,
    }
    command = (sys.executable, "-m", "bezant_server.cli", "serve")
    with process(*command, env=variables, log=directory / f"{name}.log") as child:
        yield child


async def listening(port: int) -> None:
    """Wait until something listens on a port.

    Raises:
        TimeoutError: nothing does.
    """
    deadline = monotonic() + 20
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
