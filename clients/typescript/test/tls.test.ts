import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Bezant, Code, connect, type NodeSettings, OrdersService } from "../src/node.js";
import { type LocalServer, serve } from "./server.js";
import { describeOnStack } from "./stack.js";

describeOnStack("TLS", ({ certFile, keyFile }) => {
  let server: LocalServer;
  let client: Bezant | undefined;

  beforeEach(async () => {
    // It asks for a certificate that it has signed itself.
    const certificate = readFileSync(certFile);
    const tls = { cert: certificate, key: readFileSync(keyFile), ca: certificate, requestCert: true };
    server = await serve((router) => router.service(OrdersService, { placeOrders: () => ({}) }), tls);
  });

  afterEach(async () => {
    client?.close();
    await server.close();
  });

  async function outcome(tls: NodeSettings["tls"]): Promise<string> {
    client = connect({ address: server.address, ...(tls !== undefined && { tls }) });
    // Not a read, which would be tried again.
    return client.orders.placeOrders({}).then(
      () => "answered",
      (error: { code: Code }) => Code[error.code],
    );
  }

  test("is mutual when asked to be", async () => {
    expect(await outcome({ caFile: certFile, certFile, keyFile })).toBe("answered");
  });

  test("needs an authority that is known", async () => {
    expect(await outcome(true)).toBe("Unavailable");
    expect(await outcome({ certFile, keyFile })).toBe("Unavailable");
  });

  test("needs the certificate that the server asks for", async () => {
    expect(await outcome({ caFile: certFile })).toBe("Unavailable");
  });

  test("takes a certificate with its key alone", () => {
    expect(() => connect({ address: server.address, tls: { certFile } })).toThrow("certFile and keyFile");
  });
});
