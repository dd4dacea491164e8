/**
 * The bottom level of a store: pieces with ranges of keys of their own, read as one run. And the order in which a store's runs are asked.
 *
 * A key lies in one piece at most, found by binary search; a walk goes from piece to piece, so that a heap of cursors has one entry for the level,
 * however many pieces it has.
 *
 * Runs above the bottom may hold what was merged into some pieces already: they go when it lies in all of them (docs/ARCHITECTURE.md, "Compaction by
 * levels"). Asked first, they give the same answer: such a record lies in both, or hides what the merge dropped.
 */
import type { KeyHash } from '../batch/store-keys.ts'
import { compareKeys, sameKey } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import { LEVEL_BOTTOM } from '../segment/format.ts'
import { areDisjoint, compareRanges, type KeyRange } from '../segment/key-range.ts'
import { prefixOf } from '../segment/part-index.ts'
import type { OrderedCursor, Run, SortedRun } from './run.ts'

const noKey = new Uint8Array(0)

export class RunLevel implements SortedRun {
  readonly pieces: readonly Run[]
  readonly smallestSequence: number
  readonly largestSequence: number
  readonly hasRangeDeletes: boolean
  readonly rangeDeletes: Uint8Array
  #common: Uint8Array = noKey
  #numbers: Float64Array | undefined

  /** At least one piece, in key order, with disjoint ranges. */
  constructor(pieces: readonly Run[]) {
    const [first] = pieces
    assert(first !== undefined, 'a level has pieces')
    this.pieces = pieces
    this.smallestSequence = pieces.reduce((sequence, piece) => Math.min(sequence, piece.smallestSequence), first.smallestSequence)
    this.largestSequence = pieces.reduce((sequence, piece) => Math.max(sequence, piece.largestSequence), first.largestSequence)
    this.hasRangeDeletes = pieces.some(piece => piece.hasRangeDeletes)
    this.rangeDeletes = this.hasRangeDeletes ? joined(pieces) : first.rangeDeletes
    this.#numberPieces()
  }

  /** What the keys have in common that the pieces but the first begin with, and for each of them what follows it as a number. */
  #numberPieces(): void {
    const froms = this.pieces.slice(1).map(({ range }) => range.from as Uint8Array)
    const [first] = froms
    const last = froms.at(-1)
    if (first === undefined || last === undefined) return
    let common = 0
    while (common < Math.min(first.length, last.length) && first[common] === last[common]) common++
    this.#common = first.subarray(0, common)
    this.#numbers = Float64Array.from(froms, from => prefixOf(from, common, from.length))
  }

  get indexBytes(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.indexBytes, 0)
  }

  find(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): boolean {
    const piece = this.pieces[this.pieceNumber(key, start, size)]
    return piece?.find(key, start, size, hash, sequenceMax, record) === true
  }

  async warm(key: Uint8Array, start: number, size: number, hash: KeyHash): Promise<void> {
    await this.pieceOf(key, start, size)?.warm(key, start, size, hash)
  }

  pieceOf(key: Uint8Array, start: number, size: number): Run | undefined {
    return this.pieces[this.pieceNumber(key, start, size)]
  }

  coveringRangeDelete(key: Uint8Array, start: number, size: number, sequenceMax: number): number {
    return this.pieceOf(key, start, size)?.coveringRangeDelete(key, start, size, sequenceMax) ?? -1
  }

  cursor(): OrderedCursor {
    return new LevelCursor(this)
  }

  pieceNumber(key: Uint8Array, start: number, size: number): number {
    const { pieces } = this
    const common = this.#common
    const numbers = this.#numbers
    let from = 0
    let to = pieces.length
    if (numbers !== undefined && size >= common.length && sameKey(key, start, common, 0, common.length)) {
      // By numbers first; whole keys only where these are equal.
      const number = prefixOf(key, start + common.length, start + size)
      let low = 0
      let high = numbers.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if ((numbers[middle] as number) < number) low = middle + 1
        else high = middle
      }
      // Number i is that of piece i + 1: pieces up to `low` begin before the key. The first one has no number, and may begin behind it.
      const isBetween = numbers[low] !== number
      if (isBetween && low > 0) return low
      from = low > 0 ? low + 1 : 0
      if (isBetween) to = 1
    }
    while (from < to) {
      const middle = (from + to) >>> 1
      const keyFrom = (pieces[middle] as Run).range.from
      if (keyFrom === undefined || compareKeys(keyFrom, 0, keyFrom.length, key, start, size) <= 0) from = middle + 1
      else to = middle
    }
    return from - 1
  }
}

