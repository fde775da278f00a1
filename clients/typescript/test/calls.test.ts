import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, type ConnectRouter, ConnectError } from "@connectrpc/connect";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { afterEach, describe, expect, test, vi } from "vitest";
import * as bezant from "../src/node.js";
import { BadRequestSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { type LocalServer, refusal, serve, serveSwallowing } from "./server.js";

const SERVICES: Record<string, DescService> = {
  session: bezant.SessionService,
  portfolio: bezant.PortfolioService,
  orders: bezant.OrdersService,
  marketData: bezant.MarketDataService,
  contracts: bezant.ContractsService,
  scanner: bezant.ScannerService,
  historicalData: bezant.HistoricalDataService,
  targetOrders: bezant.TargetOrdersService,
  events: bezant.EventsService,
  gateway: bezant.GatewayService,
};

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) {
    await close();
  }
});

async function start(routes: (router: ConnectRouter) => void): Promise<LocalServer> {
  const server = await serve(routes);
  closing.push(() => server.close());
  return server;
}

function client(settings: bezant.NodeSettings): bezant.Bezant {
  const made = bezant.connect(settings);
  closing.push(() => made.close());
  return made;
}

async function failure(call: Promise<unknown>): Promise<bezant.BezantError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(bezant.BezantError);
  return error as bezant.BezantError;
}

function unaries(service: DescService): DescMethod[] {
  return service.methods.filter((method) => method.methodKind === "unary");
}

describe("retries", () => {
  test("are for reads alone, as their protos say", async () => {
    const calls: Record<string, number> = {};
    const server = await start((router) => {
      for (const service of Object.values(SERVICES)) {
        const refuse = (name: string) => () => {
          calls[name] = (calls[name] ?? 0) + 1;
          throw new ConnectError("down", Code.Unavailable);
        };
        const methods = unaries(service);
        const refusals = methods.map(({ localName, name }) => [localName, refuse(`${service.typeName}/${name}`)]);
        router.service(service, Object.fromEntries(refusals));
      }
    });
    const services = client({ address: server.address }) as unknown as Record<
      string,
      Record<string, (request: object) => Promise<unknown>>
    >;

    const all = Object.entries(SERVICES).flatMap(([name, service]) =>
      unaries(service).map((method) => failure(services[name]![method.localName]!({}))),
    );
    expect(new Set((await Promise.all(all)).map((error) => error.code))).toEqual(new Set([Code.Unavailable]));

    for (const method of Object.values(SERVICES).flatMap(unaries)) {
      const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
      expect(calls[`${method.parent.typeName}/${method.name}`], method.name).toBe(isRead ? 4 : 1);
    }
    const sent = ["PlaceOrders", "ConfirmOrder", "ModifyOrder", "CancelOrder", "CancelAllOrders", "AnswerPrompt"];
    for (const name of sent) {
      expect(calls[`bezant.v1.OrdersService/${name}`], name).toBe(1);
    }
    expect(calls["bezant.v1.TargetOrdersService/SubmitTargets"]).toBe(1);
    expect(calls["bezant.v1.OrdersService/ListOrders"]).toBe(4);
    expect(calls["bezant.v1.SessionService/GetSession"]).toBe(4);
  });

  test("survive a connection that breaks, for a read but not for an order", async () => {
    let reads = 0;
    let orders = 0;
    const server = await start((router) => {
      router.service(bezant.OrdersService, {
        getOrder: () => {
          reads += 1;
          if (reads === 1) {
            server.cut();
          }
          return { order: { orderId: "7" } };
        },
        placeOrders: () => {
          orders += 1;
          server.cut();
          return {};
        },
      });
    });
    const calls = client({ address: server.address });

    const { order } = await calls.orders.getOrder({ id: { case: "orderId", value: "7" } });
    expect(order?.orderId).toBe("7");
    expect(reads).toBe(2);

    const lost = await failure(calls.orders.placeOrders({}));
    expect(lost.code).toBe(Code.Unavailable);
    expect(orders).toBe(1);
  });

  test("end with the deadline", async () => {
    const server = await start((router) => {
      router.service(bezant.OrdersService, {
        listOrders: () => {
          throw refusal(
            Code.Unavailable,
            "UPSTREAM_UNREACHABLE",
            {},
            {
              desc: RetryInfoSchema,
              value: { retryDelay: { seconds: 60n, nanos: 0 } },
            },
          );
        },
      });
    });

    const error = await failure(client({ address: server.address }).orders.listOrders({}, { timeoutMs: 200 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
  });
});

describe("a call", () => {
  test("has the key, and the deadline that it or the client names", async () => {
    const seen: (string | null)[][] = [];
    const server = await start((router) => {
      router.service(bezant.SessionService, {
        getSession: (_, context) => {
          seen.push(["x-api-key", "grpc-timeout"].map((name) => context.requestHeader.get(name)));
          return {};
        },
      });
    });

    await client({ address: server.address }).session.getSession({});
    await client({ address: server.address, apiKey: "k1", deadlineMs: 5_000 }).session.getSession({});
    await client({ address: server.address }).session.getSession({}, { timeoutMs: 700 });
    expect(seen).toEqual([
      [null, "30000m"],
      ["k1", "5000m"],
      [null, "700m"],
    ]);
  });

  test("ends with its deadline, its signal, and the client", async () => {
    let inside: () => void = () => {};
    const server = await start((router) => {
      router.service(bezant.SessionService, {
        getSession: async (_, context) => {
          inside();
          await once(context.signal, "abort");
          return {};
        },
      });
    });
    const calls = client({ address: server.address, deadlineMs: 50 });
    expect((await failure(calls.session.getSession({}))).code).toBe(Code.DeadlineExceeded);

    const arrived = () => new Promise<void>((resolve) => (inside = resolve));
    const end = new AbortController();
    const [given, there] = [calls.session.getSession({}, { timeoutMs: 0, signal: end.signal }), arrived()];
    await there;
    end.abort();
    expect((await failure(given)).code).toBe(Code.Canceled);

    const [open, here] = [calls.session.getSession({}, { timeoutMs: 0 }), arrived()];
    await here;
    calls.close();
    const [closed, later] = [await failure(open), await failure(calls.session.getSession({}))];
    expect([closed.code, later.code]).toEqual([Code.Canceled, Code.Canceled]);
  });

  test("takes messages of 26 MiB and no larger ones", async () => {
    let size = 0;
    const server = await start((router) => {
      router.service(bezant.GatewayService, { forward: () => ({ body: new Uint8Array(size) }) });
    });
    const { gateway } = client({ address: server.address });
    size = 25 * 1024 * 1024;
    expect((await gateway.forward({})).body.length).toBe(size);
    size = 27 * 1024 * 1024;
    expect((await failure(gateway.forward({}))).code).toBe(Code.ResourceExhausted);
  });
});

test("a connection that is dead is noticed by its pings", async () => {
  const server = await start((router) => {
    router.service(bezant.MarketDataService, {
      async *subscribeQuotes(_, context) {
        yield {};
        await once(context.signal, "abort");
      },
    });
  });
  const proxy = await serveSwallowing(server);
  closing.push(() => proxy.close());
  const calls = client({ address: proxy.address });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  closing.push(() => vi.useRealTimers());

  const quotes = calls.marketData.subscribeQuotes({})[Symbol.asyncIterator]();
  expect((await quotes.next()).done).toBe(false);
  const lost = failure(quotes.next());
  proxy.swallow();
  await vi.advanceTimersByTimeAsync(46_000);
  expect((await lost).code).toBe(bezant.Code.Unavailable);
});

describe("an error", () => {
  async function refusedWith(error: ConnectError): Promise<bezant.BezantError> {
    const server = await start((router) => {
      router.service(bezant.OrdersService, {
        placeOrders: () => {
          throw error;
        },
      });
    });
    return failure(client({ address: server.address }).orders.placeOrders({}));
  }

  test("has what the server says of it", async () => {
    const error = await refusedWith(
      refusal(
        Code.InvalidArgument,
        "BAD_REQUEST",
        { state: "READY" },
        {
          desc: BadRequestSchema,
          value: { fieldViolations: [{ field: "orders[1].limit_price", description: "must be a decimal" }] },
        },
        { desc: RetryInfoSchema, value: { retryDelay: { seconds: 1n, nanos: 500_000_000 } } },
      ),
    );

    expect(error.name).toBe("BezantError");
    expect(error.message).toBe("why: BAD_REQUEST");
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.reason).toBe("BAD_REQUEST");
    expect(error.metadata).toEqual({ state: "READY" });
    expect(error.fieldViolations).toEqual([{ field: "orders[1].limit_price", description: "must be a decimal" }]);
    expect(error.retryDelayMs).toBe(1500);
    expect(error.requestId).toBe("request-1");
    expect(error.cause).toBeInstanceOf(ConnectError);
  });

  test("can be used without details", async () => {
    const error = await refusedWith(new ConnectError("no", Code.FailedPrecondition));

    expect([error.code, error.message, error.reason]).toEqual([Code.FailedPrecondition, "no", ""]);
    expect([error.metadata, error.fieldViolations]).toEqual([{}, []]);
    expect([error.retryDelayMs, error.requestId]).toEqual([undefined, undefined]);
  });

  test("of the server's own is not taken for a broken connection", async () => {
    for (const code of [Code.Aborted, Code.Canceled, Code.Unknown, Code.Internal]) {
      expect((await refusedWith(new ConnectError("no", code))).code).toBe(code);
    }
  });

  test("is UNAVAILABLE when nobody listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");

    const error = await failure(client({ address: `127.0.0.1:${port}` }).orders.placeOrders({}));
    expect(error.code).toBe(Code.Unavailable);
  });

  test("says so when a message cannot be encoded", async () => {
    const server = await start(() => {});
    const wrong = { conid: "AAPL" as unknown as bigint };
    expect((await failure(client({ address: server.address }).contracts.getContract(wrong))).code).toBe(Code.Internal);
  });
});

