"""Lets a call in that has an API key."""

from __future__ import annotations

from bezant_server.errors import Unauthorized
from bezant_server.keys.keyring import KeyRing
from bezant_server.rpc import call as calls

_HEADER = "x-api-key"


class Guard:
    """Tells who calls, by the key that comes along: a REST caller's header, a gRPC caller's metadata.

    Args:
        keyring: whose a key is.
    """

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    def client(self) -> str:
        """The name of the client that makes the current call.

        Raises:
            Unauthorized: it has no key, a wrong one, or two.
        """
        keys = {value for name, value in calls.current().metadata if name == _HEADER and isinstance(value, str)}
        keys.discard("")
        if not keys:
            raise Unauthorized("this needs an API key: send it as the header X-API-Key (gRPC: metadata x-api-key)")
        if len(keys) > 1:
            raise Unauthorized("several API keys were sent: send one X-API-Key")
        client = self._keyring.client(keys.pop())
        if client is None:
            raise Unauthorized("this API key is nobody's: send one that `bezant keys add NAME` made as X-API-Key")
        return client
