// Quotes AAPL, buys a share at the offer in a bracket of stop and target, and follows the three orders to the end.
//
//   npm run bracket -- 127.0.0.1:50051
import { randomUUID } from "node:crypto";
import {
  BezantError,
  connect,
  Decimal,
  EventTopic,
  OrderSide,
  OrderStatus,
  OrderType,
  TimeInForce,
  type Order,
} from "@bezant/client/node";

const bezant = connect({ address: process.argv[2] ?? "127.0.0.1:50051" });

async function main(): Promise<void> {
  const { session } = await bezant.session.getSession({});
  if (!session?.canTrade) {
    throw new Error(`no orders can be sent: ${session?.nextActionText}`);
  }
  const { contract } = await bezant.contracts.resolveContract({ symbol: "AAPL" });
  const conid = contract!.conid;
  const { quotes } = await bezant.marketData.getQuotes({ conids: [conid] });
  const [bid, ask] = [Decimal.of(quotes[0]?.bidPrice), Decimal.of(quotes[0]?.askPrice)];
  if (bid === undefined || ask === undefined) {
    throw new Error("AAPL is not quoted at present");
  }
  console.log(`quote ${bid} / ${ask}`);

  // From before the order is sent, so that nothing of it is missed.
  const following = await bezant.followEvents({ topics: [EventTopic.ORDERS, EventTopic.TRADES] });
  const entry = `bracket-${randomUUID()}`;
  const exit = { conid, side: OrderSide.SELL, timeInForce: TimeInForce.GTC, quantity: "1", parentClientOrderId: entry };
  const { outcomes } = await bezant.orders.placeOrders({
    accountId: session.selectedAccount,
    orders: [
      {
        conid,
        side: OrderSide.BUY,
        orderType: OrderType.LIMIT,
        timeInForce: TimeInForce.DAY,
        quantity: "1",
        limitPrice: `${ask}`,
        clientOrderId: entry,
      },
      { ...exit, orderType: OrderType.STOP, stopPrice: `${bid.minus(Decimal.parse("5"))}` },
      { ...exit, orderType: OrderType.LIMIT, limitPrice: `${bid.plus(Decimal.parse("2"))}` },
    ],
    // That a stop order may fill far from its stop price.
    agreedMessageIds: ["o10331"],
  });
  const names = new Map<string, string>();
  for (const [index, { outcome }] of outcomes.entries()) {
    if (outcome.case !== "accepted") {
      throw new Error(`the bracket was not taken: ${outcome.case} ${JSON.stringify(outcome.value)}`);
    }
    names.set(outcome.value.orderId, ["entry", "stop", "target"][index]!);
  }

  const open = new Set(names.keys());
  const fills = new Set<string>();
  for await (const item of following) {
    if (item.case === "missed") {
      throw new Error(`events before cursor ${item.headCursor} were missed: look at the orders`);
    }
    const { payload } = item.event;
    if (payload.case === "executionUpdate") {
      // An execution comes again when its commission is known.
      for (const fill of payload.value.executions.filter((each) => names.has(each.orderId))) {
        if (!fills.has(fill.executionId)) {
          fills.add(fill.executionId);
          console.log(`${names.get(fill.orderId)} fill ${fill.quantity} at ${fill.price}`);
        }
      }
    } else if (payload.case === "orderUpdate") {
      for (const { order } of payload.value.orders) {
        if (order?.isTerminal && open.delete(order.orderId)) {
          console.log(`${names.get(order.orderId)} ${said(order)}`);
        }
      }
    }
    if (open.size === 0 && fills.size >= 2) {
      break;
    }
  }
}

function said(order: Order): string {
  return OrderStatus[order.status].toLowerCase();
}

try {
  await main();
} catch (error) {
  console.error(error instanceof BezantError ? `${error.reason}: ${error.message}` : error);
  process.exitCode = 1;
} finally {
  bezant.close();
}
