"""Brokerage account endpoints."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bezant_server.paper import balances
from bezant_server.paper.accounts import brokerage_accounts
from bezant_server.paper.book import Account
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Handler, Route, json_response, read_object
from bezant_server.paper.session import BrokerageSession
from bezant_server.paper.statements import pnl

SERVER_SESSION = "67d1"


def brokerage_of(gateway: Gateway, *, primed: bool = False) -> BrokerageSession:
    """The brokerage session, whose accounts must have been asked for before where `primed`.

    Raises:
        ApiError: 400 without either.
    """
    brokerage = gateway.session.brokerage
    if brokerage is None:
        raise ApiError(400, "Bad Request: no bridge")
    if primed and not brokerage.accounts_primed:
        raise ApiError(400, "Please query /accounts first")
    return brokerage


class AccountsApi:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/accounts", self.accounts),
            Route("POST", "/iserver/account", self.select),
            Route("GET", "/iserver/account/pnl/partitioned", self.pnl),
            Route("GET", "/iserver/account/search/{pattern}", self.search),
            Route("POST", "/iserver/dynaccount", self.dynamic_account),
            Route("GET", "/iserver/account/{account}/summary", self.summary),
            *(
                Route("GET", f"/iserver/account/{{account}}/summary/{name}", self._page(page))
                for name, page in balances.PAGES.items()
            ),
        ]

    async def accounts(self, _request: web.Request) -> web.Response:
        brokerage_of(self._gateway).accounts_primed = True
        return json_response(brokerage_accounts(self._gateway, SERVER_SESSION))

    async def select(self, request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        account = (await read_object(request)).get("acctId")
        if not account or not isinstance(account, str):
            raise ApiError(400, "Bad Request: acctId is required")
        if account not in self._gateway.book.accounts:
            raise ApiError(500, "unknown account")
        if account == brokerage.selected_account:
            return json_response({"success": "Account already set"})
        brokerage.selected_account = account
        return json_response({"set": True, "acctId": account})

    async def pnl(self, _request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        first, brokerage.pnl_primed = not brokerage.pnl_primed, True
        return json_response({"upnl": {} if first else pnl(self._gateway)})

    async def search(self, _request: web.Request) -> web.Response:
        raise ApiError(503, "Details currently unavailable. Please try again later and contact client services.")

    async def dynamic_account(self, _request: web.Request) -> web.Response:
        raise ApiError(401, "Unauthorized")

    async def summary(self, request: web.Request) -> web.Response:
        return json_response(_summary(self._gateway, self._account(request)))

    def _page(self, page: balances.Page) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return json_response(page(self._gateway, self._account(request)))

        return answer

    def _account(self, request: web.Request) -> Account:
        brokerage_of(self._gateway)
        account = self._gateway.book.accounts.get(request.match_info["account"])
        if account is None:
            raise ApiError(400, "Bad Request: unknown account")
        return account


def _summary(gateway: Gateway, account: Account) -> dict[str, Any]:
    worth = gateway.book.value(account)
    balances = [
        {"currency": currency, "balance": round(amount, 2), "settledCash": round(amount, 2)}
        for currency, amount in account.cash.items()
    ]
    total = round(worth.cash, 2)
    equity = worth.cash + worth.stocks
    figures = {
        "balance": worth.net_liquidation,
        "SMA": equity - worth.gross * 0.5,
        "buyingPower": worth.available_funds * 4,
        "availableFunds": worth.available_funds,
        "excessLiquidity": worth.excess_liquidity,
        "netLiquidationValue": worth.net_liquidation,
        "equityWithLoanValue": equity,
        "regTLoan": 0.0,
        "securitiesGVP": worth.gross,
        "totalCashValue": worth.cash,
        "accruedInterest": 0.0,
        "regTMargin": worth.gross * 0.5,
        "initialMargin": worth.initial_margin,
        "maintenanceMargin": worth.maintenance_margin,
    }
    return {
        "accountType": "",
        "status": "",
        **{name: round(value, 2) for name, value in figures.items()},
        "cashBalances": [
            *balances,
            {"currency": "Total (in USD)", "balance": total, "settledCash": total},
        ],
    }
