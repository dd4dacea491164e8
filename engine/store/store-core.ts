/**
 * A store without its public face: codecs, table, and the steps that verbs, transactions, indexes and tools are made of.
 *
 * Made by `Stores` once per store. Everything works on bytes of the key as `encodeKey` left them in `encoder.bytes[0, size)`, which hold until
 * the next call of it.
 */
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import type { StoreRecordCursor } from '../batch/store-record.ts'
import type { StoreWrites } from '../batch/store-writes.ts'
import { copyOf } from '../codec/text.ts'
import type { Timers } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import type { LocalCommit } from '../log/committer.ts'
import type { Committed, Durability } from '../log/log.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { OpenGroupFeed } from './group-feed.ts'
import type { Histories } from './history.ts'
import type { StoreIndexes } from './indexes.ts'
import { type KeyCodec, KeyEncoder, type StoreKey } from './key-codec.ts'
import type { Snapshot, Snapshots } from './snapshots.ts'
import { StoreCursor, type StoreCursorOptions } from './store-cursor.ts'
import type { PutOptions, RangeOptions } from './store-options.ts'
import type { StoreTable } from './store-table.ts'
import type { ValueCodec } from './value-codec.ts'
import type { StructureKeeper } from './value-structures.ts'

/** What stores need of their database. */
export interface StoreHost {
  readonly timers: Timers
  readonly snapshots: Snapshots
  /** Commit sequence that readers may see: after the last commit, or after the last durable one once the writer is poisoned. */
  readonly visibleSequence: number
  /** Clock, ms since 1970. */
  now(): number
  assertOpen(): void
  commit(write: (commit: LocalCommit) => void, durability: Durability | undefined): Committed
  /** Opens a feed for a consumer group. TypeError in a database without groups. */
  readonly openGroupFeed: OpenGroupFeed
  /** As `commit` of these rows alone; resolves with its word. */
  commitWrites(log: LogicalLog, writes: StoreWrites, durability: Durability | undefined): Promise<void>
  /** Moves everything into segments and merges the runs of the log into one. */
  compact(log: LogicalLog): Promise<void>
  /** Bytes that flushes and compactions read and wrote for a log since the opening. */
  writtenOf(logId: number): { readonly flushed: number; readonly compactedIn: number; readonly compactedOut: number }
  /** Keeps the files of these segments until the returned function is called. */
  pin(segmentIds: readonly number[]): () => void
}

/** Commits before `sequence`, and what has not expired by `time`. */
export type SnapshotMoment = Pick<Snapshot, 'sequence' | 'time'>

export interface KeyBounds {
  /** Inclusive. */
  readonly start: Uint8Array | undefined
  /** Exclusive. */
  readonly end: Uint8Array | undefined
  /** True when no key can lie in it. */
  readonly isEmpty: boolean
}

const noBytes = new Uint8Array(0)

export class StoreCore {
  readonly host: StoreHost
  readonly log: LogicalLog
  readonly table: StoreTable
  readonly keys: KeyCodec
  readonly values: ValueCodec<unknown>
  readonly encoder: KeyEncoder = new KeyEncoder()
  /** `assertUsable` and `keyBytes` for iterators: made once, not for each. */
  readonly assertOpen = (): void => this.assertUsable()
  readonly encodeSeek = (key: StoreKey): Uint8Array => this.keyBytes(key)
  ttlMs: number | undefined
  /** Present when values share structures. */
  readonly #structures: StructureKeeper | undefined
  /** What follows from writes in index logs and the expiry queue; undefined for a store that nobody indexes. */
  indexes: StoreIndexes | undefined
  /** Those of the database. */
  readonly histories: Histories

  constructor(
    host: StoreHost,
    log: LogicalLog,
    table: StoreTable,
    codecs: { readonly keys: KeyCodec; readonly values: ValueCodec<unknown>; readonly structures: StructureKeeper | undefined },
    ttlMs: number | undefined,
    histories: Histories,
  ) {
    this.host = host
    this.log = log
    this.table = table
    this.keys = codecs.keys
    this.values = codecs.values
    this.#structures = codecs.structures
    this.ttlMs = ttlMs
    this.histories = histories
  }

