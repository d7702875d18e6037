import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    // Test files share the cores: threads that wait must not burn them.
    env: { OMP_WAIT_POLICY: 'passive' },
  },
});
