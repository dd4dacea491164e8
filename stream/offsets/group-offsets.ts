/**
 * The committed offsets of all groups: records of the compacted internal topic `__consumer_offsets`, folded into memory at the first use.
 *
 * Owned by `Topics`. A commit is in memory in the turn in which it is made, so that the next owner of a partition in this process goes on from it; its
 * promise tells when it is durable. It can be part of a transaction: then both are, or neither is. Invariants: memory holds what the log holds; the
 * generation under which a member has committed is durable with the commit, so that generations grow from process to process.
 *
 * A group's offsets are forgotten `retentionMs` after its last member left (or, when it never had one, after its newest commit); those of a deleted topic
 * at once.
 */
import { type Durability, type RecordCursor, type TopicBatch, type Transaction, VarveError } from '../../engine/index.ts'
import { InternalLog, type InternalLogPlace } from '../internal/internal-log.ts'
import { giveBack, takeBatch } from '../produce/batch-pool.ts'
import {
  type CommittedOffset,
  decodeCommittedOffset,
  decodeGroupUse,
  decodeOffsetKey,
  encodeCommittedOffset,
  encodeGroupUse,
  encodeOffsetKey,
  GROUP_BYTES_MAX,
  type GroupUse,
  KIND_GROUP,
  KIND_OFFSET,
  METADATA_BYTES_MAX,
} from './offset-format.ts'
import { type OffsetRow, OffsetTable } from './offset-table.ts'

/** Name of the internal topic. */
export const offsetsTopic = '__consumer_offsets'
/** How long offsets of a group without members are kept, ms: a week, as Kafka's `offsets.retention.minutes`. */
export const offsetsRetentionMsDefault: number = 7 * 24 * 60 * 60 * 1000

/** An offset to commit, or (without) one to take back. */
export interface OffsetChange {
  readonly topicId: number
  readonly partition: number
  /** undefined: forget it. */
  readonly offset: number | undefined
  /** Default ''. */
  readonly metadata?: string | undefined
}

/** What a group commits. */
export interface GroupCommit {
  readonly offsets: readonly OffsetChange[]
  /** Of the group, when a member commits; undefined when it has none. */
  readonly generation?: number | undefined
}

/** A row of the log as it shall be; undefined takes it back. */
type Row =
  | { readonly kind: typeof KIND_OFFSET; readonly topicId: number; readonly partition: number; readonly value: CommittedOffset | undefined }
  | { readonly kind: typeof KIND_GROUP; readonly value: GroupUse | undefined }

export class GroupOffsets {
  readonly #retentionMs: number
  readonly #table = new OffsetTable()
  readonly #log: InternalLog

