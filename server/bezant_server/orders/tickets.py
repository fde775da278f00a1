"""What callers ask for, checked before anything is sent, as the gateway takes it.

IBKR's documentation of the order object says what each type needs; the names of its members are IBKR's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as pb
from bezant_server.inputs import Checks, is_message_id
from bezant_server.orders import vocabulary

MOST_ORDERS = 20
"""In one request."""

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_.:/+#-]{1,64}")
_CONIDEX = re.compile(r"[0-9]{1,12}(@[A-Za-z0-9.]{1,20})?|[0-9]{1,12}(@[A-Za-z0-9.]{1,20})?;;;[0-9/,-]{3,200}")
_LEGS = re.compile(r"[0-9]{1,12}/-?[1-9][0-9]{0,5}(,[0-9]{1,12}/-?[1-9][0-9]{0,5})*")
_ORDER_ID = re.compile(r"[0-9]{1,18}")

_LIMIT_NEEDED = frozenset(
    {
        order_pb2.ORDER_TYPE_LIMIT,
        order_pb2.ORDER_TYPE_STOP_LIMIT,
        order_pb2.ORDER_TYPE_TRAILING_STOP_LIMIT,
        order_pb2.ORDER_TYPE_LIMIT_IF_TOUCHED,
        order_pb2.ORDER_TYPE_LIMIT_ON_CLOSE,
    }
)
_LIMIT_ALLOWED = _LIMIT_NEEDED | {order_pb2.ORDER_TYPE_MIDPRICE, order_pb2.ORDER_TYPE_RELATIVE}
_STOP_NEEDED = frozenset(
    {
        order_pb2.ORDER_TYPE_STOP,
        order_pb2.ORDER_TYPE_STOP_LIMIT,
        order_pb2.ORDER_TYPE_TRAILING_STOP_LIMIT,
        order_pb2.ORDER_TYPE_MARKET_IF_TOUCHED,
        order_pb2.ORDER_TYPE_LIMIT_IF_TOUCHED,
    }
)
_STOP_ALLOWED = _STOP_NEEDED | {order_pb2.ORDER_TYPE_TRAILING_STOP}
TRAILING = frozenset({order_pb2.ORDER_TYPE_TRAILING_STOP, order_pb2.ORDER_TYPE_TRAILING_STOP_LIMIT})
"""Types with a trailing amount."""
_STOP_IS_PRICE = frozenset(
    {order_pb2.ORDER_TYPE_STOP, order_pb2.ORDER_TYPE_TRAILING_STOP, order_pb2.ORDER_TYPE_MARKET_IF_TOUCHED}
)
"""Types whose one price, the stop, the gateway takes as `price`."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order ready to be sent.

    Attributes:
        account: it trades for.
        client_order_id: to find it by; empty for the child of a bracket.
        conidex: the contract, in text.
        side, quantity, order_type: in IBKR's words, for the audit.
        body: as the gateway takes it.
    """

    account: str
    client_order_id: str
    conidex: str
    side: str
    quantity: str
    order_type: str
    body: dict[str, Any]


def tickets(checks: Checks, *, account: str, orders: Sequence[pb.OrderTicket], one_cancels_all: bool) -> list[Ticket]:
    """The orders of a request. What is wrong with them is noted in `checks`."""
    checks.account("account_id", account)
    checks.holds("orders", bool(orders), "needs at least one order")
    checks.holds("orders", len(orders) <= MOST_ORDERS, f"may have at most {MOST_ORDERS} orders", len(orders))
    _belong_together(checks, orders, one_cancels_all=one_cancels_all)
    return [
        _ticket(checks, f"orders[{index}]", account, order, one_cancels_all=one_cancels_all)
        for index, order in enumerate(orders[:MOST_ORDERS])
    ]


def message_ids(checks: Checks, field: str, ids: Sequence[str], *, most: int = 100) -> frozenset[str]:
    """Ids of warnings, such as o163."""
    checks.holds(field, len(ids) <= most, f"may have at most {most} ids", len(ids))
    for index, each in enumerate(ids[:most]):
        checks.holds(f"{field}[{index}]", is_message_id(each), "must be the id of a warning such as o163", each)
    return frozenset(ids)


def order_id(checks: Checks, field: str, text: str) -> str:
    """IBKR's id of an order."""
    checks.holds(field, bool(_ORDER_ID.fullmatch(text)), "must be IBKR's id of an order, digits alone", text)
    return text


