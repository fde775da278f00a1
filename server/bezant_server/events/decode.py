"""Captured frames as messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.timestamp_pb2 import Timestamp

from bezant.v1 import events_service_pb2 as pb
from bezant.v1 import session_service_pb2 as session_pb
from bezant_server.cpapi import document
from bezant_server.cpapi.document import Row
from bezant_server.errors import UpstreamDecodeError
from bezant_server.events.ring import Event
from bezant_server.events.topics import (
    ACCOUNT_SUMMARY,
    BULLETINS,
    GAP,
    LEDGER,
    MARKETDATA,
    NOTIFICATIONS,
    ORDER_OUTCOMES,
    ORDER_UPDATES,
    PNL,
    SESSION,
    TRADES,
)
from bezant_server.marketdata import decode as marketdata
from bezant_server.orders import decode as orders
from bezant_server.portfolio import decode as portfolio

TOPICS: Mapping[int, str] = MappingProxyType(
    {
        pb.EVENT_TOPIC_ORDERS: ORDER_UPDATES,
        pb.EVENT_TOPIC_PNL: PNL,
        pb.EVENT_TOPIC_MARKETDATA: MARKETDATA,
        pb.EVENT_TOPIC_GAP: GAP,
        pb.EVENT_TOPIC_SESSION: SESSION,
        pb.EVENT_TOPIC_NOTIFICATIONS: NOTIFICATIONS,
        pb.EVENT_TOPIC_BULLETINS: BULLETINS,
        pb.EVENT_TOPIC_TRADES: TRADES,
        pb.EVENT_TOPIC_LEDGER: LEDGER,
        pb.EVENT_TOPIC_ACCOUNT_SUMMARY: ACCOUNT_SUMMARY,
        pb.EVENT_TOPIC_ORDER_OUTCOMES: ORDER_OUTCOMES,
    }
)
"""The ring of each topic, by the topic's number; of market data the family."""

_NUMBERS: Mapping[str, pb.EventTopic.ValueType] = MappingProxyType(
    {ring: pb.EventTopic.ValueType(number) for number, ring in TOPICS.items()}
)
_CURRENCY = re.compile(r"LedgerList([A-Z]{3,10})")


def topic_of(ring: str) -> tuple[pb.EventTopic.ValueType, int]:
    """The topic and the conid of a ring."""
    family, _, conid = ring.partition(":")
    return _NUMBERS[family], int(conid or 0)


def event(captured: Event, *, include_raw: bool, merged: int = 0, payload: bytes | None = None) -> pb.Event:
    """A captured frame. One that cannot be understood is given as it came, with the reason."""
    topic, conid = topic_of(captured.topic)
    frame = captured.payload if payload is None else payload
    made = pb.Event(
        topic=topic,
        conid=conid,
        cursor=captured.cursor,
        reset_epoch=captured.reset_epoch,
        received_at=_moment(captured.received_at_ms),
        merged=merged,
    )
    try:
        content = Row(document.parse(frame), "")
        if content.raw("topic") == GAP:
            made.gap.CopyFrom(_gap(content))
        else:
            _DECODERS[topic](made, content)
    except (ValueError, RecursionError) as error:
        made.decode_error = f"the frame is no JSON: {error}"[:200]
    except UpstreamDecodeError as error:
        made.decode_error = error.message
    if include_raw or made.decode_error:
        made.raw = _raw(frame) if topic == pb.EVENT_TOPIC_ORDERS else frame
    return made


def _raw(frame: bytes) -> bytes:
    """The gateway's frame within the frame of whole orders."""
    _, mark, raw = frame.partition(b',"raw":')
    return raw[:-1] if mark else frame


def _orders(made: pb.Event, content: Row) -> None:
    for row in content.rows("orders"):
        made.order_update.orders.add(order=orders.order(row), complete=row.boolean("complete") is True)
    if not made.order_update.orders:
        made.order_update.SetInParent()


def _pnl(made: pb.Event, content: Row) -> None:
    made.pnl_update.rows.extend(portfolio.pnl_row(key, row) for key, row in content.entries("args"))
    made.pnl_update.SetInParent()


