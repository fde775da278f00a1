"""The gateway's JSON about accounts, positions and balances as messages."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import types_pb2
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row

_NO_LIMIT = frozenset({"n/a", "unlimited"})
_TOTAL = re.compile(r"Total \(in ([A-Z]{3,10})\)")
_DAY = re.compile(r"[0-9]{8}")

_SEGMENTS = {
    "total": pb.ACCOUNT_SEGMENT_TOTAL,
    "securities": pb.ACCOUNT_SEGMENT_SECURITIES,
    "commodities": pb.ACCOUNT_SEGMENT_COMMODITIES,
    "Crypto at Paxos": pb.ACCOUNT_SEGMENT_CRYPTO,
}

_SUMMARY_FIGURES = {
    "netliquidation": "net_liquidation",
    "totalcashvalue": "total_cash_value",
    "settledcash": "settled_cash",
    "buyingpower": "buying_power",
    "availablefunds": "available_funds",
    "excessliquidity": "excess_liquidity",
    "equitywithloanvalue": "equity_with_loan_value",
    "previousdayequitywithloanvalue": "previous_day_equity_with_loan_value",
    "grosspositionvalue": "gross_position_value",
    "initmarginreq": "initial_margin",
    "maintmarginreq": "maintenance_margin",
    "fullinitmarginreq": "full_initial_margin",
    "fullmaintmarginreq": "full_maintenance_margin",
    "fullavailablefunds": "full_available_funds",
    "fullexcessliquidity": "full_excess_liquidity",
    "lookaheadinitmarginreq": "look_ahead_initial_margin",
    "lookaheadmaintmarginreq": "look_ahead_maintenance_margin",
    "lookaheadavailablefunds": "look_ahead_available_funds",
    "lookaheadexcessliquidity": "look_ahead_excess_liquidity",
    "regtequity": "regulation_t_equity",
    "regtmargin": "regulation_t_margin",
    "sma": "sma",
    "accruedcash": "accrued_cash",
    "accrueddividend": "accrued_dividend",
    "postexpirationexcess": "post_expiration_excess",
    "postexpirationmargin": "post_expiration_margin",
}
_SUMMARY_RATIOS = ("cushion", "leverage")

_BROKERAGE_FIGURES = {
    "netLiquidationValue": "net_liquidation",
    "totalCashValue": "total_cash_value",
    "buyingPower": "buying_power",
    "availableFunds": "available_funds",
    "excessLiquidity": "excess_liquidity",
    "equityWithLoanValue": "equity_with_loan_value",
    "securitiesGVP": "gross_position_value",
    "initialMargin": "initial_margin",
    "maintenanceMargin": "maintenance_margin",
    "regTMargin": "regulation_t_margin",
    "SMA": "sma",
    "accruedInterest": "accrued_cash",
}

_SEGMENT_FIGURES = {
    "current_available": "current_available",
    "current_excess": "current_excess",
    "Lk Ahd Avlbl Fnds": "look_ahead_available",
    "Lk Ahd Excss Lqdty": "look_ahead_excess",
    "overnight_available": "overnight_available",
    "overnight_excess": "overnight_excess",
    "Prdctd Pst-xpry Excss": "post_expiration_excess",
    "buying_power": "buying_power",
    "SMA": "sma",
    "net_liquidation": "net_liquidation",
    "equity_with_loan": "equity_with_loan_value",
    "Rg T Eqty Wth Ln Vl": "regulation_t_equity_with_loan_value",
    "Prvs Dy Eqty Wth Ln Vl": "previous_day_equity_with_loan_value",
    "cash": "cash",
    "sec_gross_pos_val": "gross_position_value",
    "MTD Interest": "month_to_date_interest",
    "Pndng Dbt Crd Chrgs": "pending_debit_card_charges",
    "Nt Lqdtn Uncrtnty": "net_liquidation_uncertainty",
    "current_initial": "initial_margin",
    "current_maint": "maintenance_margin",
    "Prjctd Lk Ahd Mntnnc Mrgn": "look_ahead_maintenance_margin",
    "projected_liquidity_inital_margin": "projected_liquidity_initial_margin",
    "projected_overnight_initial_margin": "overnight_initial_margin",
    "Prjctd Ovrnght Mntnnc Mrgn": "overnight_maintenance_margin",
    "RegT Margin": "regulation_t_margin",
    "Prdctd Pst-xpry Mrgn @ Opn": "post_expiration_margin",
}

_MARKET_VALUES = {
    "MTD Interest": "month_to_date_interest",
    "stock": "stock",
    "options": "options",
    "futures": "futures",
    "future_options": "future_options",
    "funds": "funds",
    "dividends_receivable": "dividends_receivable",
    "mutual_funds": "mutual_funds",
    "money_market": "money_market",
    "bonds": "bonds",
    "Govt Bonds": "government_bonds",
    "t_bills": "treasury_bills",
    "warrants": "warrants",
    "issuer_option": "issuer_options",
    "commodity": "commodity",
    "Notional CFD": "notional_cfd",
    "cfd": "cfd",
    "Cryptocurrency": "cryptocurrency",
    "total_cash": "total_cash",
    "settled_cash": "settled_cash",
    "net_liquidation": "net_liquidation",
    "unrealized_pnl": "unrealized_pnl",
    "realized_pnl": "realized_pnl",
    "Exchange Rate": "exchange_rate",
}

_LEDGER_FIELDS = {
    "cashbalance": "cash_balance",
    "settledcash": "settled_cash",
    "netliquidationvalue": "net_liquidation_value",
    "stockmarketvalue": "stock_market_value",
    "stockoptionmarketvalue": "stock_option_market_value",
    "optionmarketvalue": "stock_option_market_value",
    "futuremarketvalue": "future_market_value",
    "futureoptionmarketvalue": "future_option_market_value",
    "futuresonlypnl": "futures_only_pnl",
    "commoditymarketvalue": "commodity_market_value",
    "corporatebondsmarketvalue": "corporate_bonds_market_value",
    "tbondsmarketvalue": "treasury_bonds_market_value",
    "tbillsmarketvalue": "treasury_bills_market_value",
    "warrantsmarketvalue": "warrants_market_value",
    "issueroptionsmarketvalue": "issuer_options_market_value",
    "issueoptionsmarketvalue": "issuer_options_market_value",
    "cryptocurrencyvalue": "cryptocurrency_value",
    "funds": "funds",
    "moneyfunds": "money_funds",
    "interest": "interest",
    "dividends": "dividends",
    "cashbalancefxsegment": "cash_balance_fx_segment",
    "realizedpnl": "realized_pnl",
    "unrealizedpnl": "unrealized_pnl",
    "exchangerate": "exchange_rate",
    "marketvalue": "market_value",
}
"""By the key in lower case: the ledger channel spells them otherwise than the ledger (recorded frames)."""


def accounts(answer: Any) -> list[pb.Account]:
    """The answer of /portfolio/accounts and /portfolio/subaccounts."""
    return [account(row) for row in document.rows(answer, "")]


def account(row: Row) -> pb.Account:
    """One account."""
    parent = row.row("parent")
    return pb.Account(
        account_id=row.text("accountId", "id"),
        title=row.words("accountTitle"),
        display_name=row.words("displayName"),
        alias=row.words("accountAlias"),
        currency_code=row.text("currency"),
        type=row.text("type"),
        trading_type=row.text("tradingType"),
        business_type=row.text("businessType"),
        category=row.text("category"),
        ib_entity=row.text("ibEntity"),
        customer_type=row.text("acctCustType"),
        clearing_status=row.text("clearingStatus"),
        opened_at=row.moment("accountStatus"),
        brokerage_access=row.boolean("brokerageAccess"),
        is_advisor=row.boolean("faclient", "faClient"),
        no_client_trading=row.boolean("noClientTrading"),
        tracks_virtual_fx=row.boolean("trackVirtualFXPortfolio"),
        parent_account_id="" if parent is None else parent.text("accountId"),
        description=row.words("desc"),
    )


def brokerage_accounts(answer: Any) -> pb.ListBrokerageAccountsResponse:
    """The answer of /iserver/accounts."""
    row = Row(answer, "")
    nothing = Row({}, "")
    properties, aliases = row.row("acctProps") or nothing, row.row("aliases") or nothing
    features, server = row.row("allowFeatures") or nothing, row.row("serverInfo") or nothing
    periods = row.row("chartPeriods") or nothing
    listed = []
    for name in row.texts("accounts"):
        about = properties.row(name) or nothing
        listed.append(
            pb.BrokerageAccount(
                account_id=name,
                alias=aliases.text(name) or name,
                supports_cash_quantity=about.boolean("supportsCashQty"),
                supports_fractions=about.boolean("supportsFractions"),
                has_child_accounts=about.boolean("hasChildAccounts"),
                is_lite_under_pro=about.boolean("liteUnderPro"),
                no_currency_conversion=about.boolean("noFXConv"),
                is_proprietary=about.boolean("isProp"),
                auto_converts_currency=about.boolean("autoFx"),
                allows_customer_time=about.boolean("allowCustomerTime"),
            )
        )
    return pb.ListBrokerageAccountsResponse(
        accounts=listed,
        selected_account_id=row.text("selectedAccount"),
        is_paper=row.boolean("isPaper"),
        allowed_asset_types=[each for each in features.text("allowedAssetTypes").split(",") if each],
        chart_periods=[pb.ChartPeriods(security_type=kind, periods=periods.texts(kind)) for kind in periods],
        features={name: features.raw(name) for name in features if isinstance(features.raw(name), bool)},
        allocation_groups=_names(row.raw("groups")),
        allocation_profiles=_names(row.raw("profiles")),
        server_name=server.text("serverName"),
        server_version=server.text("serverVersion"),
    )


def summary(account_id: str, answer: Any) -> pb.GetAccountSummaryResponse:
    """The answer of /portfolio/{id}/summary: some hundred keys, each an object."""
    values = [summary_value(key, row) for key, row in Row(answer, "").members()]
    named = {value.key: value for value in values}
    days = named.get("daytradesremaining")
    return pb.GetAccountSummaryResponse(
        account_id=account_id,
        account_type=named["accounttype"].text if "accounttype" in named else "",
        total=_figures(named, ""),
        securities=_figures(named, "-s"),
        commodities=_figures(named, "-c"),
        crypto=_figures(named, "-p"),
        day_trades_remaining=_limited(days.text if days else ""),
        values=values,
    )


def summary_value(key: str, row: Row) -> pb.SummaryValue:
    """One value of the summary, or of a frame of the account summary channel."""
    text = row.text("value")
    is_null = row.boolean("isNull") is True
    number = None if text or is_null else row.decimal("amount", "monetaryValue")
    amount = None if number is None else types_pb2.Money(amount=number, currency_code=row.text("currency"))
    return pb.SummaryValue(
        key=key.lower(),
        amount=amount,
        text=text,
        is_null=is_null,
        measured_at=row.moment("timestamp"),
        severity=row.integer("severity") or 0,
    )


def brokerage_summary(answer: Any) -> tuple[pb.AccountFigures, list[pb.CashBalance], str, str]:
    """The answer of /iserver/account/{id}/summary: figures, cash by currency, type and status of the account."""
    row = Row(answer, "")
    figures = pb.AccountFigures()
    for name, field in _BROKERAGE_FIGURES.items():
        number = row.decimal(name)
        if number is not None:
            getattr(figures, field).amount = number
    cash = []
    for entry in row.rows("cashBalances"):
        currency, is_total = _currency(entry.text("currency"))
        cash.append(
            pb.CashBalance(
                currency_code=currency,
                is_total=is_total,
                balance=entry.decimal("balance"),
                settled_cash=entry.decimal("settledCash"),
            )
        )
    return figures, cash, row.text("accountType"), row.text("status")


def segments(*pages: Any) -> list[pb.SegmentBalances]:
    """The pages of …/summary/ that are divided into the same segments, together; the total first."""
    found: dict[str, pb.SegmentBalances] = {}
    for page in pages:
        for name, row in Row(page, "").members():
            balances = found.setdefault(
                name,
                pb.SegmentBalances(segment=_SEGMENTS.get(name, pb.ACCOUNT_SEGMENT_UNSPECIFIED), raw_segment=name),
            )
            _add_to_segment(balances, row)
    return sorted(found.values(), key=lambda each: (not each.segment, each.segment))


def market_values(answer: Any) -> list[pb.CurrencyMarketValue]:
    """The answer of …/summary/market_value; the total last."""
    values = []
    for name, row in Row(answer, "").members():
        currency, is_total = _currency(name)
        value = pb.CurrencyMarketValue(currency_code=currency, is_total=is_total)
        _fill(value, row, _MARKET_VALUES)
        values.append(value)
    return sorted(values, key=lambda each: each.is_total)


def ledger(answer: Any) -> pb.GetLedgerResponse:
    """The answer of /portfolio/{id}/ledger."""
    response = pb.GetLedgerResponse()
    for currency, row in Row(answer, "").members():
        entry = ledger_entry(currency, row)
        if currency == "BASE":
            response.base.CopyFrom(entry)
        else:
            response.entries.append(entry)
    return response


def ledger_entry(currency: str, row: Row) -> pb.LedgerEntry:
    """What is held in a currency: a row of the ledger, or of a frame of its channel."""
    lower = Row({name.lower(): row.raw(name) for name in row}, row.place)
    entry = pb.LedgerEntry(
        currency_code=currency, account_id=lower.text("acctcode"), measured_at=lower.moment("timestamp")
    )
    _fill(entry, lower, _LEDGER_FIELDS)
    return entry


def position(row: Row, account_id: str = "") -> pb.Position:
    """A row of the positions, cached or not: the two spell its members differently."""
    return pb.Position(
        account_id=row.text("acctId") or account_id,
        conid=row.integer("conid") or 0,
        description=row.words("contractDesc", "description"),
        quantity=row.decimal("position"),
        market_price=row.decimal("mktPrice", "marketPrice"),
        market_value=row.decimal("mktValue", "marketValue"),
        average_cost=row.decimal("avgCost"),
        average_price=row.decimal("avgPrice"),
        realized_pnl=row.decimal("realizedPnl"),
        unrealized_pnl=row.decimal("unrealizedPnl"),
        currency_code=row.text("currency"),
        base_market_price=row.decimal("baseMktPrice"),
        base_market_value=row.decimal("baseMktValue"),
        base_average_cost=row.decimal("baseAvgCost"),
        base_average_price=row.decimal("baseAvgPrice"),
        base_realized_pnl=row.decimal("baseRealizedPnl"),
        base_unrealized_pnl=row.decimal("baseUnrealizedPnl"),
        security_type=row.text("assetClass", "secType"),
        symbol=row.text("ticker"),
        name=row.words("name"),
        listing_exchange=row.text("listingExchange"),
        exchanges=[each for each in row.text("allExchanges").split(",") if each],
        sector=row.words("sector"),
        group=row.words("group"),
        sector_group=row.words("sectorGroup"),
        country_code=row.text("countryCode"),
        expiry=row.text("expiry"),
        last_trading_day=row.text("lastTradingDay"),
        right=row.text("putOrCall"),
        strike=row.nonzero("strike"),
        multiplier=row.nonzero("multiplier"),
        exercise_style=row.text("exerciseStyle"),
        underlying_conid=row.integer("undConid") or 0,
        has_options=row.boolean("hasOptions"),
        is_us=row.boolean("isUS"),
        is_event_contract=row.boolean("isEventContract"),
        type=row.text("type"),
        model=row.text("model"),
        price_increments=[
            types_pb2.PriceIncrement(lower_edge=step.decimal("lowerEdge"), increment=step.decimal("increment"))
            for step in row.rows("incrementRules")
        ],
        definition_loaded=is_defined(row),
    )


def is_defined(row: Row) -> bool:
    """Whether a position's row has the definition of its contract, which the gateway loads after the first call."""
    return bool(row.text("ticker") or row.text("fullName") or row.text("name"))