  /** As users know the store. */
  get name(): string {
    return this.log.name.slice(this.log.name.indexOf('/') + 1)
  }

  /** CLOSED, or NOT_FOUND when the store was dropped. */
  assertUsable(): void {
    this.host.assertOpen()
    if (this.log.dropped) throw new VarveError('NOT_FOUND', `store ${this.log.name} was dropped`, { details: { log: this.log.name } })
  }

  /** Writes the key to `encoder.bytes` and returns its size. TypeError for a key that the codec does not take. */
  encodeKey(key: StoreKey): number {
    return this.keys.encodeInto(this.encoder, key)
  }

  /** The key as bytes of its own. */
  keyBytes(key: StoreKey): Uint8Array {
    const size = this.encodeKey(key)
    return copyOf(this.encoder.bytes, 0, size)
  }

  /**
   * The entry of the key that was encoded last, as a snapshot or now sees it. The cursor holds until the next read. The clock is asked only for entries
   * that expire: asking it costs as much as hashing the key.
   */
  find(size: number, snapshot: SnapshotMoment | undefined): StoreRecordCursor | undefined {
    const record = this.table.find(this.encoder.bytes, 0, size, this.sequenceMax(snapshot))
    if (record === undefined || record.expiry === 0) return record
    return record.expiry <= (snapshot?.time ?? this.host.now()) ? undefined : record
  }

  /** Largest sequence that a read may see now, or at the snapshot. */
  sequenceMax(snapshot: SnapshotMoment | undefined): number {
    return (snapshot?.sequence ?? this.host.visibleSequence) - 1
  }

  decode(record: StoreRecordCursor): unknown {
    return this.values.decode(record.buffer, record.valueStart, record.valueStart + record.valueBytes)
  }

  /** Bytes of their own that `holds` compares with. */
  comparable(value: unknown): Uint8Array {
    // The encoder of values may give the same memory twice.
    return Uint8Array.prototype.slice.call((this.values.plain ?? this.values).encode(value))
  }

  /** Whether a value's bytes mean the value that `comparable` was made of. */
  holds(bytes: Uint8Array, start: number, end: number, comparable: Uint8Array): boolean {
    const { plain } = this.values
    // A value from before its structure was known has other bytes.
    const one = plain === undefined ? bytes.subarray(start, end) : plain.encode(this.values.decode(bytes, start, end))
    return Buffer.compare(comparable, one) === 0
  }

  // --- writing: rows of a commit ---------------------------------------------------------------------------------------------------------

  addPut(writes: StoreWrites, key: StoreKey, value: unknown, expiry: number): void {
    if (this.values.name === 'string' && typeof value === 'string') {
      const size = this.encodeKey(key)
      if (!writes.addText(STORE_PUT, this.encoder.bytes, size, value, expiry))
        throw new TypeError('value must not contain a lone surrogate')
      return
    }
    const encoded = this.values.encode(value)
    const size = this.encodeKey(key)
    writes.add(STORE_PUT, this.encoder.bytes, 0, size, encoded, 0, encoded.byteLength, expiry)
  }

  /** A put or, without a value, a delete, of what was encoded before: the value's structures are those that the codec knows, and `append` keeps them. */
  addEncoded(writes: StoreWrites, key: Uint8Array, value: Uint8Array | undefined, expiry: number): void {
    const bytes = value ?? noBytes
    writes.add(value === undefined ? STORE_DELETE : STORE_PUT, key, 0, key.byteLength, bytes, 0, bytes.byteLength, expiry)
  }

  addDelete(writes: StoreWrites, key: StoreKey): void {
    const size = this.encodeKey(key)
    writes.add(STORE_DELETE, this.encoder.bytes, 0, size, noBytes, 0, 0, 0)
  }

