"""One order's life: its statuses, and the rows in which IBKR shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bezant_server.paper.validation import STOP_TYPES, OrderSpec

INACTIVE = "Inactive"
PENDING_SUBMIT = "PendingSubmit"
PRE_SUBMITTED = "PreSubmitted"
SUBMITTED = "Submitted"
FILLED = "Filled"
PENDING_CANCEL = "PendingCancel"
CANCELLED = "Cancelled"
FINAL = frozenset({FILLED, CANCELLED})

FILTERS = {
    "inactive": INACTIVE,
    "pending_submit": PENDING_SUBMIT,
    "pre_submitted": PRE_SUBMITTED,
    "submitted": SUBMITTED,
    "filled": FILLED,
    "pending_cancel": PENDING_CANCEL,
    "pre_cancelled": "PreCancelled",
    "cancelled": CANCELLED,
    "warn_state": "WarnState",
}

# What order/status and live orders call an order of that status: its code and its text.
_CCP_CODE = {FILLED: "2", CANCELLED: "4", PENDING_CANCEL: "6", PENDING_SUBMIT: "A"}
_CCP_TEXT = {PENDING_SUBMIT: "Pending Submit", PENDING_CANCEL: "Pending Cancel", INACTIVE: "Inactive"}
_DESCRIPTION = {
    FILLED: "Order Filled",
    CANCELLED: "Order Cancelled",
    PENDING_CANCEL: "Order Cancel Pending",
    INACTIVE: "Order Inactive",
    PENDING_SUBMIT: "Order Pending Submit",
}
_COLOURS = {
    SUBMITTED: ("#000000", "#00F000"),
    PRE_SUBMITTED: ("#FFFFFF", "#0000CC"),
    FILLED: ("#FFFFFF", "#000000"),
    CANCELLED: ("#FFFFFF", "#CC0000"),
}
_PENDING_COLOURS = ("#FFFFFF", "#3399CC")
_TYPE_NAMES = {
    "LMT": ("LIMIT", "Limit"),
    "MKT": ("MARKET", "Market"),
    "STP": ("STP", "Stop"),
    "STOP_LIMIT": ("STOP_LIMIT", "Stop Limit"),
    "MIDPRICE": ("MIDPRICE", "MidPrice"),
    "TRAIL": ("TRAILING_STOP", "Trailing Stop"),
    "TRAILLMT": ("TRAILING_STOP_LIMIT", "Trailing Stop Limit"),
}


@dataclass(slots=True)
class Order:
    """An order IBKR has accepted."""

    order_id: int
    spec: OrderSpec
    updated_at: float
    working_from: float
    expires_at: float | None
    status: str = INACTIVE
    filled: float = 0.0
    cost: float = 0.0
    parent: int | None = None
    group: str | None = None
    held: bool = False
    triggered: bool = False
    trail_stop: float | None = None
    reason: str | None = None

    @property
    def remaining(self) -> float:
        return round(self.spec.quantity - self.filled, 8)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def average_price(self) -> float | None:
        return self.cost / self.filled if self.filled else None

    @property
    def waits_for_trigger(self) -> bool:
        return self.spec.order_type in STOP_TYPES and not self.triggered


def status_delta(order: Order) -> dict[str, Any]:
    """What an order channel sends when only the status has changed."""
    background, foreground = _COLOURS.get(order.status, _PENDING_COLOURS)
    return {
        "acct": order.spec.account,
        "orderId": order.order_id,
        "status": order.status,
        "order_ccp_status": _CCP_TEXT.get(order.status, order.status),
        "bgColor": background,
        "fgColor": foreground,
    }


def marker(order: Order) -> dict[str, Any]:
    """The row without news that follows a new order's first."""
    conid = order.spec.instrument.conid
    return {
        "acct": order.spec.account,
        "conid": conid,
        "conidex": str(conid),
        "orderId": order.order_id,
        "isEventTrading": "0",
    }


def fill_delta(order: Order) -> dict[str, Any]:
    """What an order channel sends on a fill; the last one carries the status too."""
    delta = {
        "acct": order.spec.account,
        "orderId": order.order_id,
        "sizeAndFills": _size_and_fills(order),
        "remainingQuantity": order.remaining,
        "filledQuantity": order.filled,
        "avgPrice": _average(order),
    }
    if order.status == FILLED:
        delta |= {"orderDesc": _description(order)} | status_delta(order)
    return delta