def combo(row: Row, account_id: str) -> pb.ComboPosition:
    """A combination that is held."""
    return pb.ComboPosition(
        name=row.text("name"),
        description=row.words("description"),
        legs=[pb.ComboLeg(conid=leg.integer("conid") or 0, ratio=leg.decimal("ratio")) for leg in row.rows("legs")],
        positions=[position(each, account_id) for each in row.rows("positions")],
    )


def allocation(answer: Any) -> pb.GetAllocationResponse:
    """The answer of an allocation."""
    row = Row(answer, "")
    return pb.GetAllocationResponse(
        asset_class=_sides(row.row("assetClass")), sector=_sides(row.row("sector")), group=_sides(row.row("group"))
    )


def pnl_row(key: str, row: Row) -> pb.PnlRow:
    """The profit and loss under a key such as `U1234567.Core`."""
    account_id, _, model = key.partition(".")
    return pb.PnlRow(
        account_id=account_id,
        model=model,
        row_type=row.integer("rowType") or 0,
        daily_pnl=row.decimal("dpl"),
        unrealized_pnl=row.decimal("upl"),
        net_liquidation=row.decimal("nl"),
        excess_liquidity=row.decimal("el"),
        unrounded_excess_liquidity=row.decimal("uel"),
        market_value=row.decimal("mv"),
    )


