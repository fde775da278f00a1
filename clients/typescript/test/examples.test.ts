import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { describeOnStack, post } from "./stack.js";

const AAPL = 265598;

describeOnStack("the bracket", (stack) => {
  test("is filled, and its target ends it", { timeout: 90_000 }, async () => {
    const pin = (bid: number, ask: number) => post(`${stack.control}/quotes`, { conid: AAPL, bid, ask });
    const example = spawn("npm", ["run", "--silent", "bracket", "--", stack.grpc], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(example, "exit");
    const lines: string[] = [];
    try {
      for await (const line of createInterface(example.stdout)) {
        lines.push(line);
        if (line === "entry filled") {
          await pin(232.1, 232.12);
        }
      }
    } finally {
      await pin(230, 230.02);
      example.kill();
    }
    expect(await ended).toEqual([0, null]);
    expect(lines[0]).toBe("quote 230.00 / 230.02");
    const fills = ["entry fill 1.0 at 230.02", "target fill 1.0 at 232.10"];
    const ends = ["entry filled", "target filled", "stop cancelled"];
    expect(new Set(lines.slice(1))).toEqual(new Set([...fills, ...ends]));
    expect(lines).toHaveLength(6);
  });
});
