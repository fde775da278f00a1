import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeOnStack } from "./stack.js";

const run = promisify(execFile);
const PACKAGE = resolve(import.meta.dirname, "..");
const LINES = 20;

let project: string;
let packed: string[];

/** A project of somebody who has installed the package as it is published. */
beforeAll(async () => {
  expect(existsSync(join(PACKAGE, "dist/index.js")), "npm run build comes first").toBe(true);
  project = mkdtempSync(join(tmpdir(), "bezant-project-"));
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", project];
  const [{ filename, files }] = JSON.parse((await run("npm", pack, { cwd: PACKAGE })).stdout);
  packed = files.map((file: { path: string }) => file.path);
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `./${filename}`], { cwd: project });
}, 120_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

function program(name: string, text: string): string {
  writeFileSync(join(project, name), text);
  return name;
}

/** The README's blocks of code. */
function blocks(): string[] {
  const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");
  return [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code!);
}

function twentyLines(): string {
  return blocks()[0]!;
}

/** What the blocks after the first have from the text around them. */
const SURROUNDINGS = `
  import { type Bezant, BezantError, EventTopic } from "@bezant/client";
  declare const bezant: Bezant;
  declare const lastOneWorkedOff: bigint;
  declare function remember(topic: EventTopic, cursor: bigint): void;
`;

describe("the published package", () => {
  test("has the compiled code and its types, and nothing else", () => {
    const roots = new Set(packed.map((path) => path.split("/")[0]));
    expect(roots).toEqual(new Set(["LICENSE", "README.md", "dist", "package.json"]));
    expect(packed.filter((path) => path.startsWith("dist/") && !/\.(js|d\.ts)$/.test(path))).toEqual([]);
    for (const name of ["index", "node", "web", "gen/bezant/v1/orders_service_pb"]) {
      expect(packed).toContain(`dist/${name}.js`);
      expect(packed).toContain(`dist/${name}.d.ts`);
    }
  });

  test("names its license as the repository does", () => {
    expect(readFileSync(join(PACKAGE, "LICENSE"), "utf8")).toBe(readFileSync(join(PACKAGE, "../../LICENSE"), "utf8"));
  });

  test("can be imported by each of its names", async () => {
    const imports = program(
      "imports.js",
      `import * as core from "@bezant/client";
       import * as node from "@bezant/client/node";
       import * as web from "@bezant/client/web";
       import { OrderTicketSchema } from "@bezant/client/gen/bezant/v1/orders_service_pb";
       const same = core.BezantError === node.BezantError && core.OrderTicketSchema === OrderTicketSchema;
       console.log(JSON.stringify(["connect" in core, typeof node.connect, typeof web.connect, same]));`,
    );
    const { stdout } = await run("node", [imports], { cwd: project });
    expect(JSON.parse(stdout)).toEqual([false, "function", "function", true]);
  });

  test("has types that a strict project can use", async () => {
    const example = twentyLines();
    expect(example.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(LINES);
    program("twenty-lines.ts", example);
    const others = blocks()
      .slice(1)
      .map((code, index) => program(`block-${index}.ts`, `${SURROUNDINGS}${code}`));
    expect(others).toHaveLength(2);
    program(
      "wrong.ts",
      `import { connect } from "@bezant/client/node";
       // @ts-expect-error: a conid is a bigint
       await connect({ address: "h:1" }).contracts.getContract({ conid: 1 });`,
    );
    const types = ["--typeRoots", join(PACKAGE, "node_modules/@types"), "--types", "node"];
    const strict = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", ...types];
    const programs = ["twenty-lines.ts", ...others, "wrong.ts"];
    const { stdout } = await run(join(PACKAGE, "node_modules/.bin/tsc"), [...strict, ...programs], {
      cwd: project,
    }).catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  });
});

describeOnStack("the README's twenty lines", (stack) => {
  test("trade on the paper gateway", async () => {
    const compile = ["--format=esm", "--outfile=twenty-lines.js", program("twenty-lines.ts", twentyLines())];
    await run(join(PACKAGE, "node_modules/.bin/esbuild"), compile, { cwd: project });
    const { stdout } = await run("node", ["twenty-lines.js", stack.grpc], { cwd: project, timeout: 25_000 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toBe("AAPL 230.00 / 230.02");
    expect(lines.at(-1)).toBe("Bought 1 AAPL Limit 230.02, Day: Filled");
  });
});
