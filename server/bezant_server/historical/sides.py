"""Bars of the bid and of the ask, which IBKR's historical data service alone may have.

They are never made out of bars of both, whose open, high, low and close mix the two sides.
"""

from __future__ import annotations

from bezant.v1 import marketdata_service_pb2 as marketdata_pb
from bezant_server.cpapi.document import Row
from bezant_server.errors import BadRequest, HistoryUnavailable, UpstreamClientError
from bezant_server.historical import words
from bezant_server.marketdata import decode
from bezant_server.marketdata.bars import BARS, MOST_BARS, period_secs, smallest_bar
from bezant_server.session.typed import TypedGateway


class SideBars:
    """Reads them.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def read(self, conid: int, *, kind: str, period: str, bar: str) -> list[marketdata_pb.Bar]:
        """The bars of one call, the oldest first.

        Raises:
            BadRequest: they are too many or too small for one call, or this gateway does not give them.
        """
        length = period_secs(period) or 0
        least = max(smallest_bar(period), length / MOST_BARS)
        if BARS[bar] < least:
            possible = next(each for each, size in BARS.items() if size >= least)
            rule = (
                f"{kind} bars come from one call of at most {MOST_BARS}: for that duration they may be "
                f"'{words.spelled(possible)}' or more"
            )
            raise BadRequest.at("barSize", rule)
        query = [
            ("conid", str(conid)),
            ("period", period),
            ("bar", bar),
            ("outsideRth", "false"),
            ("barType", words.SIDES[kind]),
        ]
        try:
            row = await self._history(query)
        except (HistoryUnavailable, UpstreamClientError) as error:
            rule = (
                f"this gateway gives no {kind} bars of the contract ({error.message}): possible are "
                f"{' and '.join(words.SOURCES)}"
            )
            raise BadRequest.at("whatToShow", rule) from None
        return decode.bars(row, lot=1)

    async def _history(self, query: list[tuple[str, str]]) -> Row:
        try:
            return self._bars(await self._gateway.read("/hmds/history", query=query))
        except HistoryUnavailable:
            # Not before it is opened, once a session, does it answer anything but 404 (IBKR's documentation).
            await self._gateway.read("/hmds/auth/init", method="POST", body={})
            return self._bars(await self._gateway.read("/hmds/history", query=query))

    @staticmethod
    def _bars(answer: object) -> Row:
        row = Row(answer, "").row("bars")
        if row is None:
            raise HistoryUnavailable("IBKR has no such history")
        return row
