/**
 * The change feed of a store: its log read in commit order, as changes with keys and values.
 *
 * A store with the option `changes` keeps its batches readable when they are flushed (a body beside the runs), so its log answers reads by offset; a
 * position of the feed is such an offset. Only what is acknowledged is told (the log's high watermark). `readChanges` is one synchronous read; a
 * `ChangeFeed` goes on with it, waiting where there is nothing yet. Made by `Store`; keeps nothing but its position.
 *
 * Invariants: each change is told once and in commit order to who reads on from the position of the answer before; a commit is cut only when it alone
 * exceeds the limit.
 */
import { openStoreBatch, storeBatchBaseOffset, storeBatchCount } from '../batch/store-batch.ts'
import { STORE_DELETE, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import type { LogSlice } from '../log/log.ts'
import type { StoreKey } from './key-codec.ts'
import { rangeOfKeys } from './key-range.ts'
import type { StoreCore } from './store-core.ts'
import type { RangeOptions } from './store-options.ts'

/** One change of a store. `sequence`: the record's; `store.asOf(sequence + 1)` is the store right after it. */
export type Change<V = unknown, K extends StoreKey = StoreKey> =
  /** `expiresAt`: absolute ms since 1970. */
  | { readonly type: 'put'; readonly key: K; readonly value: V; readonly sequence: number; readonly expiresAt?: number }
  /** `expired`: written because the entry's time had come, not by a caller. */
  | { readonly type: 'del'; readonly key: K; readonly sequence: number; readonly expired?: true }
  /** All keys of `range` were deleted, as `delRange(range)` takes it; `start` (inclusive) and `end` (exclusive) are the same in encoded keys. */
  | {
      readonly type: 'delRange'
      readonly range: RangeOptions<K>
      readonly start: Uint8Array
      readonly end: Uint8Array
      readonly sequence: number
    }

/** Changes in commit order, and where to go on. */
export interface ChangeBatch<V = unknown, K extends StoreKey = StoreKey> {
  /** In commit order; empty only where a read found nothing. */
  readonly changes: readonly Change<V, K>[]
  /** Read on from here; durable as what it lies behind. Equals the position that was asked for when there was nothing. */
  readonly position: number
}

/** Where a feed begins: a position, the first change that is kept, now, or the first change at or after a time (ms since 1970). */
export type ChangesFrom = number | 'start' | 'end' | { readonly time: number }

/** Options of `Store.changes`. */
export interface ChangesReadOptions {
  /** Default 'end': what is acknowledged from now on. */
  readonly from?: ChangesFrom | undefined
  /** Ends the feed: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Most changes in one batch. Default 1000. */
  readonly batchRecordsMax?: number | undefined
}

export const batchRecordsMaxDefault = 1000
/** Read at once; whole commits, at least one. */
const readBytesMax = 256 * 1024
/** Longer than any loop waits, ms. */
const holdMs = 0x7fff_ffff

/** Reads up to `limit` changes from a position on. OFFSET_OUT_OF_RANGE when they were trimmed, or never were. */
export function readChanges<V, K extends StoreKey>(core: StoreCore, position: number, limit: number): ChangeBatch<V, K> {
  assertHasChanges(core)
  const changes: Change<V, K>[] = []
  let at = position
  // A read ends where a segment ends; an answer should not.
  for (let bytes = 0; bytes < readBytesMax; ) {
    const slice = core.log.read(at, { bytesMax: readBytesMax - bytes })
    const { nextPosition, isFull } = decodeSlice(core, slice, at, limit, changes)
    bytes += slice.bytes.byteLength
    if (isFull || nextPosition === at) return { changes, position: nextPosition }
    at = nextPosition
  }
  return { changes, position: at }
}

/** The position that `from` means now. */
export function positionOf(core: StoreCore, from: ChangesFrom): number {
  assertHasChanges(core)
  const { log } = core
  if (typeof from === 'number') {
    log.read(from, { bytesMax: 1 }) // out of range is told at once
    return from
  }
  if (from === 'start') return log.startOffset
  const end = log.highWatermark
  return from === 'end' ? end : (log.offsetForTime(from.time) ?? end)
}

/** TypeError for a store that was defined without a feed. */
export function assertHasChanges(core: StoreCore): void {
  core.assertUsable()
  if (core.log.definition.body !== true) throw new TypeError(`store ${core.name} was not defined with the option changes`)
}

/** Adds the slice's changes until there are `limit`; says where to go on, and whether there were more. */
function decodeSlice<V, K extends StoreKey>(
  core: StoreCore,
  slice: LogSlice,
  from: number,
  limit: number,
  changes: Change<V, K>[],
): { readonly nextPosition: number; readonly isFull: boolean } {
  const { bytes } = slice
  const cursor = new StoreRecordCursor()
  let position = from
  for (const at of slice.positions) {
    const baseOffset = storeBatchBaseOffset(bytes, at)
    const end = baseOffset + storeBatchCount(bytes, at)
    const skipped = Math.max(0, from - baseOffset)
    if (changes.length > 0 && changes.length + end - baseOffset > limit) return { nextPosition: position, isFull: true }
    openStoreBatch(cursor, bytes, at)
    for (let i = 0; cursor.next(); i++) {
      if (i < skipped) continue
      if (changes.length === limit) return { nextPosition: baseOffset + i, isFull: true }
      changes.push(changeOf(core, cursor))
    }
    position = end
  }
  return { nextPosition: Math.max(position, slice.nextOffset), isFull: changes.length === limit }
}

function changeOf<V, K extends StoreKey>(core: StoreCore, record: StoreRecordCursor): Change<V, K> {
  const { buffer, keyStart, keyBytes, valueStart, valueBytes, sequence, expiry, kind } = record
  if (kind === STORE_RANGE_DELETE) {
    const start = buffer.slice(keyStart, keyStart + keyBytes)
    const end = buffer.slice(valueStart, valueStart + valueBytes)
    return { type: 'delRange', range: rangeOfKeys<K>(core.keys, start, end), start, end, sequence }
  }
  const key = core.keys.decode(buffer, keyStart, keyStart + keyBytes) as K
  // Only the sweeper gives a delete an expiry: that of the record that it removes.
  if (kind === STORE_DELETE) return expiry > 0 ? { type: 'del', key, sequence, expired: true } : { type: 'del', key, sequence }
  const value = core.decode(record) as V
  return expiry > 0 ? { type: 'put', key, value, sequence, expiresAt: expiry } : { type: 'put', key, value, sequence }
}

/** A feed that goes on: one pass of batches, never empty ones. While it waits for changes it keeps the process alive. */
export class ChangeFeed<V = unknown, K extends StoreKey = StoreKey> implements AsyncIterableIterator<ChangeBatch<V, K>> {
  readonly #core: StoreCore
  readonly #limit: number
  /** Ends a wait when the feed is closed. */
  readonly #closing = new AbortController()
  #position: number
  #pending: Promise<unknown> = Promise.resolve()
  #isClosed = false
  #unlisten: () => void = () => undefined

  constructor(core: StoreCore, position: number, limit: number, signal: AbortSignal | undefined) {
    this.#core = core
    this.#position = position
    this.#limit = limit
    if (signal === undefined) return
    const abort = (): void => this.#closing.abort(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#unlisten = () => signal.removeEventListener('abort', abort)
    if (signal.aborted) abort()
  }

  /** Where the next batch begins. */
  get position(): number {
    return this.#position
  }

  /** The next batch, when there is one. Rejects with the signal's reason, CLOSED, NOT_FOUND (dropped), OFFSET_OUT_OF_RANGE (trimmed), POISONED. */
  next(): Promise<IteratorResult<ChangeBatch<V, K>, undefined>> {
    const batch = this.#pending.then(() => this.#next())
    this.#pending = batch.catch(() => undefined) // the caller has the rejection; the chain only orders
    return batch
  }

  /** Ends the feed; a wait under way resolves as done. `for await` calls it. */
  return(): Promise<IteratorResult<ChangeBatch<V, K>, undefined>> {
    this.#isClosed = true
    this.#unlisten()
    this.#closing.abort()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** A loop that waits for changes is what the process lives for, as a server's socket would be. */
  async #wait(signal: AbortSignal): Promise<void> {
    const letGo = this.#core.host.timers.after(holdMs, () => undefined, true)
    try {
      await this.#core.log.waitFor(this.#position, { signal })
    } finally {
      letGo()
    }
  }

  async #next(): Promise<IteratorResult<ChangeBatch<V, K>, undefined>> {
    const { log } = this.#core
    const { signal } = this.#closing
    try {
      for (;;) {
        signal.throwIfAborted()
        const slice = await log.readAsync(this.#position, { bytesMax: readBytesMax })
        signal.throwIfAborted()
        const changes: Change<V, K>[] = []
        const { nextPosition: position } = decodeSlice(this.#core, slice, this.#position, this.#limit, changes)
        this.#position = position
        if (changes.length > 0) return { done: false, value: { changes, position } }
        if (this.#position >= log.highWatermark) await this.#wait(signal)
      }
    } catch (error) {
      if (this.#isClosed) return { done: true, value: undefined }
      this.#unlisten()
      throw error
    }
  }
}

/** Hides changes below the position at once. RangeError above what is acknowledged. Resolves when the database's durability word holds. */
export async function trimChanges(core: StoreCore, position: number): Promise<void> {
  assertHasChanges(core)
  await core.log.trimPrefix(position).acknowledged
}
