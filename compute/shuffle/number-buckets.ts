/**
 * Rows of numbers on their way into buckets. Of some thousand rows a few fall into each bucket: each row is written once, in the form that its block will have, to where the rows of its bucket gather,
 * and a block is a copy of what lies there. No list of rows is sorted, and nothing is measured twice.
 *
 * A column has one form in all buckets: whole numbers of two or four bytes, numbers of single or double precision; or one truth value for all rows, of which nothing is written. Numbers that do not
 * fit its form change it, and what was gathered before them goes first. Forms become wider only.
 *
 * Memory is a thread's, and goes from one user to the next (`takeNumberBuckets`, `giveBack`). Invariant: between calls each bucket has fewer rows than a block.
 */
import { hashNumber } from '../group/hash.ts'
import type { PackedColumn, PackedNumbers } from '../vector/block.ts'
import { CHUNK_ROWS } from '../vector/chunk.ts'
import { BOOLEAN_NULL, type NumberVector, type Vector } from '../vector/vector.ts'
import { BUCKETS, bucketOf } from './exchange.ts'

/** Rows that a bucket has room for: of a block, and of what comes at a time. Such a number that buckets begin in different lines of the processor's cache. */
const roomOfBucket = 2 * CHUNK_ROWS + 80
/** So often a column's whole numbers may begin elsewhere. */
const movesMax = 16
/** Memory of more columns is not kept for the next user. */
const keptColumnsMax = 12

type Form = 'whole2' | 'whole4' | 'single' | 'double'
const formsFromNarrow: readonly Form[] = ['whole2', 'whole4', 'single', 'double']

/** What of a vector's rows is the same in all of them; undefined: they are numbers, none of them null. */
type Truth = number | undefined

/** Rows that are numbers: `rows[0, count)`. */
export interface NumberRows {
  readonly vectors: readonly Vector[]
  /** As `truthsOf` says. */
  readonly truths: readonly Truth[]
  readonly rows: Int32Array
  readonly count: number
  /** Hash of row `rows[k]`'s key at k; undefined: the first vector alone is the key. */
  readonly hashes: Int32Array | undefined
  /** Of `bucketOf`. */
  readonly level: number
}

/** Takes the rows of a bucket that are gathered. */
export type TakeBlock = (bucket: number, columns: readonly PackedColumn[], count: number) => void

class NumberColumn {
  truth: Truth = BOOLEAN_NULL
  #form: Form = 'whole2'
  /** What whole numbers count from. */
  #least = 0
  /** Of no rows before the first numbers. */
  #numbers: PackedNumbers | undefined
  #memory: ArrayBuffer | undefined
  #moves = 0

  /** As if no rows had come. */
  reset(): void {
    this.truth = BOOLEAN_NULL
    this.#form = 'whole2'
    this.#numbers = undefined
    this.#moves = 0
  }