  /** False when nothing can lie in the range: nothing was added. */
  addRangeDelete(writes: StoreWrites, range: RangeOptions): boolean {
    const { start = noBytes, end = this.#endOfAll(writes), isEmpty } = this.bounds(range)
    if (isEmpty || end === undefined || Buffer.compare(start, end) >= 0) return false
    writes.add(STORE_RANGE_DELETE, start, 0, start.byteLength, end, 0, end.byteLength, 0)
    return true
  }

  /** The first key behind all that are visible, or were written before in the same commit: nothing above it needs deleting. */
  #endOfAll(writes: StoreWrites): Uint8Array | undefined {
    const written = writes.largestKey()
    const cursor = this.cursor({ sequenceMax: this.sequenceMax(undefined), now: 0, reverse: true })
    if (!cursor.next()) return written === undefined ? undefined : successor(written)
    const { buffer, keyStart, keyBytes } = cursor.record
    const stored = buffer.subarray(keyStart, keyStart + keyBytes)
    return successor(written !== undefined && Buffer.compare(written, stored) > 0 ? written : stored)
  }

  /** The only way of rows into a commit, once a commit: with what follows from them in indexes and the expiry queue. UNIQUE, TOO_LARGE. */
  append(commit: LocalCommit, writes: StoreWrites): void {
    this.#structures?.append(commit)
    commit.appendWrites(this.log, writes)
    this.indexes?.append(commit, writes)
  }

  /** Commits the rows, with what follows from them; resolves when the durability word holds. */
  commitAlone(writes: StoreWrites, durability: Durability | undefined): Promise<void> {
    const { log, host } = this
    const isAlone = this.indexes?.concernsNothing(writes) !== false && this.#structures?.isStored !== false
    if (isAlone && !log.ownsHighWatermark && log.machine === undefined && !log.dropped) return host.commitWrites(log, writes, durability)
    return host.commit(commit => this.append(commit, writes), durability).acknowledged
  }

  /** When an entry that is put now expires, absolute ms; 0: never. */
  expiryOf(options: PutOptions | undefined): number {
    if (options?.expiresAt !== undefined) return options.expiresAt
    const ttlMs = options?.ttlMs ?? this.ttlMs
    return ttlMs === undefined || ttlMs === Number.POSITIVE_INFINITY
      ? 0
      : Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(this.host.now() + ttlMs))
  }

  // --- ranges ----------------------------------------------------------------------------------------------------------------------------

  cursor(options: StoreCursorOptions): StoreCursor {
    return new StoreCursor(this.table, options)
  }

  bounds(range: RangeOptions<never> | RangeOptions): KeyBounds {
    return boundsOf(range as RangeOptions, this.keys, this.encoder)
  }
}

/** What the keys of a range lie between, encoded. TypeError for keys that the codec does not take. */
export function boundsOf({ gt, gte, lt, lte, prefix }: RangeOptions, keys: KeyCodec, encoder: KeyEncoder): KeyBounds {
  let start: Uint8Array | undefined
  let end: Uint8Array | undefined
  if (prefix !== undefined) ({ start, end } = keys.prefixRange(prefix))
  if (gte !== undefined) start = encoded(gte, keys, encoder)
  else if (gt !== undefined) start = successor(encoded(gt, keys, encoder))
  if (lt !== undefined) end = encoded(lt, keys, encoder)
  else if (lte !== undefined) end = successor(encoded(lte, keys, encoder))
  const isEmpty = start !== undefined && end !== undefined && Buffer.compare(start, end) >= 0
  return { start, end, isEmpty }
}

function encoded(key: StoreKey, keys: KeyCodec, encoder: KeyEncoder): Uint8Array {
  const size = keys.encodeInto(encoder, key)
  return copyOf(encoder.bytes, 0, size)
}

/** The smallest key above this one. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.byteLength + 1)
  next.set(key)
  return next
}
