/**
 * Goal: a memtable answers as arrays of its records do: points at any sequence, covering range deletes, and ordered cursors that keep their moment
 * and go both ways while records are added; a description opened here shows exactly its moment, whatever is added later.
 */
import { expect, test } from 'vitest'
import { STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { StoreRecordCursor, writeStoreRecord } from '../../../../engine/batch/store-record.ts'
import { Memtable } from '../../../../engine/store/memtable.ts'
import type { MemtableCursor } from '../../../../engine/store/memtable-cursor.ts'
import { fromText, type Random, seeded } from '../codec/random.ts'
import { ArenaOfRecords, compare, expectedCover, expectedFind, findIn, inOrder, type ModelRecord } from './memtable-model.ts'

const noBytes = new Uint8Array(0)
const anySequence = Number.MAX_SAFE_INTEGER

function keyShapes(random: Random): (() => Uint8Array)[] {
  return [
    () => random.bytes(random.below(3)),
    () => new Uint8Array(random.below(12)),
    () => fromText(`a/long/common/prefix/${random.below(200)}`),
    () => fromText(`${random.below(10 ** random.below(5))}`),
    () => fromText('hot'),
  ]
}

/** A cursor beside the records that it must show; `at` as in the model: -1 before the first, `length` behind the last. */
class CheckedCursor {
  readonly #cursor: MemtableCursor
  readonly #records: readonly ModelRecord[]
  #at = -1

  constructor(table: Memtable, records: readonly ModelRecord[]) {
    this.#cursor = table.cursor()
    this.#records = inOrder(records)
  }

  move(random: Random, newKey: () => Uint8Array): void {
    const { length } = this.#records
    const verb = random.below(20)
    if (verb === 0) this.#expect(this.#cursor.first(), 0)
    else if (verb === 1) this.#expect(this.#cursor.last(), length - 1)
    else if (verb < 5) {
      const key = newKey()
      const at = this.#records.findIndex(record => compare(record.key, key) >= 0)
      this.#expect(this.#cursor.seek(key), at < 0 ? length : at)
    } else if (verb < 12) {
      for (let i = random.below(8); i >= 0; i--) this.#expect(this.#cursor.next(), Math.min(length, this.#at + 1))
    } else for (let i = random.below(8); i >= 0; i--) this.#expect(this.#cursor.previous(), Math.max(-1, this.#at - 1))
  }

  walkAll(): void {
    const { length } = this.#records
    for (let at = -1; at <= length; at++) this.#expect(at < 0 ? this.#cursor.first() : this.#cursor.next(), Math.min(length, at + 1))
    for (let at = length; at >= -1; at--) this.#expect(this.#cursor.previous(), Math.max(-1, at - 1))
  }

  #expect(moved: boolean, at: number): void {
    const expected = this.#records[at]
    // An empty one stays where any move leaves it: before the first is behind the last.
    this.#at = at
    const { record } = this.#cursor
    if (moved !== (expected !== undefined)) throw new Error(`moved: ${moved} at ${at} of ${this.#records.length}`)
    if (expected === undefined) return
    const key = record.buffer.subarray(record.keyStart, record.keyStart + record.keyBytes)
    const same = record.sequence === expected.sequence && record.kind === expected.kind && compare(key, expected.key) === 0
    if (!same) throw new Error(`record ${record.sequence} instead of ${expected.sequence} at ${at}`)
  }
}

