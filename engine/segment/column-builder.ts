/**
 * One column of a group while its rows come: numbers, truth values or texts with nulls among them, and their bytes at the end (docs/FORMAT.md, "Columns"). A value of any other
 * kind, or of another than those before it, makes it no column: whoever wants that field reads the rows.
 *
 * Reused for one group after the other. Texts are kept once each as long as there are few different ones.
 */
import { write32LE } from '../codec/fixed-width.ts'
import { assert } from '../errors.ts'
import { BOOLEAN_NULL, type Vector } from '../field/vector.ts'
import {
  COLUMN_ALIGNMENT,
  COLUMN_BASE,
  COLUMN_BOOLEANS,
  COLUMN_DICTIONARY,
  COLUMN_DOUBLES,
  COLUMN_ENCODING,
  COLUMN_FLAG_NULLS,
  COLUMN_FLAG_SEQUENCE,
  COLUMN_FLAGS,
  COLUMN_HEADER_BYTES,
  COLUMN_INTEGERS,
  COLUMN_NOTHING,
  COLUMN_ROWS,
  COLUMN_TEXTS,
  COLUMN_WIDTH,
} from './format.ts'

const KIND_NONE = 0
const KIND_NUMBER = 1
const KIND_BOOLEAN = 2
const KIND_TEXT = 3
/** No column. */
const KIND_OTHER = 4

const rowsFirst = 8192
/** A dictionary of more entries saves nothing worth having. */
const entriesMax = 16_384
const slotCount = 4 * entriesMax
const none = new Uint8Array(0)
const encoder = new TextEncoder()

const padded = (size: number): number => Math.ceil(size / COLUMN_ALIGNMENT) * COLUMN_ALIGNMENT

export class ColumnBuilder {
  #kind = KIND_NONE
  #size = 0
  #numbers: Float64Array = new Float64Array(0)
  /** Of truth values, and of numbers and texts: 1 null. */
  #bytes: Uint8Array = none
  #hasNulls = false
  /** Of texts: the entry of a row as long as there is a dictionary. */
  #codes: Int32Array = new Int32Array(0)
  /** Where texts end in the arena: those of entries, or of rows. */
  #ends: Uint32Array = new Uint32Array(0)
  #arena: Uint8Array = none
  #arenaUsed = 0
  /** Entries of the dictionary; -1: there are too many texts for one. */
  #entries = 0
  /** Entry + 1 by hash; 0: free. */
  #slots: Int32Array = new Int32Array(0)

  get size(): number {
    return this.#size
  }

