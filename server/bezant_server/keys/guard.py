"""Lets a call in whose API key is good for it."""

from __future__ import annotations

from typing import Any

from bezant_server.addresses import GatewayUrl
from bezant_server.errors import ScopeTooNarrow, Unauthorized
from bezant_server.keys import scopes
from bezant_server.keys.keyring import Client, KeyRing
from bezant_server.keys.scopes import OPEN, Scope
from bezant_server.rpc.call import Admission, Call, anybody

_KEY = "x-api-key"
_AUTHORIZATION = "authorization"
_BEARER = "bearer "


class Guard:
    """Tells who calls, by the key that comes along: a REST caller's header, a gRPC caller's metadata.

    Args:
        keyring: whose a key is, and what for.
        everywhere: whether all RPCs ask for a key, not those of target orders alone.
        gateway: whose paths are not its login.
    """

    def __init__(self, keyring: KeyRing, *, everywhere: bool, gateway: GatewayUrl) -> None:
        self._keyring = keyring
        self._everywhere = everywhere
        self._gateway = gateway

    def admission(self, rpc: str) -> Admission:
        """What lets the calls of an RPC in, by its full name.

        It raises Unauthorized for a call without a key, with a wrong one, or with two; ScopeTooNarrow for one whose key
        is not good for it.
        """
        need = scopes.of(rpc)
        if need is OPEN or not (self._everywhere or scopes.is_always_guarded(rpc)):
            return anybody

        def admit(call: Call, request: Any) -> str:
            needed = need if isinstance(need, Scope) else need(call, request, self._gateway)
            if needed is OPEN:
                return ""
            client = self._client(call)
            if client.scope < needed:
                raise ScopeTooNarrow(client=client.name, scope=client.scope.word, needed=needed.word)
            return client.name

        return admit

    def _client(self, call: Call) -> Client:
        keys = _keys(call)
        if not keys:
            raise Unauthorized(
                "this needs an API key: send it as the header X-API-Key, or as Authorization: Bearer KEY "
                "(gRPC: metadata of the same names)"
            )
        if len(keys) > 1:
            raise Unauthorized("several API keys were sent: send one X-API-Key")
        client = self._keyring.client(keys.pop())
        if client is None:
            raise Unauthorized("this API key is nobody's: send one that `bezant keys add NAME` made as X-API-Key")
        return client


def _keys(call: Call) -> set[str]:
    """The keys that come along. Another scheme than Bearer is of a proxy on the way, and no key."""
    keys = set()
    for name, value in call.metadata:
        if isinstance(value, bytes):
            continue
        if name == _KEY:
            keys.add(value)
        elif name == _AUTHORIZATION and value[: len(_BEARER)].lower() == _BEARER:
            keys.add(value[len(_BEARER) :].strip())
    keys.discard("")
    return keys