def performance(answer: Any) -> pb.GetPerformanceResponse:
    """The answer of /pa/performance."""
    row = Row(answer, "")
    return pb.GetPerformanceResponse(
        net_asset_values=_measure(row.row("nav"), "navs"),
        cumulative_returns=_measure(row.row("cps"), "returns"),
        period_returns=_measure(row.row("tpps"), "returns"),
        included_account_ids=row.texts("included"),
        method=row.text("pm"),
        currency_type=row.text("currencyType"),
    )


def all_periods(answer: Any) -> pb.GetPerformanceAllPeriodsResponse:
    """The answer of /pa/allperiods: accounts stand beside the rest, under their ids."""
    row = Row(answer, "")
    response = pb.GetPerformanceAllPeriodsResponse(method=row.text("pm"))
    for name in row.texts("included", "view"):
        about = row.row(name)
        if about is None:
            continue
        listed = about.texts("periods") or [each for each in about if isinstance(about.raw(each), Mapping)]
        account = pb.AccountPerformance(
            account_id=name,
            currency_code=about.text("baseCurrency"),
            start_date=about.text("start"),
            end_date=about.text("end"),
            last_updated=about.text("lastSuccessfulUpdate"),
        )
        for period in listed:
            values = about.row(period)
            if values is not None:
                dates = values.texts("dates")
                account.periods.append(
                    pb.PeriodPerformance(
                        period=period,
                        frequency=values.text("freq"),
                        start=_start(values),
                        net_asset_values=_points(dates, values, "nav"),
                        cumulative_returns=_points(dates, values, "cps"),
                    )
                )
        response.accounts.append(account)
    return response


