"""The accounts' books: cash, positions and executions, and what they are worth at the market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bezant_server.paper.clock import Clock
from bezant_server.paper.instruments import Instrument, Universe
from bezant_server.paper.prices import Market

BASE_CURRENCY = "USD"
COMMISSION_DELAY_SECONDS = 1.0
_START = {
    "DU8730189": (
        {"USD": 250_000.0, "EUR": 10_000.0},
        ((265598, 100.0, 187.25), (756733, 50.0, 512.4), (272093, 20.0, 405.1), (14204, 40.0, 181.6)),
    ),
    "DUP203550": ({"USD": 50_000.0}, ((76792991, 10.0, 241.0), (265598, 5.0, 201.5))),
}


@dataclass(slots=True)
class Position:
    """A holding; short when `quantity` is negative."""

    instrument: Instrument
    quantity: float
    average_price: float
    realized: float = 0.0

    @property
    def average_cost(self) -> float:
        return self.average_price * self.instrument.multiplier


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution. The commission is known to clients from `commission_at` on."""

    execution_id: str
    order_id: int
    account: str
    instrument: Instrument
    side: str
    size: float
    price: float
    time: float
    commission: float
    commission_at: float
    order_ref: str | None
    exchange: str


@dataclass(slots=True)
class Account:
    """One paper account."""

    account_id: str
    cash: dict[str, float]
    positions: dict[int, Position] = field(default_factory=dict)
    realized: float = 0.0
    day: float = 0.0
    day_start_value: float = 0.0


@dataclass(frozen=True, slots=True)
class Valuation:
    """An account at one moment, in its base currency."""

    cash: float
    stocks: float
    options: float
    futures_pnl: float
    unrealized: float
    gross: float
    net_liquidation: float
    daily_pnl: float
    realized: float

    @property
    def initial_margin(self) -> float:
        return self.gross * 0.25

    @property
    def maintenance_margin(self) -> float:
        return self.gross * 0.2275

    @property
    def available_funds(self) -> float:
        return self.net_liquidation - self.initial_margin

    @property
    def excess_liquidity(self) -> float:
        return self.net_liquidation - self.maintenance_margin


