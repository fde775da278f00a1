"""Buys a stock with a bracket around it, and follows the three orders until nothing more can happen to them.

python bracket.py --agree o10331 [--address 127.0.0.1:50051] [--symbol AAPL] [--quantity 1]

The parent buys at the offer. Its children wait until it is filled: one sells two percent higher, the other stops the
loss two percent lower, and the fill of the one cancels the other. IBKR asks o10331 about every stop.
"""

from __future__ import annotations

import argparse
import os
import secrets
from decimal import Decimal

import bezant
from bezant.v1 import order_pb2 as orders
from bezant.v1.contracts_service_pb2 import ResolveContractRequest
from bezant.v1.events_service_pb2 import EVENT_TOPIC_ORDERS, EVENT_TOPIC_TRADES, Event
from bezant.v1.marketdata_service_pb2 import GetQuotesRequest
from bezant.v1.orders_service_pb2 import ConfirmOrderRequest, OrderTicket, PlaceOrdersRequest
from bezant.v1.session_service_pb2 import GetSessionRequest

CENT = Decimal("0.01")
DISTANCE = Decimal("0.02")


def main() -> None:
    parser = argparse.ArgumentParser(description="Buy a stock with a bracket around it.")
    parser.add_argument("--address", default="127.0.0.1:50051", help="host and port of the server")
    parser.add_argument("--symbol", default="AAPL")
    parser.add_argument("--quantity", default="1", type=Decimal)
    parser.add_argument("--agree", action="append", default=[], help="a warning to agree to in advance, such as o10331")
    args = parser.parse_args()

    with bezant.connect(args.address, api_key=os.environ.get("BEZANT_API_KEY")) as client:
        session = client.session.GetSession(GetSessionRequest()).session
        if not session.can_trade:
            raise SystemExit(f"{session.cause}: {session.next_action_text}")
        contract = client.contracts.ResolveContract(ResolveContractRequest(symbol=args.symbol)).contract
        offer = quote(client, contract.conid)
        print(f"{args.symbol} is offered at {offer}", flush=True)

        with bezant.follow_events(client, [EVENT_TOPIC_ORDERS, EVENT_TOPIC_TRADES]) as events:
            request = PlaceOrdersRequest(
                account_id=session.selected_account,
                orders=bracket(contract.conid, offer, args.quantity),
                agreed_message_ids=args.agree,
            )
            follow(events, place(client, request))


def quote(client: bezant.Client, conid: int) -> Decimal:
    """The offer of a contract."""
    quotes = client.market_data.GetQuotes(GetQuotesRequest(conids=[conid])).quotes
    offer = bezant.get_decimal(quotes[0], "ask_price")
    if offer is None:
        raise SystemExit("nobody offers it")
    return offer


def bracket(conid: int, offer: Decimal, quantity: Decimal) -> list[OrderTicket]:
    """A parent that buys at the offer, and its children: the target and the stop."""
    parent = OrderTicket(
        conid=conid,
        side=orders.ORDER_SIDE_BUY,
        order_type=orders.ORDER_TYPE_LIMIT,
        time_in_force=orders.TIME_IN_FORCE_DAY,
        quantity=bezant.format_decimal(quantity),
        limit_price=bezant.format_decimal(offer),
        client_order_id=f"bracket-{secrets.token_hex(4)}",
    )
    target = way_out(parent)
    target.order_type = orders.ORDER_TYPE_LIMIT
    target.limit_price = bezant.format_decimal((offer * (1 + DISTANCE)).quantize(CENT))
    stop = way_out(parent)
    stop.order_type = orders.ORDER_TYPE_STOP
    stop.stop_price = bezant.format_decimal((offer * (1 - DISTANCE)).quantize(CENT))
    return [parent, target, stop]


def way_out(parent: OrderTicket) -> OrderTicket:
    """An order that sells what its parent bought; how it is priced is yet to be said."""
    return OrderTicket(
        conid=parent.conid,
        side=orders.ORDER_SIDE_SELL,
        time_in_force=orders.TIME_IN_FORCE_GTC,
        quantity=parent.quantity,
        parent_client_order_id=parent.client_order_id,
    )


def place(client: bezant.Client, request: PlaceOrdersRequest) -> set[str]:
    """Send orders; their ids."""
    ids = set()
    for outcome in client.orders.PlaceOrders(request).outcomes:
        match outcome.WhichOneof("outcome"):
            case "accepted":
                ids.add(outcome.accepted.order_id)
            case "needs_confirmation":
                question = outcome.needs_confirmation
                client.orders.ConfirmOrder(ConfirmOrderRequest(reply_id=question.reply_id, confirmed=False))
                texts = "\n".join(f"{warning.message_id}: {warning.text}" for warning in question.warnings)
                raise SystemExit(f"nothing is placed: IBKR asks first, see --agree\n{texts}")
            case "rejected":
                raise SystemExit(f"refused: {outcome.rejected.reason}")
            case _:
                raise SystemExit(f"nobody knows whether it is placed, so look for it: {outcome.unknown.cause}")
    return ids


def follow(events: bezant.FollowedEvents, ids: set[str]) -> None:
    """Print what happens to orders until they are filled or cancelled, and every fill is known."""
    working = set(ids)
    filled: dict[str, Decimal] = {}
    fills: dict[str, Decimal] = {}
    for event in events:
        if not isinstance(event, Event):
            raise SystemExit("events were missed: look at the orders with OrdersService.ListOrders")
        for order in [state.order for state in event.order_update.orders if state.order.order_id in working]:
            print(f"{order.description}: {orders.OrderStatus.Name(order.status)}", flush=True)
            filled[order.order_id] = bezant.get_decimal(order, "filled_quantity") or Decimal(0)
            if order.is_terminal:
                working.remove(order.order_id)
        # A fill comes again when its commission is known.
        for execution in [each for each in event.execution_update.executions if each.order_id in ids]:
            commission = bezant.get_decimal(execution, "commission")
            fee = "commission to come" if commission is None else f"commission {commission}"
            print(f"fill {execution.execution_id}: {execution.description}, {fee}", flush=True)
            fills[execution.execution_id] = bezant.parse_decimal(execution.quantity)
        if not working and sum(fills.values()) == sum(filled.values()):
            print("done")
            return


if __name__ == "__main__":
    main()
