import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The tests take no time of the clock; the timeout only ends what hangs.
  test: { include: ['test/**/*.test.ts'], pool: 'threads', maxWorkers: 2, testTimeout: 120_000 },
});
