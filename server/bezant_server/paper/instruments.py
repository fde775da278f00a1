"""The instruments of the paper market: stocks, one index, currency pairs, quarterly futures, option chains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

_OPTION_BASE = 600_000_000
_EXTRA_BASE = 700_000_000
_BOND_FUTURE_BASE = 800_000_000
_OPTION_MONTHS = 3
_STRIKES_EACH_SIDE = 10
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FUTURE_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}
_FUTURES_EACH = 4
_ZONES = {"DE": "Europe/Berlin", "FR": "Europe/Paris", "GB": "Europe/London", "US": "US/Eastern"}
_ZONES_OF_EXCHANGES = {"CBOT": "US/Central", "CME": "US/Central"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract that can be looked up, quoted and (except an index) traded.

    `price` is where its walk stands when the gateway starts, `volatility` its daily standard deviation, and
    `availability` IBKR's field 6509: R real-time, D delayed, N not subscribed.
    """

    conid: int
    symbol: str
    sec_type: str
    name: str
    price: float
    currency: str = "USD"
    listing: str = "NASDAQ"
    exchanges: str = "SMART,AMEX,NYSE,CBOE,PHLX,ISE,CHX,ARCA,NASDAQ,BATS,IEX"
    tick: float = 0.01
    decimals: int = 2
    multiplier: float = 1.0
    volatility: float = 0.015
    daily_volume: int = 20_000_000
    country: str = "US"
    sector: str | None = None
    group: str | None = None
    category: str | None = None
    stock_type: str = "COMMON"
    availability: str = "RpB"
    has_options: bool = False
    expiry: date | None = None
    strike: float = 0.0
    right: str | None = None
    underlying: int = 0

    @property
    def is_us(self) -> bool:
        return self.country == "US"

    @property
    def wire_listing(self) -> str:
        """The listing exchange as order rows spell it."""
        return "NASDAQ.NMS" if self.listing == "NASDAQ" else self.listing

    @property
    def time_zone(self) -> str:
        """Of its exchange, as IBKR names it."""
        return _ZONES_OF_EXCHANGES.get(self.listing, _ZONES[self.country])

    @property
    def takes_fractions(self) -> bool:
        """Whether less than one share of it can be traded."""
        return self.sec_type == "STK" and self.is_us

    @property
    def local_symbol(self) -> str:
        """The symbol at its exchange: a future's has its month, such as ESZ6."""
        if self.sec_type == "FUT" and self.expiry:
            return f"{self.symbol}{_FUTURE_CODES[self.expiry.month]}{self.expiry.year % 10}"
        return self.symbol

    @property
    def month(self) -> str | None:
        """The contract month as `secdef` spells it, such as DEC26."""
        return f"{_MONTHS[self.expiry.month - 1]}{self.expiry:%y}" if self.expiry else None

    @property
    def description(self) -> str:
        """The contract in words, as position rows spell it."""
        if self.sec_type == "OPT" and self.expiry:
            return f"{self.symbol}   {self.month} {self.strike:g} {self.right} [{self.expiry:%y%m%d}]"
        if self.sec_type == "FUT" and self.expiry:
            return f"{self.symbol} {self.month}"
        return self.symbol

    def format(self, price: float) -> str:
        """A price as IBKR writes it: a fixed number of decimals."""
        return f"{price:.{self.decimals}f}"

    def round(self, price: float) -> float:
        """The nearest price on the instrument's tick."""
        return round(round(price / self.tick) * self.tick, self.decimals)


