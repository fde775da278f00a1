"""The portfolio analyst: performance and transactions.

The past of an account is what it holds now, valued at the market's earlier prices.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from bezant_server.paper.book import BASE_CURRENCY, Account, Trade
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Route, json_response, read_object

_DAY = 86_400.0
_DAYS = {"1D": 1, "7D": 7, "1M": 30, "3M": 91, "6M": 182, "12M": 365, "1Y": 365}
_PERIODS = ("1D", "7D", "MTD", "1M", "YTD", "1Y")


class AnalystApi:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/pa/performance", self.performance),
            Route("POST", "/pa/allperiods", self.all_periods),
            Route("POST", "/pa/transactions", self.transactions),
        ]

    async def performance(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        accounts = self._accounts(body, missing=400, unknown=400)
        period = body.get("period", "12M")
        if period not in _DAYS and period not in _PERIODS:
            raise ApiError(400, "Bad Request: unknown period")
        days = self._days(period)
        series = {account.account_id: self._series(account, days) for account in accounts}
        dates = [f"{day:%Y%m%d}" for day in self._dates(days)]
        months = sorted({date[:6] for date in dates})
        common = {"idType": "acctid", "start": dates[0], "end": dates[-1], "baseCurrency": BASE_CURRENCY}
        return json_response(
            {
                "currencyType": "base",
                "rc": 0,
                "nav": {
                    "data": [
                        {"id": name, **common, "navs": values[1:], "startNAV": self._start(days, values[0])}
                        for name, values in series.items()
                    ],
                    "freq": "D",
                    "dates": dates,
                },
                "nd": days,
                "cps": {
                    "data": [{"id": name, **common, "returns": _returns(values)} for name, values in series.items()],
                    "freq": "D",
                    "dates": dates,
                },
                "tpps": {
                    "data": [
                        {"id": name, **common, "returns": _monthly(dates, values, months)}
                        for name, values in series.items()
                    ],
                    "freq": "M",
                    "dates": months,
                },
                "id": "getPerformanceData",
                "included": list(series),
                "pm": "TWR",
            }
        )

    async def all_periods(self, request: web.Request) -> web.Response:
        accounts = self._accounts(await read_object(request), missing=400, unknown=500)
        answer: dict[str, Any] = {
            "currencyType": "base",
            "rc": 0,
            "view": [account.account_id for account in accounts],
            "nd": 365,
            "id": "getPerformanceAllPeriods",
            "included": [account.account_id for account in accounts],
            "pm": "TWR",
        }
        for account in accounts:
            about: dict[str, Any] = {}
            for period in _PERIODS:
                days = self._days(period)
                values = self._series(account, days)
                about[period] = {
                    "nav": values[1:],
                    "cps": _returns(values),
                    "freq": "D",
                    "dates": [f"{day:%Y%m%d}" for day in self._dates(days)],
                    "startNAV": self._start(days, values[0]),
                }
            year = about["1Y"]["dates"]
            answer[account.account_id] = about | {
                "periods": list(_PERIODS),
                "start": year[0],
                "end": year[-1],
                "baseCurrency": BASE_CURRENCY,
                "lastSuccessfulUpdate": f"{self._now():%Y-%m-%d %H:%M:%S}",
            }
        return json_response(answer)

    async def transactions(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        conids, currency = body.get("conids"), body.get("currency")
        if not isinstance(conids, list) or len(conids) != 1 or not isinstance(currency, str):
            raise ApiError(400, "Bad Request: one conid and a currency are required")
        accounts = self._accounts(body, missing=400, unknown=500)
        days = body.get("days", 90)
        if isinstance(days, bool) or not isinstance(days, int) or days < 1:
            raise ApiError(400, "Bad Request: days")
        now = self._gateway.clock.now()
        begin = now - days * _DAY
        names = {account.account_id for account in accounts}
        trades = [
            trade
            for trade in self._gateway.book.trades
            if trade.account in names and trade.time >= begin and str(trade.instrument.conid) == str(conids[0])
        ]
        return json_response(
            {
                "rc": 0,
                "nd": days,
                "rpnl": {"data": [], "amt": "0"},
                "currency": currency,
                "from": int(begin * 1000),
                "to": int(now * 1000),
                "id": "getTransactions",
                "includesRealTime": True,
                "transactions": [_transaction(trade) for trade in trades],
            }
        )

    def _accounts(self, body: dict[str, Any], *, missing: int, unknown: int) -> list[Account]:
        if self._gateway.session.sso is None:
            raise ApiError(401, "Unauthorized")
        names = body.get("acctIds")
        if not isinstance(names, list) or not names:
            raise ApiError(missing, "Bad Request: acctIds is required")
        accounts = [self._gateway.book.accounts.get(str(name)) for name in names]
        found = [account for account in accounts if account is not None]
        if len(found) < len(accounts):
            raise ApiError(unknown, "unknown account")
        return found

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._gateway.clock.now(), UTC)

    def _days(self, period: str) -> int:
        today = self._now().date()
        if period == "MTD":
            return today.day
        return today.timetuple().tm_yday if period == "YTD" else _DAYS[period]

    def _dates(self, days: int) -> list[datetime]:
        return [self._now() - timedelta(days=back) for back in range(days - 1, -1, -1)]

    def _series(self, account: Account, days: int) -> list[float]:
        """The worth at the end of the day before the first, then of each day; today's is the present one."""
        today = self._gateway.market.day_start(self._gateway.clock.now())
        earlier = [
            self._gateway.book.net_liquidation_at(account, today - back * _DAY) for back in range(days - 1, -1, -1)
        ]
        return [round(value, 4) for value in (*earlier, self._gateway.book.value(account).net_liquidation)]

    def _start(self, days: int, value: float) -> dict[str, Any]:
        return {"date": f"{self._now() - timedelta(days=days):%Y%m%d}", "val": value}


def _returns(values: list[float]) -> list[float]:
    start = values[0] or 1.0
    return [round(value / start - 1, 4) for value in values[1:]]


def _monthly(dates: list[str], values: list[float], months: list[str]) -> list[float]:
    """The return of each month within the period."""
    returns, before = [], values[0] or 1.0
    for month in months:
        last = max(index for index, date in enumerate(dates) if date.startswith(month))
        returns.append(round(values[last + 1] / before - 1, 4))
        before = values[last + 1] or 1.0
    return returns


def _transaction(trade: Trade) -> dict[str, Any]:
    when = datetime.fromtimestamp(trade.time, UTC)
    sign = 1 if trade.side == "BUY" else -1
    return {
        "cur": trade.instrument.currency,
        "date": f"{when:%a %b %d} 00:00:00 UTC {when:%Y}",
        "rawDate": f"{when:%Y%m%d}",
        "fxRate": 1,
        "pr": trade.price,
        "qty": sign * trade.size,
        "acctid": trade.account,
        "amt": round(-sign * trade.size * trade.price * trade.instrument.multiplier, 2),
        "conid": trade.instrument.conid,
        "type": "Buy" if sign > 0 else "Sell",
        "desc": trade.instrument.name,
    }
