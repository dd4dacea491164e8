import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** Examples, the main job, every block of the documents, and the benchmark's workloads at a small size: a minute of processes that start, and therefore not a part of `npm test`. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/{examples,bench}/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    expect: { requireAssertions: true },
    reporters: ['default', 'json'],
    outputFile: { json: 'reports/examples.json' },
  },
})

export default config
