"""The orders and executions that the gateway shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bezant.v1 import order_pb2
from bezant_server.cpapi import document
from bezant_server.cpapi.client import segment
from bezant_server.cpapi.document import Row
from bezant_server.errors import OrderNotFound
from bezant_server.orders import decode
from bezant_server.session.typed import TypedGateway

MOST_LISTED = 1000
"""Orders that the gateway lists (IBKR's documentation)."""

_LIVE = "/iserver/account/orders"


@dataclass(frozen=True, slots=True)
class Listing:
    """The orders of an account.

    Attributes:
        rows: as the gateway shows them.
        complete: whether it says that these are all.
    """

    rows: list[Row]
    complete: bool

    @property
    def ready(self) -> bool:
        """Whether it can be believed at all: one that is being made is empty, and does not say that it is complete."""
        return self.complete or bool(self.rows)

    def of(self, client_order_id: str) -> Row | None:
        """The order with that client order id; the newest of several."""
        return next((row for row in self.rows if row.text("order_ref") == client_order_id), None)

    def numbered(self, order_id: str) -> Row | None:
        """The order with that id of IBKR's."""
        return next((row for row in self.rows if row.text("orderId") == order_id), None)


class Book:
    """Reads orders and executions.

    Args:
        gateway: where it asks.
    """

    def __init__(self, gateway: TypedGateway) -> None:
        self._gateway = gateway

    async def live(self, account: str) -> Listing:
        """The orders of an account, today's filled and cancelled ones included.

        `filters` is never sent: it would silence the order channel for everyone (IBKR's documentation). Where another
        program has sent one through us, the gateway is told to begin anew.
        """
        if self._gateway.orders_filtered:
            await self._gateway.read(_LIVE, query=[("force", "true")], account=account)
        answer = await self._gateway.read_settled(
            _LIVE, query=[("accountId", account)], account=account, is_empty=_is_loading, always=True
        )
        body = Row(answer, "")
        rows = body.rows("orders")
        return Listing(rows, complete=body.boolean("snapshot") is True and len(rows) < MOST_LISTED)

    async def status(self, order_id: str, account: str = "") -> order_pb2.Order:
        """One order, by IBKR's id.

        The status of one order is told for the selected account only; for another, the list is looked through.

        Raises:
            OrderNotFound: there is none.
        """
        try:
            return decode.order_status(
                await self._gateway.read(f"/iserver/account/order/status/{segment(order_id)}", account=account)
            )
        except OrderNotFound:
            if not account:
                raise
        row = (await self.live(account)).numbered(order_id)
        if row is not None:
            return decode.order(row)
        raise OrderNotFound(f"account {account} has no order {order_id} in this session")

    async def by_client_order_id(self, account: str, client_order_id: str) -> order_pb2.Order:
        """One order, by the id that its sender gave it.

        Raises:
            OrderNotFound: there is none.
        """
        listing = await self.live(account)
        row = listing.of(client_order_id)
        if row is not None:
            return decode.order(row)
        doubt = "" if listing.complete else "; the gateway does not say that its list is complete"
        raise OrderNotFound(f"account {account} has no order with client order id '{client_order_id}'{doubt}")

    async def executions(self, account: str, days: int) -> list[Row]:
        """The executions of an account (the selected one if empty) of so many days, in the gateway's order."""
        query = [("days", str(days))]
        if account:
            query.append(("accountId", account))
        answer = await self._gateway.read_settled(
            "/iserver/account/trades", query=query, account=account, is_empty=_is_nothing
        )
        return document.rows(answer, "")


def _is_loading(answer: Any) -> bool:
    """`{"orders": [], "snapshot": false}`: the list is being made."""
    return isinstance(answer, dict) and not answer.get("orders") and answer.get("snapshot") is not True


def _is_nothing(answer: Any) -> bool:
    return not answer
