"""What streams of market data follow; the capture of events has it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bezant_server.errors import EventsDisabled
from bezant_server.marketdata.ladder import Ladder
from bezant_server.marketdata.latest import Latest


class Feeds(Protocol):
    """The gateway's socket, as far as it tells of markets."""

    async def quote(self, conid: int, fields: Iterable[str]) -> Latest:
        """What is known of a contract, these fields of it among others. It is kept up to date while it has watchers.

        Raises:
            EventsDisabled: events are off.
            EventsSubscribeFailed: too many contracts, or the live socket did not take the request.
        """

    def ladder(self, account: str, conid: int, exchange: str) -> AbstractAsyncContextManager[Ladder]:
        """The price ladder of a contract, kept up to date as long as it is held.

        Raises:
            EventsDisabled, EventsSubscribeFailed: as `quote`.
            DepthInUse: the account shows another.
        """


class NoFeeds:
    """What stands in their place while capture is off."""

    async def quote(self, conid: int, fields: Iterable[str]) -> Latest:
        """Refuse."""
        del conid, fields
        raise EventsDisabled

    def ladder(self, account: str, conid: int, exchange: str) -> AbstractAsyncContextManager[Ladder]:
        """Refuse."""
        del account, conid, exchange
        raise EventsDisabled
