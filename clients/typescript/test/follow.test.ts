import { once } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Bezant,
  BezantError,
  connect,
  EventsService,
  EventTopic,
  type Followed,
  type FollowOptions,
  type Following,
  type StreamEventsRequest,
  type StreamEventsResponseSchema,
} from "../src/node.js";
import { type LocalServer, refusal, serve } from "./server.js";

const { ORDERS, TRADES, MARKETDATA } = EventTopic;
type Message = MessageInitShape<typeof StreamEventsResponseSchema>;
type Script = (request: StreamEventsRequest, context: HandlerContext) => AsyncIterable<Message>;

let server: LocalServer;
let client: Bezant;
let asked: StreamEventsRequest[];

afterEach(async () => {
  client.close();
  await server.close();
});

/** A server whose n-th stream is the n-th script. */
async function scripted(...scripts: Script[]): Promise<void> {
  asked = [];
  server = await serve((router) => {
    router.service(EventsService, {
      async *streamEvents(request, context) {
        asked.push(request);
        const script = scripts[asked.length - 1];
        if (script === undefined) {
          throw refusal(Code.InvalidArgument, "BAD_REQUEST");
        }
        yield* script(request, context);
      },
    });
  });
  client = connect({ address: server.address });
}

function started(...positions: [EventTopic, bigint][]): Message {
  return { message: { case: "started", value: { positions: at(positions), resetEpoch: 1n } } };
}

function heartbeat(...positions: [EventTopic, bigint][]): Message {
  return { message: { case: "heartbeat", value: { positions: at(positions) } } };
}

function end(...positions: [EventTopic, bigint][]): Message {
  return { message: { case: "end", value: { reason: "shutdown", positions: at(positions) } } };
}

function at(positions: [EventTopic, bigint][]) {
  return positions.map(([topic, cursor]) => ({ topic, cursor }));
}

function event(topic: EventTopic, cursor: bigint, conid = 0n): Message {
  return { message: { case: "event", value: { topic, cursor, conid } } };
}

async function forever(context: HandlerContext): Promise<void> {
  if (!context.signal.aborted) {
    await once(context.signal, "abort");
  }
}

function follow(options: FollowOptions): Promise<Following> {
  return client.followEvents(options);
}

async function take(following: Following, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const { value, done } = await following.next();
    expect(done).toBe(false);
    taken.push(said(value!));
  }
  return taken;
}

function said(item: Followed): string {
  return item.case === "event"
    ? `${EventTopic[item.event.topic]} ${item.event.cursor}`
    : `missed ${EventTopic[item.topic]} ${item.afterCursor}, goes on at ${item.headCursor}`;
}

function cursors(request: StreamEventsRequest | undefined): (bigint | undefined)[] | undefined {
  return request?.topics.map((each) => each.afterCursor);
}