def _quote(made: pb.Event, content: Row) -> None:
    made.quote.CopyFrom(marketdata.quote(content))
    made.quote.conid = made.quote.conid or made.conid


def _executions(made: pb.Event, content: Row) -> None:
    made.execution_update.executions.extend(orders.execution(row) for row in content.rows("args"))
    made.execution_update.SetInParent()


def _session(made: pb.Event, content: Row) -> None:
    session = session_pb.Session()
    try:
        ParseDict({name: content.raw(name) for name in content}, session, ignore_unknown_fields=True)
    except ParseError as error:
        raise UpstreamDecodeError(f"the session cannot be read: {error}") from None
    made.session_update.session.CopyFrom(session)


def _notification(made: pb.Event, content: Row) -> None:
    args = content.row("args") or Row({}, "args")
    made.notification.id = args.text("id", "messageId")
    made.notification.title = args.words("title")
    made.notification.text = args.plain("text")
    made.notification.url = args.text("url")
    if args.text("reqId"):
        made.notification.prompt.CopyFrom(orders.prompt(args))
    made.notification.SetInParent()


def _bulletin(made: pb.Event, content: Row) -> None:
    args = content.row("args") or Row({}, "args")
    made.bulletin.id = args.text("id")
    made.bulletin.text = args.plain("message", "text")
    made.bulletin.SetInParent()


def _ledger(made: pb.Event, content: Row) -> None:
    made.ledger_update.account_id = content.text("topic").partition("+")[2]
    for row in content.rows("result"):
        match = _CURRENCY.fullmatch(row.text("key"))
        currency = row.text("secondKey") or (match[1] if match else "")
        made.ledger_update.entries.append(portfolio.ledger_entry(currency, row))
    made.ledger_update.SetInParent()


def _account_summary(made: pb.Event, content: Row) -> None:
    made.account_summary_update.account_id = content.text("topic").partition("+")[2]
    made.account_summary_update.values.extend(
        portfolio.summary_value(row.text("key"), row) for row in content.rows("result")
    )
    made.account_summary_update.SetInParent()


def _order_outcome(made: pb.Event, content: Row) -> None:
    args = content.row("args") or Row({}, "args")
    outcome = made.order_outcome_update
    outcome.account_id, outcome.client_order_id = args.text("acctId"), args.text("cOID")
    outcome.found = args.boolean("found") is True
    order = args.row("order")
    if order is not None:
        outcome.order.CopyFrom(orders.order(order))
    outcome.SetInParent()


def _gap_event(made: pb.Event, content: Row) -> None:
    made.gap.CopyFrom(_gap(content))


def _gap(content: Row) -> pb.Gap:
    gap = pb.Gap(reason=content.text("reason"), new_reset_epoch=content.integer("new_reset_epoch") or 0)
    ended = content.text("disconnected_at")
    if ended:
        moment = Timestamp()
        try:
            moment.FromJsonString(ended)
        except ValueError:
            return gap
        gap.disconnected_at.CopyFrom(moment)
    return gap


_Decoder = Callable[[pb.Event, Row], None]
_DECODERS: Mapping[Any, _Decoder] = MappingProxyType(
    {
        pb.EVENT_TOPIC_ORDERS: _orders,
        pb.EVENT_TOPIC_PNL: _pnl,
        pb.EVENT_TOPIC_MARKETDATA: _quote,
        pb.EVENT_TOPIC_GAP: _gap_event,
        pb.EVENT_TOPIC_SESSION: _session,
        pb.EVENT_TOPIC_NOTIFICATIONS: _notification,
        pb.EVENT_TOPIC_BULLETINS: _bulletin,
        pb.EVENT_TOPIC_TRADES: _executions,
        pb.EVENT_TOPIC_LEDGER: _ledger,
        pb.EVENT_TOPIC_ACCOUNT_SUMMARY: _account_summary,
        pb.EVENT_TOPIC_ORDER_OUTCOMES: _order_outcome,
    }
)


def _moment(ms: int) -> Timestamp:
    moment = Timestamp()
    moment.FromMilliseconds(ms)
    return moment
