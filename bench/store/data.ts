/**
 * Keys and values of the store benchmark: the same for every engine, from one seed.
 *
 * Keys are decimal numbers padded with zeros, as db_bench's; key `i` is the number `2 i`, so that odd numbers are keys that are missing in the
 * midst of others. Each call makes a fresh string, as an application does: a string used before carries its hash with it. Values come from a pool
 * of some ten thousands, made before the clock runs: in each piece of 100 bytes one half repeats the other (db_bench's 50 %). The first four
 * characters tell the slot in the pool.
 *
 * Invariant: `versions[i]` counts how often key `i` was overwritten; the value of a key at neighbouring versions differs.
 */

import { expectEqual } from '../workload.ts'
import type { StoreParameters, ValueKind } from './parameters.ts'

/** SQLite's built-in binding answers with plain Uint8Arrays. */
export type Value = string | Uint8Array

const poolBytesMax = 8 << 20
const poolSlotsMax = 1 << 16
const pieceBytes = 100
/** Printable, without the quotes and the backslash. */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export class StoreData {
  readonly count: number
  readonly keyBytes: number
  readonly valueBytes: number
  readonly values: ValueKind
  /** How often each key was overwritten, modulo 256. */
  readonly versions: Uint8Array
  readonly #seed: number
  readonly #digits: Buffer
  readonly #pool: Value[]
  readonly #mask: number
  /** Code of the last character of each slot. */
  readonly #lasts: Uint8Array

  constructor({ n, keyBytes, valueBytes, values, seed }: StoreParameters) {
    this.count = n
    this.keyBytes = keyBytes
    this.valueBytes = valueBytes
    this.values = values
    this.versions = new Uint8Array(n)
    this.#seed = seed
    this.#digits = Buffer.alloc(keyBytes, '0')
    let slots = poolSlotsMax
    while (slots > 64 && slots * valueBytes > poolBytesMax) slots /= 2
    this.#mask = slots - 1
    const random = new Random(seed ^ 0x5bd1e995)
    const texts = Array.from({ length: slots }, (_, slot) => makeValue(random, slot, valueBytes))
    this.#pool = texts.map(text => (values === 'buffer' ? Buffer.from(text.toString('latin1'), 'latin1') : text.toString('latin1')))
    this.#lasts = Uint8Array.from(texts, text => text[valueBytes - 1] as number)
  }

  /** A stream of random numbers of its own for each purpose. */
  random(purpose: number): Random {
    return new Random(this.#seed + Math.imul(purpose + 1, 0x9e3779b1))
  }

  key(index: number): string {
    return this.#number(index * 2)
  }

  /** A key that is in no database, between `key(index)` and `key(index + 1)`. */
  missingKey(index: number): string {
    return this.#number(index * 2 + 1)
  }

  #number(number: number): string {
    const digits = this.#digits
    let rest = number
    let at = this.keyBytes - 1
    for (; rest > 0; at--) {
      const quotient = Math.floor(rest / 10)
      digits[at] = 48 + rest - quotient * 10
      rest = quotient
    }
    for (; at >= 0; at--) digits[at] = 48
    return digits.toString('latin1')
  }

  /** The newest value of key `index`. */
  value(index: number): Value {
    return this.#pool[this.#slot(index, this.versions[index] as number)] as Value
  }

  /** A value for key `index` that differs from its newest, and is the newest from now on. */
  nextValue(index: number): Value {
    this.versions[index] = (this.versions[index] as number) + 1
    return this.value(index)
  }

  /** Throws unless the value is the newest of key `index`; looks at its length, its slot and its last character. */
  check(value: Value | undefined, index: number): void {
    if (!this.#matches(value, this.#slot(index, this.versions[index] as number))) this.#wrong(value, index)
  }

  /** As `check`, while up to `behind` overwrites of that key may not be there yet. */
  checkRecent(value: Value | undefined, index: number, behind: number): void {
    for (let back = 0; back <= behind; back++) {
      if (this.#matches(value, this.#slot(index, ((this.versions[index] as number) - back) & 255))) return
    }
    this.#wrong(value, index)
  }

  #matches(value: Value | undefined, slot: number): boolean {
    if (value === undefined || value.length !== this.valueBytes) return false
    if (codeAt(value, this.valueBytes - 1) !== this.#lasts[slot]) return false
    const wanted = this.#pool[slot] as Value
    return codeAt(value, 0) === codeAt(wanted, 0) && codeAt(value, 1) === codeAt(wanted, 1) && codeAt(value, 2) === codeAt(wanted, 2)
  }

  #wrong(value: Value | undefined, index: number): never {
    throw new Error(`key ${index} has the value ${String(value).slice(0, 40)}, expected ${String(this.value(index)).slice(0, 40)}`)
  }

  #slot(index: number, version: number): number {
    return (Math.imul(index, 0x9e3779b1) + Math.imul(version, 0x85ebca6b)) & this.#mask
  }

  /** What a `Sink` must have after each of the keys from `from` to `to` (exclusive) went into it once. */
  expectedSums(from = 0, to: number = this.count): { keySum: number; valueSum: number } {
    let keySum = 0
    let valueSum = 0
    for (let index = from; index < to; index++) {
      keySum = (keySum + 48 + ((index * 2) % 10)) | 0
      valueSum = (valueSum + (this.#lasts[this.#slot(index, this.versions[index] as number)] as number)) | 0
    }
    return { keySum, valueSum }
  }

  /** All indexes in a random order. */
  shuffled(purpose: number): Uint32Array {
    const order = new Uint32Array(this.count)
    for (let i = 0; i < order.length; i++) order[i] = i
    const random = this.random(purpose)
    for (let i = order.length - 1; i > 0; i--) {
      const j = random.below(i + 1)
      const moved = order[i] as number
      order[i] = order[j] as number
      order[j] = moved
    }
    return order
  }
}

/** Takes entries from a scan and looks at each: adds up the last characters of keys and values. */
export class Sink {
  /** Entries taken. */
  count = 0
  keySum = 0
  valueSum = 0
  /** Set by the adapter's loop through `add`. */
  lastKey = ''

  add(key: string, value: Value): void {
    this.count++
    this.lastKey = key
    this.keySum = (this.keySum + key.charCodeAt(key.length - 1)) | 0
    this.valueSum = (this.valueSum + codeAt(value, value.length - 1)) | 0
  }

  expect(what: string, count: number, sums: { readonly keySum: number; readonly valueSum: number }): void {
    expectEqual(`${what}: entries`, this.count, count)
    expectEqual(`${what}: sum over the keys`, this.keySum, sums.keySum)
    expectEqual(`${what}: sum over the values`, this.valueSum, sums.valueSum)
  }
}

/** What sinks must hold after a range of keys, for values that stay as they are now. */
export class RangeSums {
  readonly #data: StoreData
  /** Sums over all keys below the index. */
  readonly #keySums: Int32Array
  readonly #valueSums: Int32Array

  constructor(data: StoreData) {
    this.#data = data
    this.#keySums = new Int32Array(data.count + 1)
    this.#valueSums = new Int32Array(data.count + 1)
    for (let i = 0; i < data.count; i++) {
      const { keySum, valueSum } = data.expectedSums(i, i + 1)
      this.#keySums[i + 1] = (this.#keySums[i] as number) + keySum
      this.#valueSums[i + 1] = (this.#valueSums[i] as number) + valueSum
    }
  }

  /** Throws unless the sink took exactly the `count` keys from index `from` on. */
  expect(sink: Sink, from: number, count: number): void {
    const to = from + count
    expectEqual('entries of a range', sink.count, count)
    expectEqual('last key of a range', sink.lastKey, this.#data.key(to - 1))
    expectEqual('sum over the keys of a range', sink.keySum, ((this.#keySums[to] as number) - (this.#keySums[from] as number)) | 0)
    expectEqual('sum over the values of a range', sink.valueSum, ((this.#valueSums[to] as number) - (this.#valueSums[from] as number)) | 0)
  }
}

/** xorshift32: a few nanoseconds a number. */
export class Random {
  #state: number

  constructor(seed: number) {
    let state = seed >>> 0
    state = Math.imul(state ^ (state >>> 16), 0x7feb352d)
    state = Math.imul(state ^ (state >>> 15), 0x846ca68b)
    this.#state = (state ^ (state >>> 16)) >>> 0 || 0x9e3779b9
  }

  /** A whole number from 0 to `bound` (exclusive). */
  below(bound: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state >>> 0
    return Math.floor((this.#state / 2 ** 32) * bound)
  }
}

function codeAt(value: Value, at: number): number {
  return typeof value === 'string' ? value.charCodeAt(at) : (value[at] as number)
}

function makeValue(random: Random, slot: number, valueBytes: number): Buffer {
  const bytes = Buffer.alloc(valueBytes)
  for (let piece = 0; piece < valueBytes; piece += pieceBytes) {
    const length = Math.min(pieceBytes, valueBytes - piece)
    const half = Math.max(1, length >> 1)
    for (let i = 0; i < length; i++) {
      bytes[piece + i] = i < half ? alphabet.charCodeAt(random.below(alphabet.length)) : (bytes[piece + i - half] as number)
    }
  }
  for (let i = 0; i < 4; i++) bytes[i] = alphabet.charCodeAt((slot >>> (6 * i)) & 63)
  return bytes
}
