"""The call being served, as handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from grpc.aio import ServicerContext

Context = ServicerContext[Any, Any]
Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """The REST request that Envoy transcoded into this call.

    Attributes:
        method: upper case.
        target: path and query as the caller sent them, undecoded.
    """

    method: str
    target: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC.

    Attributes:
        method: the RPC's full name, `/bezant.v1.SidecarService/GetHealth`.
        request_id: given by the caller (its first 128 characters), or made.
        headers: metadata by name; the last of several entries of one name.
        metadata: every entry in order.
        http: the REST request behind it, or None for a gRPC caller.
        through_envoy: whether it came over Envoy's private socket.
        peer: the caller's address and port, as Envoy or the connection tells it.
        client: the name of the client whose API key came along; empty when none was asked for.
    """

    method: str
    request_id: str
    headers: Mapping[str, str]
    metadata: Metadata
    http: HttpRequest | None
    through_envoy: bool
    peer: str
    client: str = ""


Admission = Callable[[Call, Any], str]
"""Lets a call with its request in and names its client, or raises what keeps it out; empty when nobody asks."""


def anybody(call: Call, request: Any) -> str:
    """The admission of an RPC that asks nothing of its callers."""
    del call, request
    return ""


_current: ContextVar[Call] = ContextVar("call")


def current() -> Call:
    """The call that the current task serves."""
    return _current.get()


def enter(call: Call) -> None:
    """Make `call` the current task's."""
    _current.set(call)
