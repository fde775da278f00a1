"""How a contract may be traded."""

from __future__ import annotations

from typing import Any

from bezant.v1 import contracts_service_pb2 as pb
from bezant_server.contracts import decode
from bezant_server.cpapi.client import segment
from bezant_server.cpapi.document import Row
from bezant_server.session.typed import TypedGateway


class TradingRules:
    """Reads the rules of contracts.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def of(self, conid: int, *, selling: bool) -> tuple[pb.Contract, pb.ContractRules | None]:
        """A contract, and the rules of its own exchange; None when IBKR does not tell them.

        Raises:
            ContractNotFound: there is none.
        """
        answer = await self._gateway.read_settled(
            f"/iserver/contract/{segment(str(conid))}/info-and-rules",
            query=[("isBuy", str(not selling).lower())],
            is_empty=_lacks_rules,
        )
        found = Row(answer, "").row("rules")
        return decode.definition(answer), None if found is None else decode.rules(found)

    async def at(self, conid: int, *, exchange: str, selling: bool) -> pb.ContractRules:
        """The rules at one exchange.

        Raises:
            ContractNotFound: there is no such contract.
        """
        body = {"conid": conid, "exchange": exchange, "isBuy": not selling, "modifyOrder": False}
        answer = await self._gateway.read("/iserver/contract/rules", method="POST", body=body)
        return decode.rules(Row(answer, ""))


def _lacks_rules(answer: Any) -> bool:
    return isinstance(answer, dict) and not answer.get("rules")
