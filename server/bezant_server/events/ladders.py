"""Price ladders: subscribed while somebody follows them. IBKR shows one for each account."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bezant_server.cpapi.socket import SocketFailed
from bezant_server.errors import DepthInUse, EventsSubscribeFailed
from bezant_server.events.lines import Send
from bezant_server.marketdata.ladder import Ladder

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Shown:
    """The ladder that an account shows."""

    account: str
    conid: int
    exchange: str
    ladder: Ladder = field(default_factory=Ladder)
    readers: int = 0

    @property
    def request(self) -> str:
        exchange = f"+{self.exchange}" if self.exchange else ""
        return f"sbd+{self.account}+{self.conid}{exchange}"


class Ladders:
    """Asks for each ladder once, however many follow it."""

    def __init__(self) -> None:
        self._shown: dict[str, _Shown] = {}
        self._send: Send | None = None

    @asynccontextmanager
    async def follow(self, account: str, conid: int, exchange: str) -> AsyncIterator[Ladder]:
        """The ladder of a contract; while the socket is down it is only noted.

        Raises:
            DepthInUse: the account shows another.
            EventsSubscribeFailed: the live socket did not take the request.
        """
        shown = self._shown.get(account)
        if shown is None:
            shown = self._shown[account] = _Shown(account, conid, exchange)
        elif (shown.conid, shown.exchange) != (conid, exchange):
            raise DepthInUse(shown.conid)
        shown.readers += 1
        try:
            if shown.readers == 1 and self._send is not None:
                await self._subscribe(shown, self._send)
            yield shown.ladder
        finally:
            shown.readers -= 1
            if not shown.readers:
                del self._shown[account]
                await self._unsubscribe(shown)

    async def attach(self, send: Send) -> None:
        """Use a socket that is ready for requests, and ask for every ladder that is followed.

        Raises:
            SocketFailed: the socket broke meanwhile.
        """
        self._send = send
        for shown in list(self._shown.values()):
            await send(shown.request)

    def detach(self) -> None:
        """The socket is gone; what the ladders show is out of date."""
        self._send = None
        for shown in self._shown.values():
            shown.ladder.interrupt()

    def take(self, target: str, frame: bytes) -> None:
        """Take in a frame; `target` names the account and the contract."""
        account, _, contract = target.partition("+")
        shown = self._shown.get(account)
        if shown is not None and contract.partition("+")[0] == str(shown.conid):
            shown.ladder.take(frame)

    async def _subscribe(self, shown: _Shown, send: Send) -> None:
        try:
            await send(shown.request)
        except SocketFailed as error:
            raise EventsSubscribeFailed(f"the book of conid {shown.conid} could not be subscribed: {error}") from error

    async def _unsubscribe(self, shown: _Shown) -> None:
        if self._send is None:
            return
        try:
            await self._send(f"ubd+{shown.account}")
        except SocketFailed as error:
            _log.info("the book of conid %d was not released upstream: %s", shown.conid, error)