def live_row(order: Order) -> dict[str, Any]:
    """A row of `/iserver/account/orders`, and the full row of the order channel."""
    spec, instrument = order.spec, order.spec.instrument
    background, foreground = _COLOURS.get(order.status, _PENDING_COLOURS)
    original, shown = _TYPE_NAMES[spec.order_type]
    row: dict[str, Any] = {
        "acct": spec.account,
        "conidex": str(instrument.conid),
        "conid": instrument.conid,
        "account": spec.account,
        "orderId": order.order_id,
        "cashCcy": instrument.currency,
        "sizeAndFills": _size_and_fills(order),
        "orderDesc": _description(order),
        "description1": instrument.symbol,
        "ticker": instrument.symbol,
        "secType": instrument.sec_type,
        "listingExchange": instrument.wire_listing,
        "remainingQuantity": order.remaining,
        "filledQuantity": order.filled,
        "totalSize": spec.quantity,
        "companyName": instrument.name,
        "status": order.status,
        "order_ccp_status": _CCP_TEXT.get(order.status, order.status),
        "origOrderType": original,
        "supportsTaxOpt": "1",
        "lastExecutionTime": _stamp(order.updated_at),
        "orderType": shown,
        "bgColor": background,
        "fgColor": foreground,
        "isEventTrading": "0",
        "price": "" if spec.limit_price is None else instrument.format(spec.limit_price),
        "timeInForce": "CLOSE" if spec.tif == "DAY" else spec.tif,
        "lastExecutionTime_r": int(order.updated_at) * 1000,
        "side": spec.side,
    }
    if instrument.expiry:
        row["description2"] = instrument.description
    if spec.outside_rth:
        row["outsideRTH"] = True
    if order.filled:
        row["avgPrice"] = _average(order)
    if spec.coid:
        row["order_ref"] = spec.coid
    if order.parent is not None:
        row["parentId"] = order.parent
    stop = order.trail_stop or spec.stop_price
    if stop is not None:
        row["auxPrice"] = row["stop_price"] = instrument.format(stop)
    if order.reason:
        row["order_cancellation_by_system_reason"] = order.reason
    return row


def status_row(order: Order) -> dict[str, Any]:
    """The body of `/iserver/account/order/status/{id}`."""
    spec, instrument = order.spec, order.spec.instrument
    background, foreground = _COLOURS.get(order.status, _PENDING_COLOURS)
    description = _description(order)
    limit = "" if spec.limit_price is None else instrument.format(spec.limit_price)
    row: dict[str, Any] = {
        "sub_type": None,
        "request_id": str(order.order_id % 100_000),
        "server_id": "0",
        "order_id": order.order_id,
        "conidex": str(instrument.conid),
        "conid": instrument.conid,
        "symbol": instrument.symbol,
        "side": spec.side[0],
        "contract_description_1": instrument.symbol,
        "listing_exchange": instrument.wire_listing,
        "option_acct": "c",
        "company_name": instrument.name,
        "size": str(order.remaining),
        "total_size": str(spec.quantity),
        "currency": instrument.currency,
        "account": spec.account,
        "order_type": _TYPE_NAMES[spec.order_type][0],
        "limit_price": limit,
        "cum_fill": str(order.filled),
        "order_status": order.status,
        "order_ccp_status": _CCP_CODE.get(order.status, "0"),
        "order_status_description": _DESCRIPTION.get(order.status, "Order Submitted"),
        "tif": spec.tif,
        "fg_color": foreground,
        "bg_color": background,
        "order_not_editable": order.is_final,
        "editable_fields": "\x1e",
        "cannot_cancel_order": order.is_final,
        "outside_rth": spec.outside_rth,
        "deactivate_order": spec.deactivated,
        "use_price_mgmt_algo": False,
        "sec_type": instrument.sec_type,
        "available_chart_periods": "#R|1",
        "order_description": description,
        "order_description_with_contract": description,
        "alert_active": 1,
        "child_order_type": "3" if order.parent is not None else "0",
        "order_clearing_account": spec.account,
        "size_and_fills": _size_and_fills(order),
        "exit_strategy_display_price": limit,
        "exit_strategy_chart_description": description,
        "exit_strategy_tool_availability": "1",
        "allowed_duplicate_opposite": True,
        "order_time": _stamp(order.updated_at),
    }
    if order.filled:
        row["average_price"] = _average(order)
    stop = order.trail_stop or spec.stop_price
    if stop is not None:
        row["stop_price"] = instrument.format(stop)
    return row


def place_row(order: Order) -> dict[str, Any]:
    """One element of the answer to an order that was taken."""
    row: dict[str, Any] = {
        "order_id": str(order.order_id),
        "order_status": order.status,
        "encrypt_message": "1",
    }
    if order.spec.coid:
        row["local_order_id"] = order.spec.coid
    if order.parent is not None:
        row["parent_order_id"] = str(order.parent)
    if order.group is not None:
        row["oca_group_id"] = order.group
    return row


def _average(order: Order) -> str:
    return order.spec.instrument.format(order.average_price or 0.0)


def _size_and_fills(order: Order) -> str:
    total = f"{order.spec.quantity:g}"
    return total if order.status == FILLED else f"{order.filled:g}/{total}"


def _description(order: Order) -> str:
    spec, instrument = order.spec, order.spec.instrument
    tif = "Day" if spec.tif == "DAY" else spec.tif
    name = _TYPE_NAMES[spec.order_type][1]
    prices = [instrument.format(price) for price in (spec.stop_price, spec.limit_price) if price is not None]
    kind = " ".join([name, *prices])
    if order.status == FILLED:
        verb = "Bought" if spec.side == "BUY" else "Sold"
        return f"{verb} {spec.quantity:g} {instrument.symbol} {kind}, {tif}"
    return f"{spec.side.capitalize()} {spec.quantity:g} {instrument.symbol} {kind}, {tif}"


def _stamp(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%y%m%d%H%M%S}"