def transactions(answer: Any) -> pb.ListTransactionsResponse:
    """The answer of /pa/transactions."""
    row = Row(answer, "")
    realized = row.row("rpnl") or Row({}, "rpnl")
    return pb.ListTransactionsResponse(
        transactions=[_transaction(each) for each in row.rows("transactions")],
        realized_pnls=[
            pb.RealizedPnl(
                account_id=each.text("acctid"),
                conid=each.integer("conid") or 0,
                date=each.text("date"),
                amount=each.decimal("amt"),
                currency_code=each.text("cur"),
                fx_rate=each.decimal("fxRate"),
                side=each.text("side"),
            )
            for each in realized.rows("data")
        ],
        total_realized_pnl=realized.decimal("amt"),
        currency_code=row.text("currency"),
        start_time=row.moment("from"),
        end_time=row.moment("to"),
        includes_real_time=row.boolean("includesRealTime") or False,
    )


def _transaction(row: Row) -> pb.Transaction:
    day = row.text("rawDate", "date")
    return pb.Transaction(
        account_id=row.text("acctid"),
        conid=row.integer("conid") or 0,
        type=row.text("type"),
        description=row.words("desc"),
        date=day if _DAY.fullmatch(day) else "",
        raw_date=row.text("date"),
        quantity=row.decimal("qty"),
        price=row.decimal("pr"),
        amount=row.decimal("amt"),
        currency_code=row.text("cur"),
        fx_rate=row.decimal("fxRate"),
    )


