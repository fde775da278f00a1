import { defineConfig } from "vitest/config";

export default defineConfig({
  // The story and the example trade on one paper gateway, whose quote the example moves: one after the other.
  // In one process, which reads the code once.
  test: { include: ["test/**/*.test.ts"], fileParallelism: false, isolate: false, testTimeout: 30_000 },
});
