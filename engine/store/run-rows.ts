/**
 * The rows of one run, or of all pieces of the bottom level, for a scan: windows over one block after the other, one way.
 *
 * Owned by a `StoreCursor`, which takes rows from `rows` and asks for more. One key's records may lie in several blocks: forwards the key of the last row
 * is passed over where the next window begins; backwards the first key of a block waits until the block before it was looked at.
 */

import { createKeyHash, hashKey } from '../batch/store-keys.ts'
import { compareRecordKey, StoreRecordCursor } from '../batch/store-record.ts'
import type { RunBlocks } from '../segment/run-blocks.ts'
import { TurningMemory } from '../segment/scratch-memory.ts'
import { type KeyPlace, type RowSource, RowWindow, type ScanMoment, windowRowsMax } from './row-window.ts'
import type { SortedRun } from './run.ts'

/** So many rows at once are worth a text of their block. */
const textRowsMin = 12

const probe = new StoreRecordCursor()
const hash = createKeyHash()
const noBytes = new Uint8Array(0)

export class RunRows implements RowSource {
  readonly rows: RowWindow = new RowWindow()
  rank = 0
  isClipped = false
  readonly #run: SortedRun
  readonly #reverse: boolean
  /** What is read, of all pieces. */
  readonly #memory: TurningMemory = new TurningMemory()
  /** By piece, once it was walked. */
  readonly #blocksOf: (RunBlocks | undefined)[]
  #piece = -1
  /** Of the current piece; undefined at the end. */
  #blocks: RunBlocks | undefined
  /** Forwards: where the next record of the current block lies. Backwards: how many of its records are left. */
  #at = 0
  #moment: ScanMoment | undefined
  /** Whether records may be later than the moment. */
  #sequences = false
  /** Forwards: the key of the last row, whose other records may follow; a copy, since they may lie some reads further on. */
  readonly #last: KeyPlace = { bytes: noBytes, start: 0, size: -1 }
  #lastCopy: Uint8Array = noBytes
  /** Backwards: the next key, whose records lie in several blocks. */
  #spanning: Uint8Array | undefined

  constructor(run: SortedRun, reverse: boolean) {
    this.#run = run
    this.#reverse = reverse
    this.#blocksOf = new Array<RunBlocks | undefined>(run.pieces.length).fill(undefined)
  }

  /** For a new walk: `place` or `placeFirst` comes next. */
  open(moment: ScanMoment): void {
    this.#moment = moment
    this.#sequences = this.#run.largestSequence > moment.sequenceMax
  }

  release(): void {
    this.rows.release()
    this.#blocks?.release()
    this.#blocks = undefined
    this.#piece = -1
    this.#last.bytes = noBytes
    this.#memory.release()
  }

  place(key: Uint8Array, start: number, size: number, isBehind: boolean, wanted: number): boolean {
    this.#last.size = -1
    if (isBehind) {
      this.#last.bytes = key
      this.#last.start = start
      this.#last.size = size
    }
    this.#stand(key, start, size, wanted)
    return this.more(wanted)
  }

  placeFirst(wanted: number): boolean {
    this.#last.size = -1
    this.#spanning = undefined
    this.#enterPiece(this.#reverse ? this.#run.pieces.length - 1 : 0)
    this.#nextBlock(wanted, true)
    return this.more(wanted)
  }

