"""The fields of a quote, once: number, name in the message, how the text is read, and what it means.

Source: IBKR's documentation of market data fields, and what clients of the API have added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """How a field's text is read.

    PRICE: a decimal that may stand behind a letter. SIZE: a decimal that may be shortened (`1.2M`). DECIMAL: a decimal,
    without its percent sign. DOUBLE: the same, its digits not exact. AVAILABILITY: IBKR's code of it. The others are
    what they say.
    """

    PRICE = "price"
    SIZE = "size"
    DECIMAL = "decimal"
    DOUBLE = "double"
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    AVAILABILITY = "availability"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a quote."""

    number: int
    name: str
    kind: Kind
    meaning: str


FIELDS: Mapping[int, Field] = MappingProxyType(
    {
        field.number: field
        for field in (
            Field(31, "last_price", Kind.PRICE, "Price of the last trade; see last_price_meaning"),
            Field(55, "symbol", Kind.TEXT, "Symbol"),
            Field(58, "text", Kind.TEXT, "IBKR's text about the contract"),
            Field(70, "high_price", Kind.PRICE, "Highest price of the day"),
            Field(71, "low_price", Kind.PRICE, "Lowest price of the day"),
            Field(73, "position_market_value", Kind.DECIMAL, "Worth of the position held"),
            Field(74, "position_average_price", Kind.DECIMAL, "Average price of the position held"),
            Field(75, "position_unrealized_pnl", Kind.DECIMAL, "Profit and loss of the position held"),
            Field(76, "position", Kind.DECIMAL, "Position held"),
            Field(
                77, "position_formatted_unrealized_pnl", Kind.DECIMAL, "Profit and loss of the position held, rounded"
            ),
            Field(78, "position_daily_pnl", Kind.DECIMAL, "Profit and loss of the position since the prior close"),
            Field(79, "position_realized_pnl", Kind.DECIMAL, "Profit and loss of what was closed"),
            Field(80, "position_unrealized_pnl_percent", Kind.DECIMAL, "Profit and loss of the position, in percent"),
            Field(82, "change", Kind.DECIMAL, "Last price less prior close"),
            Field(83, "change_percent", Kind.DECIMAL, "The same in percent"),
            Field(84, "bid_price", Kind.PRICE, "Highest bid"),
            Field(85, "ask_size", Kind.SIZE, "Size at the lowest offer"),
            Field(86, "ask_price", Kind.PRICE, "Lowest offer"),
            Field(
                87, "volume", Kind.SIZE, "Volume of the day, rounded as IBKR shortens it (1.2M); 7762 has all digits"
            ),
            Field(88, "bid_size", Kind.SIZE, "Size at the highest bid"),
            Field(201, "right", Kind.TEXT, "C for a call, P for a put"),
            Field(6004, "exchange", Kind.TEXT, "Exchange"),
            Field(6070, "security_type", Kind.TEXT, "IBKR's type of security"),
            Field(6072, "months", Kind.TEXT, "Months of expiry"),
            Field(6073, "regular_expiry", Kind.TEXT, "Regular expiry"),
            Field(6119, "delivery_marker", Kind.TEXT, "IBKR's mark of the subscription"),
            Field(6457, "underlying_conid", Kind.INTEGER, "What the contract derives from"),
            Field(6508, "service_params", Kind.TEXT, "IBKR's parameters of the service"),
            Field(6509, "availability", Kind.AVAILABILITY, "Whether the figures are real-time; see availability"),
            Field(7051, "company_name", Kind.TEXT, "Name of the company"),
            Field(7057, "ask_exchanges", Kind.TEXT, "Exchanges at the lowest offer, a letter each"),
            Field(7058, "last_exchange", Kind.TEXT, "Exchange of the last trade, a letter"),
            Field(7059, "last_size", Kind.SIZE, "Size of the last trade"),
            Field(7068, "bid_exchanges", Kind.TEXT, "Exchanges at the highest bid, a letter each"),
            Field(
                7084,
                "implied_to_historical_volatility_percent",
                Kind.DOUBLE,
                "Implied over historical volatility, in percent",
            ),
            Field(7085, "put_call_interest", Kind.DOUBLE, "Open puts over open calls"),
            Field(7086, "put_call_volume", Kind.DOUBLE, "Puts traded over calls traded"),
            Field(7087, "historical_volatility_percent", Kind.DOUBLE, "Historical volatility of 30 days, in percent"),
            Field(7088, "historical_volatility_close_percent", Kind.DOUBLE, "The same at the prior close, in percent"),
            Field(7089, "option_volume", Kind.SIZE, "Options traded today"),
            Field(7094, "conid_exchange", Kind.TEXT, "Conid and exchange"),
            Field(7184, "can_be_traded", Kind.BOOLEAN, "Whether the contract can be traded"),
            Field(7219, "contract_description", Kind.TEXT, "The contract in words"),
            Field(7220, "contract_description_alternative", Kind.TEXT, "The contract in other words"),
            Field(7221, "listing_exchange", Kind.TEXT, "Exchange that lists it"),
            Field(7280, "industry", Kind.TEXT, "Industry"),
            Field(7281, "category", Kind.TEXT, "Category within the industry"),
            Field(7282, "average_volume", Kind.SIZE, "Average volume of 90 days"),
            Field(
                7283,
                "option_implied_volatility_percent",
                Kind.DOUBLE,
                "Implied volatility of options on it, in percent",
            ),
            Field(
                7284,
                "historical_volatility_old_percent",
                Kind.DOUBLE,
                "Historical volatility, in percent; IBKR prefers 7087",
            ),
            Field(7285, "put_call_ratio", Kind.DOUBLE, "Puts over calls"),
            Field(7286, "dividend_amount", Kind.DECIMAL, "Next dividend"),
            Field(7287, "dividend_yield_percent", Kind.DECIMAL, "Dividends over price, in percent"),
            Field(7288, "dividend_ex_date", Kind.TEXT, "Day from which buyers do not get the next dividend"),
            Field(7289, "market_cap", Kind.SIZE, "Worth of all shares"),
            Field(7290, "price_earnings_ratio", Kind.DECIMAL, "Price over earnings"),
            Field(7291, "earnings_per_share", Kind.DECIMAL, "Earnings per share"),
            Field(7292, "cost_basis", Kind.DECIMAL, "Cost of the position held"),
            Field(7293, "high_52_weeks", Kind.PRICE, "Highest price of 52 weeks"),
            Field(7294, "low_52_weeks", Kind.PRICE, "Lowest price of 52 weeks"),
            Field(7295, "open_price", Kind.PRICE, "First price of the day"),
            Field(7296, "close_price", Kind.PRICE, "Last price of the day, once it has closed"),
            Field(7308, "delta", Kind.DOUBLE, "Delta of an option"),
            Field(7309, "gamma", Kind.DOUBLE, "Gamma of an option"),
            Field(7310, "theta", Kind.DOUBLE, "Theta of an option"),
            Field(7311, "vega", Kind.DOUBLE, "Vega of an option"),
            Field(
                7607,
                "option_volume_change_percent",
                Kind.DOUBLE,
                "Options traded today against the average, in percent",
            ),
            Field(7633, "implied_volatility_percent", Kind.DOUBLE, "Implied volatility of an option, in percent"),
            Field(7635, "mark_price", Kind.PRICE, "IBKR's mark price: the last, kept within bid and offer"),
            Field(7636, "shortable_shares", Kind.SIZE, "Shares that can be borrowed"),
            Field(7637, "borrow_fee_percent", Kind.DECIMAL, "Fee for borrowing, in percent a year"),
            Field(7638, "option_open_interest", Kind.SIZE, "Open options"),
            Field(7639, "mark_value_percent", Kind.DECIMAL, "Share of the position in the account, in percent"),
            Field(7644, "shortable_difficulty", Kind.TEXT, "How hard it is to borrow, in IBKR's words"),
            Field(7655, "morningstar_rating", Kind.TEXT, "Morningstar's rating"),
            Field(7671, "dividends_expected", Kind.DECIMAL, "Dividends expected in the next 12 months"),
            Field(7672, "dividends_paid", Kind.DECIMAL, "Dividends paid in the last 12 months"),
            Field(7674, "ema_200", Kind.DECIMAL, "Exponential moving average of 200 days"),
            Field(7675, "ema_100", Kind.DECIMAL, "Exponential moving average of 100 days"),
            Field(7676, "ema_50", Kind.DECIMAL, "Exponential moving average of 50 days"),
            Field(7677, "ema_20", Kind.DECIMAL, "Exponential moving average of 20 days"),
            Field(7678, "price_over_ema_200_percent", Kind.DECIMAL, "Price against that of 200 days, in percent"),
            Field(7679, "price_over_ema_100_percent", Kind.DECIMAL, "Price against that of 100 days, in percent"),
            Field(7681, "price_over_ema_20_percent", Kind.DECIMAL, "Price against that of 20 days, in percent"),
            Field(7682, "change_since_open", Kind.DECIMAL, "Last price less the first of the day"),
            Field(7683, "upcoming_event", Kind.TEXT, "Next event of the company"),
            Field(7684, "upcoming_event_date", Kind.TEXT, "Day of that"),
            Field(7685, "upcoming_analyst_meeting", Kind.TEXT, "Next meeting with analysts"),
            Field(7686, "upcoming_earnings", Kind.TEXT, "Next earnings report"),
            Field(7687, "upcoming_misc_event", Kind.TEXT, "Next other event"),
            Field(7688, "recent_analyst_meeting", Kind.TEXT, "Last meeting with analysts"),
            Field(7689, "recent_earnings", Kind.TEXT, "Last earnings report"),
            Field(7690, "recent_misc_event", Kind.TEXT, "Last other event"),
            Field(7694, "probability_of_max_return", Kind.DOUBLE, "Probability of the greatest return, in percent"),
            Field(7695, "break_even", Kind.DECIMAL, "Price at which an option breaks even"),
            Field(7696, "spx_delta", Kind.DOUBLE, "Delta against the S&P 500"),
            Field(7697, "futures_open_interest", Kind.SIZE, "Open futures"),
            Field(7698, "last_yield", Kind.DECIMAL, "Yield of a bond at the last price, in percent"),
            Field(7699, "bid_yield", Kind.DECIMAL, "Yield of a bond at the bid, in percent"),
            Field(
                7700,
                "probability_of_max_return_alternative",
                Kind.DOUBLE,
                "Probability of the greatest return, in percent (IBKR's second number for it)",
            ),
            Field(7702, "probability_of_max_loss", Kind.DOUBLE, "Probability of the greatest loss, in percent"),
            Field(7703, "profit_probability", Kind.DOUBLE, "Probability of a profit, in percent"),
            Field(7704, "organization_type", Kind.TEXT, "Kind of issuer of a bond"),
            Field(7705, "debt_class", Kind.TEXT, "Class of a bond"),
            Field(7706, "ratings", Kind.TEXT, "Ratings of a bond"),
            Field(7707, "bond_state_code", Kind.TEXT, "State of a bond's issuer"),
            Field(7708, "bond_type", Kind.TEXT, "Kind of bond"),
            Field(7714, "last_trading_date", Kind.TEXT, "Last trading day"),
            Field(7715, "issue_date", Kind.TEXT, "Day on which a bond was issued"),
            Field(7718, "beta", Kind.DOUBLE, "Beta against the S&P 500"),
            Field(7720, "ask_yield", Kind.DECIMAL, "Yield of a bond at the offer, in percent"),
            Field(
                7724,
                "price_over_ema_50_percent",
                Kind.DECIMAL,
                "Price against the moving average of 50 days, in percent",
            ),
            Field(7741, "prior_close_price", Kind.PRICE, "Last price of the trading day before"),
            Field(7762, "volume_exact", Kind.SIZE, "Volume of the day with all its digits"),
            Field(7768, "has_trading_permissions", Kind.BOOLEAN, "Whether the account may trade it"),
            Field(7899, "stock_type", Kind.TEXT, "IBKR's kind of stock"),
            Field(
                7920,
                "position_daily_pnl_exact",
                Kind.DECIMAL,
                "Profit and loss of the position since the prior close, with all its digits",
            ),
            Field(7921, "cost_basis_exact", Kind.DECIMAL, "Cost of the position held, with all its digits"),
            Field(
                7943,
                "rebate_rate_percent",
                Kind.DECIMAL,
                "What is paid for the cash of a short sale, in percent a year",
            ),
        )
    }
)
"""By number."""

LAST_PRICE = 31
AVAILABILITY = 6509

DEFAULT_FIELDS = (31, 84, 85, 86, 88, 70, 71, 7295, 7296, 7741, 82, 83, 87, 7762, 6509)
"""What is asked for when nothing is named."""
