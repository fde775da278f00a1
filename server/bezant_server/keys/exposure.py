"""Whether others than this machine's programs can call, and what they need then."""

from __future__ import annotations

import ipaddress
import socket

from bezant_server.config import ConfigError, Settings, variable_name
from bezant_server.keys.file import KeyFile, KeysError

_BINDS = ("bind", "grpc_bind")


def guarded(settings: Settings) -> Settings:
    """The configuration, with keys required where it listens beyond loopback and nothing else guards the ports.

    Raises:
        ConfigError: keys are required so, and there is none; or an address cannot be resolved.
    """
    exposed = beyond_loopback(settings)
    if not exposed or settings.insecure:
        return settings
    try:
        clients = KeyFile(settings.api_keys_path).scopes()
    except KeysError as error:
        raise ConfigError(f"BEZANT_API_KEYS_PATH: {error}") from None
    if not clients:
        raise ConfigError(
            f"{', '.join(exposed)}: beyond this machine every call needs an API key, and there is none: make one with "
            "`bezant keys add NAME`, or set BEZANT_INSECURE=true if something else guards the port "
            f"(BEZANT_API_KEYS_PATH is {settings.api_keys_path})"
        )
    return settings.model_copy(update={"require_keys": True})


def warnings(settings: Settings) -> list[str]:
    """What to tell the operator of a configuration that listens beyond loopback: a line for each thing."""
    exposed = beyond_loopback(settings)
    if not exposed:
        return []
    told = []
    if not settings.require_keys:
        told.append(
            f"BEZANT_INSECURE: whoever reaches {', '.join(exposed)} can trade, unless something else guards the port"
        )
    if settings.tls_cert is None:
        told.append(f"without BEZANT_TLS_CERT everything on {', '.join(exposed)} can be read on its way, keys included")
    return told


def beyond_loopback(settings: Settings) -> list[str]:
    """The variables whose address others than this machine can reach, each with its value.

    Raises:
        ConfigError: one cannot be resolved.
    """
    return [
        f"{_variable(name)}={getattr(settings, name)}"
        for name in _BINDS
        if not all(numeric.is_loopback for numeric in _resolved(settings, name))
    ]


def _resolved(settings: Settings, name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    address = getattr(settings, name)
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        # Whoever listens resolves it anew, and may find that it is of the whole world.
        reason = error.strerror or str(error)
        raise ConfigError(f"{_variable(name)}: {address.host} cannot be resolved: {reason}") from None
    return [ipaddress.ip_address(str(numeric[0]).partition("%")[0]) for *_, numeric in found]


def _variable(name: str) -> str:
    return variable_name(Settings.model_fields[name])
