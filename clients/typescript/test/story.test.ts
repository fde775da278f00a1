import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Bezant,
  BezantError,
  Code,
  connect,
  Decimal,
  type Event,
  EventTopic,
  type Following,
  type Order,
  type OrderOutcome,
  OrderSide,
  OrderStatus,
  OrderType,
  SessionState,
  TimeInForce,
} from "../src/node.js";
import { describeOnStack, post, type Stack } from "./stack.js";

const ACCOUNT = "DU8730189";
const AAPL = 265598n;
const QUOTE_TRIES = 20;

describeOnStack("the story", (stack: Stack) => {
  let client: Bezant;
  beforeAll(() => {
    client = connect({ address: stack.grpc, apiKey: stack.apiKey });
  });
  afterAll(() => client.close());

  function limit(quantity: string, limitPrice: string, clientOrderId = `typescript-${randomUUID()}`) {
    return {
      conid: AAPL,
      side: OrderSide.BUY,
      orderType: OrderType.LIMIT,
      timeInForce: TimeInForce.DAY,
      quantity,
      limitPrice,
      clientOrderId,
    };
  }

  async function position(): Promise<Decimal> {
    const { positions } = await client.portfolio.listPositions({ accountId: ACCOUNT, uncached: true });
    return Decimal.parse(positions.find((each) => each.conid === AAPL)?.quantity ?? "0");
  }

  async function accepted(price: string): Promise<string> {
    const { outcomes } = await client.orders.placeOrders({ accountId: ACCOUNT, orders: [limit("1", price)] });
    return orderIdOf(outcomes);
  }

  test("is the same in every language", { timeout: 90_000 }, async () => {
    const { session } = await client.session.getSession({});
    expect(session?.state).toBe(SessionState.READY);
    expect(session?.canTrade).toBe(true);

    const { accounts } = await client.portfolio.listBrokerageAccounts({});
    expect(accounts.map((each) => each.accountId)).toContain(ACCOUNT);

    const { contract } = await client.contracts.resolveContract({ symbol: "AAPL" });
    expect(contract?.conid).toBe(AAPL);

    const { bid, ask } = await quoted(client);
    expect(bid.equals(Decimal.parse("230.00"))).toBe(true);
    expect(ask.equals(Decimal.parse("230.02"))).toBe(true);

    const preview = await client.orders.previewOrders({ accountId: ACCOUNT, orders: [limit("3", "240.00")] });
    expect(Decimal.parse(preview.amount!.amount).compare(Decimal.parse("0"))).toBe(1);
    expect(Decimal.parse(preview.commission!.amount).compare(Decimal.parse("0"))).toBe(1);

    const before = await position();
    const following = await client.followEvents({ topics: [EventTopic.ORDERS, EventTopic.TRADES] });
    const orders = new OrdersSeen(following);

    const ticket = limit("3", "240.00");
    const placed = await client.orders.placeOrders({ accountId: ACCOUNT, orders: [ticket] });
    expect(placed.outcomes).toHaveLength(1);
    expect(placed.outcomes[0]?.clientOrderId).toBe(ticket.clientOrderId);
    const { outcome } = placed.outcomes[0]!;
    if (outcome.case !== "needsConfirmation") {
      throw new Error(`the order was ${outcome.case}`);
    }
    expect(outcome.value.warnings.map((each) => each.messageId)).toEqual(["o163"]);

    const confirmed = await client.orders.confirmOrder({ replyId: outcome.value.replyId, confirmed: true });
    const filled = await orders.until(orderIdOf(confirmed.outcomes), OrderStatus.FILLED);
    expect(Decimal.parse(filled.filledQuantity!).equals(Decimal.parse("3"))).toBe(true);
    expect(filled.clientOrderId).toBe(ticket.clientOrderId);

    const { executions } = await client.orders.listExecutions({ accountId: ACCOUNT });
    const ours = executions.filter((each) => each.clientOrderId === ticket.clientOrderId);
    expect(new Set(ours.map((each) => `${Decimal.of(each.price)}`))).toEqual(new Set(["230.02"]));
    const sum = ours.map((each) => Decimal.parse(each.quantity!)).reduce((one, other) => one.plus(other));
    expect(sum.equals(Decimal.parse("3"))).toBe(true);
    const expected = before.plus(Decimal.parse("3"));
    await expect.poll(async () => (await position()).equals(expected), { timeout: 15_000 }).toBe(true);

    const resting = await accepted("228.00");
    await client.orders.cancelOrder({ accountId: ACCOUNT, orderId: resting });
    await orders.until(resting, OrderStatus.CANCELLED);

    const error = await client.contracts.getContract({ conid: 1n }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BezantError);
    expect(error).toMatchObject({ code: Code.NotFound, reason: "CONTRACT_NOT_FOUND" });

    await post(stack.cutUrl);
    // A read is tried again over a new connection; an order that had met the dead one would not be.
    await client.orders.getOrder({ id: { case: "orderId", value: resting } });
    const another = await accepted("227.90");
    await orders.until(another, OrderStatus.SUBMITTED);
    await client.orders.cancelOrder({ accountId: ACCOUNT, orderId: another });
    await orders.until(another, OrderStatus.CANCELLED);

    expect(orders.cursors.length).toBeGreaterThan(4);
    expect(orders.cursors).toEqual(orders.cursors.map((_, index) => orders.cursors[0]! + BigInt(index)));
    await following.return?.();
  });

  test("the server names which of several topics has missed events", async () => {
    const afterCursor = 10n ** 15n;
    const ahead = [
      { topic: EventTopic.ORDERS, afterCursor },
      { topic: EventTopic.MARKETDATA, conid: AAPL, afterCursor },
    ];
    const following = await client.followEvents({ topics: [EventTopic.TRADES, ...ahead] });
    const names = [
      { topic: "EVENT_TOPIC_ORDERS", conid: 0n },
      { topic: "EVENT_TOPIC_MARKETDATA", conid: AAPL },
    ];
    for (const { topic, conid } of names) {
      const { value } = await following.next();
      expect(value).toMatchObject({
        case: "missed",
        conid,
        afterCursor,
        error: { code: Code.OutOfRange, reason: "CURSOR_EXPIRED", metadata: { topic, conid: `${conid}` } },
      });
    }

    const resting = await accepted("226.00");
    await client.orders.cancelOrder({ accountId: ACCOUNT, orderId: resting });
    await new OrdersSeen(following).until(resting, OrderStatus.CANCELLED);
    await following.return?.();
  });
});