def client_order_id(checks: Checks, field: str, text: str) -> str:
    """A caller's id of an order."""
    rule = "must be 1 to 64 letters, digits or any of -_.:/+#"
    checks.holds(field, bool(_CLIENT_ORDER_ID.fullmatch(text)), rule, text)
    return text


def prices(
    checks: Checks,
    place: Callable[[str], str],
    *,
    order_type: int,
    limit: Decimal | None,
    stop: Decimal | None,
    trailing: Decimal | None,
    trailing_unit: int,
) -> dict[str, Any]:
    """The prices as members of the order object.

    Args:
        checks: collects what is wrong.
        place: the path of a field in the request, by its name.
        order_type: which of them it needs and takes.
        limit: the limit price, if given.
        stop: the stop price, if given.
        trailing: the trailing amount, if given.
        trailing_unit: what that counts.
    """
    name = vocabulary.TYPES.get(order_type, "such")
    for field, given, needed, allowed in (
        ("limit_price", limit, _LIMIT_NEEDED, _LIMIT_ALLOWED),
        ("stop_price", stop, _STOP_NEEDED, _STOP_ALLOWED),
        ("trailing_amount", trailing, TRAILING, TRAILING),
    ):
        if given is None:
            checks.holds(place(field), order_type not in needed, f"is required by {name} orders")
        else:
            checks.holds(place(field), order_type in allowed, f"has no meaning in {name} orders", given)
    members: dict[str, Any] = {}
    if order_type in _STOP_IS_PRICE:
        members["price"] = stop
    else:
        members["price"], members["auxPrice"] = limit, stop
    if trailing is not None:
        members["trailingAmt"] = trailing
        members["trailingType"] = "%" if trailing_unit == pb.TRAILING_UNIT_PERCENT else "amt"
    return {member: value for member, value in members.items() if value is not None}


def _ticket(checks: Checks, place: str, account: str, order: pb.OrderTicket, *, one_cancels_all: bool) -> Ticket:
    def at(field: str) -> str:
        return f"{place}.{field}"

    def decimal(field: str, *, positive: bool = True) -> Decimal | None:
        return checks.decimal(at(field), getattr(order, field), positive=positive) if order.HasField(field) else None  # type: ignore[arg-type]

    checks.chosen(at("side"), order.side, vocabulary.SIDES, "BUY or SELL")
    checks.chosen(at("order_type"), order.order_type, vocabulary.TYPES, "one of OrderType")
    checks.chosen(at("time_in_force"), order.time_in_force, vocabulary.TIMES, "one of TimeInForce")
    contract = _contract(checks, at, order)
    combination = ";;;" in order.conidex
    body: dict[str, Any] = {
        "acctId": account,
        **contract,
        "orderType": vocabulary.TYPES.get(order.order_type, ""),
        "side": vocabulary.SIDES.get(order.side, ""),
        "tif": vocabulary.TIMES.get(order.time_in_force, ""),
        "outsideRTH": order.outside_regular_hours,
    }
    body |= _size(checks, at, decimal, order)
    body |= prices(
        checks,
        at,
        order_type=order.order_type,
        limit=decimal("limit_price", positive=not combination),
        stop=decimal("stop_price", positive=not combination),
        trailing=decimal("trailing_amount"),
        trailing_unit=order.trailing_unit,
    )
    body |= _options(checks, at, order)
    identity = ""
    if order.parent_client_order_id:
        body["parentId"] = order.parent_client_order_id
        rule = "must be empty for the child of a bracket, which IBKR finds by its parent"
        checks.holds(at("client_order_id"), not order.client_order_id, rule, order.client_order_id)
    else:
        identity = order.client_order_id or f"bz-{secrets.token_hex(8)}"
        client_order_id(checks, at("client_order_id"), identity)
        body["cOID"] = identity
    if one_cancels_all:
        body["isSingleGroup"] = True
    return Ticket(
        account=account,
        client_order_id=identity,
        conidex=order.conidex or str(order.conid),
        side=body["side"],
        quantity=order.quantity or order.cash_quantity or order.fx_quantity,
        order_type=body["orderType"],
        body=body,
    )


