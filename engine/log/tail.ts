/**
 * The tail of a logical log: its batches that lie in arenas and not in segments yet, in offset order.
 *
 * A *slot* is one number that names a batch: arena number and row in that arena's index. The tail is a list of slots and nothing else; all facts
 * about a batch stand in the index row. Owned by the logical log.
 *
 * Invariant: slots are contiguous in offsets: each batch begins where the one before ends.
 */
import {
  type Arena,
  INDEX_BASE_OFFSET,
  INDEX_BYTES,
  INDEX_END_OFFSET,
  INDEX_EPOCH,
  INDEX_MAX_TIMESTAMP,
  INDEX_POSITION,
  INDEX_STATE,
  STATE_CHECKSUM_OPEN,
} from '../commit-log/arena.ts'
import { assert } from '../errors.ts'
import { fillBatchChecksum } from './batch-kinds.ts'
import type { LogKind, LogSlice } from './log.ts'

const rowsPerArena = 2 ** 24

export type ArenaOf = (number: number) => Arena

export function slotOf(arenaNumber: number, row: number): number {
  assert(row < rowsPerArena, 'index row fits a slot', row)
  return arenaNumber * rowsPerArena + row
}

export const arenaNumberOf = (slot: number): number => Math.floor(slot / rowsPerArena)
export const rowOf = (slot: number): number => slot % rowsPerArena

export class Tail {
  readonly #arenaOf: ArenaOf
  #slots: number[] = []
  /** Slots before it are flushed; the array is cut when they are many. */
  #head = 0
  #lastArenaNumber = -1
  #lastArena: Arena | undefined

  constructor(arenaOf: ArenaOf) {
    this.#arenaOf = arenaOf
  }

  get length(): number {
    return this.#slots.length - this.#head
  }
  slot(index: number): number {
    return this.#slots[this.#head + index] as number
  }
  arena(index: number): Arena {
    const number = arenaNumberOf(this.slot(index))
    if (number !== this.#lastArenaNumber || this.#lastArena === undefined) {
      this.#lastArena = this.#arenaOf(number)
      this.#lastArenaNumber = number
    }
    return this.#lastArena
  }
  /** The arena looked at last may be released with its slots: an idle log must not keep its memory. */
  #forgetArena(): void {
    this.#lastArena = undefined
    this.#lastArenaNumber = -1
  }

  #cell(index: number, column: number): number {
    return this.arena(index).cell(rowOf(this.slot(index)), column)
  }
  position(index: number): number {
    return this.#cell(index, INDEX_POSITION)
  }
  bytes(index: number): number {
    return this.#cell(index, INDEX_BYTES)
  }
  baseOffset(index: number): number {
    return this.#cell(index, INDEX_BASE_OFFSET)
  }
  endOffset(index: number): number {
    return this.#cell(index, INDEX_END_OFFSET)
  }
  maxTimestamp(index: number): number {
    return this.#cell(index, INDEX_MAX_TIMESTAMP)
  }
  epoch(index: number): number {
    return this.#cell(index, INDEX_EPOCH)
  }
  state(index: number): number {
    return this.#cell(index, INDEX_STATE)
  }
  lsn(index: number): number {
    return this.arena(index).lsnAt(this.position(index))
  }
  markDead(index: number, bits: number): void {
    this.arena(index).addState(rowOf(this.slot(index)), bits)
  }

  push(slot: number): void {
    this.#slots.push(slot)
  }

  /** Index of the batch that contains `offset`, or of the first one after it; `length` when there is none. */
  find(offset: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.endOffset(middle) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** How many batches from the head lie below that LSN; for tails in order of commits (nothing was carried). */
  countBelow(lsn: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.lsn(middle) < lsn) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * Puts a carried batch where its offset belongs (recovery). A batch with its base offset that is there already is the one that was carried: its old
   * place may be given up, so the new one takes over. Returns the slot it replaced.
   */
  insert(slot: number, baseOffset: number): number | undefined {
    let at = this.length
    while (at > 0 && this.baseOffset(at - 1) >= baseOffset) at--
    const replaced = at < this.length && this.baseOffset(at) === baseOffset ? this.slot(at) : undefined
    this.#slots.splice(this.#head + at, replaced === undefined ? 0 : 1, slot)
    return replaced
  }

  /** Names another place with the same bytes (a carried batch). */
  replace(index: number, slot: number): void {
    this.#slots[this.#head + index] = slot
  }

  /** Forgets the first `count` slots: they are flushed. */
  dropFirst(count: number): void {
    this.#forgetArena()
    assert(count <= this.length, 'no more slots than there are', count, this.length)
    this.#head += count
    if (this.#head > 1024 && this.#head * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head)
      this.#head = 0
    } else if (this.#head === this.#slots.length) {
      this.#slots = []
      this.#head = 0
    }
  }

  /** Forgets the slots from `index` on: they are truncated. */
  dropFrom(index: number): void {
    this.#forgetArena()
    this.#slots.length = this.#head + index
  }

  /** Whole batches from the one that contains `offset` on, up to `bound`, as many as `bytesMax` holds but at least one; copied. */
  read(kind: LogKind, offset: number, bound: number, bytesMax: number, fillChecksums: boolean, into?: Uint8Array): LogSlice {
    const first = this.find(offset)
    let end = first
    let size = 0
    while (end < this.length && this.endOffset(end) <= bound && (size === 0 || size + this.bytes(end) <= bytesMax))
      size += this.bytes(end++)
    const bytes = into !== undefined && into.byteLength >= size ? into.subarray(0, size) : new Uint8Array(size)
    const positions: number[] = []
    let at = 0
    for (let i = first; i < end; i++) {
      const position = this.position(i)
      const length = this.bytes(i)
      bytes.set(this.arena(i).bytes.subarray(position, position + length), at)
      if (fillChecksums && (this.state(i) & STATE_CHECKSUM_OPEN) !== 0) fillBatchChecksum(kind, bytes, at)
      positions.push(at)
      at += length
    }
    return { kind, bytes, positions, nextOffset: end === first ? offset : this.endOffset(end - 1) }
  }

  /** The slots as they are now: a lease keeps them. */
  toArray(): number[] {
    return this.#slots.slice(this.#head)
  }
}
