"""IBKR's words for sides, types, times in force and statuses.

It spells them one way in what it takes and several ways in what it shows (recorded live orders and order statuses).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bezant.v1 import order_pb2 as pb

SIDES: Mapping[int, str] = MappingProxyType({pb.ORDER_SIDE_BUY: "BUY", pb.ORDER_SIDE_SELL: "SELL"})
"""As the gateway takes them."""

TYPES: Mapping[int, str] = MappingProxyType(
    {
        pb.ORDER_TYPE_LIMIT: "LMT",
        pb.ORDER_TYPE_MARKET: "MKT",
        pb.ORDER_TYPE_STOP: "STP",
        pb.ORDER_TYPE_STOP_LIMIT: "STOP_LIMIT",
        pb.ORDER_TYPE_MIDPRICE: "MIDPRICE",
        pb.ORDER_TYPE_TRAILING_STOP: "TRAIL",
        pb.ORDER_TYPE_TRAILING_STOP_LIMIT: "TRAILLMT",
        pb.ORDER_TYPE_MARKET_IF_TOUCHED: "MIT",
        pb.ORDER_TYPE_LIMIT_IF_TOUCHED: "LIT",
        pb.ORDER_TYPE_RELATIVE: "REL",
        pb.ORDER_TYPE_MARKET_ON_CLOSE: "MOC",
        pb.ORDER_TYPE_LIMIT_ON_CLOSE: "LOC",
    }
)
"""As the gateway takes them."""

TIMES: Mapping[int, str] = MappingProxyType(
    {
        pb.TIME_IN_FORCE_DAY: "DAY",
        pb.TIME_IN_FORCE_GTC: "GTC",
        pb.TIME_IN_FORCE_IOC: "IOC",
        pb.TIME_IN_FORCE_OPG: "OPG",
        pb.TIME_IN_FORCE_PAX: "PAX",
        pb.TIME_IN_FORCE_OVERNIGHT: "OVT",
        pb.TIME_IN_FORCE_OVERNIGHT_AND_DAY: "OND",
    }
)
"""As the gateway takes them."""

_SHOWN_SIDES: Mapping[str, pb.OrderSide.ValueType] = MappingProxyType(
    {"BUY": pb.ORDER_SIDE_BUY, "B": pb.ORDER_SIDE_BUY, "SELL": pb.ORDER_SIDE_SELL, "S": pb.ORDER_SIDE_SELL}
)
_SHOWN_TIMES: Mapping[str, pb.TimeInForce.ValueType] = MappingProxyType(
    {text: pb.TimeInForce.ValueType(value) for value, text in TIMES.items()} | {"CLOSE": pb.TIME_IN_FORCE_DAY}
)
_SHOWN_TYPES: Mapping[str, pb.OrderType.ValueType] = MappingProxyType(
    {
        "LIMIT": pb.ORDER_TYPE_LIMIT,
        "MARKET": pb.ORDER_TYPE_MARKET,
        "STOP": pb.ORDER_TYPE_STOP,
        "STOPLIMIT": pb.ORDER_TYPE_STOP_LIMIT,
        "STPLMT": pb.ORDER_TYPE_STOP_LIMIT,
        "TRAILINGSTOP": pb.ORDER_TYPE_TRAILING_STOP,
        "TRAILINGSTOPLIMIT": pb.ORDER_TYPE_TRAILING_STOP_LIMIT,
        "TRAILINGLIMIT": pb.ORDER_TYPE_TRAILING_STOP_LIMIT,
        "MARKETIFTOUCHED": pb.ORDER_TYPE_MARKET_IF_TOUCHED,
        "LIMITIFTOUCHED": pb.ORDER_TYPE_LIMIT_IF_TOUCHED,
        "RELATIVE": pb.ORDER_TYPE_RELATIVE,
        "MARKETONCLOSE": pb.ORDER_TYPE_MARKET_ON_CLOSE,
        "LIMITONCLOSE": pb.ORDER_TYPE_LIMIT_ON_CLOSE,
    }
    | {text.replace("_", ""): pb.OrderType.ValueType(value) for value, text in TYPES.items()}
)
_SHOWN_STATUSES: Mapping[str, pb.OrderStatus.ValueType] = MappingProxyType(
    {
        name.removeprefix("ORDER_STATUS_").replace("_", ""): value
        for name, value in pb.OrderStatus.items()
        if value != pb.ORDER_STATUS_UNSPECIFIED
    }
)

STATUSES: frozenset[int] = frozenset(_SHOWN_STATUSES.values())
"""Every status that an order can be seen in."""
TERMINAL: frozenset[int] = frozenset({pb.ORDER_STATUS_FILLED, pb.ORDER_STATUS_CANCELLED})
"""Statuses after which nothing more happens."""


def side(text: str) -> pb.OrderSide.ValueType:
    """BUY, B, SELL, S; anything else is unspecified."""
    return _SHOWN_SIDES.get(text.upper(), pb.ORDER_SIDE_UNSPECIFIED)


def order_type(text: str) -> pb.OrderType.ValueType:
    """`Limit`, `LIMIT`, `LMT`, `Stop Limit`, `TRAILING_STOP`, …; anything else is unspecified."""
    return _SHOWN_TYPES.get(_letters(text), pb.ORDER_TYPE_UNSPECIFIED)


def time_in_force(text: str) -> pb.TimeInForce.ValueType:
    """`GTC`, …; live orders show DAY as CLOSE."""
    return _SHOWN_TIMES.get(text.upper(), pb.TIME_IN_FORCE_UNSPECIFIED)


def status(text: str) -> pb.OrderStatus.ValueType:
    """`PreSubmitted`, `Pending Submit`, …; anything else is unspecified."""
    return _SHOWN_STATUSES.get(_letters(text), pb.ORDER_STATUS_UNSPECIFIED)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.upper() if letter.isalpha())