function checkPoints(
  table: Memtable,
  records: readonly ModelRecord[],
  random: Random,
  newKey: () => Uint8Array,
  sequenceEnd: number,
): void {
  for (let i = 0; i < 20; i++) {
    const key = records.length > 0 && random.below(3) > 0 ? random.pick(records).key : newKey()
    const sequenceMax = random.below(2) === 0 ? anySequence : random.below(sequenceEnd + 2)
    expect(findIn(table, key, sequenceMax)).toBe(expectedFind(records, key, sequenceMax))
    expect(table.coveringRangeDelete(key, 0, key.length, sequenceMax)).toBe(expectedCover(records, key, sequenceMax))
  }
  expect(table.count).toBe(records.length)
  expect(table.firstSequence).toBe(records[0]?.sequence ?? -1)
  expect(table.lastSequence).toBe(records.at(-1)?.sequence ?? -1)
  expect(table.rangeDeleteCount).toBe(records.filter(({ kind }) => kind === STORE_RANGE_DELETE).length)
}

interface Moment {
  readonly table: Memtable
  readonly records: readonly ModelRecord[]
  readonly cursor: CheckedCursor
}

/** Cursors, described moments and points are checked again and again while `steps` times up to `addMax` records are added. */
function runModel(random: Random, steps: number, addMax: number, rangeDeletePercent: number): void {
  const arena = new ArenaOfRecords(steps * addMax * 60 + 1000)
  const table = new Memtable(5, arena.bytes, random.pick([0, 0, 3, 700]))
  const shapes = keyShapes(random)
  const only = random.pick(shapes)
  const newKey = random.below(3) === 0 ? only : (): Uint8Array => random.pick(shapes)()
  const moments: Moment[] = []
  const orderFrom = random.below(steps)
  for (let step = 0; step < steps; step++) {
    for (let i = random.below(addMax); i > 0; i--) arena.writeRandom(table, random, newKey, rangeDeletePercent)
    checkPoints(table, arena.records, random, newKey, arena.sequence)
    if (step < orderFrom && random.below(4) > 0) continue
    const records = [...arena.records]
    const described = random.below(2) === 0 ? Memtable.open(structuredClone(table.describe()), arena.bytes) : undefined
    if (moments.length === 4) moments.splice(random.below(4), 1)
    const shown = described ?? table
    moments.push({ table: shown, records, cursor: new CheckedCursor(shown, records) })
    for (const moment of moments) {
      for (let i = 0; i < 10; i++) moment.cursor.move(random, newKey)
      if (moment.table !== table) checkPoints(moment.table, moment.records, random, newKey, arena.sequence)
    }
  }
  for (const moment of moments) moment.cursor.walkAll()
  new CheckedCursor(table, arena.records).walkAll()
}

test('random records, small: points, range deletes, cursors and described moments', async () => {
  await seeded(random => {
    for (let round = 0; round < 15; round++) runModel(random, 12, random.pick([2, 10, 60]), random.pick([0, 5, 40]))
  })
})

test('random records, large enough for chunks, merges and growing', async () => {
  await seeded(random => {
    runModel(random, 7, 5500, 1)
  })
})

test('an empty memtable, and a range that covers nothing', () => {
  const arena = new ArenaOfRecords(1000)
  const table = new Memtable(1, arena.bytes)
  expect(findIn(table, noBytes, anySequence)).toBe(-1)
  expect(table.coveringRangeDelete(noBytes, 0, 0, anySequence)).toBe(-1)
  const cursor = table.cursor()
  expect([cursor.first(), cursor.next(), cursor.previous(), cursor.last(), cursor.previous(), cursor.seek(noBytes)]).toEqual(
    Array(6).fill(false),
  )
  arena.write(table, STORE_RANGE_DELETE, fromText('m'), fromText('c'))
  expect(cursor.first()).toBe(false)
  expect(table.coveringRangeDelete(fromText('e'), 0, 1, anySequence)).toBe(-1)
  expect(findIn(table, fromText('m'), anySequence)).toBe(-1)
  expect(table.cursor().next()).toBe(true)
})

