/** Goal: the project's own checks fail on what they exist to find, name file and line, and let through what is allowed. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-checks-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** Runs a script over a project that consists of `files`, with an index.ts unless they bring one. */
function run(script: string, files: Record<string, string>, ...args: string[]): { code: number | null; output: string } {
  for (const [path, text] of Object.entries({ 'index.ts': '', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const result = spawnSync(process.execPath, [resolve('scripts', script), ...args], { cwd: folder, encoding: 'utf8' })
  return { code: result.status, output: result.stdout + result.stderr }
}

describe('check-arrows', () => {
  test.each([
    ['engine/a.ts', "import { b } from '../stream/index.ts'", 'engine may not import stream'],
    ['stream/a.ts', "import { b } from '../compute/index.ts'", 'stream may not import compute'],
    ['stream/a.ts', "import { b } from '../cluster/index.ts'", 'stream may not import cluster'],
    ['cluster/a.ts', "import type { b } from '../stream/index.ts'", 'cluster may not import stream'],
    ['cluster/a.ts', "export { b } from '../compute/index.ts'", 'cluster may not import compute'],
    ['compute/a.ts', "const b = await import('../server/index.ts')", 'compute may not import server'],
    ['stream/a.ts', "import { open } from 'varve'", 'stream may not import index.ts'],
    ['stream/a.ts', "import { b } from '../engine/errors.ts'", 'only through engine/index.ts'],
    ['cli/a.ts', "import { b } from '../test/b.ts'", 'cli may not import test'],
    ['engine/batch/a.ts', "import { b } from '../log/b.ts'", 'engine/batch lies below engine/log'],
    ['engine/errors.ts', "import type { b } from './env/b.ts'", 'engine/errors.ts lies below engine/env'],
    ['engine/unheard-of/a.ts', "import { b } from '../errors.ts'", 'engine/unheard-of has no layer'],
  ])('%s: %s', (path, text, problem) => {
    const { code, output } = run('check-arrows.mjs', { [path]: `// first line\n${text}\n` })
    expect(output).toContain(`${path}:2: `)
    expect(output).toContain(problem)
    expect(code).toBe(1)
  })

  test('allowed imports pass', () => {
    const { code, output } = run('check-arrows.mjs', {
      'index.ts': "export { a } from './engine/index.ts'",
      'compute/a.ts': "import { b } from '../stream/index.ts'\nimport { c } from '../engine/index.ts'\nimport fs from 'node:fs'",
      'cluster/a.ts': "import { b } from '../engine/index.ts'\nimport { c } from './inner/c.ts'",
      'test/a.ts': "import { b } from '../engine/log/b.ts'",
      'engine/log/a.ts': "import { b } from '../commit-log/b.ts'\nimport { c } from '../errors.ts'",
      'engine/batch/a.ts': "import type { Log } from '../log/log.ts'",
    })
    expect(output).toBe('arrows: 9 imports in 6 files\n')
    expect(code).toBe(0)
  })
})

describe('check-environment', () => {
  test.each([
    ['Date.now()', 'Date.now'],
    ["Date['now']()", 'Date.now'],
    ['new Date()', 'new Date()'],
    ['Date()', 'Date()'],
    ['Math.random()', 'Math.random'],
    ['crypto.randomUUID()', 'crypto.randomUUID'],
    ['performance.now()', 'performance.now'],
    ['globalThis.setTimeout(f, 1)', 'globalThis.setTimeout'],
    ['process.hrtime.bigint()', 'process.hrtime'],
  ])('%s', (expression, what) => {
    const { code, output } = run('check-environment.mjs', { 'engine/log/a.ts': `\nexport const a: unknown = ${expression}\n` })
    expect(output).toContain(`engine/log/a.ts:2: ${what}: `)
    expect(code).toBe(1)
  })

  test('finds a member taken apart', () => {
    const { code } = run('check-environment.mjs', { 'stream/a.ts': 'const { random } = Math\n' })
    expect(code).toBe(1)
  })

  test('the environment itself, other folders, comments, strings and pure uses pass', () => {
    const { code, output } = run('check-environment.mjs', {
      'engine/env/node/clock.ts': 'export const now = (): number => Date.now()',
      'server/a.ts': 'export const now = (): number => Date.now()',
      'engine/log/a.ts': [
        '// Date.now()',
        "export const a: string = 'Math.random()'",
        'export const b: Date = new Date(0)',
        'export const c = (x: unknown): boolean => x instanceof Date && Math.max(1, 2) > 1',
      ].join('\n'),
    })
    expect(output).toBe('environment: 1 files\n')
    expect(code).toBe(0)
  })
})

describe('check-format-doc', () => {
  const code = [
    'export const FRAME_ALIGN = 512',
    'export const HEADER_BYTES: number = 0x3d // of a batch',
    'export const BODY_START = FRAME_ALIGN + (1 << 4)',
    "export const MAGIC = 'VARV' as const",
    'export const LIMIT = 1_000n',
  ].join('\n')

  /** A document with one table of constants. */
  const document = (...rows: string[]): string =>
    [
      '# Format',
      '## Constants of frames',
      '| name | value | meaning |',
      '|---|---|---|',
      ...rows,
      '## Rest',
      '| `NOT_LOOKED_AT` | 1 |',
    ].join('\n')

  test('equal values pass, however they are written', () => {
    const result = run('check-format-doc.mjs', {
      'engine/commit-log/format.ts': code,
      'docs/FORMAT.md': document(
        '| `FRAME_ALIGN` | 512 | bytes |',
        '| `HEADER_BYTES` | `61` | |',
        '| `BODY_START` | `0x200 + 16` bytes | |',
        "| `MAGIC` | `'VARV'` | |",
        '| `LIMIT` | 1000n | |',
      ),
    })
    expect(result.output).toBe('format: 5 constants of docs/FORMAT.md\n')
    expect(result.code).toBe(0)
  })

  test.each([
    ['| `FRAME_ALIGN` | 4096 |', 'FRAME_ALIGN is 4096 here and 512 in engine/commit-log/format.ts'],
    ['| `MISSING` | 1 |', 'MISSING: no format.ts or constants.ts'],
    ['| `FRAME_ALIGN` | about half a page |', "'about half a page' is not a value"],
  ])('%s fails', (row, problem) => {
    const result = run('check-format-doc.mjs', { 'engine/commit-log/format.ts': code, 'docs/FORMAT.md': document(row) })
    expect(result.output).toContain('docs/FORMAT.md:5: ')
    expect(result.output).toContain(problem)
    expect(result.code).toBe(1)
  })

  test('passes without a document', () => {
    expect(run('check-format-doc.mjs', {}).code).toBe(0)
  })
})

describe('ci-summary', () => {
  const report = (passed: number, failed: number, ...files: { status: string; tests: string[] }[]): string =>
    JSON.stringify({
      numPassedTests: passed,
      numFailedTests: failed,
      testResults: files.map(({ status, tests }) => ({ status, assertionResults: tests.map(test => ({ status: test })) })),
    })

  test.each([
    ['all passed', { test: report(3, 0), package: report(2, 0) }, ['test=0', 'package=0'], '5 passed, 0 failed', 0],
    ['a failed test', { test: report(3, 1, { status: 'failed', tests: ['failed'] }) }, ['test=1'], '3 passed, 1 failed', 1],
    ['a file that did not load', { test: report(3, 0, { status: 'failed', tests: [] }) }, ['test=1'], '3 passed, 1 failed', 1],
    ['a check that failed before the tests', {}, ['test=2', 'package=0'], '0 passed, 2 failed', 1],
    ['tests that did not run', { test: report(0, 0) }, ['test=0'], '0 passed, 1 failed', 1],
    ['a failure outside all tests', { test: report(3, 0) }, ['test=1'], '3 passed, 1 failed', 1],
    ['a soak without a report', { test: report(3, 0) }, ['test=0', 'soak=0'], '4 passed, 0 failed', 0],
    ['a failed soak', { test: report(3, 0) }, ['test=0', 'soak=1'], '3 passed, 1 failed', 1],
    ['nothing at all', {}, [], '0 passed, 1 failed', 1],
  ])('%s', (_name, reports, steps, last, code) => {
    const files = Object.fromEntries(Object.entries(reports).map(([name, text]) => [`reports/${name}.json`, text]))
    const result = run('ci-summary.mjs', files, ...steps)
    expect(result.output.trimEnd().split('\n').at(-1)).toBe(last)
    expect(result.code).toBe(code)
  })
})