  /** Begins the next group. */
  clear(): void {
    if (this.#kind === KIND_TEXT) this.#slots.fill(0)
    this.#kind = KIND_NONE
    this.#size = 0
    this.#hasNulls = false
    this.#arenaUsed = 0
    this.#entries = 0
  }

  /** Rows `[0, size)` of a vector. */
  append(vector: Vector, size: number): void {
    switch (vector.kind) {
      case 'number': {
        const { values, nulls } = vector
        for (let row = 0; row < size; row++) {
          if (nulls !== undefined && nulls[row] === 1) this.null()
          else this.number(values[row] as number)
        }
        break
      }
      case 'boolean': {
        const { values } = vector
        for (let row = 0; row < size; row++) {
          if (values[row] === BOOLEAN_NULL) this.null()
          else this.boolean(values[row] === 1)
        }
        break
      }
      case 'text': {
        const { bytes, starts, ends } = vector
        for (let row = 0; row < size; row++) {
          const start = starts[row] as number
          if (start < 0) this.null()
          else this.#text(bytes, start, ends[row] as number)
        }
        break
      }
      default:
        for (let row = 0; row < size; row++) this.#any(vector.get(row))
    }
  }

  number(value: number): void {
    if (this.#kind !== KIND_NUMBER && !this.#become(KIND_NUMBER)) return
    this.#room()
    this.#bytes[this.#size] = 0
    this.#numbers[this.#size++] = value
  }

  boolean(value: boolean): void {
    if (this.#kind !== KIND_BOOLEAN && !this.#become(KIND_BOOLEAN)) return
    this.#room()
    this.#bytes[this.#size++] = value ? 1 : 0
  }

  #text(source: Uint8Array, start: number, end: number): void {
    if (this.#kind === KIND_TEXT || this.#become(KIND_TEXT)) this.#addText(source, start, end)
  }

  null(): void {
    this.#room()
    if (this.#kind === KIND_BOOLEAN) this.#bytes[this.#size] = 2
    else {
      this.#bytes[this.#size] = 1
      this.#hasNulls = true
      if (this.#kind === KIND_TEXT && this.#entries < 0) this.#ends[this.#size] = this.#arenaUsed
      if (this.#kind === KIND_NUMBER) this.#numbers[this.#size] = 0
    }
    this.#size++
  }

  #any(value: unknown): void {
    if (value === null || value === undefined) this.null()
    else if (typeof value === 'number') this.number(value)
    else if (typeof value === 'boolean') this.boolean(value)
    else if (typeof value === 'string') {
      const text = encoder.encode(value)
      this.#text(text, 0, text.length)
    } else this.other()
  }

  /** Values that no column holds, or that cannot be read. */
  other(count: number = 1): void {
    this.#kind = KIND_OTHER
    this.#size += count
  }

  /** The column's bytes, in memory of their own; empty: there is none. */
  finish(): Uint8Array {
    switch (this.#kind) {
      case KIND_NONE:
        return this.#begin(COLUMN_NOTHING, 0, 0, 0)
      case KIND_NUMBER:
        return this.#finishNumbers()
      case KIND_BOOLEAN: {
        const column = this.#begin(COLUMN_BOOLEANS, 1, this.#size, 0)
        column.set(this.#bytes.subarray(0, this.#size), COLUMN_HEADER_BYTES)
        return column
      }
      case KIND_TEXT:
        return this.#entries < 0 ? this.#finishTexts() : this.#finishDictionary()
      default:
        return none
    }
  }

  /** Whether values of this kind may come; else the column is none from now on. */
  #become(kind: number): boolean {
    if (this.#kind !== KIND_NONE) {
      this.other()
      return false
    }
    this.#kind = kind
    const before = this.#size
    if (before > 0) {
      this.#bytes.fill(kind === KIND_BOOLEAN ? 2 : 1, 0, before)
      this.#hasNulls = kind !== KIND_BOOLEAN
    }
    this.#grow(this.#bytes.length)
    if (kind === KIND_NUMBER) this.#numbers.fill(0, 0, before)
    return true
  }

  #room(): void {
    if (this.#size === this.#bytes.length) this.#grow(Math.max(rowsFirst, 2 * this.#size))
  }

  #grow(rows: number): void {
    this.#bytes = grown(this.#bytes, rows, Uint8Array)
    if (this.#kind === KIND_NUMBER) this.#numbers = grown(this.#numbers, rows, Float64Array)
    if (this.#kind !== KIND_TEXT) return
    this.#codes = grown(this.#codes, rows, Int32Array)
    this.#ends = grown(this.#ends, Math.max(rows, entriesMax + 1), Uint32Array)
    if (this.#slots.length === 0) this.#slots = new Int32Array(slotCount)
  }

  #addText(source: Uint8Array, start: number, end: number): void {
    this.#room()
    const row = this.#size++
    this.#bytes[row] = 0
    if (this.#entries >= 0) {
      const entry = this.#entryOf(source, start, end)
      if (entry >= 0) {
        this.#codes[row] = entry
        return
      }
      this.#leaveDictionary(row)
    }
    this.#keep(source, start, end)
    this.#ends[row] = this.#arenaUsed
  }

  /** The entry of a text, a new one if need be; -1 when there are too many. */
  #entryOf(source: Uint8Array, start: number, end: number): number {
    const size = end - start
    let hash = size
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (source[i] as number), 0x01000193)
    const slots = this.#slots
    const arena = this.#arena
    let slot = (hash ^ (hash >>> 15)) & (slotCount - 1)
    for (; (slots[slot] as number) !== 0; slot = (slot + 1) & (slotCount - 1)) {
      const entry = (slots[slot] as number) - 1
      const from = entry === 0 ? 0 : (this.#ends[entry - 1] as number)
      if ((this.#ends[entry] as number) - from !== size) continue
      let i = 0
      while (i < size && arena[from + i] === source[start + i]) i++
      if (i === size) return entry
    }
    if (this.#entries === entriesMax) return -1
    const entry = this.#entries++
    slots[slot] = entry + 1
    this.#keep(source, start, end)
    this.#ends[entry] = this.#arenaUsed
    return entry
  }

  /** Texts of rows one after the other in place of entries; the first `rows` are there. */
  #leaveDictionary(rows: number): void {
    const entries = this.#arena.slice(0, this.#arenaUsed)
    const ends = this.#ends.slice(0, this.#entries)
    this.#slots.fill(0)
    this.#entries = -1
    this.#arenaUsed = 0
    for (let row = 0; row < rows; row++) {
      if (this.#bytes[row] === 0) {
        const entry = this.#codes[row] as number
        this.#keep(entries, entry === 0 ? 0 : (ends[entry - 1] as number), ends[entry] as number)
      }
      this.#ends[row] = this.#arenaUsed
    }
  }

  #keep(source: Uint8Array, start: number, end: number): void {
    const at = this.#arenaUsed
    const size = end - start
    if (at + size > this.#arena.length) this.#arena = grown(this.#arena, Math.max(4096, 2 * this.#arena.length, at + size), Uint8Array)
    const arena = this.#arena
    if (size <= 16) for (let i = 0; i < size; i++) arena[at + i] = source[start + i] as number
    else arena.set(source.subarray(start, end), at)
    this.#arenaUsed = at + size
  }

  /** A column with its header; room for `data` bytes, then for nulls where there are some. */
  #begin(encoding: number, width: number, data: number, flags: number): Uint8Array {
    const nulls = encoding !== COLUMN_NOTHING && encoding !== COLUMN_BOOLEANS && encoding !== COLUMN_DICTIONARY && this.#hasNulls
    const column = new Uint8Array(padded(COLUMN_HEADER_BYTES + data + (nulls ? this.#size : 0)))
    column[COLUMN_ENCODING] = encoding
    column[COLUMN_WIDTH] = width
    column[COLUMN_FLAGS] = flags | (nulls ? COLUMN_FLAG_NULLS : 0)
    write32LE(column, COLUMN_ROWS, this.#size)
    if (nulls) column.set(this.#bytes.subarray(0, this.#size), COLUMN_HEADER_BYTES + data)
    return column
  }

  #finishNumbers(): Uint8Array {
    const numbers = this.#numbers
    const size = this.#size
    const nulls = this.#bytes
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    let isWhole = true
    let isSequence = !this.#hasNulls
    for (let row = 0; row < size; row++) {
      if (this.#hasNulls && nulls[row] === 1) continue
      const number = numbers[row] as number
      // -0 is no whole number here: it would come back as 0.
      if (!Number.isSafeInteger(number) || (number === 0 && 1 / number < 0)) {
        isWhole = false
        break
      }
      if (number < least) least = number
      if (number > most) most = number
      if (isSequence && row > 0 && number !== (numbers[row - 1] as number) + 1) isSequence = false
    }
    if (!isWhole || most - least >= 2 ** 32) {
      const column = this.#begin(COLUMN_DOUBLES, 8, 8 * size, 0)
      // Bytes are in the order of the machine, which is little-endian.
      column.set(new Uint8Array(numbers.buffer, 0, 8 * size), COLUMN_HEADER_BYTES)
      return column
    }
    const range = most - least
    const width = isSequence || range === 0 ? 0 : range < 2 ** 8 ? 1 : range < 2 ** 16 ? 2 : 4
    const column = this.#begin(COLUMN_INTEGERS, width, width * size, isSequence && size > 1 ? COLUMN_FLAG_SEQUENCE : 0)
    new DataView(column.buffer).setFloat64(COLUMN_BASE, least, true)
    if (width > 0) {
      const deltas = arrayOf(column, COLUMN_HEADER_BYTES, size, width)
      for (let row = 0; row < size; row++) deltas[row] = this.#hasNulls && nulls[row] === 1 ? 0 : (numbers[row] as number) - least
    }
    return column
  }

  #finishDictionary(): Uint8Array {
    const size = this.#size
    const entries = this.#entries
    const width = entries < 2 ** 8 ? 1 : 2
    const codes = padded(width * size)
    const column = this.#begin(COLUMN_DICTIONARY, width, codes + 4 * entries + this.#arenaUsed, 0)
    write32LE(column, COLUMN_BASE, entries)
    write32LE(column, COLUMN_BASE + 4, this.#arenaUsed)
    const target = arrayOf(column, COLUMN_HEADER_BYTES, size, width)
    for (let row = 0; row < size; row++) target[row] = this.#hasNulls && this.#bytes[row] === 1 ? entries : (this.#codes[row] as number)
    new Uint32Array(column.buffer, COLUMN_HEADER_BYTES + codes, entries).set(this.#ends.subarray(0, entries))
    column.set(this.#arena.subarray(0, this.#arenaUsed), COLUMN_HEADER_BYTES + codes + 4 * entries)
    return column
  }

  #finishTexts(): Uint8Array {
    const size = this.#size
    const borders = padded(4 * (size + 1))
    const column = this.#begin(COLUMN_TEXTS, 4, borders + this.#arenaUsed, 0)
    write32LE(column, COLUMN_BASE, this.#arenaUsed)
    new Uint32Array(column.buffer, COLUMN_HEADER_BYTES + 4, size).set(this.#ends.subarray(0, size))
    column.set(this.#arena.subarray(0, this.#arenaUsed), COLUMN_HEADER_BYTES + borders)
    return column
  }
}

type Typed = Uint8Array | Float64Array | Int32Array | Uint32Array

/** The array with room for so many elements. */
function grown<T extends Typed>(array: T, length: number, type: new (length: number) => T): T {
  if (length <= array.length) return array
  const larger = new type(length)
  larger.set(array as never)
  return larger
}

function arrayOf(column: Uint8Array, at: number, length: number, width: number): Uint8Array | Uint16Array | Uint32Array {
  assert(column.byteOffset === 0, 'a column has memory of its own')
  if (width === 1) return new Uint8Array(column.buffer, at, length)
  return width === 2 ? new Uint16Array(column.buffer, at, length) : new Uint32Array(column.buffer, at, length)
}