describe("a key", () => {
  test.each(["", "k 1", "k1\n", "\u00fc"])("is refused when it cannot be sent, and not repeated: %j", (apiKey) => {
    const refused = () => bezant.connect({ address: "127.0.0.1:1", apiKey });
    expect(refused).toThrow(TypeError);
    expect(refused).toThrow("apiKey must be ASCII without spaces or line ends");
  });
});

describe("an address", () => {
  test.each(["127.0.0.1", "http://127.0.0.1:50051", "host:99999", ":1", "host:1/path", "user@host:1"])(
    "must be host:port: %s",
    (address) => expect(() => bezant.connect({ address })).toThrow(/address must be host:port/),
  );

  test.each([
    ["127.0.0.1", false],
    ["localhost", false],
    ["[::1]", false],
    ["127.0.0.1", true],
  ])("of loopback is not encrypted unless that is asked for: %s, %s", async (host, tls) => {
    const server = createServer().listen(0, host.replace(/[[\]]/g, ""));
    closing.push(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const calls = client({ address: `${host}:${port}`, ...(tls && { tls }) });
    const call = failure(calls.orders.placeOrders({}));
    const [socket] = (await once(server, "connection")) as [Socket];
    const [greeting] = (await once(socket, "data")) as [Buffer];
    // A TLS record of a handshake begins with 22, HTTP/2 with its preface.
    expect(greeting[0] === 22).toBe(tls);
    socket.destroy();
    await call;
  });
});