  constructor(place: InternalLogPlace, retentionMs: number = offsetsRetentionMsDefault) {
    this.#retentionMs = retentionMs
    const table = this.#table
    this.#log = new InternalLog(place, {
      take: cursor => this.#take(cursor),
      get size() {
        return table.size
      },
      tidy: () => this.#tidy(),
    })
  }

  /** Groups that have committed something. */
  get groups(): string[] {
    this.#log.load()
    return this.#table.groups
  }

  get(group: string, topicId: number, partition: number): CommittedOffset | undefined {
    this.#log.load()
    return this.#table.get(group, topicId, partition)
  }

  /** All that a group has committed, by topic id and partition. */
  rows(group: string): OffsetRow[] {
    this.#log.load()
    return this.#table.rows(group)
  }

  /** The newest generation of a group that is known; 0 before any. */
  generation(group: string): number {
    this.#log.load()
    return this.#table.use(group)?.generation ?? 0
  }

  /** In memory when it returns; the promise resolves when durable. RangeError, TypeError; BUSY, POISONED and the like are thrown. */
  commit(group: string, commit: GroupCommit, durability?: Durability): Promise<void> {
    return this.#write(group, this.#rowsOf(group, commit), durability)
  }

  /** As `commit`, as part of a transaction: `commit` is asked in the turn of its commit, and may throw to refuse it. */
  commitWith(tx: Transaction, group: string, commit: () => GroupCommit): void {
    let rows: Row[] = []
    tx.beforeCommit(() => {
      rows = this.#rowsOf(group, commit())
      if (rows.length === 0) return
      const batch = takeBatch()
      this.#fill(batch, group, rows)
      tx.log(this.#log.opened).appendRecords(batch)
      tx.afterCommit(() => giveBack(batch))
    })
    tx.afterCommit(() => this.#apply(group, rows))
  }

  /**
   * The group has members from now on, or none any more; the generation undefined: as before. Written only for groups that have offsets. What cannot be
   * written now is told by the next commit.
   */
  setUse(group: string, live: boolean, generation: number = this.generation(group)): void {
    this.#log.load()
    const before = this.#table.use(group)
    if ((before?.live === live && before.generation === generation) || !this.#table.hasOffsets(group)) return
    try {
      this.#write(group, [this.#useRow(live, generation)]).catch(() => undefined)
    } catch {
      // No room, or poisoned: not what a member asked for, so not for it to hear.
    }
  }

  /** Forgets all that a group has committed. Resolves when durable. */
  async forget(group: string): Promise<void> {
    const rows: Row[] = this.rows(group).map(({ topicId, partition }) => ({ kind: KIND_OFFSET, topicId, partition, value: undefined }))
    if (this.#table.use(group) !== undefined) rows.push({ kind: KIND_GROUP, value: undefined })
    await this.#write(group, rows)
  }

  /** Forgets what all groups have committed of a deleted topic. */
  async forgetTopic(topicId: number): Promise<void> {
    this.#log.load()
    await this.#forgetRows(row => row.topicId === topicId)
  }

  /** Forgets groups that were not used for the retention time. Returns their names. */
  async expire(isLive: (group: string) => boolean): Promise<string[]> {
    this.#log.load()
    const before = this.#now() - this.#retentionMs
    const expired = this.#table.groups.filter(group => {
      if (isLive(group)) return false
      const newest = this.#table.rows(group).reduce((time, row) => Math.max(time, row.timestamp), this.#table.use(group)?.timestamp ?? 0)
      return newest < before
    })
    for (const group of expired) await this.forget(group)
    return expired
  }

  // --- the log -------------------------------------------------------------------------------------------------------------------------

  #now(): number {
    return this.#log.host.environment.clock.now()
  }

  #take({ data, keyStart, keySize, valueStart, valueSize }: RecordCursor): void {
    const key = decodeOffsetKey(data.subarray(keyStart, keyStart + keySize))
    if (key === undefined) return
    const value = valueSize < 0 ? undefined : data.subarray(valueStart, valueStart + valueSize)
    if (key.kind === KIND_GROUP) this.#table.setUse(key.group, value === undefined ? undefined : decodeGroupUse(value))
    else this.#table.set(key.group, key.topicId, key.partition, value === undefined ? undefined : decodeCommittedOffset(value))
  }

  /** Groups whose process ended with members in them are empty from now on, which is a generation of its own; topics may have been deleted meanwhile. */
  async #tidy(): Promise<void> {
    const { topicIds } = this.#log
    for (const group of this.#table.groups) {
      const use = this.#table.use(group)
      if (use?.live === true) this.setUse(group, false, use.generation + 1)
    }
    await this.#forgetRows(row => !topicIds.has(row.topicId))
  }

  async #forgetRows(isGone: (row: OffsetRow) => boolean): Promise<void> {
    const written: Promise<void>[] = []
    for (const group of this.#table.groups) {
      const gone = this.#table.rows(group).filter(isGone)
      if (gone.length === 0) continue
      const offsets = gone.map(({ topicId, partition }) => ({ topicId, partition, offset: undefined }))
      written.push(this.commit(group, { offsets }))
    }
    await Promise.all(written)
  }

  #rowsOf(group: string, { offsets, generation }: GroupCommit): Row[] {
    this.#log.load()
    const timestamp = this.#now()
    if (Buffer.byteLength(group) > GROUP_BYTES_MAX) throw new RangeError(`group must have at most ${GROUP_BYTES_MAX} bytes`)
    const rows = offsets.map(({ topicId, partition, offset, metadata = '' }): Row => {
      if (offset === undefined) return { kind: KIND_OFFSET, topicId, partition, value: undefined }
      if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset must be a non-negative integer, got ${String(offset)}`)
      if (typeof metadata !== 'string') throw new TypeError(`metadata must be a string, got ${String(metadata)}`)
      if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX) {
        throw new VarveError('TOO_LARGE', `metadata of a committed offset has more than ${METADATA_BYTES_MAX} bytes`, {
          details: { limit: 'metadata', expected: METADATA_BYTES_MAX, group },
        })
      }
      return { kind: KIND_OFFSET, topicId, partition, value: { offset, metadata, timestamp } }
    })
    if (rows.length === 0 || generation === undefined) return rows
    const use = this.#table.use(group)
    if (use?.live !== true || use.generation !== generation) rows.push(this.#useRow(true, generation))
    return rows
  }

  #useRow(live: boolean, generation: number): Row {
    return { kind: KIND_GROUP, value: { live, timestamp: this.#now(), generation } }
  }

  #write(group: string, rows: readonly Row[], durability?: Durability): Promise<void> {
    if (rows.length === 0) return Promise.resolve()
    const log = this.#log.opened
    const batch = takeBatch()
    this.#fill(batch, group, rows)
    try {
      const { acknowledged } = this.#log.host.commit(
        commit => commit.appendRecords(log, batch),
        durability === undefined ? {} : { durability },
      )
      this.#apply(group, rows)
      return acknowledged
    } finally {
      giveBack(batch)
    }
  }

  /** The rows as records. */
  #fill(batch: TopicBatch, group: string, rows: readonly Row[]): void {
    const now = this.#now()
    for (const row of rows) {
      if (row.kind === KIND_GROUP) {
        const key = encodeOffsetKey({ kind: KIND_GROUP, group, topicId: 0, partition: 0 })
        batch.add(key, row.value === undefined ? null : encodeGroupUse(row.value), now)
        continue
      }
      const { topicId, partition, value } = row
      const key = encodeOffsetKey({ kind: KIND_OFFSET, group, topicId, partition })
      batch.add(key, value === undefined ? null : encodeCommittedOffset(value), now)
    }
  }

  #apply(group: string, rows: readonly Row[]): void {
    for (const row of rows) {
      if (row.kind === KIND_GROUP) this.#table.setUse(group, row.value)
      else this.#table.set(group, row.topicId, row.partition, row.value)
    }
    this.#log.appended(rows.length)
  }
}
