"""A trader's calls to OrdersService."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from bezant.v1 import order_pb2
from bezant.v1 import orders_service_pb2 as pb
from bezant.v1 import orders_service_pb2_grpc as pb_grpc
from tests.support.typed import AAPL, ACCOUNT, TypedServer

SAP = 14204
BUY, SELL = order_pb2.ORDER_SIDE_BUY, order_pb2.ORDER_SIDE_SELL
LIMIT, MARKET = order_pb2.ORDER_TYPE_LIMIT, order_pb2.ORDER_TYPE_MARKET
DAY, GTC = order_pb2.TIME_IN_FORCE_DAY, order_pb2.TIME_IN_FORCE_GTC
_WAIT_SECS = 30.0


def limit(price: str = "229.90", **changes: Any) -> pb.OrderTicket:
    """Buy one AAPL below the market: taken without a question, and not filled."""
    fields: dict[str, Any] = {
        "conid": AAPL,
        "side": BUY,
        "order_type": LIMIT,
        "time_in_force": DAY,
        "quantity": "1",
        "limit_price": price,
    }
    return pb.OrderTicket(**{name: value for name, value in (fields | changes).items() if value is not None})


def market(**changes: Any) -> pb.OrderTicket:
    """Buy one AAPL at the market: IBKR asks o10151 first."""
    return limit(**{"order_type": MARKET, "limit_price": None, **changes})


class Trader:
    """Calls, with the paper gateway's only account filled in."""

    def __init__(self, server: TypedServer, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.stub = pb_grpc.OrdersServiceStub(channel)

    def quiet_market(self) -> None:
        """Let AAPL stand still at 230."""
        self.server.paper.control("/quotes", {"conid": AAPL, "bid": 230.0, "ask": 230.02})

    async def place(self, *orders: pb.OrderTicket, agreed: tuple[str, ...] = (), **options: Any) -> list[Any]:
        request = pb.PlaceOrdersRequest(account_id=ACCOUNT, orders=orders, agreed_message_ids=agreed, **options)
        return list((await self.stub.PlaceOrders(request)).outcomes)

    async def accepted(self, *orders: pb.OrderTicket) -> str:
        """The order id of the first order, which must have been accepted."""
        outcome = (await self.place(*orders))[0]
        assert outcome.WhichOneof("outcome") == "accepted", outcome
        return str(outcome.accepted.order_id)

    async def order(self, order_id: str) -> order_pb2.Order:
        request = pb.GetOrderRequest(order_id=order_id, account_id=ACCOUNT)
        return (await self.stub.GetOrder(request)).order

    async def until(self, order_id: str, condition: Callable[[order_pb2.Order], bool]) -> order_pb2.Order:
        async with asyncio.timeout(_WAIT_SECS):
            while not condition(order := await self.order(order_id)):  # noqa: ASYNC110  the gateway does not tell
                await asyncio.sleep(0.05)
        return order

    def at_the_gateway(self, client_order_id: str) -> int:
        """How many orders of that client order id the gateway has."""
        orders = self.server.paper.state()["orders"]
        return sum(order.get("order_ref") == client_order_id for order in orders)


def kinds(outcomes: list[Any]) -> list[str]:
    return [outcome.WhichOneof("outcome") for outcome in outcomes]
