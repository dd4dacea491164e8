/**
 * What a store reads: memtables over the tail of its log, and runs in segments, newest first.
 *
 *   accepted batches -> memtables (one an arena, in commit order) -> flush -> runs of level 0 -> compaction -> runs of higher levels
 *
 * Made for a log when somebody opens the store; from then on the log tells every change in its turn (`TailListener`). All reads are
 * synchronous, so within a turn memtables and runs stand still; a cursor that lives longer looks at `version`.
 *
 * Invariants: memtables and runs above the bottom ascend and descend in sequence without overlap; of two records of a key the newer is asked first;
 * runs that are no longer live are not read.
 */
import { openStoreBatch, storeBatchBaseSequence } from '../batch/store-batch.ts'
import { createKeyHash, hashKey } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { type Arena, INDEX_BYTES, INDEX_POSITION } from '../commit-log/arena.ts'
import type { LogicalLog, TailListener } from '../log/logical-log.ts'
import { rowOf } from '../log/tail.ts'
import { PART_RUN } from '../segment/format.ts'
import type { BlockCache } from './block-cache.ts'
import { KeyFinder } from './key-finder.ts'
import { Memtable } from './memtable.ts'
import { Run, type SortedRun } from './run.ts'
import { newestFirst } from './run-level.ts'
import type { CursorTable, IdleCursors } from './store-cursor.ts'

/** Memtables are not made for smaller records than that before they come. */
const recordBytesMin = 64

export class StoreTable implements TailListener, CursorTable {
  readonly log: LogicalLog
  /** Grows when memtables or runs go: a cursor that was made before must find its place anew. */
  version = 0
  readonly idle: IdleCursors = { forward: undefined, backward: undefined }
  /** Bytes of the batches that were accepted since the table was made. */
  appendedBytes = 0
  /** Lookups in runs that are gone. */
  readonly #past = { lookups: 0, filtered: 0, found: 0 }
  readonly #cache: BlockCache
  /** Oldest first; undefined: to be made of the tail by who reads next. */
  #memtables: Memtable[] | undefined
  /** Newest first; undefined: to be looked up. */
  #runs: readonly SortedRun[] | undefined
  #known = new Map<string, Run>()
  readonly #batch = new StoreRecordCursor()
  readonly #finder: KeyFinder = new KeyFinder(this)
  /** Memory of the memtables' indexes, as the cache knows it. */
  #countedBytes = 0
  /** Of the newest memtable, when they were counted. */
  #newestBytes = 0

  constructor(log: LogicalLog, cache: BlockCache) {
    this.log = log
    this.#cache = cache
    this.#memtables = this.#readTail()
    log.listener = this
  }

  /** Oldest first. */
  get memtables(): readonly Memtable[] {
    this.#memtables ??= this.#readTail()
    return this.#memtables
  }

  /** Newest first; the bottom, which may be of many pieces, last. */
  get runs(): readonly SortedRun[] {
    this.#runs ??= this.#openRuns()
    return this.#runs
  }

  /** All runs and pieces, one by one. */
  get pieces(): readonly Run[] {
    return this.runs.flatMap(({ pieces }) => pieces)
  }

  get hasRangeDeletes(): boolean {
    return this.memtables.some(memtable => memtable.rangeDeleteCount > 0) || this.runs.some(run => run.hasRangeDeletes)
  }

  /** Memory of memtables' indexes, and of filters and fence keys, bytes. */
  get indexBytes(): number {
    return this.memtables.reduce((sum, memtable) => sum + memtable.indexBytes, 0) + this.runs.reduce((sum, run) => sum + run.indexBytes, 0)
  }

