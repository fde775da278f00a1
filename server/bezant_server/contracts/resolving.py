"""One contract out of what a symbol may mean."""

from __future__ import annotations

from collections.abc import Sequence

from bezant.v1 import contracts_service_pb2 as pb
from bezant_server.contracts import decode
from bezant_server.errors import AmbiguousSymbol, ContractNotFound
from bezant_server.paging import pieces
from bezant_server.session.typed import Need, TypedGateway

TYPES = ("STK", "CASH", "FUT", "IND")
"""What symbols are resolved for."""

_MOST_SYMBOLS = 50
_MOST_SECDEFS = 200
_MOST_CANDIDATES = 10


class Resolver:
    """Resolves symbols.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def resolve(self, request: pb.ResolveContractRequest) -> int:
        """The conid that a symbol means.

        Raises:
            ContractNotFound: it means nothing.
            AmbiguousSymbol: it may mean several; they are listed.
        """
        kind = request.security_type or "STK"
        symbol = request.symbol.strip().upper()
        if kind == "FUT":
            return await self._future(symbol, request)
        left = [
            each
            for each in await self.candidates(symbol, kind)
            if request.exchange.upper() in ("", each.listing_exchange.upper(), each.exchange.upper())
            and request.currency_code.upper() in ("", each.currency_code)
        ]
        if len(left) > 1 and request.prefer_us:
            left = _us_first(left)
        return _only(symbol, kind, left)

    async def candidates(self, symbol: str, kind: str) -> list[pb.Contract]:
        """All that a symbol may mean, futures aside.

        Args:
            symbol: upper case.
            kind: STK, CASH or IND.
        """
        match kind:
            case "STK":
                return await self._stocks(symbol)
            case "CASH":
                return await self._pairs(symbol)
            case _:
                return await self._indices(symbol)

    async def stocks(self, symbols: Sequence[str]) -> dict[str, pb.Contract | ContractNotFound | AmbiguousSymbol]:
        """The stock that each symbol means: the one listed in the US, or else the only one; or why there is none.

        Args:
            symbols: upper case.
        """
        meant: dict[str, int | ContractNotFound | AmbiguousSymbol] = {}
        for some in pieces(symbols, _MOST_SYMBOLS):
            query = [("symbols", ",".join(some))]
            answer = await self._gateway.read("/trsrv/stocks", query=query, need=Need.LOGIN)
            for symbol in some:
                listed = [
                    pb.Contract(
                        conid=listing.conid,
                        exchange=listing.exchange,
                        company_name=stock.company_name,
                        is_us=listing.is_us,
                    )
                    for stock in decode.stocks(answer, [symbol])
                    for listing in stock.listings
                    if listing.conid
                ]
                try:
                    meant[symbol] = _only(symbol, "STK", _us_first(listed))
                except (ContractNotFound, AmbiguousSymbol) as error:
                    meant[symbol] = error
        known: dict[int, pb.Contract] = {}
        for conids in pieces([conid for conid in meant.values() if isinstance(conid, int)], _MOST_SECDEFS):
            known |= await self.secdefs(conids)
        return {
            symbol: known.get(found, ContractNotFound(f"IBKR does not define the stock '{symbol}', contract {found}"))
            if isinstance(found, int)
            else found
            for symbol, found in meant.items()
        }

    async def futures(self, symbol: str, exchange: str) -> list[pb.Future]:
        """The futures of a symbol that have not expired, the nearest expiry first.

        Args:
            symbol: upper case.
            exchange: empty for any.
        """
        query = [("symbols", symbol)]
        if exchange:
            query.append(("exchange", exchange))
        return decode.futures(await self._gateway.read("/trsrv/futures", query=query, need=Need.LOGIN), [symbol])

    async def secdefs(self, conids: Sequence[int]) -> dict[int, pb.Contract]:
        """Definitions of at most 200 contracts, by conid; what IBKR does not know is left out."""
        query = [("conids", ",".join(map(str, conids)))]
        return decode.secdefs(await self._gateway.read("/trsrv/secdef", query=query, need=Need.LOGIN))

    async def _stocks(self, symbol: str) -> list[pb.Contract]:
        answer = await self._gateway.read("/trsrv/stocks", query=[("symbols", symbol)], need=Need.LOGIN)
        listings = [listing for stock in decode.stocks(answer, [symbol]) for listing in stock.listings]
        conids = list(dict.fromkeys(listing.conid for listing in listings if listing.conid))[:_MOST_SECDEFS]
        if not conids:
            return []
        known = await self.secdefs(conids)
        found = []
        for listing in listings:
            contract = pb.Contract(conid=listing.conid, symbol=symbol)
            if listing.conid in known:
                contract.CopyFrom(known[listing.conid])
            contract.exchange = listing.exchange
            if listing.HasField("is_us"):
                contract.is_us = listing.is_us
            found.append(contract)
        return found

    async def _pairs(self, symbol: str) -> list[pb.Contract]:
        base, _, quote = symbol.replace("/", ".").partition(".")
        answer = await self._gateway.read("/iserver/currency/pairs", query=[("currency", base)])
        return [
            pb.Contract(conid=pair.conid, symbol=pair.symbol, currency_code=pair.symbol.partition(".")[2])
            for pair in decode.pairs(answer, base)
            if pair.symbol == f"{base}.{quote}" or (not quote and pair.symbol.startswith(f"{base}."))
        ]

    async def _indices(self, symbol: str) -> list[pb.Contract]:
        query = [("symbol", symbol), ("secType", "IND")]
        answer = await self._gateway.read("/iserver/secdef/search", query=query)
        return [
            pb.Contract(
                conid=match.conid, symbol=match.symbol, company_name=match.company_name, exchange=match.description
            )
            for match in decode.matches(answer)
            if match.symbol.upper() == symbol and match.conid
        ]

    async def _future(self, symbol: str, request: pb.ResolveContractRequest) -> int:
        futures = await self.futures(symbol, request.exchange)
        if request.contract_month:
            futures = [future for future in futures if future.expiry.startswith(request.contract_month)]
        if not futures:
            raise ContractNotFound(f"there is no future '{symbol}' {request.contract_month}".rstrip())
        if len({future.underlying_conid for future in futures}) > 1:
            candidates = [pb.Contract(conid=each.conid, symbol=symbol, description=each.expiry) for each in futures]
            return _only(symbol, "FUT", candidates)
        return futures[0].conid


def _us_first(contracts: list[pb.Contract]) -> list[pb.Contract]:
    return [each for each in contracts if each.is_us] or contracts


def _only(symbol: str, kind: str, candidates: Sequence[pb.Contract]) -> int:
    by_conid = {each.conid: each for each in candidates}
    if not by_conid:
        raise ContractNotFound(f"there is no {kind} '{symbol}' of that exchange and currency")
    if len(by_conid) > 1:
        shown = [
            " ".join(
                part
                for part in (
                    str(each.conid),
                    each.exchange or each.listing_exchange,
                    each.currency_code,
                    each.company_name or each.description or each.symbol,
                )
                if part
            )
            for each in list(by_conid.values())[:_MOST_CANDIDATES]
        ]
        raise AmbiguousSymbol(f"'{symbol}' may mean {len(by_conid)} contracts", candidates=shown, count=len(by_conid))
    return next(iter(by_conid))
