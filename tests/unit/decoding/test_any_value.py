"""Every decoder, with samples in which some place holds any JSON value: a message or a decode error, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bezant_server.contracts import decode as contracts
from bezant_server.contracts import schedules
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.errors import UpstreamDecodeError
from bezant_server.marketdata import decode as marketdata
from bezant_server.orders import decode as orders
from bezant_server.portfolio import decode as portfolio
from bezant_server.scanner import decode as scanner
from tests.support.samples import sample, spoiled

Decoder = Callable[[Any], Any]


def rows(decode: Callable[[Row], Any]) -> Decoder:
    return lambda answer: [decode(row) for row in document.rows(answer, "")]


def row(decode: Callable[[Row], Any]) -> Decoder:
    return lambda answer: decode(Row(answer, ""))


DECODERS: dict[str, Decoder] = {
    "contracts/contract_trading_schedule": schedules.of_contract,
    "contracts/iserver_contract_conid_algos": contracts.algorithms,
    "contracts/iserver_contract_conid_info": contracts.definition,
    "contracts/iserver_contract_conid_info_and_rules": contracts.definition,
    "contracts/iserver_contract_rules_post": row(contracts.rules),
    "contracts/iserver_currency_pairs": lambda answer: contracts.pairs(answer, "USD"),
    "contracts/iserver_exchangerate": contracts.rate,
    "contracts/iserver_secdef_bond_filters": contracts.bond_filters,
    "contracts/iserver_secdef_info": contracts.derivatives,
    "contracts/iserver_secdef_search": contracts.matches,
    "contracts/iserver_secdef_strikes": contracts.strikes,
    "contracts/trsrv_all_conids": contracts.conids,
    "contracts/trsrv_futures": lambda answer: contracts.futures(answer, ["ES"]),
    "contracts/trsrv_secdef": contracts.secdefs,
    "contracts/trsrv_secdef_schedule": lambda answer: schedules.of_venues(answer, lambda: 1795000000.0),
    "contracts/trsrv_stocks": lambda answer: contracts.stocks(answer, ["IBM"]),
    "marketdata/iserver_marketdata_history": row(lambda each: marketdata.bars(each, lot=100)),
    "scanner/iserver_scanner_params": scanner.parameters,
    "scanner/iserver_scanner_run_post": scanner.scan,
    "orders/iserver_account_order_status_orderId": orders.order_status,
    "orders/iserver_account_orders": lambda answer: [orders.order(each) for each in Row(answer, "").rows("orders")],
    "orders/iserver_account_trades": orders.executions,
    "orders/iserver_account_accountId_orders_whatif_post": orders.preview,
    "orders/recorded_live_order": row(orders.order),
    "orders/recorded_order_status": orders.order_status,
    "orders/recorded_preview": orders.preview,
    "orders/recorded_trade": row(orders.execution),
    "portfolio/iserver_account_accountId_summary": portfolio.brokerage_summary,
    "portfolio/iserver_account_accountId_summary_available_funds": portfolio.segments,
    "portfolio/iserver_account_accountId_summary_balances": portfolio.segments,
    "portfolio/iserver_account_accountId_summary_margins": portfolio.segments,
    "portfolio/iserver_account_accountId_summary_market_value": portfolio.market_values,
    "portfolio/iserver_account_pnl_partitioned": lambda answer: [
        portfolio.pnl_row(key, each) for key, each in Row(answer, "").entries("upnl")
    ],
    "portfolio/iserver_accounts": portfolio.brokerage_accounts,
    "portfolio/pa_allperiods_post": portfolio.all_periods,
    "portfolio/pa_performance_post": portfolio.performance,
    "portfolio/pa_transactions_post": portfolio.transactions,
    "portfolio/portfolio2_accountId_positions": rows(portfolio.position),
    "portfolio/portfolio_accountId_allocation": portfolio.allocation,
    "portfolio/portfolio_accountId_combo_positions": rows(lambda each: portfolio.combo(each, "DU1")),
    "portfolio/portfolio_accountId_ledger": portfolio.ledger,
    "portfolio/portfolio_accountId_positions_pageId": rows(portfolio.position),
    "portfolio/portfolio_accountId_summary": lambda answer: portfolio.summary("DU1", answer),
    "portfolio/recorded_account": row(portfolio.account),
    "portfolio/recorded_accounts": portfolio.brokerage_accounts,
    "portfolio/recorded_ledger_row": row(lambda each: portfolio.ledger_entry("USD", each)),
    "portfolio/recorded_position": row(portfolio.position),
}


@pytest.mark.parametrize("name", DECODERS)
def test_the_sample_itself_is_understood(name: str) -> None:
    assert DECODERS[name](sample(name))


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_anywhere(name: str, data: st.DataObject) -> None:
    answer = data.draw(spoiled(name))
    message = "the gateway's answer"
    try:
        DECODERS[name](answer)
    except UpstreamDecodeError as error:
        message = error.message
    assert "the gateway's answer" in message
