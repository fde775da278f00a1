"""Strikes and options of an underlying: search, then strikes, then each option, as the gateway wants it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bezant.v1 import contracts_service_pb2 as pb
from bezant_server.contracts import decode
from bezant_server.cpapi.client import segment
from bezant_server.errors import BadRequest, ContractNotFound, NoDerivatives
from bezant_server.session.typed import TypedGateway

OPTION_TYPES = ("OPT", "FOP", "WAR")
"""Kinds of contracts that have strikes."""
MOST_CALLS = 400
"""Of the gateway, in one request."""

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which options of an underlying."""

    conid: int
    security_type: str
    months: Sequence[str]
    rights: Sequence[str]
    exchange: str
    lowest: Decimal | None
    highest: Decimal | None


class Chains:
    """Reads derivatives.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def underlying(self, symbol: str, security_type: str) -> pb.ContractMatch:
        """The first match of a symbol that has such derivatives.

        Raises:
            ContractNotFound: there is no such symbol.
            NoDerivatives: it has none of them.
        """
        matches = decode.matches(await self._gateway.read("/iserver/secdef/search", query=[("symbol", symbol)]))
        matches = [match for match in matches if match.symbol.upper() == symbol.upper()]
        if not matches:
            raise ContractNotFound(f"there is no underlying '{symbol}'")
        for match in matches:
            if _months(match, security_type):
                return match
        raise NoDerivatives(f"there is no {security_type} on '{symbol}'")

    async def search_of(self, conid: int) -> pb.ContractMatch:
        """What a search knows of an underlying; searching is what the gateway wants before its derivatives.

        Raises:
            ContractNotFound: there is no such contract.
        """
        info = decode.definition(await self._gateway.read(f"/iserver/contract/{segment(str(conid))}/info"))
        await self._gateway.search_first(info.symbol)
        answer = await self._gateway.read("/iserver/secdef/search", query=[("symbol", info.symbol)])
        for match in decode.matches(answer):
            if match.conid == conid:
                return match
        return pb.ContractMatch(conid=conid, symbol=info.symbol)

    async def strikes(self, conid: int, security_type: str, month: str, exchange: str) -> tuple[list[str], list[str]]:
        """The strikes of calls and of puts; the underlying was searched for before."""
        query = [("conid", str(conid)), ("sectype", security_type), ("month", month)]
        if exchange:
            query.append(("exchange", exchange))
        return decode.strikes(await self._gateway.read("/iserver/secdef/strikes", query=query))

    async def chain(self, wanted: Wanted) -> list[pb.Contract]:
        """The options, by expiry, strike and right.

        Raises:
            BadRequest: they are too many.
        """
        cells: list[tuple[str, str, str]] = []
        for month in wanted.months:
            calls, puts = await self.strikes(wanted.conid, wanted.security_type, month, wanted.exchange)
            for right, listed in (("C", calls), ("P", puts)):
                if right in wanted.rights:
                    cells += [(month, right, strike) for strike in listed if _within(strike, wanted)]
        if len(cells) > MOST_CALLS:
            raise BadRequest(
                f"these are {len(cells)} options, more than the {MOST_CALLS} allowed: narrow strikes, months or right",
                field="max_strike",
            )
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(month: str, right: str, strike: str) -> list[pb.Contract]:
            async with gate:
                return await self.derivatives(
                    wanted.conid,
                    wanted.security_type,
                    month=month,
                    strike=strike,
                    right=right,
                    exchange=wanted.exchange,
                )

        found = await asyncio.gather(*(one(*cell) for cell in cells))
        options = {option.conid: option for option in itertools.chain.from_iterable(found)}
        return sorted(options.values(), key=lambda each: (each.expiry, Decimal(each.strike or 0), each.right))

    async def derivatives(
        self,
        conid: int,
        security_type: str,
        *,
        month: str = "",
        strike: str = "",
        right: str = "",
        exchange: str = "",
        issuer: str = "",
    ) -> list[pb.Contract]:
        """The derivatives of a kind, month, strike and right."""
        given = {
            "conid": str(conid),
            "sectype": security_type,
            "month": month,
            "strike": strike,
            "right": right,
            "exchange": exchange,
            "issuerId": issuer,
        }
        query = [(name, text) for name, text in given.items() if text]
        return decode.derivatives(await self._gateway.read("/iserver/secdef/info", query=query))


def months(match: pb.ContractMatch, security_type: str) -> list[str]:
    """The months in which derivatives of a kind expire.

    Raises:
        NoDerivatives: there is none of the kind.
    """
    found = _months(match, security_type)
    if not found:
        raise NoDerivatives(f"there is no {security_type} on '{match.symbol}'")
    return found


def _months(match: pb.ContractMatch, security_type: str) -> list[str]:
    return [month for each in match.sections if each.security_type == security_type for month in each.months]


def _within(strike: str, wanted: Wanted) -> bool:
    value = Decimal(strike)
    return not (
        (wanted.lowest is not None and value < wanted.lowest) or (wanted.highest is not None and value > wanted.highest)
    )
