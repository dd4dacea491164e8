/**
 * Micro-benchmark of the memtable: 1000 calls or moves an operation over 300,000 records of 16 B key and 100 B value in random order, so that
 * 1000 operations a second are 1 M calls a second.
 *
 * Run after a build: node dist/bench/micro/memtable.js
 */

import { add, complete, cycle, suite } from 'benny'
import { STORE_PUT } from '../../engine/batch/store-format.ts'
import { createKeyHash, hashKey } from '../../engine/batch/store-keys.ts'
import { StoreRecordCursor, writeStoreRecord } from '../../engine/batch/store-record.ts'
import { Memtable } from '../../engine/store/memtable.ts'
import type { MemtableCursor } from '../../engine/store/memtable-cursor.ts'

const recordCount = 300_000
const callCount = 1000
const keyBytes = 16
const arena = new Uint8Array(new SharedArrayBuffer(recordCount * 128))
const value = new Uint8Array(100)
const positions = new Uint32Array(recordCount)
const keys = new Uint8Array(recordCount * keyBytes)
const missing = new Uint8Array(recordCount * keyBytes)
const hash = createKeyHash()
const record = new StoreRecordCursor()
let used = 0
let total = 0

for (let i = 0; i < recordCount; i++) {
  const number = (i * 7919) % recordCount
  new TextEncoder().encodeInto(String(number).padStart(16, '0'), keys.subarray(i * keyBytes))
  new TextEncoder().encodeInto(String(number).padStart(16, 'x'), missing.subarray(i * keyBytes))
  positions[i] = used
  used = writeStoreRecord(arena, used, STORE_PUT, i, keys, i * keyBytes, keyBytes, value, 0, value.length)
}

function fill(table: Memtable, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    record.readAt(arena, positions[i]!, used)
    table.add(record)
  }
}

function filled(): Memtable {
  const table = new Memtable(0, arena)
  fill(table, 0, recordCount)
  return table
}

/** Adds `callCount` records; begins anew when all are in. */
class Adder {
  readonly #ordered: boolean
  #table: Memtable
  #next = recordCount

  constructor(ordered: boolean) {
    this.#ordered = ordered
    this.#table = new Memtable(0, arena)
  }

  add(): void {
    if (this.#next === recordCount) {
      this.#next = 0
      this.#table = new Memtable(0, arena)
      if (this.#ordered) this.#table.cursor()
    }
    fill(this.#table, this.#next, this.#next + callCount)
    this.#next += callCount
  }
}

let next = 0

function find(table: Memtable, source: Uint8Array): void {
  if (next === recordCount) next = 0
  for (const end = next + callCount; next < end; next++) {
    hashKey(source, next * keyBytes, keyBytes, hash)
    if (table.find(source, next * keyBytes, keyBytes, hash, Number.MAX_SAFE_INTEGER, record)) total += record.valueBytes
  }
}

function walk(cursor: MemtableCursor, forward: boolean): void {
  for (let i = 0; i < callCount; i++) {
    if (!(forward ? cursor.next() : cursor.previous())) {
      if (forward) cursor.first()
      else cursor.last()
    }
    total += cursor.record.valueBytes
  }
}

const points = filled()
const kept = new Memtable(0, arena)
kept.cursor()
fill(kept, 0, recordCount)
const manyChunks = kept.cursor()
const small = new Memtable(0, arena)
fill(small, 0, 4096)
const oneChunk = small.cursor()
const back = kept.cursor()
back.last()
const unordered = new Adder(false)
const ordered = new Adder(true)

await suite(
  'memtable, 300 k records of 16 B + 100 B, 1000 an operation',
  add('add', () => unordered.add()),
  add('add, order kept', () => ordered.add()),
  add('hash and find, present', () => find(points, keys)),
  add('hash and find, missing', () => find(points, missing)),
  add('cursor, one chunk of 4096', () => walk(oneChunk, true)),
  add('cursor, chunks as they are after 300 k', () => walk(manyChunks, true)),
  add('cursor, going back', () => walk(back, false)),
  add('seek', () => {
    for (let i = 0; i < callCount; i++) {
      const at = ((i * 7919) % recordCount) * keyBytes
      if (manyChunks.seek(keys, at, keyBytes)) total += manyChunks.record.valueBytes
    }
  }),
  cycle(),
  complete(),
)
if (total === 0) throw new Error('the work was not done')
