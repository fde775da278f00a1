"""The time zone of a contract's exchange."""

from __future__ import annotations

from collections import OrderedDict

from bezant_server.contracts import schedules
from bezant_server.errors import ContractNotFound
from bezant_server.session.typed import Need, TypedGateway

_MOST_KNOWN = 1000


class Zones:
    """Asks once for each contract.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway
        self._known: OrderedDict[int, str] = OrderedDict()

    async def of(self, conid: int) -> str:
        """The zone in IBKR's words, such as US/Eastern; empty when IBKR does not say."""
        if conid not in self._known:
            try:
                answer = await self._gateway.read(
                    "/contract/trading-schedule", query=[("conid", str(conid))], need=Need.LOGIN
                )
            except ContractNotFound:
                return ""
            venues = schedules.of_contract(answer)
            if not venues:
                return ""
            self._known[conid] = venues[0].time_zone
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return self._known[conid]
