"""The command line of the paper gateway."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bezant_server.paper.address import Address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the paper gateway's flags to a parser."""
    parser.add_argument(
        "--bind", type=_address, default="127.0.0.1:5000", metavar="HOST:PORT",
        help="where to serve HTTPS and WebSocket; port 0 lets the system choose (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--control-bind", type=_address, default="127.0.0.1:5001", metavar="HOST:PORT",
        help="where to serve the control endpoint, plain HTTP (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="seed of the market: the same seed, the same day")
    parser.add_argument(
        "--start", type=_moment, metavar="TIME",
        help="virtual time to start at, such as 2026-03-02T14:30:00Z (default: the real time)",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=_positive, default=1.0, help="virtual seconds in a real one (default: %(default)g)"
    )
    parser.add_argument("--ca-file", type=Path, metavar="PATH", help="write the certificate authority there (PEM)")
    parser.add_argument(
        "--ready-file", type=Path, metavar="PATH",
        help="write a JSON object with base_url, control_url and pid there once listening",
    )  # fmt: skip
    parser.add_argument("--logged-out", action="store_true", help="start at the login page instead of logged in")
    parser.add_argument(
        "--primed", action="store_true", help="start with the account lists and live orders already asked for"
    )
    parser.add_argument("--limits", action="store_true", help="enforce IBKR's pacing, penalty box included")
    parser.add_argument("--market-hours", action="store_true", help="trade in US market hours only, instead of always")
    parser.add_argument("--text-frames", action="store_true", help="send WebSocket frames as text, not binary")
    parser.add_argument(
        "--init-delay", type=_not_negative, default=0.0, metavar="SECONDS",
        help="how long opening a brokerage session takes (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--greeting-delay", type=_not_negative, default=0.05, metavar="SECONDS",
        help="how long after connecting a WebSocket is greeted (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--extra-accounts",
        type=_count,
        default=0,
        metavar="N",
        help="open so many more accounts (default: %(default)s)",
    )
    parser.add_argument(
        "--extra-positions", type=_count, default=0, metavar="N",
        help="list so many more stocks, and hold each in the first account (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--stale-reply-status", type=int, choices=(400, 503), default=400,
        help="what a reply to a question that is no longer open gets (default: %(default)s)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; the exit status, 2 when an address or a file cannot be used."""
    # A command line that runs something else does without the market and its web server.
    from bezant_server.paper.gateway import Options  # noqa: PLC0415
    from bezant_server.paper.process import serve  # noqa: PLC0415

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s paper: %(message)s", force=True
    )
    options = Options(
        seed=args.seed,
        speed=args.speed,
        start=args.start,
        logged_out=args.logged_out,
        limits=args.limits,
        market_hours=args.market_hours,
        text_frames=args.text_frames,
        primed=args.primed,
        init_delay=args.init_delay,
        greeting_delay=args.greeting_delay,
        stale_reply_status=args.stale_reply_status,
        extra_accounts=args.extra_accounts,
        extra_positions=args.extra_positions,
    )
    return asyncio.run(
        serve(
            options,
            bind=args.bind,
            control_bind=args.control_bind,
            ca_file=args.ca_file,
            ready_file=args.ready_file,
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse a command line and run."""
    parser = argparse.ArgumentParser(prog="bezant paper", description="A simulator of IBKR's Client Portal Gateway.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _address(text: str) -> Address:
    host, separator, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not separator or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is not host:port, such as 127.0.0.1:5000")
    return Address(host, int(port))


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time, such as 2026-03-02T14:30:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _positive(text: str) -> float:
    value = _not_negative(text)
    if not value:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 to 99999")
    return int(text)


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to 1000000")
    return value
