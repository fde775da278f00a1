"""The gateway's JSON about contracts as messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bezant.v1 import contracts_service_pb2 as pb
from bezant.v1 import types_pb2
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row

_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P"}


def matches(answer: Any) -> list[pb.ContractMatch]:
    """The answer of /iserver/secdef/search; an object says that there is none (IBKR's examples)."""
    if isinstance(answer, dict):
        return []
    return [_match(row) for row in document.rows(answer, "")]


def definition(answer: Any) -> pb.Contract:
    """The answer of /iserver/contract/{conid}/info."""
    row = Row(answer, "")
    return pb.Contract(
        conid=row.integer("con_id", "conid") or 0,
        symbol=row.text("symbol"),
        security_type=row.text("instrument_type"),
        company_name=row.words("company_name"),
        currency_code=row.text("currency"),
        exchange=row.text("exchange"),
        valid_exchanges=_list(row.text("valid_exchanges")),
        local_symbol=row.text("local_symbol"),
        trading_class=row.text("trading_class"),
        multiplier=row.nonzero("multiplier"),
        expiry=row.text("expiry_full", "maturity_date"),
        contract_month=row.text("contract_month"),
        right=_right(row.text("right")),
        strike=row.nonzero("strike"),
        underlying_conid=row.integer("underlying_con_id") or 0,
        description=row.words("text"),
        industry=row.words("industry"),
        category=row.words("category"),
        cfi_code=row.text("cfi_code"),
        cusip=row.text("cusip"),
        has_related_contracts=row.boolean("has_related_contracts"),
        smart_available=row.boolean("smart_available"),
        regular_hours_only=row.boolean("r_t_h"),
        allows_sell_long=row.boolean("allow_sell_long"),
    )


def add_secdef(contract: pb.Contract, answer: Any) -> None:
    """What /trsrv/secdef knows of a contract beyond its definition."""
    for row in Row(answer, "").rows("secdef"):
        if row.integer("conid") != contract.conid:
            continue
        contract.listing_exchange = row.text("listingExchange")
        contract.last_trading_day = row.text("lastTradingDay")
        contract.sector = row.words("sector")
        contract.sector_group = row.words("sectorGroup")
        contract.type = row.text("type")
        contract.country_code = row.text("countryCode")
        contract.price_increments.extend(increments(row))
        for field, name in (("has_options", "hasOptions"), ("is_us", "isUS"), ("is_event_contract", "isEventContract")):
            value = row.boolean(name)
            if value is not None:
                setattr(contract, field, value)
        contract.underlying_conid = contract.underlying_conid or row.integer("undConid") or 0
        contract.industry = contract.industry or row.words("group")


def secdefs(answer: Any) -> dict[int, pb.Contract]:
    """The answer of /trsrv/secdef, by conid."""
    found = {}
    for row in Row(answer, "").rows("secdef"):
        contract = pb.Contract(
            conid=row.integer("conid") or 0,
            symbol=row.text("ticker"),
            security_type=row.text("assetClass"),
            company_name=row.words("name"),
            currency_code=row.text("currency"),
            right=_right(row.text("putOrCall")),
            strike=row.nonzero("strike"),
            multiplier=row.nonzero("multiplier"),
            expiry=row.text("expiry"),
            description=row.words("fullName"),
            valid_exchanges=_list(row.text("allExchanges")),
        )
        found[contract.conid] = contract
    for contract in found.values():
        add_secdef(contract, answer)
    return found


def derivatives(answer: Any) -> list[pb.Contract]:
    """The answer of /iserver/secdef/info: a list, or one object for a stock (IBKR's examples)."""
    return [derivative(row) for row in document.rows([answer] if isinstance(answer, dict) else answer, "")]


def derivative(row: Row) -> pb.Contract:
    """One contract of /iserver/secdef/info."""
    return pb.Contract(
        conid=row.integer("conid") or 0,
        symbol=row.text("symbol", "ticker"),
        security_type=row.text("secType"),
        company_name=row.words("companyName"),
        currency_code=row.text("currency"),
        exchange=row.text("exchange"),
        listing_exchange=row.text("listingExchange"),
        valid_exchanges=_list(row.text("validExchanges")),
        trading_class=row.text("tradingClass"),
        multiplier=row.nonzero("multiplier"),
        expiry=row.text("maturityDate", "expiry"),
        right=_right(row.text("right")),
        strike=row.nonzero("strike"),
        description=row.words("desc2", "desc1"),
        cusip=row.text("cusip"),
        coupon=row.text("coupon"),
    )


def rules(row: Row) -> pb.ContractRules:
    """The answer of /iserver/contract/rules, and the `rules` of info-and-rules."""
    defaults = row.row("tifDefaults") or Row({}, "tifDefaults")
    return pb.ContractRules(
        order_types=row.texts("orderTypes"),
        outside_hours_order_types=row.texts("orderTypesOutside"),
        algorithm_order_types=row.texts("ibAlgoTypes"),
        fraction_order_types=row.texts("fraqTypes"),
        cash_quantity_order_types=row.texts("cqtTypes"),
        times_in_force=[_time_in_force(text) for text in row.texts("tifTypes")],
        default_time_in_force=defaults.text("TIF"),
        default_quantity=row.decimal("defaultSize"),
        quantity_increment=row.decimal("sizeIncrement"),
        cash_quantity_increment=row.decimal("cashQtyIncr"),
        cash_currency_code=row.text("cashCcy"),
        fraction_digits=row.integer("fraqInt") or 0,
        default_limit_price=row.decimal("limitPrice"),
        default_stop_price=row.decimal("stopprice", "stopPrice"),
        price_increment=row.decimal("increment"),
        price_digits=row.integer("incrementDigits") or 0,
        price_increments=increments(row),
        price_magnifier=row.decimal("priceMagnifier"),
        negative_prices=row.boolean("negativeCapable"),
        algorithm_eligible=row.boolean("algoEligible"),
        overnight_eligible=row.boolean("overnightEligible"),
        all_or_none_eligible=row.boolean("allOrNoneEligible"),
        preview_available=row.boolean("preview"),
        preview_required=row.boolean("forceOrderPreview"),
        tradable_account_ids=row.texts("canTradeAcctIds"),
        refusal=row.words("error"),
    )


def algorithms(answer: Any) -> list[pb.Algorithm]:
    """The answer of /iserver/contract/{conid}/algos."""
    return [
        pb.Algorithm(
            id=row.text("id"),
            name=row.text("name"),
            description=row.plain("description"),
            parameters=[_parameter(each) for each in row.rows("parameters")],
        )
        for row in Row(answer, "").rows("algos")
    ]


def strikes(answer: Any) -> tuple[list[str], list[str]]:
    """The answer of /iserver/secdef/strikes: of calls, and of puts."""
    row = Row(answer, "")
    return _known(row.decimals("call")), _known(row.decimals("put"))


def stocks(answer: Any, symbols: Iterable[str]) -> list[pb.Stock]:
    """The answer of /trsrv/stocks."""
    row = Row(answer, "")
    return [
        pb.Stock(
            symbol=symbol,
            company_name=stock.words("name"),
            company_name_chinese=stock.words("chineseName"),
            asset_class=stock.text("assetClass"),
            listings=[
                pb.StockListing(
                    conid=listing.integer("conid") or 0,
                    exchange=listing.text("exchange"),
                    is_us=listing.boolean("isUS"),
                )
                for listing in stock.rows("contracts")
            ],
        )
        for symbol in symbols
        for stock in row.rows(symbol)
    ]


def futures(answer: Any, symbols: Iterable[str]) -> list[pb.Future]:
    """The answer of /trsrv/futures, the nearest expiry of each symbol first."""
    row = Row(answer, "")
    found = []
    for symbol in symbols:
        chain = [
            pb.Future(
                conid=future.integer("conid") or 0,
                symbol=future.text("symbol") or symbol,
                underlying_conid=future.integer("underlyingConid") or 0,
                expiry=future.text("expirationDate"),
                last_trading_day=future.text("ltd"),
                long_cutoff=future.text("longFuturesCutOff"),
                short_cutoff=future.text("shortFuturesCutOff"),
            )
            for future in row.rows(symbol)
        ]
        found += sorted(chain, key=lambda future: future.expiry)
    return found


def conids(answer: Any) -> list[pb.ListedConid]:
    """The answer of /trsrv/all-conids."""
    return [
        pb.ListedConid(conid=row.integer("conid") or 0, symbol=row.text("ticker"), exchange=row.text("exchange"))
        for row in document.rows(answer, "")
    ]


def pairs(answer: Any, currency: str) -> list[pb.CurrencyPair]:
    """The answer of /iserver/currency/pairs."""
    return [
        pb.CurrencyPair(
            conid=row.integer("conid") or 0, symbol=row.text("symbol"), counter_currency_code=row.text("ccyPair")
        )
        for row in Row(answer, "").rows(currency)
    ]


def rate(answer: Any) -> str:
    """The answer of /iserver/exchangerate."""
    return Row(answer, "").decimal("rate") or ""


def bond_filters(answer: Any) -> list[pb.BondFilter]:
    """The answer of /iserver/secdef/bond-filters."""
    return [
        pb.BondFilter(
            name=row.text("displayText"),
            column_id=row.integer("columnId") or 0,
            options=[
                pb.BondFilterOption(value=each.text("value"), text=each.text("text")) for each in row.rows("options")
            ],
        )
        for row in Row(answer, "").rows("bondFilters")
    ]


def increments(row: Row) -> list[types_pb2.PriceIncrement]:
    """Price steps, as definitions and rules have them."""
    return [
        types_pb2.PriceIncrement(lower_edge=step.decimal("lowerEdge"), increment=step.decimal("increment"))
        for step in row.rows("incrementRules")
    ]


def _match(row: Row) -> pb.ContractMatch:
    return pb.ContractMatch(
        conid=max(row.integer("conid") or 0, 0),
        symbol=row.text("symbol"),
        company_name=row.words("companyName"),
        header=row.words("companyHeader"),
        description=row.words("description"),
        restricted=row.text("restricted"),
        option_expiries=_list(row.text("opt"), ";"),
        sections=[
            pb.SearchSection(
                security_type=section.text("secType"),
                months=_list(section.text("months"), ";"),
                exchanges=_list(section.text("exchange"), ";"),
                conid=section.integer("conid") or 0,
            )
            for section in row.rows("sections")
        ],
        issuers=[pb.BondIssuer(id=each.text("id"), name=each.words("name")) for each in row.rows("issuers")],
        bond_id=row.integer("bondid") or 0,
    )


def _parameter(row: Row) -> pb.AlgorithmParameter:
    return pb.AlgorithmParameter(
        id=row.text("id"),
        name=row.words("name"),
        type=row.text("valueClassName"),
        required=row.boolean("required") is True,
        default_value=_scalar(row.raw("defaultValue")),
        allowed_values=row.texts("legalStrings"),
        minimum=row.decimal("minValue"),
        maximum=row.decimal("maxValue"),
        rank=row.integer("guiRank") or 0,
    )


def _scalar(value: Any) -> str:
    """A default of any simple type, in text."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _time_in_force(text: str) -> pb.TimeInForceRule:
    """`IOC/MARKET,LIMIT,a`: the time in force, and what it is taken for."""
    name, _, types = text.partition("/")
    return pb.TimeInForceRule(time_in_force=name, order_types=_list(types))


def _list(text: str, separator: str = ",") -> list[str]:
    return [part.strip() for part in text.split(separator) if part.strip()]


def _right(text: str) -> str:
    """C or P; a `?` and the like say that it has none."""
    return _RIGHTS.get(text.upper(), "")


def _known(numbers: list[str | None]) -> list[str]:
    return [number for number in numbers if number is not None]
