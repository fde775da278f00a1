"""The addresses that the programs will listen on, checked before any of them starts."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from bezant_server.addresses import BindAddress

_REASONS = {
    errno.EADDRINUSE: "is taken",
    errno.EACCES: "needs more privileges than this process has",
    errno.EADDRNOTAVAIL: "is not an address of this machine",
}


class AddressError(Exception):
    """An address cannot be listened on; the message says whose it is, why, and what changes it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that somebody is going to listen on.

    Attributes:
        owner: who, in words.
        address: where; port 0 leaves the choice to the system.
        option: the flag, and the variable if there is one, that changes it.
    """

    owner: str
    address: BindAddress
    option: str


@contextmanager
def settled(listeners: Sequence[Listener]) -> Iterator[list[BindAddress]]:
    """The addresses as numbers: names resolved, and a port chosen where it was left open.

    On Linux a chosen port is held until the end, bound but not listened on: whoever asks for it by number gets it, but
    the system gives it to nobody else.

    Raises:
        AddressError: one cannot be listened on.
    """
    with ExitStack() as held:
        owners: dict[BindAddress, str] = {}
        addresses = []
        for listener in listeners:
            endpoint = held.enter_context(closing(_bound(listener)))
            host, port = endpoint.getsockname()[:2]
            address = BindAddress(str(host), int(port))
            if address in owners:
                raise AddressError(_explain(listener, f"is also that of {owners[address]}"))
            owners[address] = listener.owner
            addresses.append(address)
            if listener.address.port or sys.platform != "linux":
                endpoint.close()
        yield addresses


def _bound(listener: Listener) -> socket.socket:
    address = listener.address
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressError(_explain(listener, f"cannot be resolved: {error.strerror}")) from None
    family, kind, protocol, _, numeric = found[0]
    endpoint = socket.socket(family, kind, protocol)
    try:
        # As the programs do: a connection of an earlier run in its last minute does not make an address taken.
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        endpoint.bind(numeric)
    except OSError as error:
        endpoint.close()
        reason = _REASONS.get(error.errno or 0, error.strerror or "cannot be used")
        raise AddressError(_explain(listener, reason)) from None
    return endpoint


def _explain(listener: Listener, reason: str) -> str:
    return f"{listener.owner}: {listener.address} {reason}: choose another with {listener.option}"
