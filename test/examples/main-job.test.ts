/**
 * Goal: what `npm start` runs does every step it names, on flights and on files of users, names bad lines and wrong options, and checks what it claims: a wrong
 * expectation of any kind is found.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { countAndKill } from '../../examples/main-job/count-process.ts'
import { ingest } from '../../examples/main-job/ingest.ts'
import type { JobInput, KeyedRow } from '../../examples/main-job/input.ts'
import { compareMeans } from '../../examples/main-job/job-steps.ts'
import { Model, Tally } from '../../examples/main-job/model.ts'
import { removeRows, tallyOf, walkIndex } from '../../examples/main-job/store-steps.ts'
import { keptStore, openOptions, rowTopic, totalsStore } from '../../examples/main-job/stores.ts'
import { countTheRest, tallyOfTopic } from '../../examples/main-job/topic-steps.ts'
import { type Database, open } from '../../index.ts'

const script = resolve('dist/examples/main-job.js')
const run = promisify(execFile)
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-main-job-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function start(...args: readonly string[]): Promise<string> {
  const databases = mkdtempSync(join(folder, 'run-'))
  const { stdout } = await run(process.execPath, [script, ...args, '--dir', databases], { cwd: folder })
  expect(readdirSync(databases)).toEqual([]) // nothing is left behind
  return stdout
}

/** Names of the steps in the closing table. */
function stepsOf(output: string): string[] {
  return [...output.matchAll(/^│ ([^│]+?) +│/gm)].map(([, name]) => name as string).slice(1)
}

const steps = [
  'ingest into topic and store',
  'read back',
  'query by key, range and index',
  'remove by transactions',
  'close',
  'consume as a group of two, kill -9',
  'open again',
  'resume the group, one consumer leaves',
  'look back with asOf',
  'MapReduce over the segments',
  'dataset job over the segments',
  'replay from a time into a new store',
  'compact',
  'verify every file',
]

test('some of the flights: every step finds what it should', async () => {
  const output = await start('--rows', '20000')
  expect(stepsOf(output)).toEqual(['read flights-3m.parquet', ...steps])
  expect(output).toContain(
    '20,000 flights are durable in 4 partitions; 1,697 flights an hour late or more came into a store with 2 indexes',
  )
  expect(output).toContain('none is lost, none is counted twice; of 222 keys ORD has the most')
  expect(output).toMatch(
    /groups by origin, destination, month; of those with 30 flights and more \w+ · \w+ · 2001-01 has the highest mean delay/,
  )
  expect(output).toContain('compact: 222 of 20,000 flights are left')
  expect(output).toContain('no byte is wrong')
})

/** Sales of five shops; `lines` come before the row of their number. */
function salesCsv(rows: number, lines: Readonly<Record<number, string>>): string {
  const shops = ['Ulm', 'Bern', 'Zürich', '"Graz, ""old"""', 'Linz']
  const text = ['soldAt,shop,price,kind']
  for (let i = 0; i < rows; i++) {
    if (lines[i] !== undefined) text.push(lines[i] as string)
    text.push(
      `${new Date(Date.UTC(2025, 0, 1 + (i % 100))).toISOString()},${shops[i % 5]},${i % 7 === 0 ? '' : (i * 1.37).toFixed(2)},kind ${i % 3}`,
    )
  }
  return `${text.join('\n')}\n`
}

test('a CSV of a user, whose bad lines are named by their numbers and left out', async () => {
  const bad = { 10: '2025-01-01,Ulm', 20: '2025-01-02,,3,x', 30: '2025-01-02,Ulm,cheap,x', 40: 'never,Ulm,2,x' }
  writeFileSync(join(folder, 'sales.csv'), salesCsv(1000, bad))
  const output = await start('--input', 'sales.csv', '--key', 'shop', '--value', 'price', '--time', 'soldAt', '--by', 'kind')
  expect(stepsOf(output)).toEqual(['read sales.csv', ...steps])
  expect(output.match(/^ {2}sales.csv.*$/gm)).toEqual([
    expect.stringMatching(/sales.csv:12: .*Record Length.*\(skipped\)/),
    '  sales.csv:23: there is no key in shop (skipped)',
    '  sales.csv:34: price is no number: "cheap" (skipped)',
    '  sales.csv:45: soldAt is no time since 1970: "never" (skipped)',
  ])
  expect(output).toContain('1,000 rows are durable in 4 partitions')
  expect(output).toContain('compact: 5 of 1,000 rows are left')
  expect(output).toContain('4 bad lines of sales.csv were left out')
})

