/** Goal: `varve run` runs a job of a module over a real folder, to stdout, files and stores, and refuses bad input with the documented exit codes. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exitCodes } from '../../../cli/exit-codes.ts'
import { open } from '../../../index.ts'

const main = resolve('lib/cli/main.js')
const words = resolve('test/unit/compute/jobs/words.mjs')
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-cli-jobs-'))
  const db = await open(join(folder, 'data'))
  const visits = Array.from({ length: 60 }, (_, key) => ({
    type: 'put' as const,
    key,
    value: { user: key % 5, at: key, page: `page ${key % 2}` },
  }))
  await db.store('visits').batch(visits)
  await db.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function varve(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'run', 'data', ...args], { cwd: folder, encoding: 'utf8' })
  return { status, stdout, stderr }
}

const rows = [
  { word: '0', n: 30 },
  { word: '1', n: 30 },
  { word: 'page', n: 60 },
]

test('rows go to stdout, to a file that is not replaced unasked, and to a store', async () => {
  const printed = varve(words, '--workers', '0')
  expect(printed).toMatchObject({ status: 0, stderr: '' })
  expect(
    printed.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
  ).toEqual(rows)
  expect(varve(words, '--out', 'words.csv').stdout).toMatch(/^words: 3 rows to words\.csv in \d+\.\d s\n$/)
  expect(readFileSync(join(folder, 'words.csv'), 'utf8')).toBe('word,n\n0,30\n1,30\npage,60\n')
  expect(varve(words, '--out', 'words.csv')).toMatchObject({ status: exitCodes.io, stdout: '' })
  expect(JSON.parse(varve(words, '--out', 'words.csv', '--force', '--json').stdout)).toMatchObject({ job: 'words', rows: 3, counters: {} })
  expect(varve(words, '--store', 'words', '--key', 'word', '--workers', '2').status).toBe(0)
  const db = await open(join(folder, 'data'))
  expect([...db.store('words').values()]).toEqual(rows)
  await db.close()
})

test('what operators did is told on stderr', () => {
  const { status, stderr } = varve(words, '--workers', '0', '--stats')
  expect(status).toBe(0)
  const lines = stderr.trim().split('\n')
  expect(lines[0]).toMatch(/^stage {2}tasks {2}rows in {2}rows out {2}read +ms {2}operator$/)
  expect(lines.find(line => line.endsWith('store visits'))).toMatch(/^ *0 +1 +0 +60 +\d/)
  expect(lines.at(-1)).toMatch(/^\d\.\d s, in one thread$/)
  const { stats } = JSON.parse(varve(words, '--workers', '0', '--stats', '--json').stderr)
  expect(stats).toMatchObject({
    workers: 0,
    operators: expect.arrayContaining([expect.objectContaining({ operator: 'source', rowsOut: 60 })]),
  })
})

test('the plan is shown, and bad input refused', () => {
  expect(varve(words, '--explain').stdout).toBe(
    [
      'reduce by a function',
      '  sort by group, tasks by partition',
      '    combine by a function',
      '      map to pairs by a function',
      '        store visits',
      '',
    ].join('\n'),
  )
  expect(varve('nowhere.mjs')).toMatchObject({
    status: exitCodes.badInput,
    stderr: expect.stringContaining('nowhere.mjs cannot be loaded'),
  })
  expect(varve(resolve('lib/compute/index.js')).stderr).toContain('has no job as its default export')
  expect(varve(words, '--args', '{').stderr).toContain('--args is not JSON')
  expect(varve(words, '--store', 's').stderr).toContain('--store needs --key')
  expect(varve(words, '--store', 's', '--key', 'word', '--out', 'x.csv').stderr).toContain('--store and --out cannot both be given')
  expect(varve(words, '--out', 'x.txt').stderr).toContain('--out must end in .jsonl, .csv or .parquet')
})

test('a job that needs arguments says so, here and in a thread; one in TypeScript that it must be compiled', () => {
  const text = `
    import { job } from '${pathToFileURL(resolve('lib/compute/index.js')).href}'
    export default job(import.meta.url, 'least', ({ store, args }) => store('visits').filter(({ at }) => at >= args.least).keyBy('user').count())`
  writeFileSync(join(folder, 'least.mjs'), text)
  for (const workers of ['0', '1']) {
    expect(varve('least.mjs', '--workers', workers)).toMatchObject({
      status: exitCodes.badInput,
      stderr: expect.stringContaining('needs --args'),
    })
    expect(varve('least.mjs', '--workers', workers, '--args', '{"least":55}').stdout.trim().split('\n')).toHaveLength(5)
  }
  writeFileSync(join(folder, 'least.mts'), 'export const least: number = 1 as const satisfies number')
  expect(varve('least.mts')).toMatchObject({
    status: exitCodes.badInput,
    stderr: expect.stringMatching(/compile it to JavaScript first|no job as its default/),
  })
})
