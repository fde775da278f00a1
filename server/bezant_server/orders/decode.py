"""The gateway's JSON about orders as messages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import order_pb2, types_pb2
from bezant.v1 import orders_service_pb2 as pb
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.orders import vocabulary

_STAMP = re.compile(r"[0-9]{12}")
_MONEY = re.compile(r"\s*([-+]?[0-9][0-9,.]*)\s*([A-Z]{3,10})?\b.*", re.DOTALL)


def order(row: Row) -> order_pb2.Order:
    """A row of the live orders, whole or as much of it as a frame of the order channel holds."""
    shown = _shown(row, order_type=row.text("origOrderType", "orderType"), status=row.text("status"))
    shown.MergeFrom(
        order_pb2.Order(
            order_id=row.text("orderId"),
            client_order_id=row.text("order_ref"),
            time_in_force=vocabulary.time_in_force(row.text("timeInForce")),
            raw_time_in_force=row.text("timeInForce"),
            total_quantity=row.decimal("totalSize"),
            filled_quantity=row.decimal("filledQuantity"),
            remaining_quantity=row.decimal("remainingQuantity"),
            limit_price=row.decimal("price"),
            stop_price=row.decimal("stop_price", "auxPrice"),
            average_price=row.decimal("avgPrice"),
            last_changed_at=row.moment("lastExecutionTime_r") or _stamp(row.text("lastExecutionTime")),
        )
    )
    return shown


def order_status(answer: Any) -> order_pb2.Order:
    """The answer of /iserver/account/order/status, which has other names for the same."""
    row = Row(answer, "")
    shown = _shown(row, order_type=row.text("order_type"), status=row.text("order_status"))
    locked, bound = row.boolean("order_not_editable"), row.boolean("cannot_cancel_order")
    shown.MergeFrom(
        order_pb2.Order(
            order_id=row.text("order_id"),
            client_order_id=row.text("order_ref", "local_order_id"),
            time_in_force=vocabulary.time_in_force(row.text("tif")),
            raw_time_in_force=row.text("tif"),
            total_quantity=row.decimal("total_size"),
            filled_quantity=row.decimal("cum_fill"),
            remaining_quantity=row.decimal("size"),
            limit_price=row.decimal("limit_price"),
            stop_price=row.decimal("stop_price"),
            average_price=row.decimal("average_price"),
            last_changed_at=_stamp(row.text("order_time")),
            editable=None if locked is None else not locked,
            cancellable=None if bound is None else not bound,
        )
    )
    return shown


def execution(row: Row) -> order_pb2.Execution:
    """A row of the trades."""
    side = row.text("side")
    return order_pb2.Execution(
        execution_id=row.text("execution_id"),
        order_id=row.text("order_id"),
        client_order_id=row.text("order_ref"),
        account_id=row.text("account", "accountCode", "acct"),
        conid=row.integer("conid") or 0,
        symbol=row.text("symbol", "contract_description_1"),
        contract_description=row.words("contract_description_2"),
        company_name=row.words("company_name"),
        security_type=row.text("sec_type"),
        listing_exchange=row.text("listing_exchange"),
        side=vocabulary.side(side),
        raw_side=side,
        quantity=row.decimal("size"),
        price=row.decimal("price"),
        commission=row.decimal("commission"),
        net_amount=row.decimal("net_amount"),
        executed_at=row.moment("trade_time_r"),
        exchange=row.text("exchange"),
        submitter=row.text("submitter"),
        description=row.words("order_description"),
        is_liquidation=row.boolean("liquidation_trade"),
        clearing_id=row.text("clearing_id"),
        clearing_name=row.text("clearing_name"),
    )


def executions(answer: Any) -> list[order_pb2.Execution]:
    """The answer of /iserver/account/trades."""
    return [execution(row) for row in document.rows(answer, "")]


def preview(answer: Any) -> pb.PreviewOrdersResponse:
    """The answer of …/orders/whatif, all of it formatted text."""
    row = Row(answer, "")
    amount = row.row("amount") or Row({}, "amount")
    return pb.PreviewOrdersResponse(
        amount=_money(amount.text("amount")),
        raw_amount=amount.text("amount"),
        commission=_money(amount.text("commission")),
        raw_commission=amount.text("commission"),
        total=_money(amount.text("total")),
        equity=_change(row.row("equity")),
        initial_margin=_change(row.row("initial")),
        maintenance_margin=_change(row.row("maintenance")),
        position=_change(row.row("position")),
        warning=row.plain("warn"),
    )


def prompt(row: Row) -> pb.OrderPrompt:
    """A prompt with options, as an answer to an order or as a notification."""
    return pb.OrderPrompt(
        order_id=row.text("orderId"),
        request_id=row.text("reqId"),
        text=row.plain("text"),
        options=row.texts("options"),
        message_id=row.text("messageId"),
    )


def _shown(row: Row, *, order_type: str, status: str) -> order_pb2.Order:
    """What live orders and the status of one order have in common."""
    code, side = vocabulary.status(status), row.text("side")
    return order_pb2.Order(
        account_id=row.text("acct", "account"),
        conid=row.integer("conid") or 0,
        conidex=row.text("conidex"),
        symbol=row.text("ticker", "symbol", "description1", "contract_description_1"),
        contract_description=row.words("description2", "contract_description_2"),
        company_name=row.words("companyName", "company_name"),
        security_type=row.text("secType", "sec_type"),
        listing_exchange=row.text("listingExchange", "listing_exchange"),
        currency_code=row.text("cashCcy", "currency"),
        side=vocabulary.side(side),
        raw_side=side,
        order_type=vocabulary.order_type(order_type),
        raw_order_type=order_type,
        status=code,
        raw_status=status,
        is_terminal=code in vocabulary.TERMINAL,
        parent_order_id=row.text("parentId"),
        outside_regular_hours=row.boolean("outsideRTH", "outside_rth"),
        description=row.words("orderDesc", "order_description"),
        size_and_fills=row.text("sizeAndFills", "size_and_fills"),
        reason=row.words("order_cancellation_by_system_reason"),
        raw_ccp_status=row.text("order_ccp_status"),
    )


def _change(row: Row | None) -> pb.PreviewChange | None:
    if row is None:
        return None
    return pb.PreviewChange(current=row.decimal("current"), change=row.decimal("change"), after=row.decimal("after"))


def _money(text: str) -> types_pb2.Money | None:
    """`1,977.60 USD (10 Shares)`; None for what has no single amount, such as a range."""
    match = _MONEY.fullmatch(text)
    if match is None or "..." in text or " - " in text:
        return None
    number = Row({"amount": match[1]}, "").decimal("amount")
    return types_pb2.Money(amount=number or "", currency_code=match[2] or "")


def _stamp(text: str) -> Timestamp | None:
    """`YYMMDDhhmmss`, UTC; None for anything else."""
    if not _STAMP.fullmatch(text):
        return None
    moment = Timestamp()
    try:
        moment.FromDatetime(datetime.strptime(text, "%y%m%d%H%M%S").replace(tzinfo=UTC))
    except ValueError:
        return None
    return moment
