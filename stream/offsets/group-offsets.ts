/**
 * The committed offsets of all groups: records of the compacted internal topic `__consumer_offsets`, folded into memory at the first use.
 *
 * Owned by `Topics`. A commit is in memory in the turn in which it is made, so that the next owner of a partition in this process goes on from it; its
 * promise tells when it is durable. It can be part of a transaction: then both are, or neither is. Invariant: memory holds what the log holds.
 *
 * A group's offsets are forgotten `retentionMs` after its last member left (or, when it never had one, after its newest commit); those of a deleted topic
 * at once.
 */
import { type Durability, type LocalLog, RecordCursor, type TopicRecord, type Transaction, VarveError } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import {
  type CommittedOffset,
  decodeCommittedOffset,
  decodeGroupUse,
  decodeOffsetKey,
  encodeCommittedOffset,
  encodeGroupUse,
  encodeOffsetKey,
  GROUP_BYTES_MAX,
  KIND_GROUP,
  KIND_OFFSET,
  METADATA_BYTES_MAX,
} from './offset-format.ts'
import { type OffsetRow, OffsetTable } from './offset-table.ts'

/** Name of the internal topic. */
export const offsetsTopic = '__consumer_offsets'
/** How long offsets of a group without members are kept, ms: a week, as Kafka's `offsets.retention.minutes`. */
export const offsetsRetentionMsDefault: number = 7 * 24 * 60 * 60 * 1000

/** Records appended since the last compaction of the log that begin the next, when they outnumber what lives four times. */
const COMPACT_AFTER = 20_000

/** An offset to commit, or (without) one to take back. */
export interface OffsetChange {
  readonly topicId: number
  readonly partition: number
  /** undefined: forget it. */
  readonly offset: number | undefined
  /** Default ''. */
  readonly metadata?: string | undefined
}

/** What it needs of its owner. */
export interface OffsetsPlace {
  readonly host: StreamHost
  /** The log of the internal topic's only partition; undefined when it is not defined yet. */
  existing(): LocalLog | undefined
  /** Defines it, if need be in this turn. */
  define(): LocalLog
  /** Whether a topic of this id is defined. */
  isTopic(id: number): boolean
  readonly retentionMs?: number | undefined
}

export class GroupOffsets {
  readonly #place: OffsetsPlace
  readonly #retentionMs: number
  readonly #table = new OffsetTable()
  #log: LocalLog | undefined
  /** Records of the log, those that are overwritten included; what compaction would leave is `#table.size`. */
  #records = 0
  #compacting = false

  constructor(place: OffsetsPlace) {
    this.#place = place
    this.#retentionMs = place.retentionMs ?? offsetsRetentionMsDefault
  }

  /** Groups that have committed something. */
  get groups(): string[] {
    this.#load()
    return this.#table.groups
  }

  get(group: string, topicId: number, partition: number): CommittedOffset | undefined {
    this.#load()
    return this.#table.get(group, topicId, partition)
  }

  /** All that a group has committed, by topic id and partition. */
  rows(group: string): OffsetRow[] {
    this.#load()
    return this.#table.rows(group)
  }

  /** In memory when it returns; the promise resolves when durable. RangeError, TypeError; BUSY, POISONED and the like are thrown. */
  commit(group: string, changes: readonly OffsetChange[], durability?: Durability): Promise<void> {
    const records = this.#recordsOf(group, changes)
    if (records.length === 0) return Promise.resolve()
    const committed = this.#append(records, durability)
    this.#apply(group, changes)
    return committed
  }

