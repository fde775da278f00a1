import { once } from "node:events";
import { createServer as createWebServer } from "node:http";
import { createSecureServer, createServer, type SecureServerOptions } from "node:http2";
import { type AddressInfo, connect, createServer as createProxy, type Server, type Socket } from "node:net";
import { type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConnectRouter, Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";

/** A server of the test's own. */
export interface LocalServer {
  readonly address: string;
  /** Breaks every connection, as a network that fails does. */
  cut(): void;
  close(): Promise<void>;
}

type Routes = (router: ConnectRouter) => void;

/** Serves gRPC. */
export function serve(routes: Routes, tls?: SecureServerOptions): Promise<LocalServer> {
  const handler = connectNodeAdapter({ routes, connect: false, grpcWeb: false });
  return listen(tls === undefined ? createServer(handler) : createSecureServer(tls, handler));
}

/** Serves gRPC-Web. */
export function serveWeb(routes: Routes): Promise<LocalServer> {
  return listen(createWebServer(connectNodeAdapter({ routes, connect: false, grpc: false })));
}

/** Passes connections on, until it is told to swallow what is sent. */
export async function serveSwallowing(to: LocalServer): Promise<LocalServer & { swallow(): void }> {
  let swallowing = false;
  const proxy = createProxy((near) => {
    const far = connect(Number(to.address.split(":")[1]), "127.0.0.1");
    const ways = [
      [near, far],
      [far, near],
    ] as const;
    for (const [one, other] of ways) {
      one.on("data", (data) => swallowing || other.write(data));
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  return { ...(await listen(proxy)), swallow: () => (swallowing = true) };
}

async function listen(server: Server): Promise<LocalServer> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

/** An error with the details that the server gives: an ErrorInfo, and what else there is. */
export function refusal(
  code: Code,
  reason: string,
  metadata: Record<string, string> = {},
  ...others: { desc: DescMessage; value: MessageInitShape<DescMessage> }[]
): ConnectError {
  const info = { desc: ErrorInfoSchema, value: { reason, domain: "bezant-grpc", metadata } };
  return new ConnectError(`why: ${reason}`, code, { "x-request-id": "request-1" }, [info, ...others]);
}