test('JSONL with a bad line, without times and values; Parquet with both', async () => {
  const lines = Array.from({ length: 300 }, (_, i) => JSON.stringify({ user: i % 30, n: i }))
  lines[7] = '{"user":'
  writeFileSync(join(folder, 'users.jsonl'), lines.join('\n'))
  const output = await start('--input', 'users.jsonl', '--key', 'user')
  expect(output).toMatch(/^ {2}users.jsonl:8: .*\(skipped\)$/m)
  expect(output).toContain('30 groups by user')

  const column = <T>(of: (i: number) => T): T[] => Array.from({ length: 500 }, (_, i) => of(i))
  const buffer = parquetWriteBuffer({
    columnData: [
      { name: 'place', data: column(i => `place ${i % 4}`) },
      { name: 'at', data: column(i => new Date(Date.UTC(2020, i % 24, 1))), type: 'TIMESTAMP' },
      { name: 'grams', data: column(i => i / 8), type: 'DOUBLE' },
    ],
  })
  writeFileSync(join(folder, 'weights.bin'), Buffer.from(buffer))
  const options = ['--format', 'parquet', '--key', 'place', '--value', 'grams', '--time', 'at']
  expect(await start('--input', 'weights.bin', ...options)).toContain('24 groups by place, month')
})