  more(wanted: number): boolean {
    const { rows } = this
    rows.count = 0
    while (rows.count === 0) {
      if (this.#spanning !== undefined) {
        this.#fillSpanning(this.#spanning, wanted)
        continue
      }
      const blocks = this.#blocks
      if (blocks === undefined) break
      if (this.#reverse ? this.#at === 0 : this.#at >= blocks.table) this.#nextBlock(wanted, false)
      else if (this.#reverse) this.#fillBackward(blocks, wanted)
      else this.#fillForward(blocks, wanted)
    }
    rows.at = 0
    return rows.count > 0
  }

  #fillForward(blocks: RunBlocks, wanted: number): void {
    const { rows } = this
    const last = this.#last
    const max = Math.min(wanted, windowRowsMax)
    const from = this.#at
    this.#at = rows.fill(blocks.bytes, from, blocks.table, max, this.#moment!, this.#sequences, last)
    rows.text = wanted >= textRowsMin ? blocks.text : undefined
    if (from === blocks.start && this.#at === blocks.table) rows.text?.tellOthers(rows.othersBeforeKeys)
    if (rows.count > 0) this.#remember(rows, rows.count - 1)
  }

  #remember(rows: RowWindow, row: number): void {
    const last = this.#last
    const size = rows.keyBytes(row)
    if (size > this.#lastCopy.length) this.#lastCopy = new Uint8Array(Math.max(64, size * 2))
    const copy = this.#lastCopy
    const { bytes } = rows
    const start = rows.keyStarts[row]!
    for (let i = 0; i < size; i++) copy[i] = bytes[start + i]!
    last.bytes = copy
    last.start = 0
    last.size = size
  }

  #fillBackward(blocks: RunBlocks, wanted: number): void {
    const { rows } = this
    const { bytes, table, count } = blocks
    const limit = this.#at === count ? table : blocks.position(this.#at)
    let from = Math.max(0, this.#at - Math.min(wanted, windowRowsMax))
    // All records of a key belong together.
    while (from > 0 && isSameKey(blocks, from - 1, from)) from--
    const position = blocks.position(from)
    rows.text = wanted >= textRowsMin ? blocks.text : undefined
    this.#at = from
    this.#last.size = -1
    if (from === 0) this.#skipSpanning(bytes, position, limit, wanted)
    rows.fill(bytes, position, limit, windowRowsMax, this.#moment!, this.#sequences, this.#last)
    if (from === 0 && limit === table) rows.text?.tellOthers(rows.othersBeforeKeys)
    rows.reverse()
  }

  /** Backwards, where a block's records begin: goes on to the block before it. If that ends with the same key, the key waits: its first record decides. */
  #skipSpanning(bytes: Uint8Array, position: number, limit: number, wanted: number): void {
    this.#nextBlock(wanted, false)
    const blocks = this.#blocks
    if (blocks === undefined) return
    probe.readAt(bytes, position, limit)
    const { keyStart, keyBytes } = probe
    if (compareRecordKey(probe, blocks.bytes, blocks.position(blocks.count - 1), blocks.table, bytes, keyStart, keyBytes) !== 0) return
    this.#spanning = bytes.slice(keyStart, keyStart + keyBytes)
    this.#last.bytes = bytes
    this.#last.start = keyStart
    this.#last.size = keyBytes
  }

  /** The one row of a key whose records lie in several blocks; the walk goes on before them. */
  #fillSpanning(key: Uint8Array, wanted: number): void {
    const { rows } = this
    const moment = this.#moment!
    this.#stand(key, 0, key.length, wanted)
    hashKey(key, 0, key.length, hash)
    if (!this.#run.find(key, 0, key.length, hash, moment.sequenceMax, probe)) return
    // The cache may use the memory again.
    const record = probe.buffer.slice(probe.start, probe.end)
    this.#last.size = -1
    rows.fill(record, 0, record.length, 1, moment, this.#sequences, this.#last)
    rows.text = undefined
  }

  /** Before the first record whose key is >= the key; what is walked next lies on the one side of it or the other. */
  #stand(key: Uint8Array, start: number, size: number, wanted: number): void {
    this.#spanning = undefined
    const piece = this.#run.pieceNumber(key, start, size)
    if (piece < 0) {
      // Before all pieces.
      this.#enterPiece(this.#reverse ? -1 : 0)
      this.#nextBlock(wanted, true)
      return
    }
    const blocks = this.#enterPiece(piece)
    if (blocks === undefined) return
    if (blocks.index.blockCount === 0) {
      this.#nextBlock(wanted, true)
      return
    }
    const { index } = blocks
    const block = this.#reverse ? Math.max(0, index.findFence(key, start, size) - 1) : index.findBlock(key, start, size)
    this.#enter(blocks, block, wanted, true)
    const at = blocks.lowerBound(key, start, size)
    this.#at = this.#reverse ? at : at === blocks.count ? blocks.table : blocks.position(at)
  }

  /** The end when there is no such piece. */
  #enterPiece(piece: number): RunBlocks | undefined {
    if (piece !== this.#piece) this.#blocks?.release()
    this.#piece = piece
    const run = this.#run.pieces[piece]
    if (run === undefined) {
      this.#blocks = undefined
      return undefined
    }
    const known = this.#blocksOf[piece]
    const blocks = known ?? run.blocks(this.#memory)
    if (known === undefined) this.#blocksOf[piece] = blocks
    blocks.leave(this.#reverse ? blocks.index.blockCount : -1)
    this.#blocks = blocks
    return blocks
  }

  /** The block beside the current one, of the next piece at the end of one. */
  #nextBlock(wanted: number, isJump: boolean): void {
    const step = this.#reverse ? -1 : 1
    for (let blocks = this.#blocks; blocks !== undefined; blocks = this.#enterPiece(this.#piece + step)) {
      const block = blocks.block + step
      if (block < 0 || block >= blocks.index.blockCount) continue
      this.#enter(blocks, block, wanted, isJump)
      return
    }
  }

  #enter(blocks: RunBlocks, block: number, wanted: number, isJump: boolean): void {
    blocks.enter(block, this.#reverse ? -1 : 1, isJump, wanted)
    this.#at = this.#reverse ? blocks.count : blocks.start
  }
}

function isSameKey(blocks: RunBlocks, left: number, right: number): boolean {
  const { bytes, table } = blocks
  probe.readAt(bytes, blocks.position(right), table)
  const { keyStart, keyBytes } = probe
  return compareRecordKey(probe, bytes, blocks.position(left), table, bytes, keyStart, keyBytes) === 0
}
