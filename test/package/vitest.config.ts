import { defineConfig, type ViteUserConfig } from 'vitest/config'

/** The packed package as its users see it; slow, since it installs, and therefore not a part of `npm test`. */
const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 300_000,
    expect: { requireAssertions: true },
    reporters: ['default', 'json'],
    outputFile: { json: 'reports/package.json' },
  },
})

export default config
