"""From the JSON of an order to an order specification, refused in the order and with the texts IBKR uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bezant_server.paper.instruments import Instrument, Universe

ORDER_TYPES = frozenset({"LMT", "MKT", "STP", "STOP_LIMIT", "MIDPRICE", "TRAIL", "TRAILLMT"})
STOP_TYPES = frozenset({"STP", "STOP_LIMIT", "TRAIL", "TRAILLMT"})
_TIFS = frozenset({"DAY", "GTC", "IOC", "OPG", "PAX", "OVT", "OND"})
_MAX_COID = 64
_LARGEST = 1e15
_NUMBERS = ("price", "auxPrice", "quantity", "cashQty", "fxQty", "trailingAmt")
_STRINGS = ("acctId", "cOID", "parentId", "side", "orderType", "tif", "trailingType", "conidex", "secType")
_BOOLEANS = ("outsideRTH", "isSingleGroup", "useAdaptive", "allOrNone", "isCcyConv", "deactivated", "isClose")

WRONG_TYPE = "orders request includes parameter with incorrect type"


class BadOrder(Exception):
    """A request that is malformed: HTTP 400."""


class OrderRejected(Exception):
    """A well-formed order that is refused: HTTP 200 with an `error`, as IBKR does."""


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """What a client asks for. Prices in the instrument's currency, quantity in shares or contracts."""

    account: str
    instrument: Instrument
    side: str
    order_type: str
    quantity: float
    tif: str
    price: float | None = None
    aux_price: float | None = None
    outside_rth: bool = False
    coid: str | None = None
    parent_id: str | None = None
    single_group: bool = False
    all_or_none: bool = False
    trailing_amount: float | None = None
    trailing_type: str = "amt"
    cash_quantity: float | None = None
    deactivated: bool = False

    @property
    def limit_price(self) -> float | None:
        """The limit: `price`, save for the types whose `price` is a stop."""
        return None if self.order_type in {"STP", "TRAIL", "MKT"} else self.price

    @property
    def stop_price(self) -> float | None:
        match self.order_type:
            case "STP" | "TRAIL":
                return self.price
            case "STOP_LIMIT" | "TRAILLMT":
                return self.aux_price
            case _:
                return None


def parse_order(
    body: Any,
    *,
    account: str,
    universe: Universe,
    accounts: frozenset[str],
    reference_price: Callable[[Instrument], float],
) -> OrderSpec:
    """Read one order object.

    Raises:
        BadOrder: a missing or mistyped parameter, an unknown side or order type.
        OrderRejected: prices, time in force or quantity that IBKR answers with 200 and an error.
    """
    if not isinstance(body, dict):
        raise BadOrder(WRONG_TYPE)
    _check_types(body)
    account = body.get("acctId") or account
    if account not in accounts:
        raise BadOrder(f"Account {account} is not available to this login")
    side = body.get("side")
    if side not in {"BUY", "SELL"}:
        raise BadOrder("Invalid Side (must be 'BUY' or 'SELL').")
    order_type = body.get("orderType")
    if order_type not in ORDER_TYPES:
        raise BadOrder("Unknown order type")
    instrument = _instrument(body, universe)
    coid = body.get("cOID")
    if coid is not None and len(coid) > _MAX_COID:
        raise BadOrder(f"cOID must not be longer than {_MAX_COID} characters")
    price, aux_price = body.get("price"), body.get("auxPrice")
    _check_prices(body, order_type)
    tif = body.get("tif")
    if tif is None:
        raise OrderRejected("null time in force is not supported for this order")
    if tif not in _TIFS:
        raise OrderRejected(f"{tif} time in force is not supported for this order")
    quantity = body.get("quantity")
    cash_quantity = body.get("cashQty")
    if quantity is None and cash_quantity:
        quantity = _quantity_for(cash_quantity, instrument, price or reference_price(instrument))
    if quantity is None or quantity <= 0:
        raise OrderRejected("Invalid order quantity")
    if quantity != int(quantity) and instrument.sec_type != "CASH" and not instrument.takes_fractions:
        raise OrderRejected("Fractional-sized order cannot be placed for this instrument")
    return OrderSpec(
        account=account,
        instrument=instrument,
        side=side,
        order_type=order_type,
        quantity=float(quantity),
        tif=tif,
        price=None if price is None else float(price),
        aux_price=None if aux_price is None else float(aux_price),
        outside_rth=body.get("outsideRTH", False),
        coid=coid,
        parent_id=body.get("parentId"),
        single_group=body.get("isSingleGroup", False),
        all_or_none=body.get("allOrNone", False),
        trailing_amount=body.get("trailingAmt"),
        trailing_type=body.get("trailingType") or "amt",
        cash_quantity=cash_quantity,
        deactivated=body.get("deactivated", False),
    )


def _check_types(body: dict[str, Any]) -> None:
    for name in _NUMBERS:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
            raise BadOrder(WRONG_TYPE)
    for name in _STRINGS:
        if not isinstance(body.get(name), str | None):
            raise BadOrder(WRONG_TYPE)
    for name in _BOOLEANS:
        if name in body and not isinstance(body[name], bool):
            raise BadOrder(WRONG_TYPE)
    conid = body.get("conid")
    if isinstance(conid, bool) or not isinstance(conid, int | None):
        raise BadOrder(WRONG_TYPE)


def _instrument(body: dict[str, Any], universe: Universe) -> Instrument:
    conid = body.get("conid")
    conidex = body.get("conidex")
    if not conid and conidex:
        text = conidex.partition("@")[0]
        conid = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
        if conid is None:
            raise OrderRejected(f"no sec defs returned for {conidex}")
    if not conid:
        raise BadOrder("conid or conidex is required")
    instrument = universe.get(conid)
    if instrument is None or instrument.sec_type == "IND":
        raise OrderRejected(f"no sec defs returned for {conid}")
    return instrument


def _check_prices(body: dict[str, Any], order_type: str) -> None:
    price, aux_price, trailing = body.get("price"), body.get("auxPrice"), body.get("trailingAmt")
    needed = {
        "LMT": (price,),
        "STP": (price,),
        "STOP_LIMIT": (price, aux_price),
        "TRAIL": (trailing,),
        "TRAILLMT": (price, aux_price, trailing),
    }.get(order_type, ())
    for value in (*needed, price, aux_price):
        if value is not None and value <= 0:
            raise OrderRejected("Invalid order price fields")
    if None in needed or body.get("trailingType") not in {None, "amt", "%"}:
        raise OrderRejected("Invalid order price fields")


def _quantity_for(cash: float, instrument: Instrument, price: float) -> float:
    quantity = cash / (price * instrument.multiplier)
    if instrument.sec_type == "CASH":
        return round(quantity, 2)
    if quantity < 1:
        raise OrderRejected("Cash quantity is too small for one share")
    return float(int(quantity))
