"""Channels of the gateway's socket that are subscribed when somebody first follows them, and kept from then on."""

from __future__ import annotations

from bezant_server.cpapi.socket import SocketFailed
from bezant_server.errors import EventsSubscribeFailed
from bezant_server.events.lines import Send

TRADES = 'str+{"realtimeUpdatesOnly":false,"days":1}'
"""Today's executions first, so that none is missed while the socket was down."""

_MOST = 50


def ledger(account: str) -> str:
    """The ledger of an account."""
    return f"sld+{account}+{{}}"


def account_summary(account: str) -> str:
    """The summary of an account."""
    return f"ssd+{account}+{{}}"


class Subscriptions:
    """Asks for each channel once for each socket, however many follow it."""

    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}
        self._send: Send | None = None

    async def want(self, channel: str) -> None:
        """See to it that a channel is subscribed; while the socket is down it is only noted.

        Raises:
            EventsSubscribeFailed: too many, or the live socket did not take the request.
        """
        if channel in self._wanted:
            return
        if len(self._wanted) >= _MOST:
            raise EventsSubscribeFailed(f"{_MOST} channels of the gateway's socket are subscribed already")
        self._wanted[channel] = None
        if self._send is not None:
            try:
                await self._send(channel)
            except SocketFailed as error:
                self._wanted.pop(channel, None)
                raise EventsSubscribeFailed(f"the channel could not be subscribed: {error}") from error

    async def attach(self, send: Send) -> None:
        """Use a socket that is ready for requests, and ask for everything that is wanted.

        Raises:
            SocketFailed: the socket broke meanwhile.
        """
        self._send = send
        for channel in list(self._wanted):
            await send(channel)

    def detach(self) -> None:
        """The socket is gone."""
        self._send = None
