"""Tells the log what happens to orders and sessions: one line each, without secrets."""

from __future__ import annotations

import logging
from typing import Any

from bezant_server.paper.order_state import CANCELLED, FILLED, SUBMITTED, Order
from bezant_server.paper.session import StatusChange

logger = logging.getLogger(__name__)


class Journal:
    """Listens to the order desk and to the session."""

    def order_changed(self, order: Order, payload: dict[str, Any]) -> None:
        status = payload.get("status")
        if status in {SUBMITTED, FILLED, CANCELLED}:
            spec = order.spec
            logger.info(
                "order %d of %s, %s %g %s %s: %s",
                order.order_id,
                spec.account,
                spec.side,
                spec.quantity,
                spec.instrument.description,
                spec.order_type,
                status,
            )

    def session_changed(self, change: StatusChange) -> None:
        logger.info("session: %s", ", ".join(f"{name} {value}" for name, value in change.args.items()))