def _figures(named: Mapping[str, pb.SummaryValue], suffix: str) -> pb.AccountFigures | None:
    figures = pb.AccountFigures()
    for key, field in _SUMMARY_FIGURES.items():
        value = named.get(f"{key}{suffix}")
        if value is not None and value.HasField("amount"):
            getattr(figures, field).CopyFrom(value.amount)
    for key in _SUMMARY_RATIOS:
        value = named.get(f"{key}{suffix}")
        if value is not None:
            number = Row({"value": value.text}, key).decimal("value") if _is_number(value.text) else None
            if number is not None:
                setattr(figures, key, number)
    return figures if figures.ByteSize() else None


def _add_to_segment(balances: pb.SegmentBalances, row: Row) -> None:
    for name, field in _SEGMENT_FIGURES.items():
        if _is_number(row.raw(name)):
            amount = row.amount(name)
            if amount is not None:
                money = types_pb2.Money(amount=amount.number, currency_code=amount.currency)
                getattr(balances, field).CopyFrom(money)
    if _is_number(row.raw("leverage")):
        leverage = row.decimal("leverage")
        if leverage is not None:
            balances.leverage = leverage
    if _is_number(row.raw("day_trades_left")):
        balances.day_trades_left = row.integer("day_trades_left") or 0
    balances.next_margin_change = row.text("Lk Ahd Nxt Chng") or balances.next_margin_change