  /** Writes rows `rows[from, to)` to their places, the first to `places[0]`; false when one of them does not fit the form. */
  put({ values }: NumberVector, rows: Int32Array, from: number, to: number, places: Int32Array): boolean {
    const numbers = this.#numbers
    if (numbers instanceof Uint32Array) return putWhole4(numbers, this.#least, values, rows, from, to, places)
    if (numbers instanceof Uint16Array) return putWhole2(numbers, this.#least, values, rows, from, to, places)
    if (numbers instanceof Float32Array) return putSingle(numbers, values, rows, from, to, places)
    if (numbers === undefined) return false
    putDouble(numbers, values, rows, from, to, places)
    return true
  }

  /** Takes a form that these numbers have, no narrower than before. */
  widen({ values }: NumberVector, rows: Int32Array, from: number, to: number): void {
    const before = this.#numbers === undefined ? -1 : formsFromNarrow.indexOf(this.#form)
    const { form, least } = narrowestForm(values, rows, from, to)
    const wanted = formsFromNarrow.indexOf(form)
    const moves = wanted === before && this.#moves++ < movesMax
    // Numbers that have the form by themselves, but not with those before: somewhat wider holds both, perhaps.
    const next = wanted > before || (moves && form === 'whole4') ? wanted : form === 'whole2' && before === 0 ? 1 : 3
    this.#form = formsFromNarrow[next] as Form
    this.#least = this.#form === 'whole4' && form === 'whole2' ? centred(least, 0, 2 ** 32) : least
    this.#memory ??= new ArrayBuffer(8 * BUCKETS * roomOfBucket)
    this.#numbers = numbersIn(this.#memory, this.#form)
  }

  packed(from: number, to: number): PackedColumn {
    if (this.truth !== undefined) return { truth: this.truth }
    return { numbers: (this.#numbers as PackedNumbers).subarray(from, to), least: this.#least }
  }
}

function numbersIn(memory: ArrayBuffer, form: Form): PackedNumbers {
  const length = BUCKETS * roomOfBucket
  switch (form) {
    case 'whole2':
      return new Uint16Array(memory, 0, length)
    case 'whole4':
      return new Uint32Array(memory, 0, length)
    case 'single':
      return new Float32Array(memory, 0, length)
    default:
      return new Float64Array(memory, 0, length)
  }
}

export class NumberBuckets {
  readonly columns: NumberColumn[] = []
  /** Rows that are gathered, by bucket. */
  readonly #used = new Int32Array(BUCKETS)
  /** The same with those that are coming. */
  readonly #next = new Int32Array(BUCKETS)
  readonly #places = new Int32Array(CHUNK_ROWS)
  #count = 0

  /** For rows of so many columns. */
  begin(columns: number): void {
    while (this.columns.length < columns) this.columns.push(new NumberColumn())
    this.#count = columns
    for (const column of this.columns) column.reset()
    this.#used.fill(0)
  }

  /** Gathers rows; what of a bucket makes a block goes, about `blockBytes`. */
  add({ vectors, truths, rows, count, hashes, level }: NumberRows, blockBytes: number, take: TakeBlock): void {
    const width = truths.reduce<number>((numbers, truth) => numbers + (truth === undefined ? 1 : 0), 0)
    const rowsOfBlock = Math.max(1, Math.min(CHUNK_ROWS, Math.floor(blockBytes / 8 / Math.max(1, width))))
    for (let i = 0; i < vectors.length; i++) {
      const column = this.columns[i] as NumberColumn
      if (column.truth === truths[i]) continue
      this.flush(take)
      column.truth = truths[i]
    }
    const place = (from: number, to: number): void =>
      hashes === undefined
        ? this.#placeByNumber((vectors[0] as NumberVector).values, rows, from, to, level)
        : this.#place(hashes, from, to, level)
    for (let from = 0; from < count; from += CHUNK_ROWS) {
      const to = Math.min(count, from + CHUNK_ROWS)
      place(from, to)
      for (let i = 0; i < vectors.length; ) {
        const column = this.columns[i] as NumberColumn
        const vector = vectors[i] as NumberVector
        if (column.truth !== undefined || column.put(vector, rows, from, to, this.#places)) i++
        else {
          // What is gathered keeps its form; the rows at hand have other places then.
          this.flush(take)
          column.widen(vector, rows, from, to)
          place(from, to)
          i = 0
        }
      }
      this.#used.set(this.#next)
      for (let bucket = 0; bucket < BUCKETS; bucket++) if ((this.#used[bucket] as number) >= rowsOfBlock) this.#give(bucket, take)
    }
  }

  /** All that is gathered goes. */
  flush(take: TakeBlock): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) if ((this.#used[bucket] as number) > 0) this.#give(bucket, take)
  }

  /** Where the rows of these hashes are written to. */
  #place(hashes: Int32Array, from: number, to: number, level: number): void {
    const next = this.#next
    const places = this.#places
    next.set(this.#used)
    for (let k = from; k < to; k++) {
      const bucket = bucketOf(hashes[k] as number, level)
      const place = next[bucket] as number
      next[bucket] = place + 1
      places[k - from] = roomOfBucket * bucket + place
    }
  }

  /** As `#place`, of rows whose key is a number. */
  #placeByNumber(values: Float64Array, rows: Int32Array, from: number, to: number, level: number): void {
    const next = this.#next
    const places = this.#places
    next.set(this.#used)
    for (let k = from; k < to; k++) {
      const bucket = bucketOf(hashNumber(values[rows[k] as number] as number), level)
      const place = next[bucket] as number
      next[bucket] = place + 1
      places[k - from] = roomOfBucket * bucket + place
    }
  }

  #give(bucket: number, take: TakeBlock): void {
    const first = roomOfBucket * bucket
    const used = this.#used[bucket] as number
    const columns: PackedColumn[] = []
    // A block has at most as many rows as a chunk.
    for (let from = 0; from < used; from += CHUNK_ROWS) {
      const to = Math.min(used, from + CHUNK_ROWS)
      for (let i = 0; i < this.#count; i++) columns[i] = (this.columns[i] as NumberColumn).packed(first + from, first + to)
      take(bucket, columns, to - from)
    }
    this.#used[bucket] = 0
  }
}

/** Of this thread, used by nobody. */
let spare: NumberBuckets | undefined

export function takeNumberBuckets(columns: number): NumberBuckets {
  const buckets = spare ?? new NumberBuckets()
  spare = undefined
  buckets.begin(columns)
  return buckets
}

/** Whoever took them has no rows in them. */
export function giveBack(buckets: NumberBuckets): void {
  if (buckets.columns.length <= keptColumnsMax) spare = buckets
}

/** Of each vector; undefined when one of them has other things than numbers, or different truth values. */
export function truthsOf(vectors: readonly Vector[], rows: Int32Array, count: number): Truth[] | undefined {
  const truths: Truth[] = []
  for (const vector of vectors) {
    const truth = truthOf(vector, rows, count)
    if (truth === 'neither') return undefined
    truths.push(truth)
  }
  return truths
}

function truthOf(vector: Vector, rows: Int32Array, count: number): Truth | 'neither' {
  if (vector.kind === 'number') return vector.nulls === undefined ? undefined : 'neither'
  if (vector.kind !== 'boolean') return 'neither'
  const { values, same } = vector
  if (same !== undefined) return same
  const first = values[rows[0] as number] as number
  for (let k = 1; k < count; k++) if (values[rows[k] as number] !== first) return 'neither'
  return first
}

/** With as much room on both sides as there is. */
function centred(least: number, range: number, room: number): number {
  const from = least - Math.floor((room - range) / 2)
  return Number.isSafeInteger(from) ? from : least
}

function narrowestForm(values: Float64Array, rows: Int32Array, from: number, to: number): { form: Form; least: number } {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  let [areWhole, areSingle] = [true, true]
  for (let k = from; k < to; k++) {
    const value = values[rows[k] as number] as number
    if (Math.trunc(value) !== value || (value === 0 && 1 / value < 0)) areWhole = false
    if (Math.fround(value) !== value && !Number.isNaN(value)) areSingle = false
    if (value < least) least = value
    if (value > most) most = value
  }
  const range = most - least
  if (areWhole && Number.isSafeInteger(least) && range < 2 ** 31) {
    return range < 2 ** 15
      ? { form: 'whole2', least: centred(least, range, 2 ** 16) }
      : { form: 'whole4', least: centred(least, range, 2 ** 32) }
  }
  return { form: areSingle ? 'single' : 'double', least: 0 }
}

// A loop for each kind of array: one loop that stores to several kinds asks for the kind at each number.

function putWhole4(
  numbers: Uint32Array,
  least: number,
  values: Float64Array,
  rows: Int32Array,
  from: number,
  to: number,
  places: Int32Array,
): boolean {
  let misfits = 0
  for (let k = from; k < to; k++) {
    const value = values[rows[k] as number] as number
    const whole = (value - least) >>> 0
    if (least + whole !== value || (value === 0 && 1 / value < 0)) misfits++
    numbers[places[k - from] as number] = whole
  }
  return misfits === 0
}

function putWhole2(
  numbers: Uint16Array,
  least: number,
  values: Float64Array,
  rows: Int32Array,
  from: number,
  to: number,
  places: Int32Array,
): boolean {
  let misfits = 0
  for (let k = from; k < to; k++) {
    const value = values[rows[k] as number] as number
    const whole = (value - least) & 0xffff
    if (least + whole !== value || (value === 0 && 1 / value < 0)) misfits++
    numbers[places[k - from] as number] = whole
  }
  return misfits === 0
}

function putSingle(numbers: Float32Array, values: Float64Array, rows: Int32Array, from: number, to: number, places: Int32Array): boolean {
  let misfits = 0
  for (let k = from; k < to; k++) {
    const value = values[rows[k] as number] as number
    if (Math.fround(value) !== value && !Number.isNaN(value)) misfits++
    numbers[places[k - from] as number] = value
  }
  return misfits === 0
}

function putDouble(numbers: Float64Array, values: Float64Array, rows: Int32Array, from: number, to: number, places: Int32Array): void {
  for (let k = from; k < to; k++) numbers[places[k - from] as number] = values[rows[k] as number] as number
}
