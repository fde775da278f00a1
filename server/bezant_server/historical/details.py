"""Contracts as Trader Workstation describes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bezant.v1 import contracts_service_pb2 as contracts_pb
from bezant.v1 import historical_service_pb2 as pb
from bezant_server.contracts import decode
from bezant_server.contracts.resolving import Resolver
from bezant_server.cpapi.client import segment
from bezant_server.errors import ContractNotFound
from bezant_server.historical.symbols import Symbols
from bezant_server.historical.zones import Zones
from bezant_server.inputs import Checks
from bezant_server.session.typed import TypedGateway

TYPES = ("STK", "FUT", "CONTFUT", "IND", "CASH")
EVERYWHERE = "SMART"
"""The exchange that stands for all of them."""

_MOST_LISTED = 100
_WORD = re.compile(r"[A-Za-z0-9.]{1,20}")


class Details:
    """Reads them.

    Args:
        gateway: where it asks.
        resolver: finds the contracts of a symbol.
        symbols: those of a code.
        zones: of exchanges.
    """

    def __init__(self, *, gateway: TypedGateway, resolver: Resolver, symbols: Symbols, zones: Zones) -> None:
        self._gateway = gateway
        self._resolver = resolver
        self._symbols = symbols
        self._zones = zones

    async def read(
        self, *, symbol: str, code: str, security_type: str, exchange: str, currency_code: str
    ) -> list[pb.ContractDetails]:
        """All that match, at least one.

        Args:
            symbol: or a code, or code, month letter and year.
            code: wins over the symbol.
            security_type: one of TYPES; empty is STK.
            exchange: where it is listed or traded; empty and SMART are anywhere.
            currency_code: empty is USD. Of a code it is the product's.

        Raises:
            BadRequest: a word is unknown.
            ContractNotFound: there is none.
        """
        kind, where = security_type.upper() or "STK", exchange.upper() or EVERYWHERE
        currency = currency_code.upper() or "USD"
        checks = Checks()
        self._symbols.check(checks, symbol, code)
        checks.holds("secType", kind in TYPES, f"must be one of {', '.join(TYPES)}", security_type)
        checks.holds("exchange", bool(_WORD.fullmatch(where)), "must be an exchange such as SMART", exchange)
        checks.currency("currency", currency)
        checks.done()
        coded = self._symbols.coded(symbol, code)
        if coded is not None:
            conids = [(await self._symbols.future(coded)).conid]
        elif kind in ("FUT", "CONTFUT"):
            futures = await self._resolver.futures(symbol.strip().upper(), "" if where == EVERYWHERE else where)
            conids = [future.conid for future in (futures[:1] if kind == "CONTFUT" else futures)]
        else:
            found = await self._resolver.candidates(symbol.strip().upper(), kind)
            conids = [each.conid for each in found if _is_at(each, where) and each.currency_code in ("", currency)]
        if not conids:
            raise ContractNotFound(f"there is no {kind} '{symbol[:40]}' at {where} in {currency}")
        return await self._described(list(dict.fromkeys(conids))[:_MOST_LISTED], currency if coded is None else "")

    async def _described(self, conids: Sequence[int], currency: str) -> list[pb.ContractDetails]:
        secdefs = await self._resolver.secdefs(conids)
        details = []
        zones: dict[tuple[str, str], str] = {}
        for conid in conids:
            contract = decode.definition(await self._gateway.read(f"/iserver/contract/{segment(str(conid))}/info"))
            known = secdefs.get(conid, contracts_pb.Contract())
            listing = known.listing_exchange or contract.exchange
            if currency and contract.currency_code not in ("", currency):
                continue
            # The contracts of one underlying keep the same hours.
            family = (contract.symbol, listing)
            if family not in zones:
                zones[family] = await self._zones.of(conid)
            details.append(
                pb.ContractDetails(
                    symbol=contract.symbol or known.symbol,
                    security_type=contract.security_type or known.security_type,
                    exchange=listing,
                    currency_code=contract.currency_code or known.currency_code,
                    local_symbol=contract.local_symbol or contract.symbol,
                    conid=conid,
                    long_name=contract.company_name or known.company_name,
                    category=known.sector or contract.category,
                    time_zone=zones[family],
                )
            )
        if not details:
            raise ContractNotFound(f"there is no such contract in {currency}")
        return details


def _is_at(contract: contracts_pb.Contract, exchange: str) -> bool:
    listed = (contract.listing_exchange.upper(), contract.exchange.upper())
    return exchange in (EVERYWHERE, *listed, *(each.upper() for each in contract.valid_exchanges))