test('thousands of range deletes, nested and apart, answer as a search through all', async () => {
  await seeded(random => {
    const arena = new ArenaOfRecords(600_000)
    const table = new Memtable(1, arena.bytes)
    const key = (): Uint8Array => fromText(String(random.below(100_000)).padStart(5, '0'))
    const shapes = [
      (): [Uint8Array, Uint8Array] => [key(), key()],
      (): [Uint8Array, Uint8Array] => [noBytes, key()],
      (): [Uint8Array, Uint8Array] => {
        const first = random.below(99_000)
        return [fromText(String(first).padStart(5, '0')), fromText(String(first + random.below(300)).padStart(5, '0'))]
      },
    ]
    for (let round = 0; round < 40; round++) {
      const shape = random.pick(shapes)
      for (let i = random.below(400); i > 0; i--) arena.write(table, STORE_RANGE_DELETE, ...shape())
      for (let i = 0; i < 12; i++) {
        const [asked, sequenceMax] = [key(), i % 2 === 0 ? anySequence : random.below(arena.sequence + 2)]
        expect(table.coveringRangeDelete(asked, 0, asked.length, sequenceMax)).toBe(expectedCover(arena.records, asked, sequenceMax))
      }
    }
  })
})

test('many versions of one key: the newest and every older one', () => {
  const arena = new ArenaOfRecords(400_000)
  const table = new Memtable(1, arena.bytes)
  const key = fromText('counter')
  for (let i = 0; i < 10_000; i++) arena.write(table, STORE_PUT, key, noBytes)
  const { records } = arena
  expect(findIn(table, key, anySequence)).toBe(records.at(-1)!.sequence)
  for (const at of [0, 1, 7777, 9998]) expect(findIn(table, key, records[at]!.sequence)).toBe(records[at]!.sequence)
  expect(findIn(table, key, records[0]!.sequence - 1)).toBe(-1)
  const cursor = table.cursor()
  const walked: number[] = []
  while (cursor.next()) walked.push(cursor.record.sequence)
  expect(walked).toEqual(records.map(({ sequence }) => sequence).reverse())
})

test('what breaks the contract is refused: foreign bytes, sequences that do not ascend, adding to a moment', () => {
  const arena = new ArenaOfRecords(1000)
  const table = new Memtable(1, arena.bytes)
  arena.write(table, STORE_PUT, fromText('a'), noBytes)
  const record = new StoreRecordCursor()
  const position = 500
  const end = writeStoreRecord(arena.bytes, position, STORE_PUT, arena.sequence, fromText('b'), 0, 1, noBytes, 0, 0)
  record.readAt(arena.bytes, position, end)
  expect(() => table.add(record)).toThrow('sequences ascend')
  record.readAt(arena.bytes.slice(), position, end)
  expect(() => table.add(record)).toThrow('the record lies in the arena')
  expect(() => Memtable.open(table.describe(), arena.bytes).add(record)).toThrow('takes no records')
  expect(table.count).toBe(1)
})

test('records need not lie in the arena in the order in which they are added', () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(1000))
  const table = new Memtable(1, bytes)
  const record = new StoreRecordCursor()
  const add = (position: number, sequence: number, name: string): void => {
    const end = writeStoreRecord(bytes, position, STORE_PUT, sequence, fromText(name), 0, name.length, noBytes, 0, 0)
    record.readAt(bytes, position, end)
    table.add(record)
  }
  add(900, 1, 'c')
  add(500, 2, 'b')
  const moment = Memtable.open(table.describe(), bytes)
  add(100, 3, 'a')
  add(200, 4, 'c')
  expect(['a', 'b', 'c'].map(name => findIn(moment, fromText(name), anySequence))).toEqual([-1, 2, 1])
  expect(['a', 'b', 'c'].map(name => findIn(table, fromText(name), anySequence))).toEqual([3, 2, 4])
  const walk = (cursor: MemtableCursor): number[] => (cursor.next() ? [cursor.record.sequence, ...walk(cursor)] : [])
  expect([walk(moment.cursor()), walk(table.cursor())]).toEqual([
    [2, 1],
    [3, 2, 4, 1],
  ])
})