describe("following", () => {
  test("has begun when it resolves, and asks as it was told to", async () => {
    let begun = false;
    await scripted(async function* (_, context) {
      begun = true;
      yield started([ORDERS, 4n], [MARKETDATA, 2n]);
      await forever(context);
    });

    const following = await follow({
      topics: [ORDERS, { topic: MARKETDATA, conid: 265598n, afterCursor: 2n }],
      includeRaw: true,
      accountIds: ["DU1"],
      heartbeatSecs: 7,
    });
    expect(begun).toBe(true);
    expect(asked[0]).toMatchObject({ includeRaw: true, accountIds: ["DU1"], heartbeatSecs: 7 });
    expect(asked[0]?.topics).toMatchObject([{ topic: ORDERS }, { topic: MARKETDATA, conid: 265598n, afterCursor: 2n }]);
    expect(cursors(asked[0])).toEqual([undefined, 2n]);
    await following.return?.();
  });

  test("gives each event once, whatever ends the stream", async () => {
    await scripted(
      async function* () {
        yield started([ORDERS, 10n], [TRADES, 5n]);
        yield event(ORDERS, 11n);
        throw new ConnectError("down", Code.Unavailable);
      },
      async function* () {
        yield started([ORDERS, 11n], [TRADES, 5n]);
        yield event(ORDERS, 11n);
        yield event(ORDERS, 12n);
        yield heartbeat([ORDERS, 12n], [TRADES, 6n]);
        yield end([ORDERS, 12n], [TRADES, 7n]);
      },
      async function* () {
        yield started([ORDERS, 12n], [TRADES, 7n]);
        yield event(TRADES, 8n);
        throw refusal(Code.ResourceExhausted, "SLOW_READER", { cursors: "orders=99,trades=99" });
      },
      async function* (_, context) {
        yield started([ORDERS, 12n], [TRADES, 8n]);
        yield event(ORDERS, 13n);
        await forever(context);
      },
      async function* (_, context) {
        yield started([ORDERS, 13n], [TRADES, 8n]);
        yield event(ORDERS, 14n);
        await forever(context);
      },
    );

    const following = await follow({ topics: [ORDERS, TRADES] });
    expect(await take(following, 4)).toEqual(["ORDERS 11", "ORDERS 12", "TRADES 8", "ORDERS 13"]);
    server.cut();
    expect(await take(following, 1)).toEqual(["ORDERS 14"]);
    expect(asked.map(cursors)).toEqual([
      [undefined, undefined],
      [11n, 5n],
      [12n, 7n],
      [12n, 8n],
      [13n, 8n],
    ]);
  });

  test("begins although the server is not there yet", async () => {
    await scripted(
      async function* () {
        throw new ConnectError("starting", Code.Unavailable);
      },
      async function* () {
        throw new ConnectError("starting", Code.Unavailable);
      },
      async function* (_, context) {
        yield started([ORDERS, 1n]);
        yield event(ORDERS, 2n);
        await forever(context);
      },
    );
    expect(await take(await follow({ topics: [ORDERS] }), 1)).toEqual(["ORDERS 2"]);
    expect(asked.map(cursors)).toEqual([[undefined], [undefined], [undefined]]);
  });

  test("tells what was missed, and goes on from what is held", async () => {
    await scripted(
      async function* () {
        throw refusal(Code.OutOfRange, "CURSOR_EXPIRED", { head_cursor: "501", reset_epoch: "3" });
      },
      async function* (_, context) {
        yield started([ORDERS, 500n]);
        yield event(ORDERS, 501n);
        await forever(context);
      },
    );

    const following = await follow({ topics: [{ topic: ORDERS, afterCursor: 17n }] });
    expect(await take(following, 2)).toEqual(["missed ORDERS 17, goes on at 501", "ORDERS 501"]);
    expect(asked.map(cursors)).toEqual([[17n], [500n]]);
  });

  test("tells which of several topics has missed events, and follows all of them when it resolves", async () => {
    const expired = (topic: string, conid: string, head: string) =>
      refusal(Code.OutOfRange, "CURSOR_EXPIRED", { topic, conid, head_cursor: head, reset_epoch: "3" });
    await scripted(
      async function* () {
        throw expired("EVENT_TOPIC_TRADES", "0", "31");
      },
      async function* () {
        throw expired("EVENT_TOPIC_MARKETDATA", "8314", "5");
      },
      async function* (_, context) {
        yield started([ORDERS, 17n], [TRADES, 30n]);
        yield event(TRADES, 31n);
        yield event(MARKETDATA, 5n, 8314n);
        await forever(context);
      },
    );

    const quotes = [265598n, 8314n].map((conid) => ({ topic: MARKETDATA, conid, afterCursor: 2n }));
    const following = await follow({ topics: [ORDERS, { topic: TRADES, afterCursor: 9n }, ...quotes] });
    expect(asked.map(cursors)).toEqual([
      [undefined, 9n, 2n, 2n],
      [undefined, 30n, 2n, 2n],
      [undefined, 30n, 2n, 4n],
    ]);
    const missed = (await following.next()).value;
    expect(missed).toMatchObject({ topic: TRADES, conid: 0n, error: { reason: "CURSOR_EXPIRED" } });
    expect((await following.next()).value).toMatchObject({ topic: MARKETDATA, conid: 8314n, headCursor: 5n });
    expect(await take(following, 2)).toEqual(["TRADES 31", "MARKETDATA 5"]);
  });

  test("throws an expiry that it cannot go on from", async () => {
    const where = { topic: "EVENT_TOPIC_ORDERS", conid: "0", head_cursor: "31" };
    const { topic, conid, head_cursor } = where;
    const unheard = [{ head_cursor }, { ...where, topic: "EVENT_TOPIC_PNL" }, { ...where, conid: "1" }];
    for (const metadata of [...unheard, { topic, conid }, where]) {
      await scripted(async function* () {
        throw refusal(Code.OutOfRange, "CURSOR_EXPIRED", metadata);
      });
      // 30 is what comes before the oldest that is held.
      const topics = [{ topic: ORDERS, afterCursor: 30n }, TRADES];
      await expect(follow({ topics })).rejects.toMatchObject({ reason: "CURSOR_EXPIRED" });
      expect(asked).toHaveLength(1);
      await server.close();
    }
    server = await serve(() => {});
  });

  test("throws what another try would not mend", async () => {
    await scripted(async function* () {
      throw refusal(Code.FailedPrecondition, "EVENTS_DISABLED");
    });
    await expect(follow({ topics: [ORDERS] })).rejects.toMatchObject({ reason: "EVENTS_DISABLED" });

    await server.close();
    await scripted(async function* () {
      yield started([ORDERS, 1n]);
      throw refusal(Code.Unauthenticated, "UNAUTHORIZED");
    });
    const following = await follow({ topics: [ORDERS] });
    await expect(following.next()).rejects.toBeInstanceOf(BezantError);
    expect(await following.next()).toEqual({ done: true, value: undefined });
    expect(asked).toHaveLength(1);
  });

  test("makes a connection anew that has fallen silent", async () => {
    await scripted(
      async function* (_, context) {
        yield started([ORDERS, 3n]);
        await forever(context);
      },
      async function* (_, context) {
        yield started([ORDERS, 3n]);
        yield event(ORDERS, 4n);
        await forever(context);
      },
    );
    const following = await follow({ topics: [ORDERS], heartbeatSecs: 1 });
    expect(await take(following, 1)).toEqual(["ORDERS 4"]);
    expect(asked.map(cursors)).toEqual([[undefined], [3n]]);
  });
});

