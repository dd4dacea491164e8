/**
 * Hashes of values, for group tables and for the partition of a shuffle. Equal values have equal hashes whatever vector they come in (a number in a number vector, in a vector
 * of any values, as a bigint), in every worker and on every machine: partitions are agreed upon by hash alone. 32 bits, as a signed integer.
 */
import { BOOLEAN_NULL, type Vector } from '../vector/vector.ts'
import { encodeGroupKey, groupKeyBytes, isDouble } from './group-key.ts'

/** Hash of null. */
export const HASH_NULL = 0x2545f491
const HASH_FALSE = 0x1b873593
const HASH_TRUE = 0x4cf5ad43

const float = new Float64Array(1)
const words = new Int32Array(float.buffer)

/** Spreads the bits (the finalizer of MurmurHash3). */
export function mixedHash(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export function hashNumber(value: number): number {
  // A small whole number is its own bits: the two words of a double differ in few.
  const whole = value | 0
  if (whole === value) return mixedHash(whole ^ 0x5bd1e995)
  float[0] = value
  return mixedHash((words[0] as number) ^ Math.imul(words[1] as number, 0x9e3779b1))
}

/** Four bytes from `at` on as a whole number, the first lowest; what lies at or behind `end` is 0. */
export function wordAt(bytes: Uint8Array, at: number, end: number): number {
  const left = end - at
  if (left >= 4) {
    return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
  }
  if (left <= 0) return 0
  let word = bytes[at] as number
  if (left > 1) word |= (bytes[at + 1] as number) << 8
  if (left > 2) word |= (bytes[at + 2] as number) << 16
  return word
}

function withWord(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1)
  return h ^ (h >>> 15)
}

export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  return hashText(bytes, start, end, wordAt(bytes, start, end), wordAt(bytes, start + 4, end))
}

/** As `hashBytes`, for who has the first two words of the bytes. */
export function hashText(bytes: Uint8Array, start: number, end: number, first: number, second: number): number {
  let h = 0x811c9dc5 ^ (end - start)
  if (end > start) h = withWord(h, first)
  if (end > start + 4) h = withWord(h, second)
  for (let at = start + 8; at < end; at += 4) h = withWord(h, wordAt(bytes, at, end))
  return mixedHash(h)
}

/** The hash of one value that is not null. */
function hashValue(value: unknown): number {
  if (typeof value === 'number') return hashNumber(value)
  if (typeof value === 'boolean') return value ? HASH_TRUE : HASH_FALSE
  // A bigint that a double holds is that number.
  if (typeof value === 'bigint' && isDouble(value)) return hashNumber(Number(value))
  if (typeof value === 'string') {
    const text = Buffer.from(value)
    return hashBytes(text, 0, text.length)
  }
  const size = encodeGroupKey(value, 0)
  return hashBytes(groupKeyBytes(), 0, size)
}

const hashOrNull = (value: unknown): number => (value === null ? HASH_NULL : hashValue(value))

/** `hashes[k]` is that of row `rows[k]` of the vector; with `combine`, of what was there and it: so a key of several fields gets one hash. */
export function hashVector(vector: Vector, rows: Int32Array, count: number, hashes: Int32Array, combine: boolean): void {
  // One number or text is the usual key: loops of their own ask nothing of each row.
  if (vector.kind === 'number' && vector.nulls === undefined && !combine) {
    const { values } = vector
    for (let k = 0; k < count; k++) hashes[k] = hashNumber(values[rows[k] as number] as number)
  } else if (vector.kind === 'text' && !combine) {
    const { bytes, starts, ends } = vector
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      hashes[k] = start < 0 ? HASH_NULL : hashBytes(bytes, start, ends[row] as number)
    }
  } else {
    for (let k = 0; k < count; k++) {
      const h = hashAt(vector, rows[k] as number)
      hashes[k] = combine ? mixedHash(Math.imul(hashes[k] as number, 31) + h) : h
    }
  }
}

function hashAt(vector: Vector, row: number): number {
  switch (vector.kind) {
    case 'number':
      return vector.nulls !== undefined && vector.nulls[row] === 1 ? HASH_NULL : hashNumber(vector.values[row] as number)
    case 'text': {
      const start = vector.starts[row] as number
      return start < 0 ? HASH_NULL : hashBytes(vector.bytes, start, vector.ends[row] as number)
    }
    case 'boolean': {
      const value = vector.values[row]
      return value === BOOLEAN_NULL ? HASH_NULL : value === 1 ? HASH_TRUE : HASH_FALSE
    }
    default:
      return hashOrNull(vector.get(row))
  }
}