def _is_number(value: object) -> bool:
    """Whether a value is there and is not a word for "no limit"."""
    return value is not None and value != "" and not (isinstance(value, str) and value.lower() in _NO_LIMIT)


def _fill(message: Message, row: Row, fields: Mapping[str, str]) -> None:
    """Set decimals by name."""
    for name, field in fields.items():
        number = row.decimal(name) if _is_number(row.raw(name)) else None
        if number is not None:
            setattr(message, field, number)


def _limited(text: str) -> int | None:
    """A count; -1 and words mean that there is no limit."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _currency(name: str) -> tuple[str, bool]:
    """`Total (in USD)` is the total, in USD."""
    match = _TOTAL.fullmatch(name)
    return (match[1], True) if match else (name, False)


def _sides(row: Row | None) -> pb.AllocationSides | None:
    if row is None:
        return None
    return pb.AllocationSides(long=_shares(row.row("long")), short=_shares(row.row("short")))


def _shares(row: Row | None) -> Iterable[pb.AllocationShare]:
    if row is None:
        return ()
    return [pb.AllocationShare(name=html.unescape(name), market_value=row.decimal(name)) for name in row]


def _measure(row: Row | None, values: str) -> pb.PerformanceMeasure | None:
    if row is None:
        return None
    dates = row.texts("dates")
    return pb.PerformanceMeasure(
        frequency=row.text("freq"),
        series=[
            pb.PerformanceSeries(
                id=each.text("id"),
                id_type=each.text("idType"),
                currency_code=each.text("baseCurrency"),
                start_date=each.text("start"),
                end_date=each.text("end"),
                start=_start(each),
                points=_points(each.texts("dates") or dates, each, values),
            )
            for each in row.rows("data")
        ],
    )


def _start(row: Row) -> pb.PerformancePoint | None:
    start = row.row("startNAV")
    return None if start is None else pb.PerformancePoint(date=start.text("date"), value=start.decimal("val"))


def _points(dates: Sequence[str], row: Row, name: str) -> list[pb.PerformancePoint]:
    return [
        pb.PerformancePoint(date=dates[index] if index < len(dates) else "", value=value)
        for index, value in enumerate(row.decimals(name))
    ]


def _names(value: Any) -> list[str]:
    """A list of names, or of objects with one."""
    if not isinstance(value, list):
        return []
    return [name for each in value if isinstance(name := each.get("name") if isinstance(each, dict) else each, str)]