describe("it ends", () => {
  async function closable(): Promise<{ left: Promise<void> }> {
    let leave: () => void;
    const left = new Promise<void>((resolve) => (leave = resolve));
    await scripted(async function* (_, context) {
      context.signal.addEventListener("abort", () => leave());
      yield started([ORDERS, 1n]);
      yield event(ORDERS, 2n);
      await forever(context);
    });
    return { left };
  }

  test("with its signal, while it waits for an event", async () => {
    const { left } = await closable();
    const stop = new AbortController();
    const following = await follow({ topics: [ORDERS], signal: stop.signal });
    expect(await take(following, 1)).toEqual(["ORDERS 2"]);
    const waiting = following.next();
    const reason = new Error("enough");
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await left;
  });

  test("with the loop", async () => {
    const { left } = await closable();
    for await (const item of await follow({ topics: [ORDERS] })) {
      expect(said(item)).toBe("ORDERS 2");
      break;
    }
    await left;
  });

  test("with its signal, while the server is away", async () => {
    await scripted(async function* () {
      throw new ConnectError("down", Code.Unavailable);
    });
    await server.close();
    const stop = new AbortController();
    const opening = follow({ topics: [ORDERS], signal: stop.signal });
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 20);
    await expect(opening).rejects.toBe(reason);
    await expect(follow({ topics: [ORDERS], signal: stop.signal })).rejects.toBe(reason);
    server = await serve(() => {});
  });

  test("with the client", async () => {
    await closable();
    const following = await follow({ topics: [ORDERS] });
    await take(following, 1);
    const waiting = following.next();
    client.close();
    await expect(waiting).rejects.toMatchObject({ code: Code.Canceled });
  });
});
