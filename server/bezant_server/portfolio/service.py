"""PortfolioService."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from bezant.v1 import portfolio_service_pb2 as pb
from bezant.v1 import portfolio_service_pb2_grpc as pb_grpc
from bezant_server.cpapi import document
from bezant_server.cpapi.client import segment
from bezant_server.cpapi.document import Row
from bezant_server.errors import UpstreamStatus
from bezant_server.inputs import Checks
from bezant_server.paging import paging
from bezant_server.portfolio import decode
from bezant_server.portfolio.positions import Positions
from bezant_server.rpc.call import Context
from bezant_server.session.typed import Need, TypedGateway

_MOST_ACCOUNTS = 100
_MOST_DAYS = 365
_DEFAULT_DAYS = 90
_SUBACCOUNTS_PAGES = 500
_PERIODS = {
    pb.PERFORMANCE_PERIOD_UNSPECIFIED: "1Y",
    pb.PERFORMANCE_PERIOD_DAY: "1D",
    pb.PERFORMANCE_PERIOD_WEEK: "7D",
    pb.PERFORMANCE_PERIOD_MONTH_TO_DATE: "MTD",
    pb.PERFORMANCE_PERIOD_MONTH: "1M",
    pb.PERFORMANCE_PERIOD_QUARTER: "3M",
    pb.PERFORMANCE_PERIOD_HALF_YEAR: "6M",
    pb.PERFORMANCE_PERIOD_YEAR_TO_DATE: "YTD",
    pb.PERFORMANCE_PERIOD_YEAR: "1Y",
}


class PortfolioService(pb_grpc.PortfolioServiceServicer):
    """See the proto file.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway
        self._positions = Positions(gateway)

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        answer = await self._gateway.read("/portfolio/accounts", need=Need.LOGIN)
        return pb.ListAccountsResponse(accounts=decode.accounts(answer))

    async def ListSubaccounts(self, request: pb.ListSubaccountsRequest, context: Context) -> pb.ListSubaccountsResponse:
        checks = Checks()
        page = paging(checks, page_size=request.page_size, page_token=request.page_token, request="ListSubaccounts")
        checks.done()
        cut = page.cut(await self._subaccounts())
        return pb.ListSubaccountsResponse(accounts=cut.elements, next_page_token=cut.next_token)

    async def ListBrokerageAccounts(
        self, request: pb.ListBrokerageAccountsRequest, context: Context
    ) -> pb.ListBrokerageAccountsResponse:
        return decode.brokerage_accounts(await self._gateway.read("/iserver/accounts"))

    async def SetActiveAccount(
        self, request: pb.SetActiveAccountRequest, context: Context
    ) -> pb.SetActiveAccountResponse:
        account = _account(request.account_id)
        answer = await self._gateway.change("POST", "/iserver/account", body={"acctId": account}, account=account)
        return pb.SetActiveAccountResponse(account_id=account, changed=Row(answer, "").boolean("set") is True)

    async def GetAccountSummary(
        self, request: pb.GetAccountSummaryRequest, context: Context
    ) -> pb.GetAccountSummaryResponse:
        account = _account(request.account_id)
        return decode.summary(account, await self._portfolio(f"/portfolio/{segment(account)}/summary", account))

    async def GetBalances(self, request: pb.GetBalancesRequest, context: Context) -> pb.GetBalancesResponse:
        account = _account(request.account_id)
        owner = segment(account)
        paths = (
            f"/iserver/account/{owner}/summary",
            f"/iserver/account/{owner}/summary/available_funds",
            f"/iserver/account/{owner}/summary/balances",
            f"/iserver/account/{owner}/summary/margins",
            f"/iserver/account/{owner}/summary/market_value",
        )
        summary, *pages = await asyncio.gather(*(self._gateway.read(path, account=account) for path in paths))
        figures, cash, kind, status = decode.brokerage_summary(summary)
        *divided, values = pages
        return pb.GetBalancesResponse(
            account_id=account,
            summary=figures,
            cash_balances=cash,
            segments=decode.segments(*divided),
            market_values=decode.market_values(values),
            account_type=kind,
            status=status,
        )

    async def GetLedger(self, request: pb.GetLedgerRequest, context: Context) -> pb.GetLedgerResponse:
        account = _account(request.account_id)
        return decode.ledger(await self._portfolio(f"/portfolio/{segment(account)}/ledger", account))

    async def ListPositions(self, request: pb.ListPositionsRequest, context: Context) -> pb.ListPositionsResponse:
        checks = Checks()
        account, model = checks.account("account_id", request.account_id), request.model
        if model:
            checks.text("model", model, longest=64)
        page = paging(
            checks,
            page_size=request.page_size,
            page_token=request.page_token,
            request=f"ListPositions {account} {model} {request.uncached}",
        )
        checks.done()
        if request.uncached:
            cut = page.cut(await self._positions.uncached(account, model=model))
            return pb.ListPositionsResponse(positions=cut.elements, next_page_token=cut.next_token)
        positions, more = await self._positions.slice(account, model=model, offset=page.offset, size=page.size)
        return pb.ListPositionsResponse(positions=positions, next_page_token=page.next_token() if more else "")

    async def GetPosition(self, request: pb.GetPositionRequest, context: Context) -> pb.GetPositionResponse:
        checks = Checks()
        conid = checks.conid("conid", request.conid)
        if request.account_id:
            checks.account("account_id", request.account_id)
        checks.done()
        if request.account_id:
            path = f"/portfolio/{segment(request.account_id)}/position/{conid}"
            answer = await self._portfolio(path, request.account_id)
            held = [(request.account_id, row) for row in document.rows(answer, "")]
        else:
            answer = await self._gateway.read(f"/portfolio/positions/{conid}", need=Need.PORTFOLIO)
            everywhere = Row(answer if isinstance(answer, dict) else {}, "")
            held = [(account, row) for account in everywhere for row in everywhere.rows(account)]
        return pb.GetPositionResponse(positions=[decode.position(row, account) for account, row in held])

    async def ListComboPositions(
        self, request: pb.ListComboPositionsRequest, context: Context
    ) -> pb.ListComboPositionsResponse:
        account = _account(request.account_id)
        query = [("nocache", "true")] if request.uncached else []
        answer = await self._or_nothing(
            self._gateway.read(
                f"/portfolio/{segment(account)}/combo/positions", query=query, need=Need.PORTFOLIO, account=account
            )
        )
        return pb.ListComboPositionsResponse(combos=[decode.combo(row, account) for row in document.rows(answer, "")])

    async def InvalidatePositions(
        self, request: pb.InvalidatePositionsRequest, context: Context
    ) -> pb.InvalidatePositionsResponse:
        account = _account(request.account_id)
        await self._gateway.change(
            "POST", f"/portfolio/{segment(account)}/positions/invalidate", need=Need.PORTFOLIO, account=account
        )
        return pb.InvalidatePositionsResponse()

    async def GetAllocation(self, request: pb.GetAllocationRequest, context: Context) -> pb.GetAllocationResponse:
        accounts = _accounts(request.account_ids)
        if len(accounts) == 1:
            reading = self._portfolio(f"/portfolio/{segment(accounts[0])}/allocation", accounts[0])
        else:
            reading = self._gateway.read(
                "/portfolio/allocation", method="POST", body={"acctIds": accounts}, need=Need.PORTFOLIO
            )
        return decode.allocation(await self._or_nothing(reading) or {})

    async def GetPnl(self, request: pb.GetPnlRequest, context: Context) -> pb.GetPnlResponse:
        answer = await self._gateway.read_settled("/iserver/account/pnl/partitioned", is_empty=_has_no_pnl)
        entries = Row(answer, "").entries("upnl")
        return pb.GetPnlResponse(rows=[decode.pnl_row(key, row) for key, row in entries], incomplete=not entries)

    async def GetPerformance(self, request: pb.GetPerformanceRequest, context: Context) -> pb.GetPerformanceResponse:
        checks = Checks()
        accounts = _checked_accounts(checks, request.account_ids)
        checks.chosen("period", request.period, _PERIODS, "one of PerformancePeriod")
        checks.done()
        body = {"acctIds": accounts, "period": _PERIODS[request.period]}
        return decode.performance(await self._analyst("/pa/performance", accounts, body))

    async def GetPerformanceAllPeriods(
        self, request: pb.GetPerformanceAllPeriodsRequest, context: Context
    ) -> pb.GetPerformanceAllPeriodsResponse:
        accounts = _accounts(request.account_ids)
        return decode.all_periods(await self._analyst("/pa/allperiods", accounts, {"acctIds": accounts}))

    async def ListTransactions(
        self, request: pb.ListTransactionsRequest, context: Context
    ) -> pb.ListTransactionsResponse:
        checks = Checks()
        accounts = _checked_accounts(checks, request.account_ids)
        conid = checks.conid("conid", request.conid)
        currency = checks.currency("currency_code", request.currency_code)
        days = request.days or _DEFAULT_DAYS
        checks.holds("days", 1 <= days <= _MOST_DAYS, f"must be 1 to {_MOST_DAYS}", days)
        checks.done()
        body = {"acctIds": accounts, "conids": [conid], "currency": currency, "days": days}
        return decode.transactions(await self._analyst("/pa/transactions", accounts, body))

    async def _portfolio(self, path: str, account: str) -> Any:
        return await self._gateway.read(path, need=Need.PORTFOLIO, account=account)

    async def _analyst(self, path: str, accounts: Sequence[str], body: object) -> Any:
        stranger = next((each for each in accounts if self._gateway.is_stranger(each)), "")
        return await self._gateway.read(path, method="POST", body=body, need=Need.LOGIN, account=stranger)

    async def _subaccounts(self) -> list[pb.Account]:
        """All of them: pages of twenty with their total; some gateways answer with the bare list (recorded)."""
        found: list[pb.Account] = []
        for number in range(_SUBACCOUNTS_PAGES):
            answer = await self._gateway.read("/portfolio/subaccounts2", query=[("page", str(number))], need=Need.LOGIN)
            if isinstance(answer, list):
                return decode.accounts(answer)
            row = Row(answer, "")
            page = [decode.account(each) for each in row.rows("subaccounts")]
            found += page
            about = row.row("metadata")
            total = about.integer("total") if about is not None else None
            if not page or (total is not None and len(found) >= total):
                break
        return found

    async def _or_nothing(self, reading: Any) -> Any:
        """The gateway answers 500 where an account has nothing of the kind (observed on a live gateway)."""
        try:
            return await reading
        except UpstreamStatus as error:
            if error.http_status != 500:
                raise
            return None


def _account(text: str) -> str:
    checks = Checks()
    checks.account("account_id", text)
    checks.done()
    return text


def _accounts(texts: Sequence[str]) -> list[str]:
    checks = Checks()
    accounts = _checked_accounts(checks, texts)
    checks.done()
    return accounts


def _checked_accounts(checks: Checks, texts: Sequence[str]) -> list[str]:
    checks.holds("account_ids", bool(texts), "needs at least one account")
    checks.holds("account_ids", len(texts) <= _MOST_ACCOUNTS, f"may have at most {_MOST_ACCOUNTS}", len(texts))
    for index, text in enumerate(texts[:_MOST_ACCOUNTS]):
        checks.account(f"account_ids[{index}]", text)
    return list(dict.fromkeys(texts))


def _has_no_pnl(answer: Any) -> bool:
    return isinstance(answer, dict) and not answer.get("upnl")
