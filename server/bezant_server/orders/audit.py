"""One log line for each action on an order: what an operator needs to reconstruct a day. Never a body."""

from __future__ import annotations

import logging

from bezant_server.logs import shorten_accounts
from bezant_server.orders.tickets import Ticket

_log = logging.getLogger(__name__)


def ordered(action: str, ticket: Ticket, *, outcome: str, order_id: str = "", reply_id: str = "") -> None:
    """An order was placed, modified or confirmed, or was to be."""
    _log.info(
        "order",
        extra={
            "action": action,
            "account": shorten_accounts(ticket.account),
            "conid": ticket.conidex,
            "side": ticket.side,
            "quantity": ticket.quantity,
            "order_type": ticket.order_type,
            "client_order_id": ticket.client_order_id,
            "order_id": order_id,
            "reply_id": reply_id,
            "outcome": outcome,
        },
    )


def acted(action: str, *, outcome: str, account: str = "", **ids: str) -> None:
    """Something else was done: an order cancelled, a question answered, warnings suppressed."""
    named = {"account": shorten_accounts(account)} if account else {}
    _log.info("order", extra={"action": action, **named, **ids, "outcome": outcome})