/** Reads events, and keeps the cursor of each one of ORDERS. */
class OrdersSeen {
  readonly cursors: bigint[] = [];

  constructor(private readonly following: Following) {}

  async until(orderId: string, status: OrderStatus): Promise<Order> {
    for (;;) {
      const { value } = await this.following.next();
      if (value?.case !== "event") {
        throw new Error(`events were missed: ${value?.case}`);
      }
      const order = this.#read(value.event).find((each) => each.orderId === orderId);
      if (order?.status === status) {
        return order;
      }
    }
  }

  #read({ topic, cursor, payload }: Event): Order[] {
    if (topic !== EventTopic.ORDERS) {
      return [];
    }
    this.cursors.push(cursor);
    return payload.case === "orderUpdate" ? payload.value.orders.map((each) => each.order!) : [];
  }
}

function orderIdOf(outcomes: OrderOutcome[]): string {
  expect(outcomes).toHaveLength(1);
  const { outcome } = outcomes[0]!;
  if (outcome.case !== "accepted") {
    throw new Error(`the order was ${outcome.case}`);
  }
  expect(outcome.value.orderId).not.toBe("");
  return outcome.value.orderId;
}

async function quoted(client: Bezant): Promise<{ bid: Decimal; ask: Decimal }> {
  for (let tries = 0; tries < QUOTE_TRIES; tries++) {
    const { quotes } = await client.marketData.getQuotes({ conids: [AAPL] });
    const [bid, ask] = [Decimal.of(quotes[0]?.bidPrice), Decimal.of(quotes[0]?.askPrice)];
    if (bid !== undefined && ask !== undefined) {
      return { bid, ask };
    }
  }
  throw new Error("AAPL is not quoted");
}
