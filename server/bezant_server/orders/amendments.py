"""A change of a working order: IBKR wants the whole order again, with the changes in it."""

from __future__ import annotations

from decimal import Decimal

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as pb
from bezant_server import decimals
from bezant_server.errors import OrderNotEditable, OrderNotOpen
from bezant_server.inputs import Checks
from bezant_server.orders import tickets, vocabulary
from bezant_server.orders.tickets import Ticket

_CHANGES = ("quantity", "limit_price", "stop_price", "trailing_amount", "outside_regular_hours")


def check(checks: Checks, request: pb.ModifyOrderRequest) -> None:
    """What can be checked without the order."""
    checks.account("account_id", request.account_id)
    tickets.order_id(checks, "order_id", request.order_id)
    for field in ("quantity", "limit_price", "stop_price", "trailing_amount"):
        if request.HasField(field):
            checks.decimal(field, getattr(request, field), positive=field in ("quantity", "trailing_amount"))
    if request.order_type:
        checks.chosen("order_type", request.order_type, vocabulary.TYPES, "one of OrderType")
    if request.time_in_force:
        checks.chosen("time_in_force", request.time_in_force, vocabulary.TIMES, "one of TimeInForce")
    changed = any(request.HasField(field) for field in _CHANGES)  # type: ignore[arg-type]
    if not (changed or request.order_type or request.time_in_force):
        checks.refuse("quantity", "or another change is required")


def ticket(request: pb.ModifyOrderRequest, order: order_pb2.Order) -> Ticket:
    """The whole order with the changes in it.

    Raises:
        OrderNotOpen: it is filled or cancelled.
        OrderNotEditable: IBKR says so, or shows it in words that cannot be sent back.
        BadRequest: the changed order lacks a price, or has one that it does not take.
    """
    if order.is_terminal:
        raise OrderNotOpen(f"order {order.order_id} is {order.raw_status}")
    if order.HasField("editable") and not order.editable:
        raise OrderNotEditable(f"IBKR does not let this session change order {order.order_id}")
    order_type = request.order_type or order.order_type
    tif = request.time_in_force or order.time_in_force
    if order_type not in vocabulary.TYPES or tif not in vocabulary.TIMES or order.side not in vocabulary.SIDES:
        raise OrderNotEditable(
            f"order {order.order_id} is shown as '{order.raw_side} {order.raw_order_type} {order.raw_time_in_force}', "
            "which IBKR does not take back: give order_type and time_in_force, or cancel it and place another"
        )
    checks = Checks()
    quantity = _value(request, order, "quantity", "total_quantity")
    keeps_type = order_type == order.order_type
    trailing = request.trailing_amount if request.HasField("trailing_amount") else ""
    # The stop of a working trailing stop has moved: sending it back would pin it where it is.
    keeps_stop = keeps_type and order_type not in tickets.TRAILING
    body = {
        "acctId": request.account_id,
        "conid": order.conid,
        "orderType": vocabulary.TYPES[order_type],
        "side": vocabulary.SIDES[order.side],
        "tif": vocabulary.TIMES[tif],
        "quantity": quantity,
        "outsideRTH": _outside(request, order),
        **tickets.prices(
            checks,
            str,
            order_type=order_type,
            limit=_value(request, order, "limit_price", "limit_price" if keeps_type else ""),
            stop=_value(request, order, "stop_price", "stop_price" if keeps_stop else ""),
            trailing=decimals.parse(trailing),
            trailing_unit=request.trailing_unit,
        ),
    }
    checks.done()
    if request.HasField("manual_indicator"):
        body["manualIndicator"] = request.manual_indicator
    if request.external_operator:
        body["extOperator"] = request.external_operator
    return Ticket(
        account=request.account_id,
        client_order_id=order.client_order_id,
        conidex=str(order.conid),
        side=body["side"],
        quantity=str(quantity or ""),
        order_type=body["orderType"],
        body={member: value for member, value in body.items() if value is not None},
    )


def _value(request: pb.ModifyOrderRequest, order: order_pb2.Order, field: str, shown: str) -> Decimal | None:
    if request.HasField(field):  # type: ignore[arg-type]
        return decimals.parse(getattr(request, field))
    return decimals.parse(getattr(order, shown)) if shown and order.HasField(shown) else None  # type: ignore[arg-type]


def _outside(request: pb.ModifyOrderRequest, order: order_pb2.Order) -> bool:
    if request.HasField("outside_regular_hours"):
        return request.outside_regular_hours
    return order.outside_regular_hours
