/** Goal: another thread sees exactly the moment that was described while this one adds records; 300,000 records are found and walked in order. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { STORE_PUT } from '../../../../engine/batch/store-format.ts'
import { Memtable } from '../../../../engine/store/memtable.ts'
import { fromText, seeded } from '../codec/random.ts'
import { ArenaOfRecords, expectedCover, expectedFind, findIn, inOrder } from './memtable-model.ts'

const noBytes = new Uint8Array(0)
const anySequence = Number.MAX_SAFE_INTEGER

interface Answer {
  readonly found: readonly number[]
  readonly covered: readonly number[]
  readonly forward: readonly number[]
  readonly back: readonly number[]
  readonly rounds: number
}

test('a description opened in another thread shows exactly its moment while records are added here', async () => {
  await seeded(async random => {
    const arena = new ArenaOfRecords(4_000_000)
    const table = new Memtable(9, arena.bytes)
    const newKey = (): Uint8Array => fromText(`key-${random.below(6000)}`)
    for (let i = 0; i < 9000; i++) arena.writeRandom(table, random, newKey, i % 100 === 0 ? 50 : 0)
    table.cursor()
    const records = [...arena.records]
    const queries = Array.from({ length: 500 }, (_, i) => ({
      key: newKey(),
      sequenceMax: i % 2 === 0 ? anySequence : random.below(arena.sequence + 1),
    }))
    const stop = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(new URL('./memtable-worker.mjs', import.meta.url), {
      workerData: { description: table.describe(), bytes: arena.bytes, queries, stop },
    })
    try {
      const answered = once(worker, 'message') as Promise<[Answer]>
      // Newer versions of keys that the moment has, and keys that it has not: first within the tables that the worker reads, then in larger ones.
      while (Atomics.load(stop, 1) === 0) await Promise.race([answered, new Promise(resolve => setImmediate(resolve))])
      for (let i = 0; i < 40_000; i++) {
        arena.writeRandom(table, random, i % 3 === 0 ? (): Uint8Array => fromText(`new-${i}`) : newKey, 1)
        if (i % 2000 === 0) await new Promise(resolve => setImmediate(resolve))
      }
      Atomics.store(stop, 0, 1)
      const [answer] = await answered
      expect(answer.rounds).toBeGreaterThan(1)
      expect(answer.found).toEqual(queries.map(({ key, sequenceMax }) => expectedFind(records, key, sequenceMax)))
      expect(answer.covered).toEqual(queries.map(({ key, sequenceMax }) => expectedCover(records, key, sequenceMax)))
      const sequences = inOrder(records).map(({ sequence }) => sequence)
      expect(answer.forward).toEqual(sequences)
      expect(answer.back).toEqual(sequences.reverse())
    } finally {
      await worker.terminate()
    }
  })
})

test('300,000 records: all are found and walked in order, and the index stays small', () => {
  const count = 300_000
  const arena = new ArenaOfRecords(count * 32)
  const table = new Memtable(1, arena.bytes)
  const key = (i: number): Uint8Array => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setUint32(4, Math.imul(i, 2654435761))
    return bytes
  }
  for (let i = 0; i < count; i++) {
    if (i === 100_000) table.cursor()
    arena.write(table, STORE_PUT, key(i), noBytes)
  }
  let missing = 0
  for (let i = 0; i < count; i++) if (findIn(table, key(i), anySequence) !== arena.records[i]!.sequence) missing++
  expect(missing).toBe(0)
  expect(findIn(table, key(count), anySequence)).toBe(-1)
  const cursor = table.cursor()
  let walked = 0
  let last = -1
  while (cursor.next()) {
    const { buffer, keyStart } = cursor.record
    const number = buffer[keyStart + 4]! * 2 ** 24 + (buffer[keyStart + 5]! << 16) + (buffer[keyStart + 6]! << 8) + buffer[keyStart + 7]!
    if (number > last) walked++
    last = number
  }
  expect(walked).toBe(count)
  expect(table.indexBytes).toBeLessThan(count * 48)
})
