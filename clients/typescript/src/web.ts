/**
 * The client for browsers: gRPC-Web through Envoy, from a page whose origin is one of BEZANT_CORS_ORIGINS.
 *
 * @packageDocumentation
 */
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { type Bezant, servicesOver } from "./client.js";
import { type CallSettings, interceptorsOf } from "./transport.js";

export * from "./index.js";

/** Where Envoy is, and how to call it. */
export interface WebSettings extends CallSettings {
  /** Envoy's URL, `http://127.0.0.1:8080`. */
  baseUrl: string;
}

/**
 * A client of the server behind Envoy. It connects when it is called.
 *
 * @throws TypeError when baseUrl is no URL of HTTP, or apiKey no key.
 */
export function connect(settings: WebSettings): Bezant {
  if (!/^https?:\/\/[^/]/.test(settings.baseUrl)) {
    throw new TypeError(
      `baseUrl must be http://host:port or https://host:port, not ${JSON.stringify(settings.baseUrl)}`,
    );
  }
  const transport = createGrpcWebTransport({
    baseUrl: settings.baseUrl,
    interceptors: interceptorsOf(settings),
  });
  return servicesOver(transport, settings);
}
