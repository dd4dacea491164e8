/**
 * Numbers the different values of a field, 0, 1, 2, … in order of appearance: an open-addressing hash table. A group table has one for each field of its keys.
 *
 * Values are kept in the narrowest form: numbers as doubles, text as UTF-8 in an arena, everything else in the bytes of `group-key.ts`. The table begins with the form of its first
 * chunk and turns to the last when others come; hashes do not change by that. Null is a value like others.
 *
 * One file, although it is long: all forms share slots, growth and the change from one to another.
 *
 * Invariants: at most half of the slots are used; the hash, and the value, of a number never change.
 */
import { assert, readText } from '../../engine/index.ts'
import { gatherVector } from '../vector/column.ts'
import { type Dictionary, DictionaryVector, NumberVector, TextVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import { decodeGroupKey, encodeGroupKey, encodeGroupKeyOf, groupKeyBytes } from './group-key.ts'
import { firstMasks, firstWord, HASH_NULL, hashText, hashVector, secondMasks, secondWord, upToEight, viewOf } from './hash.ts'
import { stringTexts } from './string-texts.ts'
import { WordVector } from './word-kernel.ts'

type Form = 'none' | 'number' | 'text' | 'bytes'

const slotsFirst = 1024
/** Integers of a group in the heads of texts: size, the first eight bytes as two words, and of longer ones the last four. */
const HEAD_INTS = 4
/** A table of so many texts is larger than the processor's caches: waiting for memory is what looking costs. */
const manyTexts = 1 << 16
/** Rows that are looked through at a time: what is noted of them fits the innermost cache. */
const rowsOfPass = 512
/** Texts up to this size are altogether in their head. */
const sizeOfHead = 12
/** Texts of larger dictionaries are looked up row by row: most of them come only a few times. */
const dictionaryMax = 4096
const arenaBytesMax = 2 ** 31 - 1
/** Of so many, if not as many others are found at once, whole numbers are not looked for by themselves any more. */
const recentMissesMax = 8192
/** How many times as large as their number the range of whole numbers may be that are found by index. */
const rangeOfWhole = 4

export class ValueTable {
  /** Values so far. */
  size = 0
  /** Of each value. */
  #hashes: Int32Array = new Int32Array(slotsFirst)
  #form: Form = 'none'
  /** Group + 1 of a slot, 0: free; but for numbers, which are as quick to compare, with the hash beside it, so that other values are hardly ever looked at. There is a power of two of them. */
  #slots: Int32Array = new Int32Array(slotsFirst)
  #numbers: Float64Array = new Float64Array(0)
  #arena: Uint8Array = new Uint8Array(0)
  #arenaView: DataView = viewOf(this.#arena)
  #arenaUsed = 0
  /** Where the key of a group begins in the arena; of a text that is null -1. */
  #starts: Int32Array = new Int32Array(0)
  #ends: Int32Array = new Int32Array(0)
  /** Of texts, by group what tells most of them apart in one line of the processor's cache; see `HEAD_INTS`. */
  #heads: Int32Array = new Int32Array(0)
  /** Group of null in the form of numbers; -1: none. */
  #nullGroup = -1
  /** Where whole numbers were found, group + 1 by what of them lies above `#recentShift`; 0: nothing. A power of two, no less than there are groups; empty where it was of no use. */
  #recent: Int32Array = new Int32Array(slotsFirst / 2)
  readonly #recentShift: number
  /** Rows of values that were there and had to be looked up by hash all the same, less than others. */
  #recentMisses = 0
  /** Of the rows at hand those that were not found at once: which row, which of the rows at hand, and then its group. */
  #missedRows: Int32Array = new Int32Array(0)
  #missedAt: Int32Array = new Int32Array(0)
  #missedGroups: Int32Array = new Int32Array(0)
  /** Of a sealed table of whole numbers of a small range, their groups from the smallest on; -1: none. */
  #groupOfWhole: Int32Array | undefined
  #smallest = 0
  /** Of the rows at hand. */
  #rowHashes: Int32Array = new Int32Array(0)
  /** As `#heads`, of the rows at hand. */
  #rowHeads: Int32Array = new Int32Array(0)
  /** The dictionary of the texts that came last, and the groups of its codes; -1: not known yet. */
  #dictionary: Dictionary | undefined
  #codeGroups: Int32Array = new Int32Array(0)

  /** `shift`: whole numbers that lie between two multiples of its power of two are hardly ever there together, since they are in other buckets (`WHOLE_SHIFT`). `expected`: values that will come, about. */
  constructor(shift: number = 0, expected: number = 0) {
    this.#recentShift = shift
    if (expected > slotsFirst / 2) this.#expect(expected)
  }

  /** Bytes that the table holds. */
  get bytes(): number {
    return (
      this.#slots.byteLength +
      this.#recent.byteLength +
      this.#hashes.byteLength +
      this.#numbers.byteLength +
      (this.#groupOfWhole?.byteLength ?? 0) +
      this.#arena.byteLength +
      this.#heads.byteLength +
      this.#starts.byteLength +
      this.#ends.byteLength
    )
  }

  /** `groups[k]` becomes the group of the value of row `rows[k]`, new ones included. */
  assign(vector: Vector, rows: Int32Array, count: number, groups: Int32Array): void {
    assert(this.#groupOfWhole === undefined, 'values are added before a table is sealed', this.size)
    if (vector instanceof DictionaryVector && vector.dictionary.size <= dictionaryMax) this.#lookCodes(vector, rows, count, groups)
    else this.#lookRows(vector, rows, count, groups, true)
  }

  /** As `assign` for values that are there; -1 for others. */
  find(vector: Vector, rows: Int32Array, count: number, groups: Int32Array): void {
    if (this.size === 0) groups.fill(-1, 0, count)
    else if (this.#groupOfWhole !== undefined && vector.kind === 'number') this.#findWhole(this.#groupOfWhole, vector, rows, count, groups)
    else this.#lookRows(vector, rows, count, groups, false)
  }

  /** Says that no value will be added any more. Where all are whole numbers (null is none), and their range is not much larger than they are many, `find` then takes their groups from an array. */
  seal(): void {
    if (this.#form !== 'number' || this.size === 0 || this.#nullGroup >= 0) return
    let [smallest, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (let group = 0; group < this.size; group++) {
      const number = this.#numbers[group] as number
      if ((number | 0) !== number) return
      smallest = Math.min(smallest, number)
      largest = Math.max(largest, number)
    }
    const range = largest - smallest + 1
    if (!(range <= rangeOfWhole * this.size + slotsFirst)) return
    const groupOfWhole = new Int32Array(range).fill(-1)
    for (let group = 0; group < this.size; group++) groupOfWhole[(this.#numbers[group] as number) - smallest] = group
    this.#smallest = smallest
    this.#groupOfWhole = groupOfWhole
  }

  #findWhole(groupOfWhole: Int32Array, { values, nulls }: NumberVector, rows: Int32Array, count: number, groups: Int32Array): void {
    const smallest = this.#smallest
    const { length } = groupOfWhole
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const value = values[row] as number
      const whole = value | 0
      const at = whole - smallest
      groups[k] = whole === value && at >= 0 && at < length ? (groupOfWhole[at] as number) : -1
    }
    if (nulls === undefined) return
    for (let k = 0; k < count; k++) if (nulls[rows[k] as number] === 1) groups[k] = -1
  }

  /** Groups of texts by their codes: each is looked up once in a dictionary. */
  #lookCodes(vector: DictionaryVector, rows: Int32Array, count: number, groups: Int32Array): void {
    const { codes, dictionary } = vector
    if (this.#dictionary !== dictionary) {
      this.#dictionary = dictionary
      this.#codeGroups = new Int32Array(dictionary.size + 1).fill(-1)
    }
    const codeGroups = this.#codeGroups
    let fresh = 0
    for (let k = 0; k < count; k++) {
      const group = codeGroups[codes[rows[k] as number] as number] as number
      groups[k] = group
      if (group < 0) fresh++
    }
    if (fresh === 0) return
    const one = new Int32Array(1)
    for (let k = 0; k < count; k++) {
      if ((groups[k] as number) >= 0) continue
      const code = codes[rows[k] as number] as number
      if ((codeGroups[code] as number) < 0) {
        this.#lookRows(vector, rows.subarray(k, k + 1), 1, one, true)
        codeGroups[code] = one[0] as number
      }
      groups[k] = codeGroups[code] as number
    }
  }

  #lookRows(given: Vector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    const vector = given.kind === 'any' ? (stringTexts(given, rows, count) ?? given) : given
    const form = vector.kind === 'number' || vector.kind === 'text' ? vector.kind : 'bytes'
    if (this.#form === 'none' && adds) this.#form = form
    if (this.#form !== form && adds) this.#toBytes()
    if (this.#form === 'text' && vector.kind === 'text') {
      if (adds && vector instanceof WordVector && count === vector.starts.length) {
        vector.kernel.number(vector, this, groups, (some, howMany, found) => this.#lookSomeTexts(vector, some, howMany, found, true))
      } else this.#lookSomeTexts(vector, rows, count, groups, adds)
      return
    }
    if (this.#form === 'number' && vector.kind === 'number' && vector.nulls === undefined && this.#recent.length > 0) {
      this.#lookWholes(vector, rows, count, groups, adds)
      return
    }
    this.#lookByHash(vector, rows, count, groups, adds)
  }

  #lookSomeTexts(vector: TextVector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    if (this.size < manyTexts) this.#lookTexts(vector, rows, count, groups, adds)
    else this.#lookManyTexts(vector, rows, count, groups, adds)
  }

  #lookByHash(vector: Vector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    if (this.#rowHashes.length < count) this.#rowHashes = new Int32Array(Math.max(count, 4096))
    hashVector(vector, rows, count, this.#rowHashes, false)
    if (this.#form === 'number' && vector.kind === 'number') this.#lookNumbers(vector, rows, count, groups, adds)
    else {
      if (this.#form !== 'bytes') this.#toBytes()
      this.#lookBytes(vector, rows, count, groups, adds)
    }
  }

  /** Numbers, whole ones by themselves as far as possible and the rest by hash. */
  #lookWholes(vector: NumberVector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    this.#roomForMissed(Math.max(count, 4096))
    const missed = this.#findRecent(vector, rows, count, groups)
    if (missed === 0) return
    const [missedRows, missedAt, found] = [this.#missedRows, this.#missedAt, this.#missedGroups]
    const before = this.size
    this.#lookByHash(vector, missedRows, missed, found, adds)
    const recent = this.#recent
    const mask = recent.length - 1
    const { values } = vector
    for (let i = 0; i < missed; i++) {
      const group = found[i] as number
      groups[missedAt[i] as number] = group
      const value = values[missedRows[i] as number] as number
      const whole = value | 0
      if (group >= 0 && whole === value) recent[(whole >> this.#recentShift) & mask] = group + 1
    }
    this.#recentMisses = Math.max(0, this.#recentMisses + 2 * (missed - (this.size - before)) - count)
    if (this.#recentMisses > recentMissesMax) this.#recent = new Int32Array(0)
  }

  #roomForMissed(count: number): void {
    if (this.#missedRows.length >= count) return
    this.#missedRows = new Int32Array(count)
    this.#missedAt = new Int32Array(count)
    this.#missedGroups = new Int32Array(count)
  }

  /** The groups of those that are in `#recent`; how many are not. */
  #findRecent({ values }: NumberVector, rows: Int32Array, count: number, groups: Int32Array): number {
    const [recent, numbers, missedRows, missedAt, shift] = [
      this.#recent,
      this.#numbers,
      this.#missedRows,
      this.#missedAt,
      this.#recentShift,
    ]
    const mask = recent.length - 1
    let missed = 0
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const value = values[row] as number
      const whole = value | 0
      const group = (recent[(whole >> shift) & mask] as number) - 1
      // Of whatever was taken for the whole number; beyond the end is none.
      if (group >= 0 && numbers[group] === value) groups[k] = group
      else {
        missedRows[missed] = row
        missedAt[missed++] = k
      }
    }
    return missed
  }

  #lookNumbers({ values, nulls }: NumberVector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    const rowHashes = this.#rowHashes
    let slots = this.#slots
    let numbers = this.#numbers
    let nullGroup = this.#nullGroup
    let mask = slots.length - 1
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const hash = rowHashes[k] as number
      if (nulls !== undefined && nulls[row] === 1) {
        if (nullGroup < 0 && adds) {
          nullGroup = this.size
          this.#nullGroup = nullGroup
          this.#insert(hash, this.#freeSlot(hash))
          slots = this.#slots
          numbers = this.#numbers
          mask = slots.length - 1
        }
        groups[k] = nullGroup
        continue
      }
      const value = values[row] as number
      let slot = hash & mask
      let group = -1
      for (;;) {
        const candidate = (slots[slot] as number) - 1
        if (candidate < 0) break
        const number = numbers[candidate] as number
        if ((number === value || (Number.isNaN(value) && Number.isNaN(number))) && candidate !== nullGroup) {
          group = candidate
          break
        }
        slot = (slot + 1) & mask
      }
      if (group < 0 && adds) {
        group = this.size
        this.#insert(hash, slot)
        slots = this.#slots
        numbers = this.#numbers
        mask = slots.length - 1
        numbers[group] = value === 0 ? 0 : value
      }
      groups[k] = group
    }
  }

  #lookTexts({ bytes, starts, ends }: TextVector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    let heads = this.#heads
    let slots = this.#slots
    let mask = slots.length - 1
    const view = viewOf(bytes)
    const eighthLast = bytes.length - 8
    // Of another module: once here is not each time there.
    const [masksOfFirst, masksOfSecond] = [firstMasks, secondMasks]
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const start = starts[row] as number
      // Null has a size that no text has.
      let size = -1
      let first = 0
      let second = 0
      let last = 0
      let hash = HASH_NULL
      if (start >= 0) {
        const end = ends[row] as number
        size = end - start
        if (start <= eighthLast) {
          const masks = upToEight(size)
          first = view.getInt32(start, true) & (masksOfFirst[masks] as number)
          second = view.getInt32(start + 4, true) & (masksOfSecond[masks] as number)
        } else {
          first = firstWord(view, start, end)
          second = secondWord(view, start, end)
        }
        if (size > 8) last = view.getInt32(end - 4, true)
        hash = hashText(view, start, end, first, second)
      }
      let slot = (hash << 1) & mask
      let group = -1
      for (;;) {
        const candidate = (slots[slot] as number) - 1
        if (candidate < 0) break
        if (slots[slot + 1] === hash) {
          const head = HEAD_INTS * candidate
          if (heads[head + 1] === first && heads[head + 2] === second && heads[head + 3] === last && heads[head] === size) {
            if (size <= sizeOfHead || this.#hasRest(candidate, view, start, size)) {
              group = candidate
              break
            }
          }
        }
        slot = (slot + 2) & mask
      }
      if (group < 0 && adds) {
        group = this.size
        this.#insert(hash, slot)
        if (start < 0) this.#starts[group] = -1
        else this.#keep(group, bytes, start, size)
        heads = this.#heads
        heads[HEAD_INTS * group] = size
        heads[HEAD_INTS * group + 1] = first
        heads[HEAD_INTS * group + 2] = second
        heads[HEAD_INTS * group + 3] = last
        slots = this.#slots
        mask = slots.length - 1
      }
      groups[k] = group
    }
  }

  /**
   * As `#lookTexts`, in passes over the rows, so that the processor waits for the memory of many of them at a time: what hash and head each has and what is in its slot; whether that is it. What is
   * elsewhere, or new, is looked for after that.
   */
  #lookManyTexts(vector: TextVector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    this.#roomForMissed(rowsOfPass)
    if (this.#rowHeads.length === 0) this.#rowHeads = new Int32Array(HEAD_INTS * rowsOfPass)
    const [missedRows, missedAt, found] = [this.#missedRows, this.#missedAt, this.#missedGroups]
    for (let from = 0; from < count; from += rowsOfPass) {
      const to = Math.min(count, from + rowsOfPass)
      this.#readHeads(vector, rows, from, to, groups)
      const missed = this.#compareHeads(vector, rows, from, to, groups)
      if (missed === 0) continue
      this.#lookTexts(vector, missedRows, missed, found, adds)
      for (let i = 0; i < missed; i++) groups[missedAt[i] as number] = found[i] as number
    }
  }

  /** Hash and head of each row; `groups[k]` becomes the group with the hash of the k-th, if it is in one of the two slots where it is looked for first, else -1. */
  #readHeads({ bytes, starts, ends }: TextVector, rows: Int32Array, from: number, to: number, groups: Int32Array): void {
    const [rowHeads, slots] = [this.#rowHeads, this.#slots]
    const mask = slots.length - 1
    const view = viewOf(bytes)
    const eighthLast = bytes.length - 8
    // Of another module: once here is not each time there.
    const [masksOfFirst, masksOfSecond] = [firstMasks, secondMasks]
    for (let k = from, at = 0; k < to; k++, at += HEAD_INTS) {
      const row = rows[k] as number
      const start = starts[row] as number
      if (start < 0) {
        // Null has a size that no text has.
        rowHeads[at] = -1
        rowHeads[at + 1] = 0
        rowHeads[at + 2] = 0
        rowHeads[at + 3] = 0
        groups[k] = -1
        continue
      }
      const end = ends[row] as number
      const size = end - start
      let first: number
      let second: number
      if (start <= eighthLast) {
        const masks = upToEight(size)
        first = view.getInt32(start, true) & (masksOfFirst[masks] as number)
        second = view.getInt32(start + 4, true) & (masksOfSecond[masks] as number)
      } else {
        first = firstWord(view, start, end)
        second = secondWord(view, start, end)
      }
      rowHeads[at] = size
      rowHeads[at + 1] = first
      rowHeads[at + 2] = second
      rowHeads[at + 3] = size > 8 ? view.getInt32(end - 4, true) : 0
      const hash = hashText(view, start, end, first, second)
      let slot = (hash << 1) & mask
      if (slots[slot + 1] !== hash) slot = (slot + 2) & mask
      groups[k] = slots[slot + 1] === hash ? (slots[slot] as number) - 1 : -1
    }
  }

  /** How many rows are not of the group that was found for them, or have none; they are in `#missedRows`. */
  #compareHeads({ bytes, starts }: TextVector, rows: Int32Array, from: number, to: number, groups: Int32Array): number {
    const [rowHeads, heads, missedRows, missedAt] = [this.#rowHeads, this.#heads, this.#missedRows, this.#missedAt]
    const view = viewOf(bytes)
    let missed = 0
    for (let k = from, at = 0; k < to; k++, at += HEAD_INTS) {
      const group = groups[k] as number
      const head = HEAD_INTS * group
      const isIt =
        group >= 0 &&
        heads[head + 1] === rowHeads[at + 1] &&
        heads[head + 2] === rowHeads[at + 2] &&
        heads[head + 3] === rowHeads[at + 3] &&
        heads[head] === rowHeads[at] &&
        ((rowHeads[at] as number) <= sizeOfHead || this.#hasRest(group, view, starts[rows[k] as number] as number, rowHeads[at] as number))
      missedRows[missed] = rows[k] as number
      missedAt[missed] = k
      missed += isIt ? 0 : 1
    }
    return missed
  }

  /** Whether the text of a group whose head is that of this one is it altogether. */
  #hasRest(group: number, view: DataView, start: number, size: number): boolean {
    const arena = this.#arenaView
    const at = this.#starts[group] as number
    let i = 8
    while (i < size - 4 && arena.getInt32(at + i, true) === view.getInt32(start + i, true)) i += 4
    return i >= size - 4
  }

  #lookBytes(vector: Vector, rows: Int32Array, count: number, groups: Int32Array, adds: boolean): void {
    const rowHashes = this.#rowHashes
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const size = encodeGroupKeyOf(vector, row, 0)
      const key = groupKeyBytes()
      const hash = rowHashes[k] as number
      const slots = this.#slots
      const arena = this.#arena
      const mask = slots.length - 1
      let slot = (hash << 1) & mask
      let group = -1
      for (; (slots[slot] as number) !== 0; slot = (slot + 2) & mask) {
        if (slots[slot + 1] !== hash) continue
        const candidate = (slots[slot] as number) - 1
        const at = this.#starts[candidate] as number
        if ((this.#ends[candidate] as number) - at !== size) continue
        let i = 0
        while (i < size && arena[at + i] === key[i]) i++
        if (i === size) {
          group = candidate
          break
        }
      }
      if (group < 0 && adds) {
        group = this.size
        this.#insert(hash, slot)
        this.#keep(group, key, 0, size)
      }
      groups[k] = group
    }
  }

  /** The values `[from, to)`. Texts refer to the table's memory. */
  values(from: number, to: number): Vector {
    if (this.#form === 'text') return new TextVector(this.#arena, this.#starts.slice(from, to), this.#ends.slice(from, to))
    if (this.#form === 'number' && this.#nullGroup < 0) return new NumberVector(this.#numbers.slice(from, to))
    const numbers = new Int32Array(to - from)
    for (let i = from; i < to; i++) numbers[i - from] = i
    return this.valuesOf(numbers)
  }

  /** The values of these numbers. Texts refer to the table's memory. */
  valuesOf(numbers: Int32Array): Vector {
    if (this.#form === 'number') {
      const doubles = new Float64Array(numbers.length)
      let nulls: Uint8Array | undefined
      for (let i = 0; i < numbers.length; i++) {
        if (numbers[i] === this.#nullGroup) {
          nulls ??= new Uint8Array(numbers.length)
          nulls[i] = 1
        } else doubles[i] = this.#numbers[numbers[i] as number] as number
      }
      return new NumberVector(doubles, nulls)
    }
    if (this.#form === 'text') return gatherVector(new TextVector(this.#arena, this.#starts, this.#ends), numbers, numbers.length)
    const values = new Array<unknown>(numbers.length)
    for (let i = 0; i < numbers.length; i++) values[i] = decodeGroupKey(this.#arena, this.#starts[numbers[i] as number] as number)
    return vectorOf(values)
  }

  /** Room for so many values, if they are numbers. What is not used takes no memory. */
  #expect(values: number): void {
    const length = 2 ** Math.ceil(Math.log2(2 * values))
    this.#slots = new Int32Array(length)
    this.#recent = new Int32Array(length / 2)
    this.#hashes = new Int32Array(values)
    this.#numbers = new Float64Array(values)
  }

  /** The first free slot for a hash, where slots have no hashes. */
  #freeSlot(hash: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    return slot
  }

  /** The next group gets a free slot; its key is the caller's to keep. */
  #insert(hash: number, slot: number): void {
    const group = this.size++
    this.#slots[slot] = group + 1
    if (this.#form !== 'number') this.#slots[slot + 1] = hash
    if (group >= this.#hashes.length) this.#hashes = grownInts(this.#hashes, group + 1)
    this.#hashes[group] = hash
    if (this.#form === 'number') {
      if (group >= this.#numbers.length) {
        const grown = new Float64Array(Math.max(1024, 2 * this.#numbers.length))
        grown.set(this.#numbers)
        this.#numbers = grown
      }
    } else if (group >= this.#starts.length) {
      this.#starts = grownInts(this.#starts, group + 1)
      this.#ends = grownInts(this.#ends, group + 1)
      if (this.#form === 'text') this.#heads = grownInts(this.#heads, HEAD_INTS * this.#starts.length)
    }
    if (2 * this.size * this.#slotInts > this.#slots.length) this.#fillSlots(2 * this.#slots.length)
  }

  #keep(group: number, source: Uint8Array, start: number, size: number): void {
    const at = this.#arenaUsed
    if (at + size > this.#arena.length) {
      const length = Math.min(arenaBytesMax, Math.max(64 * 1024, 2 * this.#arena.length, at + size))
      assert(at + size <= length, 'keys of a group table fit 2 GiB', at, size)
      const grown = new Uint8Array(length)
      grown.set(this.#arena.subarray(0, at))
      this.#arena = grown
      this.#arenaView = viewOf(grown)
    }
    const arena = this.#arena
    if (size <= 16) for (let i = 0; i < size; i++) arena[at + i] = source[start + i] as number
    else arena.set(source.subarray(start, start + size), at)
    this.#starts[group] = at
    this.#ends[group] = at + size
    this.#arenaUsed = at + size
  }

  /** Integers of a slot. */
  get #slotInts(): number {
    return this.#form === 'number' ? 1 : 2
  }

  /** All groups into new slots, integers in all. */
  #fillSlots(length: number): void {
    const slots = new Int32Array(length)
    const mask = length - 1
    const ints = this.#slotInts
    const hashes = this.#hashes
    for (let group = 0; group < this.size; group++) {
      const hash = hashes[group] as number
      let slot = (ints === 2 ? hash << 1 : hash) & mask
      while (slots[slot] !== 0) slot = (slot + ints) & mask
      slots[slot] = group + 1
      if (ints === 2) slots[slot + 1] = hash
    }
    this.#slots = slots
    if (this.#recent.length > 0 && this.#form === 'number') this.#growRecent(length / 2)
  }

  #growRecent(length: number): void {
    const recent = new Int32Array(length)
    const numbers = this.#numbers
    for (let group = 0; group < this.size; group++) {
      const number = numbers[group] as number
      const whole = number | 0
      // The last group is only about to get its number; what is at a place is compared when it is found.
      if (whole === number && group !== this.#nullGroup) recent[(whole >> this.#recentShift) & (length - 1)] = group + 1
    }
    this.#recent = recent
  }

  /** From whatever form to bytes, which hold every key. */
  #toBytes(): void {
    const form = this.#form
    this.#form = 'bytes'
    if (form === 'bytes' || form === 'none') return
    if (form === 'number') this.#fillSlots(2 * this.#slots.length)
    const numbers = this.#numbers
    const [arena, starts, ends] = [this.#arena, this.#starts, this.#ends]
    this.#arena = new Uint8Array(0)
    this.#arenaUsed = 0
    this.#starts = new Int32Array(this.#hashes.length)
    this.#ends = new Int32Array(this.#hashes.length)
    for (let group = 0; group < this.size; group++) {
      let value: unknown
      if (form === 'number') value = group === this.#nullGroup ? null : numbers[group]
      else value = (starts[group] as number) < 0 ? null : readText(arena, starts[group] as number, ends[group] as number)
      const size = encodeGroupKey(value, 0)
      this.#keep(group, groupKeyBytes(), 0, size)
    }
    this.#numbers = new Float64Array(0)
    this.#heads = new Int32Array(0)
    this.#nullGroup = -1
  }
}

function grownInts(ints: Int32Array, need: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(Math.max(1024, 2 * ints.length, need))
  grown.set(ints)
  return grown
}
