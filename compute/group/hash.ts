/**
 * Hashes of values, for group tables and for the partition of a shuffle. Equal values have equal hashes whatever vector they come in (a number in a number vector, in a vector
 * of any values, as a bigint), in every worker and on every machine: partitions are agreed upon by hash alone. 32 bits, as a signed integer.
 */
import { BOOLEAN_NULL, type Vector } from '../vector/vector.ts'
import { encodeGroupKey, groupKeyBytes, isDouble } from './group-key.ts'
import { stringTexts } from './string-texts.ts'

/** Hash of null. */
export const HASH_NULL = 0x2545f491
const HASH_FALSE = 0x1b873593
const HASH_TRUE = 0x4cf5ad43

/** See `hashWhole`. */
export const WHOLE_SHIFT = 6
const WHOLE_NEIGHBOURS = 1 << WHOLE_SHIFT

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
  const whole = value | 0
  if (whole === value) return hashWhole(whole)
  float[0] = value
  return mixedHash((words[0] as number) ^ Math.imul(words[1] as number, 0x9e3779b1))
}

/**
 * A whole number of 32 bits is its own bits: the two words of a double differ in few. Of 64 neighbours, from a multiple of 64 on, no two have the same six top bits, by which rows are divided among
 * 64 buckets: keys without gaps fall into all of them evenly, and in one bucket are there once in `WHOLE_NEIGHBOURS`.
 */
function hashWhole(whole: number): number {
  const place = whole & (WHOLE_NEIGHBOURS - 1)
  return mixedHash((whole >> WHOLE_SHIFT) ^ 0x5bd1e995) ^ ((place << 26) | (Math.imul(place, 0x9e3779b1) & 0x03ffffff))
}

/** By size up to eight bytes: what of the first and of the second four bytes belongs to a text. */
export const firstMasks: Int32Array = Int32Array.from({ length: 9 }, (_, size) => (size >= 4 ? -1 : (1 << (8 * size)) - 1))
export const secondMasks: Int32Array = Int32Array.from({ length: 9 }, (_, size) =>
  size >= 8 ? -1 : size <= 4 ? 0 : (1 << (8 * (size - 4))) - 1,
)

/** How hashes, and who tells texts apart, read bytes: four at a time. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The first four bytes of `[start, end)` as a whole number, the first lowest; what lies at or behind `end` is 0. */
export function firstWord(view: DataView, start: number, end: number): number {
  if (start + 4 > view.byteLength) return lastBytes(view, start, end)
  return view.getInt32(start, true) & (firstMasks[upToEight(end - start)] as number)
}

/** As `firstWord`, of the next four bytes. */
export function secondWord(view: DataView, start: number, end: number): number {
  if (start + 8 > view.byteLength) return lastBytes(view, start + 4, end)
  return view.getInt32(start + 4, true) & (secondMasks[upToEight(end - start)] as number)
}

/** The lesser of it and 8, without a branch, which sizes of words would often mislead. */
export function upToEight(size: number): number {
  const isLess = (size - 8) >> 31
  return (size & isLess) | (8 & ~isLess)
}

/** Where the memory ends before four bytes. */
function lastBytes(view: DataView, at: number, end: number): number {
  let word = 0
  for (let i = 0; i < 4 && at + i < end; i++) word |= view.getUint8(at + i) << (8 * i)
  return word
}

/** Of the bytes in `[start, end)`, whose first two words are given. */
export function hashText(view: DataView, start: number, end: number, first: number, second: number): number {
  const size = end - start
  const h = (Math.imul(first ^ 0x811c9dc5, 0x9e3779b1) + Math.imul(second, 0x85ebca77) + size) | 0
  return mixedHash(size <= 8 ? h : withRest(h, view, start + 8, end - 4))
}

/** With the words from `from` on, of which the last, at `last`, may overlap the one before it. */
function withRest(hash: number, view: DataView, from: number, last: number): number {
  let h = hash
  for (let at = from; at < last; at += 4) h = withWord(h, view.getInt32(at, true))
  return withWord(h, view.getInt32(last, true))
}

function withWord(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1)
  return h ^ (h >>> 15)
}

export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  return hashRange(viewOf(bytes), start, end)
}

function hashRange(view: DataView, start: number, end: number): number {
  return hashText(view, start, end, firstWord(view, start, end), secondWord(view, start, end))
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
export function hashVector(given: Vector, rows: Int32Array, count: number, hashes: Int32Array, combine: boolean): void {
  const vector = given.kind === 'any' ? (stringTexts(given, rows, count) ?? given) : given
  // One number or text is the usual key: loops of their own ask nothing of each row.
  if (vector.kind === 'number' && vector.nulls === undefined && !combine) {
    const { values } = vector
    for (let k = 0; k < count; k++) hashes[k] = hashNumber(values[rows[k] as number] as number)
  } else if (vector.kind === 'text') {
    const { starts, ends } = vector
    const view = viewOf(vector.bytes)
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      const h = start < 0 ? HASH_NULL : hashRange(view, start, ends[row] as number)
      hashes[k] = combine ? combined(hashes[k] as number, h) : h
    }
  } else {
    for (let k = 0; k < count; k++) {
      const h = hashAt(vector, rows[k] as number)
      hashes[k] = combine ? combined(hashes[k] as number, h) : h
    }
  }
}

/** The hash of a key so far and of its next field as one. */
export function combined(hash: number, ofField: number): number {
  return mixedHash(Math.imul(hash, 31) + ofField)
}

function hashAt(vector: Vector, row: number): number {
  switch (vector.kind) {
    case 'number':
      return vector.nulls !== undefined && vector.nulls[row] === 1 ? HASH_NULL : hashNumber(vector.values[row] as number)
    case 'boolean': {
      const value = vector.values[row]
      return value === BOOLEAN_NULL ? HASH_NULL : value === 1 ? HASH_TRUE : HASH_FALSE
    }
    default:
      return hashOrNull(vector.get(row))
  }
}