  /** Lookups in runs since the table was made: all, those that a filter answered, those that found a record. */
  lookups(): { readonly lookups: number; readonly filtered: number; readonly found: number } {
    const sum = { ...this.#past }
    for (const run of this.#known.values()) addLookups(sum, run)
    return sum
  }

  /**
   * The newest put of the key with a sequence <= `sequenceMax`, if nothing newer deletes it; expiry is the caller's. The cursor holds until the next
   * call.
   */
  find(key: Uint8Array, start: number, size: number, sequenceMax: number): StoreRecordCursor | undefined {
    return this.#finder.find(key, start, size, sequenceMax)
  }

  /** Sequence of the newest record of the key, delete or not, or of a range delete over it; -1 when there is none. For conflict checks. */
  newestSequence(key: Uint8Array, start: number, size: number): number {
    return this.#finder.newestSequence(key, start, size)
  }

  /** Segments that a `find` of the key may read. */
  segmentsOf(key: Uint8Array): number[] {
    const ids: number[] = []
    for (const run of this.runs) {
      const piece = run.pieceOf(key, 0, key.length)
      if (piece !== undefined) ids.push(piece.part.segmentId)
    }
    return ids
  }

  /** Reads the blocks that a `find` of the key may need into the cache, without blocking the thread. The caller keeps the segments pinned. */
  async warm(key: Uint8Array, start: number, size: number): Promise<void> {
    const hash = createKeyHash()
    hashKey(key, start, size, hash)
    for (const run of this.runs) await run.warm(key, start, size, hash)
  }

  // --- what the log tells --------------------------------------------------------------------------------------------------------------

  accepted(arena: Arena, row: number): void {
    this.appendedBytes += arena.cell(row, INDEX_BYTES)
    if (this.#memtables === undefined) return
    try {
      this.#add(this.#memtables, arena, row)
      const newest = this.#memtables.at(-1)
      // It grows by doubling: whether it has is all that there is to know.
      if (newest !== undefined && newest.indexBytes !== this.#newestBytes) {
        this.#newestBytes = newest.indexBytes
        this.#count(this.#memtables)
      }
    } catch {
      // The commit stands, whatever happens to its index (memory that cannot be had): nobody may read one that lacks a part of it.
      this.tailChanged()
    }
  }

  partsChanged(): void {
    this.#changed()
    if (this.#memtables === undefined) return
    const { tail } = this.log
    const oldest = tail.length === 0 ? Number.POSITIVE_INFINITY : storeBatchBaseSequence(tail.arena(0).bytes, tail.position(0))
    const gone = this.#memtables.filter(memtable => memtable.lastSequence < oldest)
    this.#memtables = this.#memtables.filter(memtable => memtable.lastSequence >= oldest)
    this.#count(this.#memtables)
    // Cursors that stand in them notice by `version`, before they read.
    for (const memtable of gone) memtable.retire()
  }

  tailChanged(): void {
    this.#changed()
    this.#memtables = undefined
    this.#count([])
    // Nobody will ask for runs any more: the cache must not keep their room.
    if (this.log.dropped) for (const run of this.#known.values()) run.forget()
  }

  /** Of the fullest memtable among the last two. */
  sampleKeys(count: number, visit: (bytes: Uint8Array, start: number, size: number) => void): void {
    let fullest: Memtable | undefined
    for (const memtable of this.#memtables?.slice(-2) ?? []) if (memtable.count >= (fullest?.count ?? 1)) fullest = memtable
    fullest?.sampleKeys(count, visit)
  }

  #count(memtables: readonly Memtable[]): void {
    const bytes = memtables.reduce((sum, { indexBytes }) => sum + indexBytes, 0)
    this.#cache.countBeside(bytes - this.#countedBytes)
    this.#countedBytes = bytes
  }

  #changed(): void {
    this.#runs = undefined
    this.version++
    this.idle.forward = undefined
    this.idle.backward = undefined
  }

  #readTail(): Memtable[] {
    const memtables: Memtable[] = []
    const { tail } = this.log
    for (let i = 0; i < tail.length; i++) this.#add(memtables, tail.arena(i), rowOf(tail.slot(i)))
    this.#count(memtables)
    return memtables
  }

  #add(memtables: Memtable[], arena: Arena, row: number): void {
    const batch = this.#batch
    openStoreBatch(batch, arena.bytes, arena.cell(row, INDEX_POSITION))
    const memtable = batch.buffer === arena.bytes ? memtableOf(memtables, arena) : memtableOfUnpacked(memtables, arena, batch)
    while (batch.next()) memtable.add(batch)
  }

  #openRuns(): SortedRun[] {
    const known = new Map<string, Run>()
    const runs: Run[] = []
    for (const part of this.log.parts) {
      if (part.type !== PART_RUN || part.recordCount === 0) continue
      const id = `${part.segmentId}:${part.part}`
      const run = this.#known.get(id) ?? new Run(part, this.#cache)
      known.set(id, run)
      runs.push(run)
    }
    for (const [id, run] of this.#known) {
      if (known.has(id)) continue
      addLookups(this.#past, run)
      run.forget()
    }
    this.#known = known
    return newestFirst(runs)
  }
}

function addLookups(sum: { lookups: number; filtered: number; found: number }, { lookups, filtered, found }: Run): void {
  sum.lookups += lookups
  sum.filtered += filtered
  sum.found += found
}

/** The newest memtable, if it is of this arena: what came in between (a staged commit) lies in another arena and is older. */
function memtableOf(memtables: Memtable[], arena: Arena): Memtable {
  const newest = memtables.at(-1)
  if (newest !== undefined && newest.bytes === arena.bytes) return newest
  // As dense as the one before.
  const expected = newest === undefined ? 0 : newest.count * (arena.bytes.length / newest.bytes.length)
  const memtable = new Memtable(arena.number, arena.bytes, Math.min(expected, arena.bytes.length / recordBytesMin))
  memtables.push(memtable)
  return memtable
}

/** A batch that came compressed has its records nowhere in memory but here. */
function memtableOfUnpacked(memtables: Memtable[], arena: Arena, batch: StoreRecordCursor): Memtable {
  const shared = new Uint8Array(new SharedArrayBuffer(Math.max(1, batch.limit)))
  shared.set(batch.buffer.subarray(0, batch.limit))
  batch.reset(shared, 0, batch.limit)
  const memtable = new Memtable(arena.number, shared)
  memtables.push(memtable)
  return memtable
}
