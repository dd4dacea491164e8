/**
 * Goal: docs/FORMAT.md tells everything. The reader in `reader/` was written from that page alone; what it makes of a folder must be what the
 * engine makes of it, in every state that a folder can be in: open, crashed, closed, flushed, merged, with commits staged, cut, carried and void.
 */

import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Database } from '../../../engine/database.ts'
import { type FolderView, openTest, viewOfEngine, viewOfReader } from './engine-view.ts'
import { copyOf, newFolder } from './folders.ts'
import { append, define, upset } from './programs.ts'
import { type ReadFolder, type ReadLog, readFolder, topicRecords } from './reader/folder.ts'
import { foldProducers, type Producer, readProducerState } from './reader/producer-state.ts'

/** Both readers agree about a copy of the folder, before and after the engine recovered it. */
async function compare(folder: string): Promise<ReadFolder> {
  const copy = copyOf(folder)
  const read = readFolder(copy)
  const database = await openTest(copy)
  const seen = viewOfEngine(database)
  expect(viewOfReader(read)).toEqual(seen)
  await database.close()
  expect(bounds(viewOfReader(readFolder(copy)))).toEqual(bounds(seen))
  return read
}

/** What a flush in the background does not move. */
function bounds(view: FolderView): unknown {
  const entries = Object.entries(view.logs).map(([name, log]) => {
    const { tailAt: _tailAt, records, runs: _runs, ...rest } = log as { [field: string]: unknown }
    const isTopic = (rest.definition as { kind: string }).kind === 'topic'
    return [name, isTopic ? { ...rest, records } : rest]
  })
  return Object.fromEntries(entries)
}

async function withDatabase(folder: string, run: (database: Database) => Promise<void>): Promise<void> {
  const database = await openTest(folder)
  try {
    await run(database)
  } finally {
    await database.close()
  }
}

/** What the producer tables of all parts of a log must be by the rules of section 8, and what they are. */
function producerTables(log: ReadLog | undefined): { readonly expected: unknown[]; readonly found: unknown[] } {
  const producers = new Map<number, Producer>()
  const parts = log?.parts.filter(part => part.type === 1) ?? []
  const expected = parts.map(part => {
    const aborted = part.topicBatches.map(batch => foldProducers(producers, batch)).filter(row => row !== undefined)
    return structuredClone({ aborted, producers: [...producers.values()].sort((left, right) => left.id - right.id) })
  })
  const found = parts.map((part, index) => ({
    aborted: part.aborted,
    // The time of the flush counts too, and no batch tells it: at least the newest batch's it must be.
    producers: (part.producerState === undefined ? [] : readProducerState(part.producerState)).map(producer => {
      const newest = expected[index]?.producers.find(({ id }) => id === producer.id)?.newestTime ?? Number.POSITIVE_INFINITY
      return { ...producer, newestTime: producer.newestTime >= newest ? newest : producer.newestTime }
    }),
  }))
  return { expected, found }
}

test('both readers see the same in every phase of a program', async () => {
  const folder = newFolder()
  await withDatabase(folder, async database => {
    await compare(folder)
    await define(database)
    await append(database, 0)
    const tail = await compare(folder)
    expect(tail.segments.size).toBe(0)
    expect(tail.commitLog.isClosed).toBe(false)
    for (let round = 1; round < 4; round++) {
      await append(database, round)
      await database.seal()
    }
    const flushed = await compare(folder)
    expect(flushed.segments.size).toBeGreaterThan(2)
    expect(flushed.commitLog.entries.some(entry => entry.carried)).toBe(true)
    for (const name of ['packed', 'transactions', 'plain']) {
      const { expected, found } = producerTables(flushed.logs.get(name))
      expect(found).toEqual(expected)
    }
    expect(flushed.logs.get('transactions')?.parts.flatMap(part => part.aborted).length).toBeGreaterThan(4)
    await database.consolidate()
    await append(database, 4)
    await upset(database)
    const upsetFolder = await compare(folder)
    expect(readdirSync(folder).some(name => name.startsWith('staged-'))).toBe(true)
    expect(upsetFolder.commitLog.entries.map(entry => entry.kind)).toEqual(expect.arrayContaining([1, 2, 3, 4]))
    await database.drop(['dropped'])
    await compare(folder)
    await database.seal()
    await database.compactLog('compacted')
    await database.compactLog('users')
    await append(database, 5)
    await compare(folder)
  })
  const closed = readFolder(folder)
  expect(closed.commitLog.isClosed).toBe(true)
  await compare(folder)
})

test('a folder that was closed and reopened many times', async () => {
  const folder = newFolder()
  await withDatabase(folder, define)
  for (let round = 0; round < 5; round++) {
    await withDatabase(folder, async database => {
      await append(database, round)
      if (round % 2 === 1) await database.seal()
      await compare(folder)
    })
    expect((await compare(folder)).commitLog.isClosed).toBe(true)
  }
})

/** Appends until it is killed; a line for each round that is durable. */
const child = `
import { openDatabase } from ${JSON.stringify(new URL('../../../dist/engine/index.js', import.meta.url).href)}
const database = await openDatabase(process.argv[1], { commitLogFileBytes: 65536, commitLogFileBytesFirst: 8192, frameBytesMax: 8192 })
await database.define([{ name: 'topic', kind: 'topic' }, { name: 'store', kind: 'store', body: true }])
for (let i = 0; ; i++) {
  const committed = database.commit(commit => {
    commit.appendRecords(database.log('topic'), [{ key: 'k' + i, value: 'v'.repeat(i % 500) }], { compression: i % 3 === 0 ? 'gzip' : 'none' })
    commit.appendRecords(database.log('store'), [{ kind: 'put', key: Buffer.from('k' + i % 100), value: Buffer.alloc(i % 9000) }])
  })
  database.log('topic').appendRecords([{ value: 'not waited for' }], { durability: 'buffered' })
  await committed.durable
  process.stdout.write(i + '\\n')
}
`

test('a process that was killed', async () => {
  const folder = newFolder()
  const writer = spawn(process.execPath, ['--input-type=module', '-e', child, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  const exited = new Promise<void>(resolve => writer.once('exit', () => resolve()))
  writer.stdout.on('data', piece => {
    output += piece
    // The second segment is begun when the first is live: 300 commits may be over before the worker has begun.
    const segments = readdirSync(folder).filter(name => name.startsWith('segment-'))
    if (output.split('\n').length > 300 && segments.length > 1) writer.kill('SIGKILL')
  })
  await exited
  const acknowledged = output.split('\n').slice(0, -1).length
  expect(acknowledged).toBeGreaterThanOrEqual(300)
  const read = await compare(folder)
  const log = read.logs.get('topic')
  const keys = new Set(log === undefined ? [] : topicRecords(log).map(record => String(record.key)))
  for (let i = 0; i < acknowledged; i++) expect(keys.has(`k${i}`), `k${i}`).toBe(true)
  expect(read.segments.size).toBeGreaterThan(0)
})
