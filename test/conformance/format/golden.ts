/**
 * The golden folder of the draft: made by the engine once, committed, and read ever since by both readers. `GOLDEN` names it; `writeGolden` makes it
 * anew, which is allowed while version 1 is a draft and is done by UPDATE_FORMAT=1 (see test/golden/README.md).
 *
 * The folder is what a killed process left: segments of a flush and of a consolidation, carried batches, a staged commit, a reset, a trim; a store with
 * indexes, a change feed, a history, compressed blocks, shared structures, range deletes and entries that expire, and one whose values are readable alone. `expected.json` holds what the engine saw in it: bounds, counts and a hash of the
 * records of each log, and the store as its users see it.
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Database } from '../../../engine/database.ts'
import type { StoreOptions } from '../../../engine/store/store-options.ts'
import { type FolderView, openTest, viewOfEngine } from './engine-view.ts'
import { copyOf, newFolder } from './folders.ts'
import { append, define, upset } from './programs.ts'

export const GOLDEN: string = fileURLToPath(new URL('../../golden/v1-draft', import.meta.url))

/** Short enough to read in a diff, long enough to notice everything. */
export function summary(view: FolderView): unknown {
  const logs = Object.entries(view.logs).map(([name, log]) => {
    const { records, runs, ...rest } = log as { records: unknown[]; runs: unknown[][] }
    const sha256 = createHash('sha256').update(JSON.stringify({ records, runs })).digest('hex')
    return [name, { ...rest, records: records.length, runs: runs.map(run => run.length), sha256 }]
  })
  return JSON.parse(JSON.stringify({ sequence: view.sequence, logs: Object.fromEntries(logs) }))
}

interface Person {
  readonly email: string
  readonly city: string
  readonly tags: readonly string[]
  readonly age: number
}

const storeOptions = {
  indexes: { email: { path: 'email', unique: true }, place: ['city', 'age'], tag: { path: 'tags', multi: true } },
  changes: true,
  history: { retentionMs: 1e12 },
  compression: 'gzip',
} as const satisfies StoreOptions<Person>

interface Reading {
  readonly sensor: string
  readonly value: number
  readonly at: Date
}

const readingOptions = { structures: false } as const satisfies StoreOptions<Reading>

/** Puts, overwrites, deletes, range deletes, entries that expire in 2096 and one that has, tuple keys of several kinds, a transaction, a trimmed feed. */
async function writeStore(database: Database, round: number): Promise<void> {
  const people = database.store<Person>('people', storeOptions)
  const person = (i: number): Person => ({
    email: `${round}.${i}@example.org`,
    city: ['Oslo', 'Rom', 'Åre'][i % 3]!,
    tags: [`t${i % 4}`, `r${round}`],
    age: i,
  })
  const puts = Array.from({ length: 30 }, (_, i) => ({ type: 'put', key: ['p', round + i], value: person(i) }) as const)
  await people.batch(puts)
  await people.batch([
    { type: 'del', key: ['p', round * 3 + 5] },
    { type: 'delRange', range: { gte: ['p', round * 5 + 10], lt: ['p', round * 5 + 12] } },
    { type: 'put', key: `text ${round}`, value: person(100), expiresAt: 4_000_000_000_000 },
    { type: 'put', key: round - 0.5, value: person(101), expiresAt: 1 },
    { type: 'put', key: Uint8Array.of(round, 255), value: person(102) },
  ])
  await database.transaction(tx => {
    const store = tx.store(people)
    store.delRange({ prefix: ['p', 2] })
    store.put(new Date(round), person(103))
    tx.log(database.log('plain')).appendRecords([{ key: 'transaction', value: String(round) }])
  })
  if (round === 1) await people.trimChanges(10)
  const readings = database.store<Reading, number>('readings', readingOptions)
  for (let i = 0; i < 10; i++) await readings.put(round * 7 + i, { sensor: `s${i % 3}`, value: 64 + i, at: new Date(round) })
}

/** Commit sequence of a moment of the history, behind the second round's first deletes. */
const pastSequence = 400

/** What the store's users see, as JSON. Opening a store may write to its folder later. */
export async function storeView(database: Database): Promise<unknown> {
  const people = database.store<Person>('people', storeOptions)
  await people.ready()
  const text = (value: unknown): unknown => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)
  const indexes = people.indexNames().map(name => [name, [...people.index(name).entries()].map(([value, key]) => [value, text(key)])])
  const changes: unknown[] = []
  let position = 10
  for (let read = 1; read > 0; ) {
    const batch = people.readChanges(position)
    for (const change of batch.changes) changes.push([change.type, 'key' in change ? text(change.key) : change.range, change.sequence])
    position = batch.position
    read = batch.changes.length
  }
  const entries = [...people.entries()].map(([key, value]) => [text(key), value])
  using past = people.asOf(pastSequence)
  const before = [...past.entries()].map(([key, value]) => [text(key), value])
  const readings = [...database.store<Reading, number>('readings', readingOptions).entries()]
  const sha256 = createHash('sha256').update(JSON.stringify({ entries, indexes, changes, before, readings })).digest('hex')
  const counts = Object.fromEntries((indexes as [string, unknown[]][]).map(([name, found]) => [name, found.length]))
  return JSON.parse(
    JSON.stringify({
      entries: entries.length,
      first: entries.slice(0, 3),
      last: entries.slice(-3),
      indexes: counts,
      changes: changes.length,
      position,
      past: before.length,
      readings: readings.length,
      structures: people.stats().sharedStructures,
      sha256,
    }),
  )
}

export async function writeGolden(): Promise<void> {
  const folder = newFolder()
  const database = await openTest(folder, { commitLogFileBytesFirst: 32 * 1024, commitLogFileBytes: 32 * 1024 })
  await define(database)
  await database.store('people', storeOptions).ready()
  for (let round = 0; round < 3; round++) {
    await append(database, round)
    await writeStore(database, round)
    if (round < 2) await database.seal()
    if (round === 1) await database.consolidate()
  }
  await upset(database)
  const image = copyOf(folder)
  await database.close()
  trim(image)
  rmSync(GOLDEN, { recursive: true, force: true })
  mkdirSync(GOLDEN, { recursive: true })
  cpSync(image, `${GOLDEN}/folder`, { recursive: true })
  const seen = await openTest(image)
  const expected = { ...(summary(viewOfEngine(seen)) as object), store: await storeView(seen) }
  writeFileSync(`${GOLDEN}/expected.json`, `${JSON.stringify(expected, null, 2)}\n`)
  await seen.close()
}

/** Takes off what means nothing: LMDB's lock, pages behind its last one, files prepared ahead and spares. */
function trim(folder: string): void {
  rmSync(`${folder}/catalog/lock.mdb`, { force: true })
  const view = readFileSync(`${folder}/catalog/data.mdb`)
  const pageSize = view.readUInt32LE(48)
  const lastPage = Math.max(Number(view.readBigUInt64LE(144)), Number(view.readBigUInt64LE(pageSize + 144)))
  truncateSync(`${folder}/catalog/data.mdb`, (lastPage + 1) * pageSize)
  for (const name of readdirSync(folder)) {
    const isUnused = /\.log$/.test(name) && readFileSync(`${folder}/${name}`).every(byte => byte === 0)
    if (isUnused || /\.tmp$|^spare-/.test(name)) rmSync(`${folder}/${name}`)
  }
}