_STOCKS = (
    Instrument(
        265598, "AAPL", "STK", "APPLE INC", 230.0, sector="Technology", group="Computers",
        category="Computers", has_options=True, daily_volume=55_000_000,
    ),
    Instrument(
        272093, "MSFT", "STK", "MICROSOFT CORP", 420.0, sector="Technology", group="Software",
        category="Applications Software", has_options=True,
    ),
    Instrument(
        756733, "SPY", "STK", "SPDR S&P 500 ETF TRUST", 585.0, listing="ARCA", stock_type="ETF",
        has_options=True, daily_volume=60_000_000, volatility=0.009,
    ),
    Instrument(
        76792991, "TSLA", "STK", "TESLA INC", 250.0, sector="Consumer, Cyclical", group="Auto Manufacturers",
        category="Auto-Cars/Light Trucks", has_options=True, volatility=0.03, daily_volume=90_000_000,
    ),
    Instrument(
        8314, "IBM", "STK", "INTL BUSINESS MACHINES CORP", 225.0, listing="NYSE", sector="Technology",
        group="Computers", category="Computer Services", daily_volume=4_000_000,
    ),
    Instrument(
        208813720, "GOOG", "STK", "ALPHABET INC-CL C", 175.0, sector="Communications", group="Internet",
        category="Web Portals/ISP", daily_volume=18_000_000,
    ),
    Instrument(
        4815747, "NVDA", "STK", "NVIDIA CORP", 140.0, sector="Technology", group="Semiconductors",
        category="Electronic Compo-Semicon", volatility=0.028, daily_volume=220_000_000,
    ),
    Instrument(
        14204, "SAP", "STK", "SAP SE", 220.0, currency="EUR", listing="IBIS", exchanges="SMART,IBIS,FWB,TGATE",
        country="DE", sector="Technology", group="Software", category="Enterprise Software/Serv",
        availability="N", daily_volume=1_500_000,
    ),
    Instrument(
        3691937, "SAP", "STK", "SAP SE-SPONSORED ADR", 240.0, listing="NYSE", sector="Technology", group="Software",
        category="Enterprise Software/Serv", stock_type="ADR", daily_volume=900_000,
    ),
    Instrument(
        29612281, "BMW", "STK", "BAYERISCHE MOTOREN WERKE AG", 84.0, currency="EUR", listing="IBIS",
        exchanges="SMART,IBIS,FWB,TGATE", country="DE", tick=0.02, sector="Consumer, Cyclical",
        group="Auto Manufacturers", category="Auto-Cars/Light Trucks", daily_volume=1_000_000,
    ),
    Instrument(
        29612193, "AIR", "STK", "AIRBUS SE", 150.0, currency="EUR", listing="SBF", exchanges="SMART,SBF,CHIXEN",
        country="FR", tick=0.02, sector="Industrial", group="Aerospace/Defense", daily_volume=1_200_000,
    ),
    Instrument(
        29612200, "AIR", "STK", "AIRBUS SE", 150.0, currency="EUR", listing="IBIS", exchanges="SMART,IBIS,FWB",
        country="DE", tick=0.02, sector="Industrial", group="Aerospace/Defense", daily_volume=200_000,
    ),
)  # fmt: skip

_PAIRS = (
    Instrument(
        12087792, "EUR", "CASH", "European Monetary Union Euro", 1.085, listing="IDEALPRO",
        exchanges="IDEALPRO", tick=0.00005, decimals=5, volatility=0.005, daily_volume=0,
    ),
    Instrument(
        12087797, "GBP", "CASH", "British Pound", 1.27, listing="IDEALPRO", exchanges="IDEALPRO",
        tick=0.00005, decimals=5, volatility=0.005, daily_volume=0,
    ),
)  # fmt: skip

_INDEX = Instrument(
    416904, "SPX", "IND", "S&P 500 Stock Index", 5850.0, listing="CBOE", exchanges="CBOE",
    volatility=0.009, daily_volume=0,
)  # fmt: skip

ES_UNDERLYING = Instrument(
    11004968, "ES", "IND", "E-mini S&P 500", 5860.0, listing="CME", exchanges="CME", volatility=0.009,
    tick=0.25, multiplier=50, daily_volume=0,
)  # fmt: skip


def _bond(conid: int, symbol: str, name: str, price: float, listing: str, *, tick: float, **facts: Any) -> Instrument:
    """What a future on government bonds is on. Ticks and multipliers are the exchanges'."""
    return Instrument(
        conid, symbol, "IND", name, price, listing=listing, exchanges=listing, tick=tick,
        **{"decimals": 2, "multiplier": 1000, "volatility": 0.004, "daily_volume": 0, **facts},
    )  # fmt: skip


_EUREX: dict[str, Any] = {"currency": "EUR", "country": "DE"}
_BONDS = (
    (_bond(11_005_101, "R", "Long Gilt", 92.5, "ICEEU", tick=0.01, currency="GBP", country="GB"), 26),
    (_bond(11_005_102, "ZN", "10 Year US Treasury Note", 110.5, "CBOT", tick=0.015625, decimals=6), 19),
    (_bond(11_005_103, "ZF", "5 Year US Treasury Note", 107.5, "CBOT", tick=0.0078125, decimals=7), 28),
    (_bond(11_005_104, "ZB", "30 Year US Treasury Bond", 117.0, "CBOT", tick=0.03125, decimals=5), 19),
    (_bond(11_005_105, "GBL", "Euro Bund (10 Year Bond)", 129.5, "EUREX", tick=0.01, **_EUREX), 8),
    (_bond(11_005_106, "GBM", "Euro Bobl (5 Year Bond)", 117.5, "EUREX", tick=0.01, **_EUREX), 8),
    (_bond(11_005_107, "GBS", "Euro Schatz (2 Year Bond)", 107.0, "EUREX", tick=0.005, decimals=3, **_EUREX), 8),
    (_bond(11_005_108, "BTP", "Euro BTP Italian Government Bond", 120.5, "EUREX", tick=0.01, **_EUREX), 8),
)
"""Each with the day of its month on which futures on it are traded for the last time, or the weekday before."""


