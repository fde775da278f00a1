"""Positions, balances, profit and loss, performance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import portfolio_service_pb2_grpc as pb_grpc
from tests.support.grpc_errors import failure, reason, violated_fields
from tests.support.typed import AAPL, ACCOUNT, TypedServer, typed_server

OTHER = "DUP203550"
NOBODYS = "U7654321"


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> pb_grpc.PortfolioServiceStub:
    return pb_grpc.PortfolioServiceStub(channel)


async def test_brokerage_accounts(stub: Any) -> None:
    response = await stub.ListBrokerageAccounts(pb.ListBrokerageAccountsRequest())
    assert [each.account_id for each in response.accounts] == [ACCOUNT, OTHER]
    assert (response.selected_account_id, response.is_paper) == (ACCOUNT, True)
    assert response.accounts[0].supports_fractions
    assert {"STK", "CRYPTO"} <= set(response.allowed_asset_types)
    assert response.features["allowFXConv"]
    assert {each.security_type: list(each.periods) for each in response.chart_periods}["OPT"][:2] == ["2h", "1d"]


async def test_the_active_account(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        async with server.channel() as channel:
            stub: Any = pb_grpc.PortfolioServiceStub(channel)
            changed = await stub.SetActiveAccount(pb.SetActiveAccountRequest(account_id=OTHER))
            again = await stub.SetActiveAccount(pb.SetActiveAccountRequest(account_id=OTHER))
            assert (changed.changed, again.changed) == (True, False)
            listed = await stub.ListBrokerageAccounts(pb.ListBrokerageAccountsRequest())
            assert listed.selected_account_id == OTHER
            error = await failure(stub.SetActiveAccount(pb.SetActiveAccountRequest(account_id=NOBODYS)))
            assert reason(error) == "ACCOUNT_NOT_FOUND"


async def test_the_summary(stub: Any) -> None:
    summary = await stub.GetAccountSummary(pb.GetAccountSummaryRequest(account_id=ACCOUNT))
    assert summary.account_type == "INDIVIDUAL"
    assert summary.total.net_liquidation.currency_code == "USD"
    assert Decimal(summary.total.net_liquidation.amount) > 200_000
    assert 0 < Decimal(summary.total.cushion) < 1
    assert Decimal(summary.commodities.net_liquidation.amount) == 0
    assert summary.securities.net_liquidation.amount
    assert not summary.HasField("crypto")
    assert not summary.HasField("day_trades_remaining")
    named = {value.key: value for value in summary.values}
    assert named["accountcode"].text == ACCOUNT
    assert named["netliquidation"].amount.amount == summary.total.net_liquidation.amount
    assert named["netliquidation"].measured_at.seconds


async def test_balances_are_taken_apart(stub: Any) -> None:
    balances = await stub.GetBalances(pb.GetBalancesRequest(account_id=ACCOUNT))
    assert balances.summary.net_liquidation.amount
    total = balances.segments[0]
    assert total.segment == pb.ACCOUNT_SEGMENT_TOTAL
    assert (total.current_available.currency_code, total.next_margin_change) == ("USD", "@ 16:00:00")
    assert Decimal(total.net_liquidation.amount) > 200_000
    assert "," not in total.net_liquidation.amount
    assert not total.HasField("leverage")
    assert not total.HasField("day_trades_left")
    assert total.initial_margin.amount
    assert [each.raw_segment for each in balances.segments[1:]] == ["securities", "commodities", "Crypto at Paxos"]
    assert Decimal(balances.segments[1].leverage) > 0
    assert [(each.currency_code, each.is_total) for each in balances.market_values] == [
        ("EUR", False),
        ("USD", False),
        ("USD", True),
    ]
    assert balances.cash_balances[-1].is_total


async def test_the_ledger(stub: Any) -> None:
    ledger = await stub.GetLedger(pb.GetLedgerRequest(account_id=ACCOUNT))
    assert [entry.currency_code for entry in ledger.entries] == ["EUR", "USD"]
    assert (ledger.base.currency_code, ledger.base.exchange_rate) == ("BASE", "1")
    assert ledger.entries[1].cash_balance == "250000.0"
    assert ledger.entries[1].account_id == ACCOUNT
    assert ledger.base.measured_at.seconds


async def test_positions(stub: Any) -> None:
    listed = await stub.ListPositions(pb.ListPositionsRequest(account_id=ACCOUNT))
    by_conid = {position.conid: position for position in listed.positions}
    apple = by_conid[AAPL]
    assert (apple.symbol, apple.quantity, apple.average_price) == ("AAPL", "100.0", "187.25")
    assert (apple.currency_code, apple.listing_exchange, apple.sector) == ("USD", "NASDAQ", "Technology")
    assert apple.definition_loaded
    assert apple.has_options
    assert not apple.HasField("strike")
    assert not apple.HasField("base_market_value")
    assert by_conid[14204].HasField("base_market_value")
    assert not listed.next_page_token
    fresh = await stub.ListPositions(pb.ListPositionsRequest(account_id=ACCOUNT, uncached=True))
    assert {position.conid: position.quantity for position in fresh.positions} == {
        position.conid: position.quantity for position in listed.positions
    }
    await stub.InvalidatePositions(pb.InvalidatePositionsRequest(account_id=ACCOUNT))


async def test_one_position(stub: Any) -> None:
    one = await stub.GetPosition(pb.GetPositionRequest(account_id=ACCOUNT, conid=AAPL))
    assert [(each.account_id, each.quantity) for each in one.positions] == [(ACCOUNT, "100.0")]
    everywhere = await stub.GetPosition(pb.GetPositionRequest(conid=AAPL))
    assert {each.account_id: each.quantity for each in everywhere.positions} == {ACCOUNT: "100.0", OTHER: "5.0"}
    nobody = await stub.GetPosition(pb.GetPositionRequest(conid=999999999))
    assert list(nobody.positions) == []


async def test_combinations_there_are_none_of(server: TypedServer, stub: Any) -> None:
    assert not (await stub.ListComboPositions(pb.ListComboPositionsRequest(account_id=ACCOUNT))).combos
    server.paper.control("/faults", {"path": f"/portfolio/{ACCOUNT}/combo", "status": 500, "times": 1, "body": "{}"})
    assert not (await stub.ListComboPositions(pb.ListComboPositionsRequest(account_id=ACCOUNT))).combos


async def test_the_allocation_of_one_account_and_of_several(stub: Any) -> None:
    one = await stub.GetAllocation(pb.GetAllocationRequest(account_ids=[ACCOUNT]))
    shares = {share.name: Decimal(share.market_value) for share in one.asset_class.long}
    assert shares.keys() == {"CASH", "STK"}
    both = await stub.GetAllocation(pb.GetAllocationRequest(account_ids=[ACCOUNT, OTHER]))
    together = {share.name: Decimal(share.market_value) for share in both.asset_class.long}
    assert together["CASH"] > shares["CASH"]
    assert {share.name for share in one.sector.long} >= {"Technology"}


async def test_the_empty_first_profit_and_loss_is_hidden(tmp_path: Path) -> None:
    with typed_server(tmp_path) as server:
        async with server.channel() as channel:
            response = await pb_grpc.PortfolioServiceStub(channel).GetPnl(pb.GetPnlRequest())
        assert {(row.account_id, row.model) for row in response.rows} == {(ACCOUNT, "Core"), (OTHER, "Core")}
        assert not response.incomplete
        assert all(row.HasField("daily_pnl") and row.HasField("net_liquidation") for row in response.rows)


async def test_performance(stub: Any) -> None:
    request = pb.GetPerformanceRequest(account_ids=[ACCOUNT], period=pb.PERFORMANCE_PERIOD_WEEK)
    performance = await stub.GetPerformance(request)
    (worth,) = performance.net_asset_values.series
    assert (worth.id, worth.currency_code, performance.net_asset_values.frequency) == (ACCOUNT, "USD", "D")
    assert len(worth.points) == 7
    assert worth.start.value
    (returns,) = performance.cumulative_returns.series
    last = Decimal(worth.points[-1].value) / Decimal(worth.start.value) - 1
    assert abs(Decimal(returns.points[-1].value) - last) < Decimal("0.001")
    assert (list(performance.included_account_ids), performance.method) == ([ACCOUNT], "TWR")
    assert performance.period_returns.frequency == "M"


async def test_the_performance_of_all_periods(stub: Any) -> None:
    response = await stub.GetPerformanceAllPeriods(pb.GetPerformanceAllPeriodsRequest(account_ids=[ACCOUNT]))
    (account,) = response.accounts
    assert [each.period for each in account.periods] == ["1D", "7D", "MTD", "1M", "YTD", "1Y"]
    assert len(account.periods[-1].net_asset_values) == 365
    assert account.currency_code == "USD"


async def test_transactions(stub: Any) -> None:
    request = pb.ListTransactionsRequest(account_ids=[ACCOUNT], conid=AAPL, currency_code="USD")
    response = await stub.ListTransactions(request)
    assert (response.currency_code, response.includes_real_time) == ("USD", True)
    assert response.end_time.seconds - response.start_time.seconds == 90 * 86_400


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TypedServer]:
    folder = tmp_path_factory.mktemp("large")
    with typed_server(folder, "--extra-accounts", "45", "--extra-positions", "996") as server:
        yield server


@pytest.fixture
async def large_stub(large: TypedServer) -> AsyncIterator[Any]:
    async with large.channel() as channel:
        yield pb_grpc.PortfolioServiceStub(channel)


@pytest.mark.parametrize("size", [1000, 100, 137])
async def test_a_thousand_positions_page_by_page(large_stub: Any, size: int) -> None:
    request, conids = pb.ListPositionsRequest(account_id=ACCOUNT, page_size=size), list[int]()
    while True:
        page = await large_stub.ListPositions(request)
        conids += [position.conid for position in page.positions]
        assert all(position.definition_loaded for position in page.positions)
        if not page.next_page_token:
            break
        assert len(page.positions) == size
        request.page_token = page.next_page_token
    assert len(conids) == len(set(conids)) == 1000


async def test_subaccounts_any_number_of_them(large_stub: Any) -> None:
    request, found = pb.ListSubaccountsRequest(page_size=30), list[str]()
    while True:
        page = await large_stub.ListSubaccounts(request)
        found += [account.account_id for account in page.accounts]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert len(found) == len(set(found)) == 47


async def test_a_bare_list_of_subaccounts(server: TypedServer, stub: Any) -> None:
    body = '[{"id":"DU1","accountId":"DU1"}]'
    server.paper.control("/faults", {"path": "/portfolio/subaccounts2", "status": 200, "times": 1, "body": body})
    response = await stub.ListSubaccounts(pb.ListSubaccountsRequest())
    assert [account.account_id for account in response.accounts] == ["DU1"]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GetAccountSummary", pb.GetAccountSummaryRequest(account_id=NOBODYS)),
        ("GetBalances", pb.GetBalancesRequest(account_id=NOBODYS)),
        ("GetLedger", pb.GetLedgerRequest(account_id=NOBODYS)),
        ("ListPositions", pb.ListPositionsRequest(account_id=NOBODYS)),
        ("GetPosition", pb.GetPositionRequest(account_id=NOBODYS, conid=AAPL)),
        ("GetAllocation", pb.GetAllocationRequest(account_ids=[NOBODYS])),
        ("GetPerformance", pb.GetPerformanceRequest(account_ids=[ACCOUNT, NOBODYS])),
        ("GetPerformanceAllPeriods", pb.GetPerformanceAllPeriodsRequest(account_ids=[NOBODYS])),
        ("ListTransactions", pb.ListTransactionsRequest(account_ids=[NOBODYS], conid=AAPL, currency_code="USD")),
    ],
)
async def test_an_account_that_is_not_the_logins(stub: Any, method: str, request_: Any) -> None:
    error = await failure(getattr(stub, method)(request_))
    assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetAccountSummary", pb.GetAccountSummaryRequest(), "account_id"),
        ("GetLedger", pb.GetLedgerRequest(account_id="a/b"), "account_id"),
        ("ListPositions", pb.ListPositionsRequest(account_id=ACCOUNT, page_token="AAAA"), "page_token"),
        ("ListPositions", pb.ListPositionsRequest(account_id=ACCOUNT, page_size=-1), "page_size"),
        ("GetPosition", pb.GetPositionRequest(account_id=ACCOUNT), "conid"),
        ("GetAllocation", pb.GetAllocationRequest(), "account_ids"),
        ("GetAllocation", pb.GetAllocationRequest(account_ids=[ACCOUNT, "?"]), "account_ids[1]"),
        ("GetPerformance", pb.GetPerformanceRequest(account_ids=[ACCOUNT] * 101), "account_ids"),
        ("ListTransactions", pb.ListTransactionsRequest(account_ids=[ACCOUNT], conid=AAPL), "currency_code"),
    ],
)
async def test_bad_input(stub: Any, method: str, request_: Any, field: str) -> None:
    error = await failure(getattr(stub, method)(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in violated_fields(error)


async def test_a_wrong_type_names_its_place(server: TypedServer, stub: Any) -> None:
    body = '{"USD": {"cashbalance": {"what": 1}}}'
    server.paper.control("/faults", {"path": f"/portfolio/{ACCOUNT}/ledger", "status": 200, "times": 1, "body": body})
    error = await failure(stub.GetLedger(pb.GetLedgerRequest(account_id=ACCOUNT)))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INTERNAL, "UPSTREAM_DECODE_ERROR")
    assert "USD.cashbalance" in str(error.details())
