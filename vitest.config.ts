import { defineConfig, type ViteUserConfig } from 'vitest/config'

/**
 * Files that change what all modules of a process share (mocks, handlers of the process), need it as it is at the start (pools, memory in use), or import helpers
 * with hooks of their own, which are of the file that loads them first: each runs in a process of its own. All others share two processes, so that modules are
 * loaded twice and not once a file, which was a third of the time.
 */
const alone = [
  'test/conformance/format/**/*.test.ts',
  'test/fault/**/*.test.ts',
  'test/fuzz/**/*.test.ts',
  'test/unit/cli/*.test.ts',
  'test/unit/engine/codec/checksums.test.ts',
  'test/unit/engine/env/node-files.test.ts',
  'test/unit/engine/maintenance/run-compaction.test.ts',
  'test/unit/engine/segment/compressed-run.test.ts',
  'test/unit/engine/segment/scratch-memory.test.ts',
  'test/unit/engine/store/compression.test.ts',
  'test/unit/engine/store/review.test.ts',
  'test/unit/engine/store/shared-numbers.test.ts',
  'test/unit/engine/tools/*.test.ts',
  'test/unit/engine/store/history.test.ts',
]
const others = ['test/package/**', 'test/examples/**', 'test/bench/**', '**/node_modules/**']

const config: ViteUserConfig = defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    expect: { requireAssertions: true },
    reporters: ['default', 'json'],
    outputFile: { json: 'reports/test.json' },
    projects: [
      { extends: true, test: { name: 'shared', include: ['test/**/*.test.ts'], exclude: [...alone, ...others], isolate: false } },
      { extends: true, test: { name: 'alone', include: alone, exclude: others } },
    ],
  },
})

export default config
