"""Contract endpoints: search, definitions, rules, chains, currencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bezant_server.paper.api.accounts import brokerage_of
from bezant_server.paper.gateway import Gateway
from bezant_server.paper.http import ApiError, Route, json_response, read_object
from bezant_server.paper.instruments import Instrument
from bezant_server.paper.statements import secdef

_MAX_SECDEF = 200


class ContractsApi:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._universe = gateway.universe

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/iserver/secdef/search", self.search),
            Route("POST", "/iserver/secdef/search", self.search_post),
            Route("GET", "/iserver/secdef/strikes", self.strikes),
            Route("GET", "/iserver/secdef/info", self.info),
            Route("GET", "/iserver/contract/{conid}/info", self.contract),
            Route("GET", "/iserver/contract/{conid}/info-and-rules", self.contract_and_rules),
            Route("POST", "/iserver/contract/rules", self.rules),
            Route("GET", "/trsrv/stocks", self.stocks),
            Route("GET", "/trsrv/futures", self.futures),
            Route("GET", "/trsrv/secdef", self.secdef),
            Route("GET", "/iserver/exchangerate", self.exchange_rate),
            Route("GET", "/iserver/currency/pairs", self.currency_pairs),
        ]

    async def search(self, request: web.Request) -> web.Response:
        return self._search(request.query)

    async def search_post(self, request: web.Request) -> web.Response:
        return self._search(await read_object(request))

    async def strikes(self, request: web.Request) -> web.Response:
        """Empty unless the underlying was searched for before, in this brokerage session."""
        brokerage = brokerage_of(self._gateway)
        conid = _conid(request.query.get("conid"))
        options = []
        if conid in brokerage.searched:
            options = self._universe.derivatives(
                conid, request.query.get("sectype", "").upper(), request.query.get("month")
            )
            brokerage.struck.add(conid)
        return json_response(
            {
                "call": [option.strike for option in options if option.right == "C"],
                "put": [option.strike for option in options if option.right == "P"],
            }
        )

    async def info(self, request: web.Request) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        query = request.query
        conid = _conid(query.get("conid"))
        sec_type = query.get("sectype", query.get("secType", "")).upper()
        instrument = self._existing(conid)
        if sec_type in {"", "STK", "CASH", "IND"}:
            return json_response([_info_row(instrument)])
        month = query.get("month", "")
        if len(month) != 5 or not month[3:].isdigit():
            raise ApiError(400, "Bad Request: month must be given as MMMYY")
        if sec_type == "OPT" and (not query.get("strike") or query.get("right") not in {"C", "P"}):
            raise ApiError(400, "Bad Request: strike and right are required")
        if conid not in brokerage.searched or (sec_type == "OPT" and conid not in brokerage.struck):
            return json_response([])
        found = [
            derivative
            for derivative in self._universe.derivatives(conid, sec_type, month)
            if sec_type != "OPT"
            or (derivative.right == query["right"] and f"{derivative.strike:g}" == _plain(query["strike"]))
        ]
        return json_response([_info_row(derivative) for derivative in found])

    async def contract(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        return json_response(_contract(self._existing(_conid(request.match_info["conid"]))))

    async def contract_and_rules(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        instrument = self._existing(_conid(request.match_info["conid"]))
        return json_response(_contract(instrument) | {"rules": self._rules(instrument)})

    async def rules(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        conid = (await read_object(request)).get("conid")
        return json_response(self._rules(self._existing(_conid(str(conid)))))

    async def stocks(self, request: web.Request) -> web.Response:
        return json_response(
            {
                symbol: [
                    {
                        "name": found.name,
                        "chineseName": secdef(found)["chineseName"],
                        "assetClass": "STK",
                        "contracts": [{"conid": found.conid, "exchange": found.listing, "isUS": found.is_us}],
                    }
                    for found in self._universe.search(symbol)
                    if found.sec_type == "STK"
                ]
                for symbol in _symbols(request.query)
            }
        )

    async def futures(self, request: web.Request) -> web.Response:
        exchange = request.query.get("exchange", "").upper()
        return json_response(
            {
                symbol: [
                    {
                        "symbol": future.symbol,
                        "conid": future.conid,
                        "underlyingConid": future.underlying,
                        "expirationDate": _compact_date(future),
                        "ltd": _compact_date(future),
                        "shortFuturesCutOff": _compact_date(future),
                        "longFuturesCutOff": _compact_date(future),
                    }
                    for future in self._universe
                    if future.sec_type == "FUT"
                    and future.symbol == symbol
                    and exchange in {"", *future.exchanges.split(",")}
                ]
                for symbol in _symbols(request.query)
            }
        )

    async def secdef(self, request: web.Request) -> web.Response:
        conids = [part for part in request.query.get("conids", "").split(",") if part]
        if not conids or len(conids) > _MAX_SECDEF:
            raise ApiError(400, f"Bad Request: from one to {_MAX_SECDEF} conids are required")
        found = [self._universe.get(_conid(text)) for text in conids]
        return json_response(
            {
                "secdef": [
                    {"conid": instrument.conid, "currency": instrument.currency} | secdef(instrument)
                    for instrument in found
                    if instrument is not None
                ]
            }
        )

    async def exchange_rate(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        source, target = (request.query.get(name, "").upper() for name in ("source", "target"))
        if not source or not target:
            raise ApiError(400, "Bad Request: source and target are required")
        book = self._gateway.book
        return json_response({"rate": round(book.rate(source) / book.rate(target), 8)})

    async def currency_pairs(self, request: web.Request) -> web.Response:
        brokerage_of(self._gateway)
        currency = request.query.get("currency", "").upper()
        pairs = [pair for pair in self._universe if pair.sec_type == "CASH"]
        rows = [
            {
                "symbol": f"{pair.symbol}.{pair.currency}",
                "conid": pair.conid,
                "ccyPair": pair.symbol if currency == pair.currency else pair.currency,
            }
            for pair in pairs
            if currency in {pair.symbol, pair.currency}
        ]
        return json_response({currency: rows})

    def _search(self, query: Mapping[str, Any]) -> web.Response:
        brokerage = brokerage_of(self._gateway)
        symbol = str(query.get("symbol") or "")
        if not symbol:
            raise ApiError(400, "Bad Request: symbol is required")
        by_name = str(query.get("name") or "").lower() == "true"
        sec_type = str(query.get("secType") or "").upper()
        found = self._universe.search(symbol, by_name=by_name)
        rows = [self._search_row(instrument) for instrument in found if not sec_type or instrument.sec_type == sec_type]
        if not by_name:
            brokerage.searched.update(int(row["conid"]) for row in rows)
        return json_response(rows)

    def _search_row(self, instrument: Instrument) -> dict[str, Any]:
        sections: list[dict[str, Any]] = [{"secType": instrument.sec_type}]
        row: dict[str, Any] = {
            "conid": str(instrument.conid),
            "companyHeader": f"{instrument.name} - {instrument.listing}",
            "companyName": instrument.name,
            "symbol": instrument.symbol,
            "description": instrument.listing,
            "restricted": "IND" if instrument.sec_type == "IND" else None,
        }
        for sec_type, key in (("OPT", "opt"), ("FUT", "fut")):
            chain = self._universe.derivatives(instrument.conid, sec_type)
            if chain:
                months = dict.fromkeys(found.month for found in chain if found.month)
                dates = dict.fromkeys(f"{found.expiry:%Y%m%d}" for found in chain if found.expiry)
                row[key] = ";".join(dates)
                exchanges = chain[0].exchanges.replace(",", ";")
                sections.append({"secType": sec_type, "months": ";".join(months), "exchange": exchanges})
        return row | {"sections": sections}

    def _existing(self, conid: int) -> Instrument:
        instrument = self._universe.get(conid)
        if instrument is None:
            raise ApiError(400, "Bad Request: no contract with this conid")
        return instrument

    def _rules(self, instrument: Instrument) -> dict[str, Any]:
        quote = self._gateway.market.quote(instrument, self._gateway.step())
        size = 100 if instrument.sec_type == "STK" else 1
        return {
            "algoEligible": instrument.sec_type == "STK",
            "overnightEligible": instrument.sec_type == "STK",
            "costReport": False,
            "canTradeAcctIds": list(self._gateway.book.accounts),
            "error": None,
            "orderTypes": [
                "limit",
                "midprice",
                "market",
                "stop",
                "stop_limit",
                "trailing_stop",
                "trailing_stop_limit",
            ],
            "ibAlgoTypes": [],
            "fraqTypes": ["limit", "market", "stop", "stop_limit"] if instrument.takes_fractions else [],
            "forceOrderPreview": False,
            "cqtTypes": ["limit", "market"] if instrument.sec_type in {"STK", "CASH"} else [],
            "orderDefaults": {"LMT": {"LP": instrument.format(quote.mark)}},
            "orderTypesOutside": ["limit", "stop_limit"],
            "defaultSize": size,
            "cashSize": 0.0,
            "sizeIncrement": size,
            "tifTypes": ["IOC/MARKET,LIMIT", "GTC/o,a", "OPG/LIMIT,MARKET,a", "DAY/o,a"],
            "tifDefaults": {"TIF": "DAY", "SIZE": f"{size:.2f}"},
            "limitPrice": quote.mark,
            "stopprice": quote.mark,
            "orderOrigination": None,
            "preview": True,
            "displaySize": None,
            "fraqInt": 4 if instrument.takes_fractions else 0,
            "cashCcy": instrument.currency,
            "cashQtyIncr": 500,
            "priceMagnifier": None,
            "negativeCapable": False,
            "increment": instrument.tick,
            "incrementDigits": instrument.decimals,
            "incrementRules": [{"lowerEdge": 0.0, "increment": instrument.tick}],
            "incrementType": 1,
            "hasSecondary": True,
        }


def _contract(instrument: Instrument) -> dict[str, Any]:
    return {
        "cfi_code": "",
        "symbol": instrument.symbol,
        "cusip": None,
        "expiry_full": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None,
        "con_id": instrument.conid,
        "maturity_date": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None,
        "industry": instrument.group,
        "instrument_type": instrument.sec_type,
        "has_related_contracts": instrument.has_options,
        "trading_class": "NMS" if instrument.listing == "NASDAQ" else instrument.symbol,
        "valid_exchanges": instrument.exchanges,
        "allow_sell_long": False,
        "is_zero_commission_security": False,
        "local_symbol": instrument.local_symbol,
        "contract_clarification_type": None,
        "classifier": None,
        "currency": instrument.currency,
        "text": None,
        "underlying_con_id": instrument.underlying,
        "r_t_h": True,
        "multiplier": f"{instrument.multiplier:g}" if instrument.multiplier != 1 else None,
        "underlying_issuer": None,
        "contract_month": f"{instrument.expiry:%Y%m}" if instrument.expiry else None,
        "company_name": instrument.name,
        "smart_available": instrument.sec_type in {"STK", "OPT"},
        "exchange": "SMART" if instrument.sec_type in {"STK", "OPT"} else instrument.listing,
        "category": instrument.category,
    }


def _info_row(instrument: Instrument) -> dict[str, Any]:
    return {
        "conid": instrument.conid,
        "ticker": instrument.symbol,
        "symbol": instrument.symbol,
        "secType": instrument.sec_type,
        "listingExchange": instrument.listing if instrument.sec_type == "STK" else None,
        "exchange": "SMART" if instrument.sec_type in {"STK", "OPT"} else instrument.listing,
        "companyName": instrument.name,
        "right": instrument.right or "?",
        "strike": instrument.strike,
        "currency": instrument.currency,
        "cusip": None,
        "coupon": "No Coupon",
        "desc1": instrument.symbol,
        "desc2": instrument.description,
        "maturityDate": f"{instrument.expiry:%Y%m%d}" if instrument.expiry else None,
        "multiplier": f"{instrument.multiplier:g}",
        "tradingClass": "NMS" if instrument.listing == "NASDAQ" else instrument.symbol,
        "validExchanges": instrument.exchanges,
    }


def _symbols(query: Mapping[str, str]) -> list[str]:
    return [symbol.strip().upper() for symbol in query.get("symbols", "").split(",") if symbol.strip()]


def _compact_date(instrument: Instrument) -> int | None:
    return int(f"{instrument.expiry:%Y%m%d}") if instrument.expiry else None


def _conid(text: str | None) -> int:
    if not text or not (text.isascii() and text.isdigit() and len(text) < 12):
        raise ApiError(400, "Bad Request: conid must be a number")
    return int(text)


def _plain(strike: str) -> str:
    try:
        return f"{float(strike):g}"
    except ValueError:
        raise ApiError(400, "Bad Request: strike must be a number") from None
