"""Whether data can be served now, and a connection made anew."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress

from bezant.v1 import historical_service_pb2 as pb
from bezant_server.addresses import GatewayUrl
from bezant_server.errors import SessionNotReady
from bezant_server.session.keeper import SessionKeeper
from bezant_server.session.machine import State
from bezant_server.session.messages import timestamp

_HIGHEST_CLIENT_ID = 9999
_CONNECTED = frozenset({State.NO_BROKERAGE_SESSION, State.CONNECTING, State.COMPETING, State.READY})
_TO_BE_OPENED = frozenset({State.NO_BROKERAGE_SESSION, State.CONNECTING, State.COMPETING})
"""Where opening a brokerage session helps; one that is on its way is waited for, not opened again."""


class Connection:
    """See the module.

    Args:
        keeper: the session.
        gateway: where the gateway is.
        replace_socket: has the gateway's WebSocket replaced.
        client_id: the one to tell; None for random ones.
        now: seconds since 1970.
    """

    def __init__(
        self,
        *,
        keeper: SessionKeeper,
        gateway: GatewayUrl,
        replace_socket: Callable[[], None],
        client_id: int | None,
        now: Callable[[], float],
    ) -> None:
        self._keeper = keeper
        self._host, self._port = gateway.host_and_port
        self._replace_socket = replace_socket
        self._fixed_id = client_id
        self._client_id = _random_id() if client_id is None else client_id
        self._now = now

    async def look(self) -> pb.DataConnection:
        """The connection now: the gateway is asked, at most once a second."""
        await self._keeper.look()
        snapshot = self._keeper.snapshot
        return pb.DataConnection(
            connected=snapshot.state in _CONNECTED,
            ready=snapshot.can_trade,
            host=self._host,
            port=self._port,
            client_id=self._client_id,
            checked_at=timestamp(self._now()),
            advice="" if snapshot.can_trade else f"{snapshot.cause}: {snapshot.advice}",
        )

    async def renew(self) -> pb.DataConnection:
        """Replace the socket and the client id; open the brokerage session if it is not authenticated."""
        if self._fixed_id is None:
            self._client_id = _random_id(other_than=self._client_id)
        await self._keeper.look()
        if self._keeper.snapshot.state in _TO_BE_OPENED:
            with suppress(SessionNotReady):
                await self._keeper.open(compete=False)
        self._replace_socket()
        return await self.look()


def _random_id(*, other_than: int = 0) -> int:
    """1 to 9999."""
    while (number := secrets.randbelow(_HIGHEST_CLIENT_ID) + 1) == other_than:
        pass
    return number
