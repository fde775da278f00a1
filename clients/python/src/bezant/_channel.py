"""How to reach the server: its address, the key, and what gRPC is to do by itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

import grpc

from bezant import _tls
from bezant._reads import service_config
from bezant._tls import Tls

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECS = 30.0

_MAX_MESSAGE_BYTES = 26 * 1024 * 1024
_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_MAX_RECONNECT_MS = 5_000
_MAX_PORT = 65_535

Option = tuple[str, str | int]


@dataclass(frozen=True, slots=True)
class CallDefaults:
    """What each call gets.

    Attributes:
        headers: its metadata, beside what the caller gives.
        timeout_secs: the deadline of a call that answers once and whose caller names none.
    """

    headers: tuple[tuple[str, str], ...]
    timeout_secs: float


def call_defaults(api_key: str | None, timeout_secs: float) -> CallDefaults:
    """Check what the caller of `connect` gave.

    Raises:
        ValueError: it cannot be used; a key is never repeated in the message.
    """
    if not timeout_secs > 0:
        raise ValueError(f"timeout_secs must be above 0, not {timeout_secs!r}")
    if api_key is None:
        return CallDefaults((), timeout_secs)
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ValueError("api_key must be printable ASCII without spaces")
    return CallDefaults((("x-api-key", api_key),), timeout_secs)


def credentials(address: str, tls: Tls | bool | None) -> grpc.ChannelCredentials | None:
    """Those of the channel; None for plain text.

    Raises:
        ValueError: the address is not a host and a port, or a file of `tls` holds something else.
        OSError: a file of `tls` cannot be read.
    """
    is_loopback = _is_loopback(address)
    if tls is None:
        tls = not is_loopback
    if tls is False:
        return None
    return _tls.credentials(Tls() if tls is True else tls)


def channel_options(own: Iterable[Option]) -> list[Option]:
    """gRPC's: sizes, pings that notice a dead connection, and retries of reads; the caller's own win over them."""
    options: dict[str, str | int] = {
        "grpc.max_receive_message_length": _MAX_MESSAGE_BYTES,
        "grpc.max_send_message_length": _MAX_MESSAGE_BYTES,
        "grpc.keepalive_time_ms": _KEEPALIVE_MS,
        # By either a ping that nobody answers is the end; gRPC 1.85 heeds the second alone, and would take a minute.
        "grpc.keepalive_timeout_ms": _KEEPALIVE_TIMEOUT_MS,
        "grpc.http2.ping_timeout_ms": _KEEPALIVE_TIMEOUT_MS,
        # A stream that is followed sends nothing but pings, and gRPC would soon send fewer of them.
        "grpc.http2.max_pings_without_data": 0,
        "grpc.max_reconnect_backoff_ms": _MAX_RECONNECT_MS,
        "grpc.enable_retries": 1,
        "grpc.service_config": service_config(),
    }
    return [*(options | dict(own)).items()]


def _is_loopback(address: str) -> bool:
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) <= _MAX_PORT:
        raise ValueError(f"address must be a host and a port, such as {DEFAULT_ADDRESS}, not {address!r}")
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return host == "localhost"
