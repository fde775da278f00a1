/**
 * The client for Node: gRPC over HTTP/2.
 *
 * @packageDocumentation
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ClientHttp2Stream, SecureClientSessionOptions } from "node:http2";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Bezant, servicesOver } from "./client.js";
import { type CallSettings, interceptorsOf } from "./transport.js";

export * from "./index.js";

const LARGEST_MESSAGE = 26 * 1024 * 1024;
const PING_EVERY_MS = 30_000;

/** Files of certificates and keys, in PEM. */
export interface Tls {
  /** The authorities to trust instead of Node's own. */
  caFile?: string;
  /** The client's certificate, for mutual TLS; needs keyFile. */
  certFile?: string;
  /** Its key. */
  keyFile?: string;
}

/** Where the server is, and how to call it. */
export interface NodeSettings extends CallSettings {
  /** Host and port, `127.0.0.1:50051`. */
  address: string;
  /** Whether, and how, the connection is encrypted; when absent, unless the host is this machine's loopback. */
  tls?: boolean | Tls;
}

/**
 * A client of the server at an address. It connects with the first call, again after a connection was lost, and pings
 * every 30 seconds while calls are under way, so that a dead connection is noticed.
 *
 * @throws TypeError when the address is not host:port, or apiKey no key; Error when a file of `tls` cannot be read.
 */
export function connect(settings: NodeSettings): Bezant {
  const { host, authority } = parse(settings.address);
  const tls = settings.tls ?? !isLoopback(host);
  const baseUrl = `${tls ? "https" : "http"}://${authority}`;
  const sessionManager = new Connections(
    baseUrl,
    { pingIntervalMs: PING_EVERY_MS },
    typeof tls === "object" ? read(tls) : {},
  );
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: interceptorsOf(settings),
    readMaxBytes: LARGEST_MESSAGE,
    writeMaxBytes: LARGEST_MESSAGE,
  });
  return servicesOver(transport, settings, () => sessionManager.abort());
}

/**
 * A manager that leaves no failure of a connection unheard. Its base lets go of a connection as soon as it is replaced
 * or closed; one that has just missed a ping would fail after that, and Node ends a process for an error without a
 * listener. Each call on the connection is told of the failure.
 */
class Connections extends Http2SessionManager {
  override async request(...call: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call);
    if (!stream.session?.listeners("error").includes(hear)) {
      stream.session?.on("error", hear);
    }
    return stream;
  }
}

function hear(): void {}

function parse(address: string): { host: string; authority: string } {
  const [, host, port] = /^(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@[\]]+):([0-9]{1,5})$/.exec(address) ?? [];
  if (host === undefined || Number(port) > 65_535) {
    throw new TypeError(`address must be host:port, not ${JSON.stringify(address)}`);
  }
  return { host: host.replace(/^\[|\]$/g, ""), authority: `${host}:${port}` };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function read({ caFile, certFile, keyFile }: Tls): SecureClientSessionOptions {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new TypeError("tls: certFile and keyFile belong together");
  }
  return {
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(certFile !== undefined && { cert: readFileSync(certFile) }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
  };
}