test.each([
  ['no key', ['--input', 'a.csv'], '--input needs --key'],
  ['a key without a file', ['--key', 'a'], '--key has a meaning with --input only'],
  ['no such file', ['--input', 'none.csv', '--key', 'a'], '--input none.csv cannot be read'],
  ['a folder', ['--input', '.', '--format', 'csv', '--key', 'a'], '--input . cannot be read: it is no file'],
  ['no such column', ['--input', 'a.csv', '--key', 'c'], '--key: a.csv has no column c; it has a, b'],
  ['a column twice', ['--input', 'a.csv', '--key', 'a', '--value', 'a'], 'the column a is named twice'],
  ['an unknown ending', ['--input', 'a.txt', '--key', 'a'], '--format must say what a.txt is'],
  ['another format', ['--input', 'a.csv', '--format', 'parquet', '--key', 'a'], 'a.csv: is not Parquet'],
  ['values that are none', ['--input', 'a.csv', '--key', 'a', '--value', 'b'], 'a.csv has no good rows'],
  ['a wrong count', ['--rows', '0'], "argument '0' is invalid"],
  ['a wrong format', ['--format', 'xml'], "argument 'xml' is invalid"],
  ['no such option', ['--fast'], "unknown option '--fast'"],
  ['a folder that cannot be made', ['--dir', 'a.csv'], '--dir a.csv: no folder can be made there'],
])('a wrong command line, %s, is told in one line', (_, args, message) => {
  writeFileSync(join(folder, 'a.csv'), 'a,b\nx,y\n')
  let failure: { status: number; stderr: string } | undefined
  try {
    execFileSync(process.execPath, [script, ...args], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    failure = error as { status: number; stderr: string }
  }
  expect(failure?.status).toBe(2)
  expect(failure?.stderr).toContain(message)
  expect(failure?.stderr).not.toContain(' at ') // no stack
})

describe('the checks', () => {
  const nobody = (): void => undefined
  const columns = { key: 'shop', by: ['kind'], value: 'price', time: 'at' }
  const rows = Array.from({ length: 2000 }, (_, i): KeyedRow => {
    const shop = `shop ${i % 9}`
    return { key: shop, line: i + 1, row: { shop, kind: i % 4, price: i % 5 === 0 ? null : i }, time: 1_000_000 * i }
  })
  const input: JobInput = {
    what: 'rows',
    file: 'x',
    bytes: 1,
    columns,
    keeps: ({ price }) => price !== null,
    kept: 'rows with a price',
    async *read() {
      for (let from = 0; from < rows.length; from += 700) yield rows.slice(from, from + 700)
      yield [{ line: 7000, problem: 'bad' }]
    },
  }
  const maxRecords = 100
  let place: string
  let db: Database
  let model: Model

  beforeEach(async () => {
    place = mkdtempSync(join(folder, 'checks-'))
    db = await open(place, openOptions)
    model = new Model(input)
    expect(await ingest(db, model, Number.POSITIVE_INFINITY, nobody)).toMatchObject({ bad: 1, badLines: [{ line: 7000, problem: 'bad' }] })
  })
  afterEach(async () => await db.close())

  test('a row too many, another value, another time, another order of a topic are found', async () => {
    const found = await tallyOfTopic(db, model, nobody)
    found.compareTo('rows', model.all)
    const other = (change: (all: KeyedRow[]) => void): Tally => {
      const all = rows.slice()
      change(all)
      const tally = new Tally(columns)
      for (const { key, row, time } of all) tally.add(key, row, time)
      return tally
    }
    const first = rows[3] as KeyedRow
    expect(() =>
      found.compareTo(
        'rows',
        other(all => all.push(first)),
      ),
    ).toThrow('rows: rows of shop 3')
    expect(() =>
      found.compareTo(
        'rows',
        other(all => all.splice(3, 1, { ...first, row: { ...first.row, price: 1 } })),
      ),
    ).toThrow(/checksum/)
    expect(() =>
      found.compareTo(
        'rows',
        other(all => all.splice(3, 1, { ...first, time: 5000 })),
      ),
    ).toThrow(/checksum/)
    expect(() =>
      found.compareTo(
        'rows',
        other(all => all.splice(3, 10, ...all.slice(3, 13).reverse())),
      ),
    ).toThrow(/checksum/)
    expect(() =>
      found.compareTo(
        'rows',
        other(all => all.push({ ...first, key: 'another' })),
      ),
    ).toThrow('rows: keys')
  })

  test('at most so many rows are taken', async () => {
    const other = await open(join(place, 'other'), openOptions)
    const part = new Model(input)
    await ingest(other, part, 1234, nobody)
    expect(part.all.rows).toBe(1234)
    expect((await tallyOfTopic(other, part, nobody)).rows).toBe(1234)
    await other.close()
  })

  test('a changed row, a missing one and a wrong index entry of the store are found; removed rows are counted by key', async () => {
    const store = keptStore(db, columns)
    tallyOf(store, model).compareTo('kept', model.kept)
    expect(walkIndex(store, 'price', nobody)).toBe(1600)
    const before = db.stats().sequence
    const keys = rows.filter(({ row }) => row.price !== null).slice(0, 64)
    const reruns = await removeRows(
      db,
      model,
      keys.map(({ key, line }) => [key, line] as const),
      nobody,
    )
    expect(reruns).toBeGreaterThan(0)
    expect([...model.removed.values()].reduce((a, b) => a + b)).toBe(64)
    expect(() => tallyOf(store, model).compareTo('kept', model.kept)).toThrow('kept: rows of')
    const view = store.asOf(before)
    tallyOf(view, model).compareTo('kept', model.kept)
    view.close()
    const wrong = { index: () => ({ entries: () => [[1, ['a', 1], { price: 2 }]] }) } as unknown as typeof store
    expect(() => walkIndex(wrong, 'price', nobody)).toThrow('index price of row a 1')
    await expect(removeRows(db, model, [['nobody', 1]], nobody)).rejects.toThrow('is not there')
  })

  test('the group goes on where the killed process was, and counts each row once', async () => {
    await db.close()
    const told: number[] = []
    const processScript = new URL('../../dist/examples/main-job/count-process.js', import.meta.url)
    const counted = await countAndKill(place, { columns, maxRecords }, 500, rows => told.push(rows), processScript)
    expect(counted).toBeGreaterThanOrEqual(500)
    expect(told.at(-1)).toBe(counted)
    db = await open(place, openOptions)
    await rowTopic(db).ready()
    const { lag } = db.describeGroup('count')
    expect(lag).toBeLessThanOrEqual(2000 - counted) // what it had told was durable
    const totals = totalsStore(db)
    await totals.ready()
    if (lag > 0) expect(() => model.compareTotals('counted', new Map(totals.entries()))).toThrow('counted')
    expect(await countTheRest(db, { columns, maxRecords }, lag, nobody)).toBe(lag)
    model.compareTotals('counted', new Map(totals.entries()))
    await totals.put('shop 1', { rows: 1, sum: 1 })
    expect(() => model.compareTotals('counted', new Map(totals.entries()))).toThrow('counted: rows of shop 1')
    await expect(countAndKill(place, { columns, maxRecords }, 1, nobody, processScript)).rejects.toThrow(/ended by themselves.*LOCKED/s)
  })

  test('jobs that differ in a group, a count or a mean are found', () => {
    const means = (...rows: readonly (readonly [string, number, number | null])[]): Parameters<typeof compareMeans>[0] =>
      new Map(rows.map(([group, count, mean]) => [group, { group, rows: count, mean }]))
    expect(() => compareMeans(means(['a', 1, 0.1 + 0.2]), means(['a', 1, 0.3]))).not.toThrow() // sums differ in the last digits
    expect(() => compareMeans(means(['a', 1, 2]), means(['a', 1, 2.1]))).toThrow('mean of a')
    expect(() => compareMeans(means(['a', 1, null]), means(['a', 1, 0]))).toThrow('mean of a')
    expect(() => compareMeans(means(['a', 1, 2]), means(['a', 2, 2]))).toThrow('rows of a')
    expect(() => compareMeans(means(), means(['a', 2, 2]))).toThrow('groups of both jobs')
  })
})