/** Range deletes of pieces reach no further than their piece, so those of all, back to back, are what one run would have. */
function joined(pieces: readonly Run[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, { rangeDeletes }) => sum + rangeDeletes.length, 0))
  let at = 0
  for (const { rangeDeletes } of pieces) {
    bytes.set(rangeDeletes, at)
    at += rangeDeletes.length
  }
  return bytes
}

/** Walks one piece after the other; opens a piece when it comes to it. */
class LevelCursor implements OrderedCursor {
  record: StoreRecordCursor = new StoreRecordCursor()
  readonly #level: RunLevel
  #cursor: OrderedCursor | undefined
  /** Number of the piece that `#cursor` walks; -1 before the first, the number of pieces behind the last. */
  #at = -1

  constructor(level: RunLevel) {
    this.#level = level
  }

  seek(key: Uint8Array, start: number = 0, size: number = key.length): boolean {
    const at = this.#level.pieceNumber(key, start, size)
    if (at >= 0 && this.#enter(at).seek(key, start, size)) return true
    return this.#firstFrom(at + 1)
  }

  first(): boolean {
    return this.#firstFrom(0)
  }

  last(): boolean {
    return this.#lastUpTo(this.#level.pieces.length - 1)
  }

  next(): boolean {
    return this.#cursor?.next() === true || this.#firstFrom(this.#at + 1)
  }

  previous(): boolean {
    return this.#cursor?.previous() === true || this.#lastUpTo(this.#at - 1)
  }

  #firstFrom(from: number): boolean {
    const { length } = this.#level.pieces
    for (let at = from; at < length; at++) if (this.#enter(at).first()) return true
    return this.#leave(length)
  }

  #lastUpTo(to: number): boolean {
    for (let at = to; at >= 0; at--) if (this.#enter(at).last()) return true
    return this.#leave(-1)
  }

  #enter(at: number): OrderedCursor {
    let cursor = this.#cursor
    if (cursor === undefined || this.#at !== at) {
      cursor = (this.#level.pieces[at] as Run).cursor()
      this.#cursor = cursor
      this.#at = at
      this.record = cursor.record
    }
    return cursor
  }

  #leave(at: number): false {
    this.#cursor = undefined
    this.#at = at
    return false
  }
}

const rangeOf = ({ range }: Run): KeyRange => range

/**
 * Runs of one store in the order in which they are asked: newest first, the bottom last. Pieces of the bottom whose ranges overlap (a repair found a
 * merge's result and its sources) are runs of their own until they are merged.
 */
export function newestFirst(runs: readonly Run[]): SortedRun[] {
  const upper = runs.filter(({ part }) => part.level !== LEVEL_BOTTOM)
  const pieces = runs.filter(({ part }) => part.level === LEVEL_BOTTOM).sort((left, right) => compareRanges(rangeOf(left), rangeOf(right)))
  upper.sort((left, right) => right.part.firstOffset - left.part.firstOffset)
  if (pieces.length < 2) return [...upper, ...pieces]
  if (areDisjoint(pieces.map(rangeOf))) return [...upper, new RunLevel(pieces)]
  return [...upper, ...pieces.sort((left, right) => right.part.endOffset - left.part.endOffset)]
}
