"""Portfolio endpoints: they need single sign-on only, and the account list before anything else."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bezant_server.paper.accounts import portfolio_account
from bezant_server.paper.book import Account
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Route, json_response, read_object
from bezant_server.paper.session import SsoSession
from bezant_server.paper.statements import (
    PAGE_SIZE,
    account_objects,
    allocation,
    ledger,
    position2_row,
    position_row,
    summary,
)

CACHE_SECONDS = 60.0


class PortfolioApi:
    """Positions are cached for a minute, as IBKR's are for a time it does not publish."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._cache: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/portfolio/accounts", self.accounts),
            Route("GET", "/portfolio/subaccounts", self.accounts),
            Route("GET", "/portfolio/subaccounts2", self.large_subaccounts),
            Route("POST", "/portfolio/allocation", self.consolidated_allocation),
            Route("GET", "/portfolio/positions/{conid}", self.position_everywhere),
            Route("GET", "/portfolio/{account}/meta", self.meta),
            Route("GET", "/portfolio/{account}/summary", self.summary),
            Route("GET", "/portfolio/{account}/ledger", self.ledger),
            Route("GET", "/portfolio/{account}/allocation", self.allocation),
            Route("GET", "/portfolio/{account}/positions", self.positions),
            Route("GET", "/portfolio/{account}/positions/{page}", self.positions),
            Route("POST", "/portfolio/{account}/positions/invalidate", self.invalidate),
            Route("GET", "/portfolio/{account}/position/{conid}", self.position),
            Route("GET", "/portfolio/{account}/combo/positions", self.combinations),
            Route("GET", "/portfolio2/{account}/positions", self.positions2),
        ]

    async def accounts(self, _request: web.Request) -> web.Response:
        self._sso().portfolio_primed = True
        return json_response(account_objects(self._gateway))

    async def large_subaccounts(self, request: web.Request) -> web.Response:
        self._sso().portfolio_primed = True
        accounts = account_objects(self._gateway)
        page = _number(request.query.get("page", "0"))
        return json_response(
            {
                "metadata": {"total": len(accounts), "pageSize": 20, "pageNum": page},
                "subaccounts": accounts[page * 20 : page * 20 + 20],
            }
        )

    async def meta(self, request: web.Request) -> web.Response:
        return json_response(portfolio_account(self._account(request).account_id))

    async def summary(self, request: web.Request) -> web.Response:
        return json_response(summary(self._gateway, self._account(request)))

    async def ledger(self, request: web.Request) -> web.Response:
        return json_response(ledger(self._gateway, self._account(request)))

    async def allocation(self, request: web.Request) -> web.Response:
        return json_response(allocation(self._gateway, [self._account(request)]))

    async def consolidated_allocation(self, request: web.Request) -> web.Response:
        self._primed()
        wanted = (await read_object(request)).get("acctIds")
        if not isinstance(wanted, list):
            raise ApiError(400, "Bad Request: acctIds must be a list")
        accounts = [account for name, account in self._gateway.book.accounts.items() if name in wanted]
        if not accounts:
            raise ApiError(500, "no accounts")
        return json_response(allocation(self._gateway, accounts))

    async def positions(self, request: web.Request) -> web.Response:
        """The first call shows each position without its definition, as the gateway has yet to load it."""
        account = self._account(request)
        page = _number(request.match_info.get("page", "0"))
        rows = self._rows(account)
        if sort := request.query.get("sort"):
            reverse = request.query.get("direction") == "d"
            rows = sorted(rows, key=lambda row: _sort_key(row.get(sort)), reverse=reverse)
        return json_response(rows[page * PAGE_SIZE : (page + 1) * PAGE_SIZE])

    async def positions2(self, request: web.Request) -> web.Response:
        account = self._account(request)
        return json_response([position2_row(self._gateway, held) for held in account.positions.values()])

    async def position(self, request: web.Request) -> web.Response:
        return json_response(self._one(self._account(request), _number(request.match_info["conid"])))

    async def position_everywhere(self, request: web.Request) -> web.Response:
        self._primed()
        conid = _number(request.match_info["conid"])
        found = {name: self._one(account, conid) for name, account in self._gateway.book.accounts.items()}
        return json_response({name: rows for name, rows in found.items() if rows})

    async def invalidate(self, request: web.Request) -> web.Response:
        self._cache.pop(self._account(request).account_id, None)
        return json_response({"message": "success"})

    async def combinations(self, request: web.Request) -> web.Response:
        self._account(request)
        return json_response([])

    def _rows(self, account: Account) -> list[dict[str, Any]]:
        now = self._gateway.clock.now()
        seen = self._sso().positions_seen
        cached = self._cache.get(account.account_id)
        complete = all((account.account_id, conid) in seen for conid in account.positions)
        if cached is None or now - cached[0] >= CACHE_SECONDS or not complete:
            rows = [
                position_row(self._gateway, account.account_id, held, with_secdef=(account.account_id, conid) in seen)
                for conid, held in account.positions.items()
            ]
            if complete:
                self._cache[account.account_id] = (now, rows)
            seen.update((account.account_id, conid) for conid in account.positions)
            return rows
        return cached[1]

    def _one(self, account: Account, conid: int) -> list[dict[str, Any]]:
        held = account.positions.get(conid)
        if held is None:
            return []
        return [position_row(self._gateway, account.account_id, held, with_secdef=True)]

    def _account(self, request: web.Request) -> Account:
        self._primed()
        account = self._gateway.book.accounts.get(request.match_info["account"])
        if account is None:
            raise ApiError(401, "Unauthorized")
        return account

    def _primed(self) -> None:
        if not self._sso().portfolio_primed:
            raise ApiError(503, "Service Unavailable")

    def _sso(self) -> SsoSession:
        sso = self._gateway.session.sso
        if sso is None:
            raise ApiError(401, "Unauthorized")
        return sso


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ApiError(400, "Bad Request: not a number")
    return int(text)


def _sort_key(value: Any) -> tuple[int, float, str]:
    return (0, value, "") if isinstance(value, int | float) else (1, 0.0, str(value or ""))
