"""Addresses as the configuration spells them: where we listen, and where the gateway is."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bezant_server.errors import InvalidBaseUrl

_OWN_BASE_PATH = "/v1/api"
_OWN_BASE_PATH_ALIAS = "/v1/portal"
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_PATH = re.compile(r"[!$-;=@-_a-z~]*")


@dataclass(frozen=True, slots=True)
class BindAddress:
    """A host and port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> BindAddress:
        """Read `host:port`; an IPv6 host stands in brackets.

        Raises:
            ValueError: the text is not of that form.
        """
        host, separator, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"'{text}' is not host:port (an IPv6 host stands in brackets, [::1]:8080)")
        if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"'{text}' is not host:port, such as 127.0.0.1:8080")
        return cls(host, int(port))

    @property
    def is_every_address(self) -> bool:
        """Whether it listens on every address of the machine."""
        return self.host in _EVERY_ADDRESS

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class GatewayUrl:
    """Where the Client Portal Gateway's API is: `origin` + `base_path`, such as https://localhost:5000 + /v1/api."""

    scheme: str
    authority: str
    base_path: str

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The two parts of its authority; the port of its scheme where none is named."""
        parts = urlsplit(f"//{self.authority}")
        return parts.hostname or "", parts.port or _DEFAULT_PORTS[self.scheme]

    @classmethod
    def parse(cls, text: str) -> GatewayUrl:
        """Read a URL; without a path it means the gateway's own `/v1/api`.

        Raises:
            InvalidBaseUrl: no http(s) URL of a host, or one with credentials, a query or a fragment.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            raise InvalidBaseUrl(f"IBKR_GATEWAY_URL is not a URL: {error}") from None
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or any(map(str.isspace, text.strip())):
            raise InvalidBaseUrl(
                "IBKR_GATEWAY_URL must be an http or https URL with a host, such as https://localhost:5000/v1/api"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise InvalidBaseUrl("IBKR_GATEWAY_URL must not hold credentials, a query or a fragment")
        if not _is_host(parts.hostname) or port == 0 or not _PATH.fullmatch(parts.path):
            raise InvalidBaseUrl(
                "IBKR_GATEWAY_URL names no host, port or path that can be called: write a name of other letters than "
                "ASCII's in its xn-- form, and encode such a path"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        authority = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
        return cls(parts.scheme, authority, parts.path.rstrip("/") or _OWN_BASE_PATH)

    @property
    def origin(self) -> str:
        """Scheme and authority, as the Origin header spells them."""
        return f"{self.scheme}://{self.authority}"

    @property
    def socket_url(self) -> str:
        """The WebSocket of the same API."""
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.authority}{self.base_path}/ws"

    def is_api_path(self, path: str) -> bool:
        """Whether a path from the gateway's root is the API's; everything else is its login and their assets.

        The gateway serves `/v1/portal` as another name of its own `/v1/api` (IBKR's older documentation uses it).
        """
        names = self._base_paths()
        return path in names or path.startswith(tuple(f"{name}/" for name in names))

    def below_base(self, path: str) -> str:
        """The part of an API path below the API's base path: `/v1/api/tickle` is `/tickle`."""
        name = next(name for name in self._base_paths() if path == name or path.startswith(f"{name}/"))
        return path.removeprefix(name) or "/"

    def _base_paths(self) -> tuple[str, ...]:
        return (_OWN_BASE_PATH, _OWN_BASE_PATH_ALIAS) if self.base_path == _OWN_BASE_PATH else (self.base_path,)

    def __str__(self) -> str:
        return f"{self.origin}{self.base_path}"


def _is_host(text: str) -> bool:
    if ":" in text:
        try:
            return ipaddress.IPv6Address(text).scope_id is None
        except ValueError:
            return False
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None