class Book:
    """All accounts of the login."""

    def __init__(self, universe: Universe, market: Market, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._universe = universe
        self.accounts: dict[str, Account] = {}
        self.trades: list[Trade] = []
        self.trade_listeners: list[Callable[[Trade], None]] = []
        for account_id, (cash, holdings) in _START.items():
            account = self.accounts[account_id] = Account(account_id, dict(cash))
            for conid, quantity, price in holdings:
                if instrument := universe.get(conid):
                    account.positions[conid] = Position(instrument, quantity, price)

    def open_account(self, account_id: str) -> None:
        """Another account, with nothing but cash."""
        self.accounts[account_id] = Account(account_id, {BASE_CURRENCY: 10_000.0})

    def hold(self, account_id: str, instrument: Instrument, *, quantity: float, price: float) -> None:
        """A position that an account has from the start."""
        self.accounts[account_id].positions[instrument.conid] = Position(instrument, quantity, price)

    def mark(self, instrument: Instrument) -> float:
        """The mark price now."""
        return self._market.quote(instrument, self._market.step_at(self._clock.now())).mark

    def rate(self, currency: str) -> float:
        """What one unit of a currency is worth in the base currency."""
        if currency == BASE_CURRENCY:
            return 1.0
        pair = self._universe.pair(currency, BASE_CURRENCY)
        return self._market.price(pair, self._market.step_at(self._clock.now())) if pair else 1.0

    def position_figures(self, position: Position) -> tuple[float, float, float]:
        """Mark price, market value and unrealized P&L, in the instrument's currency."""
        mark = self.mark(position.instrument)
        value = mark * position.quantity * position.instrument.multiplier
        return mark, value, value - position.quantity * position.average_cost

    def value(self, account: Account) -> Valuation:
        """The account at the market, now."""
        day = self._market.day_start(self._clock.now())
        if account.day != day:
            account.day = day
            at_open = self._worth(account, lambda instrument: self._market.last_before(instrument, day))
            account.day_start_value = at_open.net_liquidation
        worth = self._worth(account, self.mark)
        return replace(worth, daily_pnl=worth.net_liquidation - account.day_start_value)

    def net_liquidation_at(self, account: Account, when: float) -> float:
        """What the account, as it is, would have been worth at a moment."""
        return self._worth(account, lambda instrument: self._market.last_before(instrument, when)).net_liquidation

    def fill(
        self,
        *,
        order_id: int,
        account_id: str,
        instrument: Instrument,
        side: str,
        size: float,
        price: float,
        when: float,
        order_ref: str | None,
    ) -> Trade:
        """Book an execution: position, cash, commission, and everybody who listens."""
        account = self.accounts[account_id]
        commission = _commission(instrument, size, price)
        signed = size if side == "BUY" else -size
        cash = account.cash
        if instrument.sec_type == "CASH":
            cash[instrument.symbol] = cash.get(instrument.symbol, 0.0) + signed
            cash[instrument.currency] = cash.get(instrument.currency, 0.0) - signed * price
            cash[BASE_CURRENCY] = cash.get(BASE_CURRENCY, 0.0) - commission
        else:
            realized = self._book_position(account, instrument, signed, price)
            account.realized += (realized - commission) * self.rate(instrument.currency)
            moved = realized if instrument.sec_type == "FUT" else -signed * price * instrument.multiplier
            cash[instrument.currency] = cash.get(instrument.currency, 0.0) + moved - commission
        serial = len(self.trades) + 1
        trade = Trade(
            execution_id=f"0000e0d5.{int(when) & 0xFFFFFFFF:08x}.{serial:04x}.01",
            order_id=order_id,
            account=account_id,
            instrument=instrument,
            side=side,
            size=size,
            price=price,
            time=when,
            commission=round(commission, 2),
            commission_at=when + COMMISSION_DELAY_SECONDS,
            order_ref=order_ref,
            exchange="ISLAND" if instrument.sec_type == "STK" else instrument.listing,
        )
        self.trades.append(trade)
        self._tell(trade)
        self._clock.call_at(trade.commission_at, lambda: self._tell(trade))
        return trade

    def _worth(self, account: Account, price_of: Callable[[Instrument], float]) -> Valuation:
        cash = sum(amount * self.rate(currency) for currency, amount in account.cash.items())
        stocks = options = futures = unrealized = gross = 0.0
        for position in account.positions.values():
            instrument = position.instrument
            rate = self.rate(instrument.currency)
            value = price_of(instrument) * position.quantity * instrument.multiplier * rate
            profit = value - position.quantity * position.average_cost * rate
            unrealized += profit
            gross += abs(value)
            if instrument.sec_type == "FUT":
                futures += profit
            elif instrument.sec_type == "OPT":
                options += value
            else:
                stocks += value
        net = cash + stocks + options + futures
        return Valuation(cash, stocks, options, futures, unrealized, gross, net, 0.0, account.realized)

    @staticmethod
    def _book_position(account: Account, instrument: Instrument, signed: float, price: float) -> float:
        position = account.positions.get(instrument.conid)
        if position is None:
            position = account.positions[instrument.conid] = Position(instrument, 0.0, 0.0)
        before, after = position.quantity, position.quantity + signed
        realized = 0.0
        if before * signed >= 0:
            position.average_price = (before * position.average_price + signed * price) / after
        else:
            closed = min(abs(before), abs(signed)) * (1 if before > 0 else -1)
            realized = (price - position.average_price) * closed * instrument.multiplier
            if abs(signed) > abs(before):
                position.average_price = price
        position.quantity = round(after, 8)
        position.realized += realized
        if not position.quantity:
            del account.positions[instrument.conid]
        return realized

    def _tell(self, trade: Trade) -> None:
        for listener in list(self.trade_listeners):
            listener(trade)


def _commission(instrument: Instrument, size: float, price: float) -> float:
    match instrument.sec_type:
        case "FUT":
            return 2.25 * size
        case "OPT":
            return max(1.0, 0.65 * size)
        case "CASH":
            return max(2.0, 0.00002 * size * price)
        case _:
            return max(1.0, 0.005 * size)
