import { describe } from "vitest";

/** Where the running stack is, and a certificate for localhost, as tests/clients of the repository give them. */
export interface Stack {
  readonly grpc: string;
  readonly cutUrl: string;
  readonly control: string;
  readonly apiKey: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const VARIABLES: Record<keyof Stack, string> = {
  grpc: "BEZANT_TEST_GRPC",
  cutUrl: "BEZANT_TEST_CUT_URL",
  control: "BEZANT_TEST_CONTROL",
  apiKey: "BEZANT_TEST_API_KEY",
  certFile: "BEZANT_TEST_CERT",
  keyFile: "BEZANT_TEST_KEY",
};

/** Tests that need the running stack. */
export function describeOnStack(name: string, tests: (stack: Stack) => void): void {
  const missing = Object.values(VARIABLES).filter((variable) => !process.env[variable]);
  if (missing.length === 0) {
    const values = Object.entries(VARIABLES).map(([key, variable]) => [key, process.env[variable]]);
    describe(name, () => tests(Object.fromEntries(values)));
  } else if (process.env["CI"] === "true") {
    throw new Error(`${missing.join(", ")} not set: CI runs every test`);
  } else {
    console.warn(`${missing.join(", ")} not set: ${name.toUpperCase()} IS NOT TESTED HERE`);
    describe.skip(name, () => tests({} as Stack));
  }
}

/** Posts to the control endpoint of the paper gateway, or to the proxy. */
export async function post(url: string, body: unknown = {}): Promise<void> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) {
    throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  }
}
