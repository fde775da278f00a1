"""Contracts: found, resolved, defined; chains, schedules, currencies."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import grpc
import pytest

from bezant.v1 import contracts_service_pb2 as pb
from bezant.v1 import contracts_service_pb2_grpc as pb_grpc
from tests.support.grpc_errors import error_info, failure, reason, violated_fields
from tests.support.typed import AAPL, TypedServer

SAP_IBIS, SAP_NYSE = 14204, 3691937
ES, EURUSD = 11004968, 12087792
NOBODYS = 999999999


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return pb_grpc.ContractsServiceStub(channel)


async def test_a_search_by_symbol_and_by_name(stub: Any) -> None:
    found = await stub.SearchContracts(pb.SearchContractsRequest(symbol="AAPL"))
    (match,) = found.matches
    assert (match.conid, match.symbol, match.company_name, match.description) == (AAPL, "AAPL", "APPLE INC", "NASDAQ")
    sections = {section.security_type: section for section in match.sections}
    assert len(sections["OPT"].months) == 3
    assert "SMART" in sections["OPT"].exchanges
    assert len(match.option_expiries) == 3
    by_name = await stub.SearchContracts(pb.SearchContractsRequest(symbol="apple", by_name=True))
    assert [each.conid for each in by_name.matches] == [AAPL]
    nothing = await stub.SearchContracts(pb.SearchContractsRequest(symbol="ZZZZ"))
    assert not nothing.matches


@pytest.mark.parametrize(
    ("request_", "conid"),
    [
        (pb.ResolveContractRequest(symbol="aapl"), AAPL),
        (pb.ResolveContractRequest(symbol="SAP", exchange="IBIS"), SAP_IBIS),
        (pb.ResolveContractRequest(symbol="SAP", currency_code="USD"), SAP_NYSE),
        (pb.ResolveContractRequest(symbol="SAP", prefer_us=True), SAP_NYSE),
        (pb.ResolveContractRequest(symbol="EUR.USD", security_type="CASH"), EURUSD),
        (pb.ResolveContractRequest(symbol="SPX", security_type="IND"), 416904),
    ],
)
async def test_a_symbol_is_resolved(stub: Any, request_: Any, conid: int) -> None:
    assert (await stub.ResolveContract(request_)).contract.conid == conid


async def test_the_nearest_future_and_one_of_a_month(stub: Any) -> None:
    futures = (await stub.ListFutures(pb.ListFuturesRequest(symbols=["ES"]))).futures
    expiries = [future.expiry for future in futures]
    assert expiries == sorted(expiries)
    assert len(futures) == 4
    assert futures[0].underlying_conid == ES
    nearest = await stub.ResolveContract(pb.ResolveContractRequest(symbol="ES", security_type="FUT"))
    assert nearest.contract.conid == futures[0].conid
    month = pb.ResolveContractRequest(symbol="ES", security_type="FUT", contract_month=futures[2].expiry[:6])
    assert (await stub.ResolveContract(month)).contract.conid == futures[2].conid


async def test_an_ambiguous_symbol_lists_its_candidates(stub: Any) -> None:
    error = await failure(stub.ResolveContract(pb.ResolveContractRequest(symbol="SAP")))
    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "AMBIGUOUS_SYMBOL")
    info = error_info(error)
    assert info.metadata["count"] == "2"
    assert f"{SAP_IBIS} IBIS EUR SAP SE" in info.metadata["candidates"]
    assert f"{SAP_NYSE} NYSE USD" in info.metadata["candidates"]


@pytest.mark.parametrize("kind", ["STK", "CASH", "FUT", "IND"])
async def test_a_symbol_that_means_nothing(stub: Any, kind: str) -> None:
    error = await failure(stub.ResolveContract(pb.ResolveContractRequest(symbol="ZZZZ", security_type=kind)))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "CONTRACT_NOT_FOUND")


async def test_a_definition(stub: Any) -> None:
    contract = (await stub.GetContract(pb.GetContractRequest(conid=AAPL))).contract
    assert (contract.conid, contract.symbol, contract.security_type) == (AAPL, "AAPL", "STK")
    assert (contract.currency_code, contract.listing_exchange, contract.exchange) == ("USD", "NASDAQ", "SMART")
    assert "ARCA" in contract.valid_exchanges
    assert contract.price_increments[0].increment == "0.01"
    assert (contract.is_us, contract.has_options) == (True, True)
    assert not contract.HasField("multiplier")


@pytest.mark.parametrize("method", ["GetContract", "GetContractRules", "ListAlgorithms", "GetTradingSchedule"])
async def test_a_contract_that_is_not_there(stub: Any, method: str) -> None:
    request = getattr(pb, f"{method}Request")(conid=NOBODYS)
    error = await failure(getattr(stub, method)(request))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "CONTRACT_NOT_FOUND")


async def test_rules(stub: Any) -> None:
    rules = await stub.GetContractRules(pb.GetContractRulesRequest(conid=AAPL))
    assert rules.contract.symbol == "AAPL"
    assert {"limit", "market", "trailing_stop"} <= set(rules.rules.order_types)
    assert {each.time_in_force for each in rules.rules.times_in_force} == {"IOC", "GTC", "OPG", "DAY"}
    assert (rules.rules.price_increment, rules.rules.default_quantity) == ("0.01", "100")
    routed = await stub.GetContractRules(pb.GetContractRulesRequest(conid=AAPL, selling=True, exchange="NASDAQ"))
    assert not routed.HasField("contract")
    assert routed.rules.order_types


async def test_algorithms_and_the_empty_first_answer(stub: Any) -> None:
    algorithms = (await stub.ListAlgorithms(pb.ListAlgorithmsRequest(conid=AAPL))).algorithms
    adaptive = next(each for each in algorithms if each.id == "Adaptive")
    assert adaptive.description == "Seeks a fast fill at a good price."
    (priority,) = adaptive.parameters
    assert (priority.id, priority.required, priority.default_value) == ("adaptivePriority", True, "Normal")
    assert list(priority.allowed_values) == ["Urgent", "Normal", "Patient"]
    short = pb.ListAlgorithmsRequest(conid=AAPL, algorithms=["Vwap"], without_details=True)
    (vwap,) = (await stub.ListAlgorithms(short)).algorithms
    assert (vwap.id, vwap.description, list(vwap.parameters)) == ("Vwap", "", [])


async def test_strikes_without_a_search_by_the_caller(stub: Any) -> None:
    month = (await stub.ListOptionChain(pb.ListOptionChainRequest(symbol="MSFT", max_strike="0"))).months[0]
    strikes = await stub.ListStrikes(pb.ListStrikesRequest(underlying_conid=272093, month=month))
    assert len(strikes.calls) == len(strikes.puts) == 21
    assert [Decimal(each) for each in strikes.calls] == sorted(Decimal(each) for each in strikes.calls)


async def test_an_option_chain_in_one_call(stub: Any) -> None:
    whole = await stub.ListOptionChain(pb.ListOptionChainRequest(symbol="AAPL"))
    assert len(whole.months) == 3
    assert len(whole.contracts) == 42
    assert {each.security_type for each in whole.contracts} == {"OPT"}
    narrow = await stub.ListOptionChain(
        pb.ListOptionChainRequest(
            underlying_conid=AAPL, months=list(whole.months)[1:], right="C", min_strike="225", max_strike="235"
        )
    )
    assert [(each.right, each.strike, each.multiplier) for each in narrow.contracts] == [
        ("C", strike, "100") for _ in range(2) for strike in ("225.0", "230.0", "235.0")
    ]
    assert len({each.expiry for each in narrow.contracts}) == 2


async def test_an_underlying_without_options(stub: Any) -> None:
    error = await failure(stub.ListOptionChain(pb.ListOptionChainRequest(symbol="IBM")))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "NO_DERIVATIVES")


async def test_derivatives(stub: Any) -> None:
    chain = await stub.ListOptionChain(pb.ListOptionChainRequest(symbol="AAPL", max_strike="0"))
    request = pb.ListDerivativesRequest(
        underlying_conid=AAPL, security_type="OPT", month=chain.months[0], strike="230", right="P"
    )
    (option,) = (await stub.ListDerivatives(request)).contracts
    assert (option.strike, option.right, option.security_type) == ("230.0", "P", "OPT")


async def test_stocks(stub: Any) -> None:
    stocks = (await stub.ListStocks(pb.ListStocksRequest(symbols=["SAP", "ZZZZ", "aapl"]))).stocks
    assert [stock.symbol for stock in stocks] == ["SAP", "SAP", "AAPL"]
    assert {(each.conid, each.exchange, each.is_us) for each in stocks[0].listings} == {(SAP_IBIS, "IBIS", False)}
    assert "&#" not in stocks[0].company_name_chinese
    assert stocks[0].company_name_chinese


async def test_the_conids_of_an_exchange_page_by_page(stub: Any) -> None:
    request, found = pb.ListConidsRequest(exchange="NASDAQ", page_size=2), list[str]()
    while True:
        page = await stub.ListConids(request)
        found += [each.symbol for each in page.conids]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert {"AAPL", "MSFT", "NVDA"} <= set(found)


async def test_the_schedule_of_a_contract(stub: Any) -> None:
    (venue,) = (await stub.GetTradingSchedule(pb.GetTradingScheduleRequest(conid=AAPL))).venues
    assert venue.time_zone == "US/Eastern"
    day = venue.days[0]
    (liquid,) = day.liquid_sessions
    assert liquid.close_time.seconds - liquid.open_time.seconds == 6.5 * 3600
    assert day.sessions[0].cancels_day_orders


async def test_the_schedule_of_venues_is_in_utc_too(stub: Any) -> None:
    request = pb.GetTradingScheduleRequest(symbol="AAPL", security_type="STK")
    (venue,) = (await stub.GetTradingSchedule(request)).venues
    assert (venue.exchange, venue.time_zone) == ("NASDAQ", "America/New_York")
    assert len(venue.days) == 5
    by_contract = (await stub.GetTradingSchedule(pb.GetTradingScheduleRequest(conid=AAPL))).venues[0]
    same = {day.date: day.liquid_sessions[0].open_time.seconds for day in venue.days}
    for day in by_contract.days:
        assert same.get(day.date, day.liquid_sessions[0].open_time.seconds) == day.liquid_sessions[0].open_time.seconds
    weekdays = {datetime.strptime(day.date, "%Y%m%d").replace(tzinfo=UTC).weekday() for day in venue.days}
    assert weekdays == {0, 1, 2, 3, 4}


async def test_currencies(stub: Any) -> None:
    pairs = (await stub.ListCurrencyPairs(pb.ListCurrencyPairsRequest(currency_code="EUR"))).pairs
    assert [(each.symbol, each.conid, each.counter_currency_code) for each in pairs] == [("EUR.USD", EURUSD, "USD")]
    request = pb.GetExchangeRateRequest(source_currency_code="EUR", target_currency_code="USD")
    assert Decimal("0.9") < Decimal((await stub.GetExchangeRate(request)).rate) < Decimal("1.3")
    same = pb.GetExchangeRateRequest(source_currency_code="USD", target_currency_code="USD")
    assert (await stub.GetExchangeRate(same)).rate == "1"


async def test_an_exchange_rate_keeps_its_digits(server: TypedServer, stub: Any) -> None:
    body = '{"rate": 0.10000000000000000000001}'
    server.paper.control("/faults", {"path": "/iserver/exchangerate", "status": 200, "times": 1, "body": body})
    request = pb.GetExchangeRateRequest(source_currency_code="EUR", target_currency_code="USD")
    assert (await stub.GetExchangeRate(request)).rate == "0.10000000000000000000001"


async def test_bond_filters(server: TypedServer, stub: Any) -> None:
    assert not (await stub.ListBondFilters(pb.ListBondFiltersRequest(issuer_id="e123"))).filters
    body = '{"bondFilters":[{"displayText":"Coupon","columnId":25,"options":[{"value":"1.3"}]}]}'
    server.paper.control("/faults", {"path": "/iserver/secdef/bond-filters", "status": 200, "times": 1, "body": body})
    (filter_,) = (await stub.ListBondFilters(pb.ListBondFiltersRequest(issuer_id="e123"))).filters
    assert (filter_.name, filter_.options[0].value) == ("Coupon", "1.3")


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("SearchContracts", pb.SearchContractsRequest(), "symbol"),
        ("ResolveContract", pb.ResolveContractRequest(symbol="A", security_type="OPT"), "security_type"),
        ("ResolveContract", pb.ResolveContractRequest(symbol="A", currency_code="usd"), "currency_code"),
        ("GetContract", pb.GetContractRequest(), "conid"),
        ("ListAlgorithms", pb.ListAlgorithmsRequest(conid=1, algorithms=["x"] * 9), "algorithms"),
        ("ListOptionChain", pb.ListOptionChainRequest(), "symbol"),
        ("ListOptionChain", pb.ListOptionChainRequest(symbol="A", months=["202612"]), "months[0]"),
        ("ListOptionChain", pb.ListOptionChainRequest(symbol="A", right="X"), "right"),
        ("ListOptionChain", pb.ListOptionChainRequest(symbol="A", min_strike="1e2"), "min_strike"),
        ("ListOptionChain", pb.ListOptionChainRequest(symbol="A", security_type="FOP"), "exchange"),
        ("ListStrikes", pb.ListStrikesRequest(underlying_conid=1), "month"),
        (
            "ListDerivatives",
            pb.ListDerivativesRequest(underlying_conid=1, security_type="OPT", month="DEC26"),
            "strike",
        ),
        ("ListStocks", pb.ListStocksRequest(), "symbols"),
        ("ListStocks", pb.ListStocksRequest(symbols=["A", "?"]), "symbols[1]"),
        ("ListConids", pb.ListConidsRequest(), "exchange"),
        ("GetTradingSchedule", pb.GetTradingScheduleRequest(symbol="A"), "security_type"),
        ("ListCurrencyPairs", pb.ListCurrencyPairsRequest(), "currency_code"),
        ("GetExchangeRate", pb.GetExchangeRateRequest(source_currency_code="USD"), "target_currency_code"),
        ("ListBondFilters", pb.ListBondFiltersRequest(), "issuer_id"),
    ],
)
async def test_bad_input(stub: Any, method: str, request_: Any, field: str) -> None:
    error = await failure(getattr(stub, method)(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(error)
