import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** Examples, the main job and every block of the documents, each in a process of its own; a minute of processes that start, and therefore not a part of `npm test`. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/examples/**/*.test.ts'],
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
