// A page that shows the session, the quote of AAPL and the open orders as they change, over gRPC-Web.
//
// Envoy is at 127.0.0.1:8080 unless the page's address says otherwise: ?server=https://host:port
import {
  type Bezant,
  BezantError,
  Code,
  connect,
  type Event,
  EventTopic,
  type Order,
  OrderStatus,
  type Quote,
  type Session,
  SessionState,
} from "@bezant/client/web";

const server = new URLSearchParams(location.search).get("server") ?? "http://127.0.0.1:8080";
const open = new Map<string, Order>();

async function show(bezant: Bezant): Promise<void> {
  const { contract } = await bezant.contracts.resolveContract({ symbol: "AAPL" });
  const conid = contract!.conid;
  const topics = [EventTopic.SESSION, EventTopic.ORDERS, { topic: EventTopic.MARKETDATA, conid }];
  // First the changes, then what they change: nothing happens in between that would not be seen.
  const following = await bezant.followEvents({ topics });
  await showAll(bezant, conid);
  for await (const item of following) {
    if (item.case === "missed") {
      await showAll(bezant, conid);
    } else {
      showEvent(item.event);
    }
  }
}

async function showAll(bezant: Bezant, conid: bigint): Promise<void> {
  const { session } = await bezant.session.getSession({});
  showSession(session!);
  const { quotes } = await bezant.marketData.getQuotes({ conids: [conid] });
  quotes.forEach(showQuote);
  const { orders } = await bezant.orders.listOrders({ accountId: session!.selectedAccount });
  open.clear();
  showOrders(orders);
}

function showEvent({ payload }: Event): void {
  switch (payload.case) {
    case "sessionUpdate":
      showSession(payload.value.session!);
      break;
    case "quote":
      showQuote(payload.value);
      break;
    case "orderUpdate":
      showOrders(payload.value.orders.map((each) => each.order!));
  }
}

function showSession(session: Session): void {
  put("session", SessionState[session.state]);
  put("account", session.selectedAccount);
}

/** What a quote does not say has not changed. */
function showQuote({ bidPrice, askPrice }: Quote): void {
  if (bidPrice !== undefined) {
    put("bid", bidPrice);
  }
  if (askPrice !== undefined) {
    put("ask", askPrice);
  }
}

function showOrders(changed: Order[]): void {
  for (const order of changed) {
    if (order.isTerminal) {
      open.delete(order.orderId);
    } else {
      open.set(order.orderId, order);
    }
  }
  const rows = [...open.values()].map((order) => {
    const row = document.createElement("tr");
    row.dataset["order"] = order.clientOrderId;
    for (const text of [order.description, OrderStatus[order.status], order.filledQuantity ?? "?"]) {
      row.insertCell().textContent = text;
    }
    return row;
  });
  document.getElementById("orders")!.replaceChildren(...rows);
}

function put(id: string, text: string): void {
  document.getElementById(id)!.textContent = text;
}

try {
  await show(connect({ baseUrl: server }));
} catch (error) {
  const unreachable = error instanceof BezantError && error.code === Code.Unavailable;
  const hint = unreachable ? `: does it run, and is ${location.origin} one of its BEZANT_CORS_ORIGINS?` : "";
  put("problem", `${server}: ${error instanceof Error ? error.message : error}${hint}`);
}