class Universe:
    """Every instrument the gateway knows, by conid and by symbol."""

    def __init__(self, start: float, *, extra_stocks: int = 0) -> None:
        """Make the universe as of the virtual time `start`: futures and options that have not expired.

        `extra_stocks` are so many more stocks, without a company behind them.
        """
        today = datetime.fromtimestamp(start, UTC).date()
        self._by_conid: dict[int, Instrument] = {}
        self._pairs = {(pair.symbol, pair.currency): pair for pair in _PAIRS}
        self.extra_stocks = tuple(_extra_stock(number) for number in range(extra_stocks))
        self._add(_STOCKS)
        self._add(self.extra_stocks)
        self._add(_PAIRS)
        self._add((_INDEX, ES_UNDERLYING))
        self._add(_futures(today))
        for place, (bond, last_day) in enumerate(_BONDS):
            self._add((bond, *_bond_futures(bond, place, last_day, today)))
        for place, stock in enumerate(_STOCKS):
            if stock.has_options:
                self._add(_options(stock, place, today))

    def get(self, conid: int) -> Instrument | None:
        return self._by_conid.get(conid)

    def pair(self, currency: str, quoted_in: str) -> Instrument | None:
        """The currency pair that prices one currency in another."""
        return self._pairs.get((currency, quoted_in))

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_conid.values())

    def search(self, symbol: str, *, by_name: bool = False) -> list[Instrument]:
        """The underlyings of that symbol (or whose name contains it), stocks first."""
        wanted = symbol.strip().upper()
        roots = [found for found in self if found.sec_type in {"STK", "IND", "CASH"}]
        if by_name:
            return [found for found in roots if wanted and wanted in found.name.upper()]
        return [found for found in roots if wanted in {found.symbol, _pair_name(found)}]

    def derivatives(self, underlying: int, sec_type: str, month: str | None = None) -> list[Instrument]:
        """The futures or options on an underlying, nearest first."""
        return [
            found
            for found in self
            if found.underlying == underlying
            and found.sec_type == sec_type
            and (month is None or found.month == month.upper())
        ]

    def _add(self, instruments: Iterable[Instrument]) -> None:
        for instrument in instruments:
            self._by_conid[instrument.conid] = instrument


def _extra_stock(number: int) -> Instrument:
    return Instrument(
        _EXTRA_BASE + number, f"X{number:05}", "STK", f"EXTRA COMPANY {number}", 10.0 + number % 200, listing="NYSE"
    )


def _pair_name(instrument: Instrument) -> str:
    is_pair = instrument.sec_type == "CASH"
    return f"{instrument.symbol}.{instrument.currency}" if is_pair else instrument.symbol


def third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def _months_from(today: date) -> Iterator[tuple[int, int]]:
    year, month = today.year, today.month
    while True:
        if third_friday(year, month) >= today:
            yield year, month
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def _futures(today: date) -> Iterator[Instrument]:
    made = 0
    for year, month in _months_from(today):
        if month not in _FUTURE_CODES:
            continue
        yield Instrument(
            495_512_500 + (year - 2020) * 4 + month // 3,
            "ES",
            "FUT",
            "E-mini S&P 500",
            ES_UNDERLYING.price + 15 * made,
            listing="CME",
            exchanges="CME,QBALGO",
            tick=0.25,
            multiplier=50,
            volatility=0.009,
            daily_volume=1_500_000,
            expiry=third_friday(year, month),
            underlying=ES_UNDERLYING.conid,
        )
        made += 1
        if made == _FUTURES_EACH:
            return


def _bond_futures(bond: Instrument, place: int, last_day: int, today: date) -> Iterator[Instrument]:
    made = 0
    for quarter in range(today.year * 4, today.year * 4 + 2 * _FUTURES_EACH):
        year, month = quarter // 4, quarter % 4 * 3 + 3
        expiry = date(year, month, last_day)
        expiry -= timedelta(days=max(expiry.weekday() - 4, 0))
        if expiry < today:
            continue
        yield replace(
            bond,
            conid=_BOND_FUTURE_BASE + place * 10_000 + quarter - 2020 * 4,
            sec_type="FUT",
            daily_volume=500_000,
            expiry=expiry,
            underlying=bond.conid,
        )
        made += 1
        if made == _FUTURES_EACH:
            return


def _options(stock: Instrument, place: int, today: date) -> Iterator[Instrument]:
    step = 5.0 if stock.price >= 100 else 1.0
    centre = round(stock.price / step) * step
    for serial, (year, month) in enumerate(_months_from(today)):
        if serial == _OPTION_MONTHS:
            return
        for offset in range(-_STRIKES_EACH_SIDE, _STRIKES_EACH_SIDE + 1):
            for side, right in enumerate("CP"):
                number = (offset + _STRIKES_EACH_SIDE) * 2 + side
                yield replace(
                    stock,
                    conid=_OPTION_BASE + place * 100_000 + serial * 1_000 + number,
                    sec_type="OPT",
                    listing="SMART",
                    exchanges="SMART,AMEX,CBOE,PHLX,ISE,BOX,PSE,NASDAQOM,BATS",
                    multiplier=100,
                    daily_volume=2_000,
                    has_options=False,
                    stock_type="",
                    expiry=third_friday(year, month),
                    strike=centre + offset * step,
                    right=right,
                    underlying=stock.conid,
                )