def _contract(checks: Checks, at: Callable[[str], str], order: pb.OrderTicket) -> dict[str, Any]:
    if order.conid and order.conidex:
        checks.refuse(at("conidex"), "must be empty when conid is given", order.conidex)
    if order.conidex:
        legs = order.conidex.partition(";;;")[2]
        good = _CONIDEX.fullmatch(order.conidex) and (";;;" not in order.conidex or _LEGS.fullmatch(legs))
        checks.holds(
            at("conidex"), bool(good), "must be conid@EXCHANGE, or spread;;;conid/ratio,conid/ratio", order.conidex
        )
        return {"conidex": order.conidex}
    checks.conid(at("conid"), order.conid)
    return {"conid": order.conid}


def _size(
    checks: Checks, at: Callable[[str], str], decimal: Callable[..., Decimal | None], order: pb.OrderTicket
) -> dict[str, Any]:
    sizes = {"quantity": "quantity", "cash_quantity": "cashQty", "fx_quantity": "fxQty"}
    given = [field for field in sizes if order.HasField(field)]  # type: ignore[arg-type]
    if not given:
        checks.refuse(at("quantity"), "is required, or else cash_quantity or fx_quantity")
    for extra in given[1:]:
        checks.refuse(at(extra), f"must not be given together with {given[0]}")
    if order.HasField("fx_quantity"):
        checks.holds(at("currency_conversion"), order.currency_conversion, "must be true with fx_quantity")
    return {sizes[field]: decimal(field) for field in given}


def _options(checks: Checks, at: Callable[[str], str], order: pb.OrderTicket) -> dict[str, Any]:
    texts = {
        "security_type": "secType",
        "routing_exchange": "listingExchange",
        "algorithm": "strategy",
        "referrer": "referrer",
        "external_operator": "extOperator",
        "allocation_method": "allocationMethod",
        "tax_optimizer_id": "taxOptimizerId",
    }
    flags = {
        "all_or_none": "allOrNone",
        "price_management_algo": "useAdaptive",
        "currency_conversion": "isCcyConv",
        "staged": "deactivated",
        "closes_position": "isClose",
    }
    body: dict[str, Any] = {
        member: checks.text(at(field), getattr(order, field), longest=64)
        for field, member in texts.items()
        if getattr(order, field)
    }
    body |= {member: True for field, member in flags.items() if getattr(order, field)}
    if order.HasField("manual_indicator"):
        body["manualIndicator"] = order.manual_indicator
    if order.algorithm_parameters:
        checks.holds(at("algorithm"), bool(order.algorithm), "is required with algorithm_parameters")
        checks.holds(at("algorithm_parameters"), len(order.algorithm_parameters) <= 50, "may have at most 50 entries")
        for name, value in order.algorithm_parameters.items():
            checks.text(at(f"algorithm_parameters[{name[:40]}]"), value)
        body["strategyParameters"] = dict(order.algorithm_parameters)
    return body


def _belong_together(checks: Checks, orders: Sequence[pb.OrderTicket], *, one_cancels_all: bool) -> None:
    """Several orders must be one bracket or one group: IBKR forbids others in one call."""
    named = [order.client_order_id for order in orders if order.client_order_id]
    for index, order in enumerate(orders):
        if order.client_order_id and named.count(order.client_order_id) > 1:
            checks.refuse(f"orders[{index}].client_order_id", "must be unique", order.client_order_id)
    parents = {order.client_order_id for order in orders if order.client_order_id and not order.parent_client_order_id}
    for index, order in enumerate(orders):
        parent = order.parent_client_order_id
        if parent and parent not in parents and not _ORDER_ID.fullmatch(parent):
            rule = "must be the client_order_id of an order in this request, or IBKR's id of one sent before"
            checks.refuse(f"orders[{index}].parent_client_order_id", rule, parent)
    if one_cancels_all:
        checks.holds("one_cancels_all", len(orders) > 1, "needs several orders")
        return
    families = {order.parent_client_order_id or order.client_order_id or f"#{at}" for at, order in enumerate(orders)}
    if len(orders) > 1 and len(families) > 1:
        checks.refuse(
            "orders",
            "must belong together: a bracket whose children name their parent, or one_cancels_all; "
            "send unrelated orders one by one",
        )
