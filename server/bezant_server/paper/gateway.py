"""The parts of the paper gateway, put together."""

from __future__ import annotations

from dataclasses import dataclass

from bezant_server.paper.book import Book
from bezant_server.paper.clock import Clock
from bezant_server.paper.faults import Faults
from bezant_server.paper.history import History
from bezant_server.paper.hours import TradingHours
from bezant_server.paper.instruments import Universe
from bezant_server.paper.journal import Journal
from bezant_server.paper.limits import Pacing
from bezant_server.paper.matching import Matcher
from bezant_server.paper.orders import OrderDesk
from bezant_server.paper.prices import Market
from bezant_server.paper.requestlog import RequestLog
from bezant_server.paper.session import Session

DEFAULT_ACCOUNT = "DU8730189"


@dataclass(frozen=True, slots=True)
class Options:
    """How a paper gateway is to behave."""

    seed: int = 1
    speed: float = 1.0
    start: float | None = None
    logged_out: bool = False
    limits: bool = False
    market_hours: bool = False
    text_frames: bool = False
    primed: bool = False
    init_delay: float = 0.0
    greeting_delay: float = 0.05
    stale_reply_status: int = 400
    extra_accounts: int = 0
    extra_positions: int = 0


class Gateway:
    """Owns every part; the HTTP and WebSocket layers and the control endpoint work on it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = Clock(start=options.start, speed=options.speed)
        self.universe = Universe(self.clock.start, extra_stocks=options.extra_positions)
        self.market = Market(self.universe, seed=options.seed, start=self.clock.start)
        self.session = Session(self.clock, default_account=DEFAULT_ACCOUNT, primed=options.primed)
        self.session.init_delay = options.init_delay
        self.book = Book(self.universe, self.market, self.clock)
        for number in range(options.extra_accounts):
            self.book.open_account(f"DU9{number:06}")
        for stock in self.universe.extra_stocks:
            self.book.hold(DEFAULT_ACCOUNT, stock, quantity=10.0, price=stock.price)
        self.history = History(self.market, self.clock)
        self.hours = TradingHours(real=options.market_hours)
        self.desk = OrderDesk(
            universe=self.universe,
            market=self.market,
            book=self.book,
            clock=self.clock,
            session=self.session,
            hours=self.hours,
            seed=options.seed,
        )
        self.matcher = Matcher(self.desk, self.market, self.clock, self.hours)
        self.pacing = Pacing(self.clock, enabled=options.limits)
        self.faults = Faults()
        self.requests = RequestLog()
        # What an API call without single sign-on is answered: "401", "302" to the login page, or "body", where
        # auth/status and tickle say so with 200 and the rest is 401.
        self.unauthorized = "401"
        journal = Journal()
        self.desk.listeners.append(journal.order_changed)
        self.session.listeners.append(journal.session_changed)
        if not options.logged_out:
            self.session.login()

    def step(self) -> int:
        """The market's step now."""
        return self.market.step_at(self.clock.now())
