import { once } from "node:events";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { type Bezant, connect, EventsService, EventTopic, OrdersService, type WebSettings } from "../src/web.js";
import { type LocalServer, refusal, serveWeb } from "./server.js";

let server: LocalServer;
let client: Bezant;
afterEach(async () => {
  client.close();
  await server.close();
});

async function start(routes: (router: ConnectRouter) => void, settings: Omit<WebSettings, "baseUrl"> = {}) {
  server = await serveWeb(routes);
  client = connect({ baseUrl: `http://${server.address}`, ...settings });
}

test("a call over gRPC-Web has the key and the deadline, and is tried again when it is a read", async () => {
  const seen: (string | null)[][] = [];
  const routes = (router: ConnectRouter) =>
    router.service(OrdersService, {
      listOrders: (_, { requestHeader }) => {
        seen.push(["x-api-key", "grpc-timeout"].map((name) => requestHeader.get(name)));
        if (seen.length === 1) {
          server.cut();
        }
        return { orders: [{ orderId: "7" }] };
      },
    });
  await start(routes, { apiKey: "k1" });

  expect((await client.orders.listOrders({})).orders[0]?.orderId).toBe("7");
  expect(seen).toEqual([
    ["k1", "30000m"],
    ["k1", "30000m"],
  ]);
});

test("an order over gRPC-Web is sent once, and a refusal has its details", async () => {
  let sent = 0;
  await start((router) =>
    router.service(OrdersService, {
      placeOrders: () => {
        sent += 1;
        if (sent === 2) {
          throw refusal(Code.FailedPrecondition, "NO_SESSION", { state: "LOGIN_REQUIRED" });
        }
        server.cut();
        return {};
      },
    }),
  );

  await expect(client.orders.placeOrders({})).rejects.toMatchObject({ name: "BezantError", code: Code.Unavailable });
  await expect(client.orders.placeOrders({})).rejects.toMatchObject({
    code: Code.FailedPrecondition,
    reason: "NO_SESSION",
    metadata: { state: "LOGIN_REQUIRED" },
  });
  expect(sent).toBe(2);
});

test("following over gRPC-Web goes on after its connection is cut", async () => {
  const after: (bigint | undefined)[] = [];
  await start((router) =>
    router.service(EventsService, {
      async *streamEvents({ topics }, { signal }) {
        const cursor = topics[0]?.afterCursor;
        after.push(cursor);
        yield {
          message: { case: "started", value: { positions: [{ topic: EventTopic.ORDERS, cursor: cursor ?? 4n }] } },
        };
        yield { message: { case: "event", value: { topic: EventTopic.ORDERS, cursor: (cursor ?? 4n) + 1n } } };
        await once(signal, "abort");
      },
    }),
  );

  const cursors: bigint[] = [];
  for await (const item of await client.followEvents({ topics: [EventTopic.ORDERS] })) {
    cursors.push(item.case === "event" ? item.event.cursor : -1n);
    if (cursors.length === 3) {
      break;
    }
    server.cut();
  }
  expect(cursors).toEqual([5n, 6n, 7n]);
  expect(after).toEqual([undefined, 5n, 6n]);
});

test.each(["127.0.0.1:8080", "/", "ftp://host", "http://"])("a base URL is one of HTTP: %s", async (baseUrl) => {
  await start(() => {});
  expect(() => connect({ baseUrl })).toThrow(/^baseUrl must be http/);
});
