"""The command line of `bezant up`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bezant_server import private_files
from bezant_server.addresses import BindAddress
from bezant_server.config import ConfigError, Settings, refuse_failpoint

if TYPE_CHECKING:
    from bezant_server.local.plan import PaperOptions, Plan

_USAGE_ERROR = 2
_INTERRUPTED = 130
_LAST_LINES_SECS = 2.0
_PAPER_BIND = BindAddress("127.0.0.1", 5000)
_PAPER_CONTROL_BIND = BindAddress("127.0.0.1", 5001)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `bezant up` that are no variables of the configuration."""
    parser.add_argument(
        "--ready-file", type=Path, metavar="PATH",
        help="write rest_url, grpc_target, ib_url, paper_url, paper_control_url, api_key and pids there, as JSON, once "
        "all is up; for this user alone",
    )  # fmt: skip
    group = parser.add_argument_group("paper gateway", "everything but --paper itself needs --paper")
    group.add_argument("--paper", action="store_true", help="run the paper gateway, and use it instead of a real one")
    group.add_argument("--logged-out", action="store_true", default=None, help="start it at the login page")
    group.add_argument("--limits", action="store_true", default=None, help="have it enforce IBKR's pacing")
    group.add_argument("--seed", type=int, help="seed of its market: the same seed, the same day")
    group.add_argument(
        "--paper-bind",
        type=_address,
        metavar="HOST:PORT",
        help=f"where it serves; port 0 lets us choose ({_PAPER_BIND})",
    )
    group.add_argument(
        "--paper-control-bind", type=_address, metavar="HOST:PORT",
        help=f"where its control endpoint is; port 0 lets us choose ({_PAPER_CONTROL_BIND})",
    )  # fmt: skip


def run(parsed: argparse.Namespace, load: Callable[[argparse.Namespace], Settings]) -> int:
    """Run everything until Ctrl-C.

    Args:
        parsed: the command line.
        load: reads the configuration, the command line's flags included.

    Returns:
        The exit status: 0 after a signal, 1 when a program failed, 2 when the command line, the configuration or an
        address cannot be used, 128 + the signal's number when a signal left no time for an orderly stop.
    """
    from bezant_server.keys.file import KeysError  # noqa: PLC0415
    from bezant_server.local.plan import planned  # noqa: PLC0415  the other commands do without it
    from bezant_server.local.ports import AddressError  # noqa: PLC0415
    from bezant_server.local.rundir import run_directory  # noqa: PLC0415

    try:
        paper = _paper_options(parsed)
        _check_ready_file(parsed.ready_file)
        settings = load(parsed)
        if paper is None:
            refuse_failpoint(settings)
        with run_directory() as directory, planned(settings, paper, directory) as plan:
            return _supervise(plan, login=paper is None or paper.logged_out, ready_file=parsed.ready_file)
    except (ConfigError, AddressError, KeysError, OSError) as error:
        sys.stderr.write(f"bezant: {error}\n")
        return _USAGE_ERROR
    except KeyboardInterrupt:
        # Before the supervisor listens for signals, or after: nothing runs then.
        return _INTERRUPTED


def _supervise(plan: Plan, *, login: bool, ready_file: Path | None) -> int:
    from bezant_server.local import banner  # noqa: PLC0415
    from bezant_server.local.console import Console  # noqa: PLC0415
    from bezant_server.local.supervisor import Supervisor  # noqa: PLC0415

    console = Console(sys.stderr.buffer)
    for warning in plan.warnings:
        console.line("bezant", warning)

    def ready(pids: Mapping[str, int]) -> None:
        # A banner that nobody reads is no reason to stop.
        with contextlib.suppress(OSError):
            sys.stdout.write(banner.text(plan, login=login))
            sys.stdout.flush()
        if ready_file is not None:
            private_files.write(ready_file, _announcement(plan, pids).encode())

    try:
        tell = partial(console.line, "bezant")
        beside = [partial(work, tell) for work in plan.beside]
        return asyncio.run(Supervisor(plan.services, console=console, beside=beside).run(ready))
    finally:
        console.close(within=_LAST_LINES_SECS)
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _paper_options(parsed: argparse.Namespace) -> PaperOptions | None:
    from bezant_server.local.plan import PaperOptions  # noqa: PLC0415

    if parsed.paper:
        if parsed.IBKR_GATEWAY_URL is not None:
            raise ConfigError("--paper runs a gateway of its own: leave out --gateway-url")
        return PaperOptions(
            bind=parsed.paper_bind or _PAPER_BIND,
            control_bind=parsed.paper_control_bind or _PAPER_CONTROL_BIND,
            seed=parsed.seed,
            logged_out=bool(parsed.logged_out),
            limits=bool(parsed.limits),
        )
    for name in ("logged_out", "limits", "seed", "paper_bind", "paper_control_bind"):
        if getattr(parsed, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is of the paper gateway: add --paper")
    return None


def _check_ready_file(path: Path | None) -> None:
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"--ready-file: {path.parent} is no directory")


def _announcement(plan: Plan, pids: Mapping[str, int]) -> str:
    return json.dumps(
        {
            "rest_url": plan.rest_url,
            "grpc_target": plan.grpc_target,
            "ib_url": plan.ib_url,
            "paper_url": plan.paper and plan.paper.api,
            "paper_control_url": plan.paper and plan.paper.control,
            "api_key": plan.api_key,
            "pids": dict(pids),
        }
    )


def _address(text: str) -> BindAddress:
    try:
        return BindAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
