"""The paper gateway as a process: its ports, its signals, the files that say where it is."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
from pathlib import Path

from bezant_server.paper.address import Address
from bezant_server.paper.app import Listener, PaperServer
from bezant_server.paper.gateway import Gateway, Options
from bezant_server.paper.tls import make_identity

logger = logging.getLogger(__name__)

_ADDRESS_ERRORS = {
    errno.EADDRINUSE: "is taken",
    errno.EACCES: "needs more privileges than this process has",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
}


async def serve(
    options: Options, *, bind: Address, control_bind: Address, ca_file: Path | None, ready_file: Path | None
) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: how the gateway is to behave.
        bind: where to serve HTTPS and WebSocket.
        control_bind: where to serve the control endpoint.
        ca_file: where to write the certificate authority, in PEM.
        ready_file: where to write the addresses and the pid, once both are listened on.

    Returns:
        The exit status: 2 when an address or a file cannot be used.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    identity = make_identity()
    server = PaperServer(Gateway(options), tls=identity.context, bind=bind, control_bind=control_bind)
    try:
        for listener, flag in ((server.listener, "--bind"), (server.control_listener, "--control-bind")):
            if not await _listening(listener, flag):
                return 2
        server.start_clock()
        try:
            if ca_file is not None:
                _write(ca_file, identity.ca_pem)
            if ready_file is not None:
                _write(ready_file, _announcement(server))
        except OSError as error:
            logger.error("cannot write %s: %s", error.filename, error.strerror)  # noqa: TRY400  # no stack for users
            return 2
        logger.info("serving %s, control at %s", server.base_url, server.control_url)
        await stopping.wait()
        logger.info("stopping")
        return 0
    finally:
        await server.stop()


async def _listening(listener: Listener, flag: str) -> bool:
    try:
        await listener.start()
    except OSError as error:
        reason = _ADDRESS_ERRORS.get(error.errno or 0, error.strerror or "cannot be used")
        logger.error(  # noqa: TRY400  # a stack trace tells a user nothing
            "%s %s: choose another with %s", listener.authority, reason, flag
        )
        return False
    return True


def _announcement(server: PaperServer) -> bytes:
    return json.dumps({"base_url": server.base_url, "control_url": server.control_url, "pid": os.getpid()}).encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file so that whoever finds it finds it whole."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)
