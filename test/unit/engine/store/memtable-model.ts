/** An arena with random store records, and the naive model of what a memtable over them must answer: arrays, sorted and searched in full. */
import { STORE_DELETE, STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { compareKeys, createKeyHash, hashKey } from '../../../../engine/batch/store-keys.ts'
import { StoreRecordCursor, storeRecordSize, writeStoreRecord } from '../../../../engine/batch/store-record.ts'
import type { Memtable } from '../../../../engine/store/memtable.ts'
import type { Random } from '../codec/random.ts'

export interface ModelRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly kind: number
  readonly sequence: number
}

export const compare = (left: Uint8Array, right: Uint8Array): number => compareKeys(left, 0, left.length, right, 0, right.length)

/** Writes records into shared memory and, when given one, adds them to a memtable. */
export class ArenaOfRecords {
  readonly bytes: Uint8Array
  readonly records: ModelRecord[] = []
  readonly #cursor = new StoreRecordCursor()
  #used = 7
  #sequence = 3

  constructor(size: number) {
    this.bytes = new Uint8Array(new SharedArrayBuffer(size))
  }

  get sequence(): number {
    return this.#sequence
  }

  write(table: Memtable, kind: number, key: Uint8Array, value: Uint8Array, gap: number = 0): void {
    this.#sequence += 1 + gap
    this.#used += gap
    const sequence = this.#sequence
    if (this.#used + storeRecordSize(sequence, key.length, value.length, 0, false) > this.bytes.length)
      throw new Error('the arena is too small')
    const position = this.#used
    this.#used = writeStoreRecord(this.bytes, position, kind, sequence, key, 0, key.length, value, 0, value.length)
    this.records.push({ key, value, kind, sequence })
    this.#cursor.readAt(this.bytes, position, this.#used)
    table.add(this.#cursor)
  }

  /** A random put, delete, pointer or range delete. */
  writeRandom(table: Memtable, random: Random, newKey: () => Uint8Array, rangeDeletePercent: number): void {
    const key = newKey()
    const gap = random.below(4) === 0 ? random.below(30) : 0
    if (random.below(100) < rangeDeletePercent) this.write(table, STORE_RANGE_DELETE, key, newKey(), gap)
    else this.write(table, random.pick([STORE_PUT, STORE_PUT, STORE_DELETE, STORE_POINTER]), key, random.bytes(random.below(6)), gap)
  }
}

/** Sequence of the newest point record of the key up to `sequenceMax`; -1 when there is none. */
export function expectedFind(records: readonly ModelRecord[], key: Uint8Array, sequenceMax: number): number {
  return (
    records.findLast(record => record.kind !== STORE_RANGE_DELETE && record.sequence <= sequenceMax && compare(record.key, key) === 0)
      ?.sequence ?? -1
  )
}

export function expectedCover(records: readonly ModelRecord[], key: Uint8Array, sequenceMax: number): number {
  const covers = (record: ModelRecord): boolean =>
    record.kind === STORE_RANGE_DELETE && record.sequence <= sequenceMax && compare(record.key, key) <= 0 && compare(key, record.value) < 0
  return records.findLast(covers)?.sequence ?? -1
}

/** In order of key, then newest first. */
export function inOrder(records: readonly ModelRecord[]): ModelRecord[] {
  return [...records].sort((left, right) => compare(left.key, right.key) || right.sequence - left.sequence)
}

const hash = createKeyHash()
const found = new StoreRecordCursor()

/** The key lies somewhere in a larger array, as the verbs allow. Gives the sequence of what is found, -1 for nothing. */
export function findIn(table: Memtable, key: Uint8Array, sequenceMax: number): number {
  const padded = new Uint8Array(key.length + 5)
  padded.fill(255)
  padded.set(key, 3)
  hashKey(padded, 3, key.length, hash)
  if (!table.find(padded, 3, key.length, hash, sequenceMax, found)) return -1
  if (compareKeys(found.buffer, found.keyStart, found.keyBytes, key, 0, key.length) !== 0) throw new Error('the record of another key')
  return found.sequence
}