  /** As `commit`, as part of a transaction: `changes` is asked in the turn of its commit, and may throw to refuse it. */
  commitWith(tx: Transaction, group: string, changes: () => readonly OffsetChange[]): void {
    let made: readonly OffsetChange[] = []
    tx.beforeCommit(() => {
      made = changes()
      const records = this.#recordsOf(group, made)
      if (records.length > 0) tx.log(this.#opened()).appendRecords(records)
    })
    tx.afterCommit(() => {
      this.#apply(group, made)
      this.#records += made.length
    })
  }

  /** The group has members from now on, or none any more. Written only for groups that have offsets. */
  setLive(group: string, live: boolean): void {
    this.#load()
    if (this.#table.use(group)?.live === live || !this.#table.hasOffsets(group)) return
    const use = { live, timestamp: this.#place.host.environment.clock.now() }
    const written = this.#append([
      { key: encodeOffsetKey({ kind: KIND_GROUP, group, topicId: 0, partition: 0 }), value: encodeGroupUse(use) },
    ])
    written.catch(() => undefined) // what matters of it is told by the next commit
    this.#table.setUse(group, use)
  }

  /** Forgets all that a group has committed. Resolves when durable. */
  async forget(group: string): Promise<void> {
    const changes = this.rows(group).map(({ topicId, partition }) => ({ topicId, partition, offset: undefined }))
    const hasUse = this.#table.use(group) !== undefined
    if (changes.length === 0 && !hasUse) return
    const records = this.#recordsOf(group, changes)
    if (hasUse) records.push({ key: encodeOffsetKey({ kind: KIND_GROUP, group, topicId: 0, partition: 0 }), value: null })
    const committed = this.#append(records)
    this.#apply(group, changes)
    this.#table.setUse(group, undefined)
    await committed
  }

  /** Forgets what all groups have committed of a deleted topic. */
  async forgetTopic(topicId: number): Promise<void> {
    this.#load()
    await this.#forgetRows(row => row.topicId === topicId)
  }

  /** Forgets groups that were not used for the retention time. Returns their names. */
  async expire(isLive: (group: string) => boolean): Promise<string[]> {
    this.#load()
    const before = this.#place.host.environment.clock.now() - this.#retentionMs
    const expired = this.#table.groups.filter(group => {
      if (isLive(group)) return false
      const newest = this.#table.rows(group).reduce((time, row) => Math.max(time, row.timestamp), this.#table.use(group)?.timestamp ?? 0)
      return newest < before
    })
    for (const group of expired) await this.forget(group)
    return expired
  }

  // --- the log -------------------------------------------------------------------------------------------------------------------------

  #opened(): LocalLog {
    this.#load()
    this.#log ??= this.#place.define()
    return this.#log
  }

  /** Folds the log into memory, once. */
  #load(): void {
    if (this.#log !== undefined) return
    const log = this.#place.existing()
    if (log === undefined) return
    this.#log = log
    const cursor = new RecordCursor()
    for (let offset = log.startOffset; offset < log.endOffset; ) {
      const slice = log.read(offset, { bound: 'end' })
      for (const position of slice.positions) {
        cursor.open(slice.bytes, position)
        while (cursor.next()) this.#take(cursor)
      }
      cursor.close()
      if (slice.nextOffset === offset) break
      offset = slice.nextOffset
    }
    this.#tidy()
  }

  #take({ data, keyStart, keySize, valueStart, valueSize }: RecordCursor): void {
    this.#records++
    if (keySize < 0) return
    const key = decodeOffsetKey(data.subarray(keyStart, keyStart + keySize))
    if (key === undefined) return
    const value = valueSize < 0 ? undefined : data.subarray(valueStart, valueStart + valueSize)
    if (key.kind === KIND_GROUP) this.#table.setUse(key.group, value === undefined ? undefined : decodeGroupUse(value))
    else this.#table.set(key.group, key.topicId, key.partition, value === undefined ? undefined : decodeCommittedOffset(value))
  }

  /** After opening: groups whose process ended with members in them are empty from now on; topics may have been deleted meanwhile. */
  #tidy(): void {
    for (const group of this.#table.groups) if (this.#table.use(group)?.live === true) this.setLive(group, false)
    this.#forgetRows(row => !this.#place.isTopic(row.topicId)).catch(() => undefined) // tried again at the next opening
  }

  async #forgetRows(isGone: (row: OffsetRow) => boolean): Promise<void> {
    const written: Promise<void>[] = []
    for (const group of this.#table.groups) {
      const gone = this.#table.rows(group).filter(isGone)
      if (gone.length === 0) continue
      written.push(
        this.commit(
          group,
          gone.map(({ topicId, partition }) => ({ topicId, partition, offset: undefined })),
        ),
      )
    }
    await Promise.all(written)
  }

  #recordsOf(group: string, changes: readonly OffsetChange[]): TopicRecord[] {
    const timestamp = this.#place.host.environment.clock.now()
    if (Buffer.byteLength(group) > GROUP_BYTES_MAX) throw new RangeError(`group must have at most ${GROUP_BYTES_MAX} bytes`)
    return changes.map(({ topicId, partition, offset, metadata = '' }) => {
      const key = encodeOffsetKey({ kind: KIND_OFFSET, group, topicId, partition })
      if (offset === undefined) return { key, value: null, timestamp }
      if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset must be a non-negative integer, got ${String(offset)}`)
      if (typeof metadata !== 'string') throw new TypeError(`metadata must be a string, got ${String(metadata)}`)
      if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX) {
        throw new VarveError('TOO_LARGE', `metadata of a committed offset has more than ${METADATA_BYTES_MAX} bytes`, {
          details: { limit: 'metadata', expected: METADATA_BYTES_MAX, group },
        })
      }
      return { key, value: encodeCommittedOffset({ offset, metadata, timestamp }), timestamp }
    })
  }

  #append(records: readonly TopicRecord[], durability?: Durability): Promise<void> {
    const log = this.#opened()
    const options = durability === undefined ? {} : { durability }
    const committed = this.#place.host.commit(commit => commit.appendRecords(log, records), options)
    this.#records += records.length
    this.#maybeCompact()
    return committed.acknowledged
  }

  #apply(group: string, changes: readonly OffsetChange[]): void {
    const timestamp = this.#place.host.environment.clock.now()
    for (const { topicId, partition, offset, metadata = '' } of changes)
      this.#table.set(group, topicId, partition, offset === undefined ? undefined : { offset, metadata, timestamp })
  }

  #maybeCompact(): void {
    if (this.#compacting || this.#records < COMPACT_AFTER || this.#records < 4 * this.#table.size) return
    this.#compacting = true
    const log = this.#log as LocalLog
    // What lies in the tail is not compacted yet; it is with the next.
    this.#records = this.#table.size
    this.#place.host
      .compactLog(log.name)
      .catch(() => undefined) // background work that is tried again later
      .finally(() => {
        this.#compacting = false
      })
  }
}
