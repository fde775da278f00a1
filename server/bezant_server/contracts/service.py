"""ContractsService."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from bezant.v1 import contracts_service_pb2 as pb
from bezant.v1 import contracts_service_pb2_grpc as pb_grpc
from bezant_server import decimals
from bezant_server.contracts import chains, decode, schedules
from bezant_server.contracts.chains import OPTION_TYPES, Chains, Wanted
from bezant_server.contracts.resolving import TYPES, Resolver
from bezant_server.contracts.trading_rules import TradingRules
from bezant_server.cpapi.client import segment
from bezant_server.errors import ContractNotFound
from bezant_server.inputs import Checks
from bezant_server.paging import paging
from bezant_server.rpc.call import Context
from bezant_server.session.typed import Need, TypedGateway

_MOST_SYMBOLS = 50
_MOST_MONTHS = 12
_MOST_ALGORITHMS = 8
_WORD = re.compile(r"[A-Za-z0-9._]{1,20}")
_MONTH = re.compile(r"(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[0-9]{2}")
_CONTRACT_MONTH = re.compile(r"[0-9]{6}")
_DERIVATIVES = ("FUT", "CFD", *OPTION_TYPES)


class ContractsService(pb_grpc.ContractsServiceServicer):
    """See the proto file.

    Args:
        gateway: where it asks.
        now: seconds since 1970.
    """

    def __init__(self, gateway: TypedGateway, *, now: Callable[[], float]) -> None:
        self._gateway = gateway
        self._resolver = Resolver(gateway)
        self._chains = Chains(gateway)
        self._rules = TradingRules(gateway)
        self._now = now

    async def SearchContracts(self, request: pb.SearchContractsRequest, context: Context) -> pb.SearchContractsResponse:
        checks = Checks()
        checks.text("symbol", request.symbol, longest=100)
        _word(checks, "security_type", request.security_type)
        checks.done()
        query = [("symbol", request.symbol)]
        if request.by_name:
            query.append(("name", "true"))
        if request.security_type:
            query.append(("secType", request.security_type))
        if request.with_funds:
            query.append(("fund", "true"))
        answer = await self._gateway.read("/iserver/secdef/search", query=query)
        return pb.SearchContractsResponse(matches=decode.matches(answer))

    async def ResolveContract(self, request: pb.ResolveContractRequest, context: Context) -> pb.ResolveContractResponse:
        checks = Checks()
        checks.symbol("symbol", request.symbol)
        kind = request.security_type
        checks.holds("security_type", kind in ("", *TYPES), f"must be one of {', '.join(TYPES)}", kind)
        _word(checks, "exchange", request.exchange)
        if request.currency_code:
            checks.currency("currency_code", request.currency_code)
        if request.contract_month:
            good = bool(_CONTRACT_MONTH.fullmatch(request.contract_month))
            checks.holds("contract_month", good, "must be a month as YYYYMM", request.contract_month)
        checks.done()
        conid = await self._resolver.resolve(request)
        return pb.ResolveContractResponse(contract=await self._contract(conid))

    async def GetContract(self, request: pb.GetContractRequest, context: Context) -> pb.GetContractResponse:
        return pb.GetContractResponse(contract=await self._contract(_conid("conid", request.conid)))

    async def GetContractRules(
        self, request: pb.GetContractRulesRequest, context: Context
    ) -> pb.GetContractRulesResponse:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        _word(checks, "exchange", request.exchange)
        checks.done()
        if request.exchange:
            at_exchange = await self._rules.at(conid, exchange=request.exchange, selling=request.selling)
            return pb.GetContractRulesResponse(rules=at_exchange)
        contract, rules = await self._rules.of(conid, selling=request.selling)
        return pb.GetContractRulesResponse(contract=contract, rules=rules)

    async def ListAlgorithms(self, request: pb.ListAlgorithmsRequest, context: Context) -> pb.ListAlgorithmsResponse:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        names = request.algorithms
        checks.holds("algorithms", len(names) <= _MOST_ALGORITHMS, f"may have at most {_MOST_ALGORITHMS}", len(names))
        for index, name in enumerate(names):
            checks.holds(f"algorithms[{index}]", bool(_WORD.fullmatch(name)), "must be the id of an algorithm", name)
        checks.done()
        details = "0" if request.without_details else "1"
        query = [("addDescription", details), ("addParams", details)]
        if names:
            query.append(("algos", ";".join(names)))
        answer = await self._gateway.read_settled(
            f"/iserver/contract/{segment(str(conid))}/algos", query=query, is_empty=_lacks_algorithms
        )
        return pb.ListAlgorithmsResponse(algorithms=decode.algorithms(answer))

    async def ListOptionChain(self, request: pb.ListOptionChainRequest, context: Context) -> pb.ListOptionChainResponse:
        checks = Checks()
        kind = request.security_type or "OPT"
        checks.holds("security_type", kind in OPTION_TYPES, f"must be one of {', '.join(OPTION_TYPES)}", kind)
        if request.underlying_conid:
            checks.conid("underlying_conid", request.underlying_conid)
            checks.holds("symbol", not request.symbol, "must be empty when underlying_conid is given", request.symbol)
        else:
            checks.symbol("symbol", request.symbol)
        checks.holds("months", len(request.months) <= _MOST_MONTHS, f"may have at most {_MOST_MONTHS}")
        for index, month in enumerate(request.months):
            _month(checks, f"months[{index}]", month)
        checks.holds("right", request.right in ("", "C", "P"), "must be C or P", request.right)
        lowest = checks.decimal("min_strike", request.min_strike) if request.HasField("min_strike") else None
        highest = checks.decimal("max_strike", request.max_strike) if request.HasField("max_strike") else None
        _exchange_of(checks, kind, request.exchange)
        checks.done()
        if request.underlying_conid:
            underlying = await self._chains.search_of(request.underlying_conid)
        else:
            underlying = await self._chains.underlying(request.symbol, kind)
        months = chains.months(underlying, kind)
        options = await self._chains.chain(
            Wanted(
                conid=underlying.conid,
                security_type=kind,
                months=list(dict.fromkeys(request.months)) or months[:1],
                rights=[request.right] if request.right else ["C", "P"],
                exchange=request.exchange,
                lowest=lowest,
                highest=highest,
            )
        )
        return pb.ListOptionChainResponse(underlying_conid=underlying.conid, months=months, contracts=options)

    async def ListStrikes(self, request: pb.ListStrikesRequest, context: Context) -> pb.ListStrikesResponse:
        checks = Checks()
        conid = checks.conid("underlying_conid", request.underlying_conid)
        kind = request.security_type or "OPT"
        checks.holds("security_type", kind in OPTION_TYPES, f"must be one of {', '.join(OPTION_TYPES)}", kind)
        _month(checks, "month", request.month)
        _exchange_of(checks, kind, request.exchange)
        checks.done()
        await self._chains.search_of(conid)
        calls, puts = await self._chains.strikes(conid, kind, request.month, request.exchange)
        return pb.ListStrikesResponse(calls=calls, puts=puts)

    async def ListDerivatives(self, request: pb.ListDerivativesRequest, context: Context) -> pb.ListDerivativesResponse:
        checks = Checks()
        conid = checks.conid("underlying_conid", request.underlying_conid)
        kind = request.security_type
        checks.holds("security_type", kind in _DERIVATIVES, f"must be one of {', '.join(_DERIVATIVES)}", kind)
        if kind != "CFD":
            _month(checks, "month", request.month)
        strike = checks.decimal("strike", request.strike) if request.HasField("strike") else None
        if kind in OPTION_TYPES:
            checks.holds("strike", request.HasField("strike"), f"is required for {kind}")
            checks.holds("right", request.right in ("C", "P"), "must be C or P", request.right)
        _word(checks, "exchange", request.exchange)
        _word(checks, "issuer_id", request.issuer_id)
        checks.done()
        await self._chains.search_of(conid)
        if kind in OPTION_TYPES:
            await self._chains.strikes(conid, kind, request.month, request.exchange)
        found = await self._chains.derivatives(
            conid,
            kind,
            month=request.month,
            strike="" if strike is None else decimals.plain(strike) or "",
            right=request.right,
            exchange=request.exchange,
            issuer=request.issuer_id,
        )
        return pb.ListDerivativesResponse(contracts=found)

    async def ListStocks(self, request: pb.ListStocksRequest, context: Context) -> pb.ListStocksResponse:
        symbols = _symbols(request.symbols)
        answer = await self._gateway.read("/trsrv/stocks", query=[("symbols", ",".join(symbols))], need=Need.LOGIN)
        return pb.ListStocksResponse(stocks=decode.stocks(answer, symbols))

    async def ListFutures(self, request: pb.ListFuturesRequest, context: Context) -> pb.ListFuturesResponse:
        checks = Checks()
        _word(checks, "exchange", request.exchange)
        checks.done()
        symbols = _symbols(request.symbols)
        query = [("symbols", ",".join(symbols))]
        if request.exchange:
            query.append(("exchange", request.exchange))
        answer = await self._gateway.read("/trsrv/futures", query=query, need=Need.LOGIN)
        return pb.ListFuturesResponse(futures=decode.futures(answer, symbols))

    async def ListConids(self, request: pb.ListConidsRequest, context: Context) -> pb.ListConidsResponse:
        checks = Checks()
        checks.holds("exchange", bool(_WORD.fullmatch(request.exchange)), "must be an exchange such as NYSE")
        _word(checks, "asset_class", request.asset_class)
        kind = request.asset_class or "STK"
        page = paging(
            checks,
            page_size=request.page_size,
            page_token=request.page_token,
            request=f"ListConids {request.exchange} {kind}",
        )
        checks.done()
        query = [("exchange", request.exchange), ("assetClass", kind)]
        cut = page.cut(decode.conids(await self._gateway.read("/trsrv/all-conids", query=query, need=Need.LOGIN)))
        return pb.ListConidsResponse(conids=cut.elements, next_page_token=cut.next_token)

    async def GetTradingSchedule(
        self, request: pb.GetTradingScheduleRequest, context: Context
    ) -> pb.GetTradingScheduleResponse:
        checks = Checks()
        _word(checks, "exchange", request.exchange)
        if request.conid:
            checks.conid("conid", request.conid)
            checks.holds("symbol", not request.symbol, "must be empty when conid is given", request.symbol)
        else:
            checks.symbol("symbol", request.symbol)
            checks.holds("security_type", bool(_WORD.fullmatch(request.security_type)), "is required with symbol")
        checks.done()
        if request.conid:
            query = [("conid", str(request.conid))]
            if request.exchange:
                query.append(("exchange", request.exchange))
            venues = schedules.of_contract(
                await self._gateway.read("/contract/trading-schedule", query=query, need=Need.LOGIN)
            )
        else:
            query = [("assetClass", request.security_type), ("symbol", request.symbol)]
            if request.exchange:
                query.append(("exchange", request.exchange))
            answer = await self._gateway.read("/trsrv/secdef/schedule", query=query, need=Need.LOGIN)
            venues = schedules.of_venues(answer, self._now)
        if not venues:
            raise ContractNotFound("IBKR knows no schedule of such a contract")
        return pb.GetTradingScheduleResponse(venues=venues)

    async def ListCurrencyPairs(
        self, request: pb.ListCurrencyPairsRequest, context: Context
    ) -> pb.ListCurrencyPairsResponse:
        checks = Checks()
        currency = checks.currency("currency_code", request.currency_code)
        checks.done()
        answer = await self._gateway.read("/iserver/currency/pairs", query=[("currency", currency)])
        return pb.ListCurrencyPairsResponse(pairs=decode.pairs(answer, currency))

    async def GetExchangeRate(self, request: pb.GetExchangeRateRequest, context: Context) -> pb.GetExchangeRateResponse:
        checks = Checks()
        source = checks.currency("source_currency_code", request.source_currency_code)
        target = checks.currency("target_currency_code", request.target_currency_code)
        checks.done()
        if source == target:
            return pb.GetExchangeRateResponse(rate="1")
        answer = await self._gateway.read("/iserver/exchangerate", query=[("source", source), ("target", target)])
        return pb.GetExchangeRateResponse(rate=decode.rate(answer))

    async def ListBondFilters(self, request: pb.ListBondFiltersRequest, context: Context) -> pb.ListBondFiltersResponse:
        checks = Checks()
        checks.holds("issuer_id", bool(_WORD.fullmatch(request.issuer_id)), "must be the id of an issuer")
        checks.done()
        query = [("symbol", "BOND"), ("issuerId", request.issuer_id)]
        answer = await self._gateway.read("/iserver/secdef/bond-filters", query=query)
        return pb.ListBondFiltersResponse(filters=decode.bond_filters(answer))

    async def _contract(self, conid: int) -> pb.Contract:
        contract = decode.definition(await self._gateway.read(f"/iserver/contract/{segment(str(conid))}/info"))
        answer = await self._gateway.read("/trsrv/secdef", query=[("conids", str(conid))], need=Need.LOGIN)
        decode.add_secdef(contract, answer)
        return contract


def _conid(field: str, number: int) -> int:
    checks = Checks()
    checks.conid(field, number)
    checks.done()
    return number


def _word(checks: Checks, field: str, text: str) -> None:
    if text:
        checks.holds(field, bool(_WORD.fullmatch(text)), "must be a single word of letters and digits", text)


def _month(checks: Checks, field: str, text: str) -> None:
    checks.holds(field, bool(_MONTH.fullmatch(text)), "must be a month such as DEC26", text)


def _exchange_of(checks: Checks, kind: str, exchange: str) -> None:
    _word(checks, "exchange", exchange)
    checks.holds("exchange", bool(exchange) or kind != "FOP", "is required for options on futures")


def _symbols(texts: Sequence[str]) -> list[str]:
    checks = Checks()
    checks.holds("symbols", bool(texts), "needs at least one symbol")
    checks.holds("symbols", len(texts) <= _MOST_SYMBOLS, f"may have at most {_MOST_SYMBOLS}", len(texts))
    for index, text in enumerate(texts[:_MOST_SYMBOLS]):
        checks.symbol(f"symbols[{index}]", text)
    checks.done()
    return list(dict.fromkeys(text.upper() for text in texts))


def _lacks_algorithms(answer: object) -> bool:
    return isinstance(answer, dict) and not answer.get("algos")
