/**
 * Change feeds of stores, consumed by groups: `store.changes({ group })`. To a group the feed of a store is a topic of one partition whose name is that of the
 * store's log, `store/<name>`; its offsets are positions of the feed. So membership, fencing, commits and lag are those of any consumer.
 *
 * `ChangesFetcher` reads the feed in the place of a partition; `GroupChanges` is the face. A group's feed never skips: where its position was trimmed, reading
 * ends with OFFSET_OUT_OF_RANGE.
 */
import type {
  ChangeBatch,
  GroupChangeBatch,
  GroupChangeFeed,
  GroupChangesOptions,
  Store,
  StoreKey,
  Transaction,
} from '../../engine/index.ts'
import type { ConsumedRecord, RecordSource } from '../fetch/consumed-record.ts'
import type { Fetcher, FetchLog, RawSlice } from '../fetch/partition-fetcher.ts'
import type { CommitOptions, ConsumedBatch } from './consumed-batch.ts'
import { type GroupConsumeOptions, type ResolvedGroupConsume, resolveGroupConsume } from './group-consume-options.ts'
import type { GroupConsumer } from './group-consumer.ts'

const batchRecordsMaxDefault = 1000

/** Stands for a record of a batch: what one read has given. */
interface ChangesRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly read: ChangeBatch
}

export class ChangesFetcher implements Fetcher {
  readonly log: FetchLog
  readonly source: RecordSource
  readonly hasSlice = false
  paused = false
  seeks = 0
  readonly #store: Store
  #position: number

  constructor(store: Store, log: FetchLog, source: RecordSource, position: number) {
    this.#store = store
    this.log = log
    this.source = source
    this.#position = position
  }

  get position(): number {
    return this.#position
  }
  get taken(): number {
    return this.#position
  }
  get bound(): number {
    return this.log.highWatermark
  }
  get isReady(): boolean {
    return this.#position < this.bound
  }

  seek(offset: number): void {
    this.seeks++
    this.#position = offset
  }

  next(recordsMax: number): ConsumedRecord[] {
    const offset = this.#position
    const read = this.#store.readChanges(offset, { limit: recordsMax })
    this.#position = read.position
    if (read.changes.length === 0) return []
    const { topic, partition } = this.source
    const record: ChangesRecord = { topic, partition, offset, read }
    return [record as unknown as ConsumedRecord]
  }

  nextRead(): undefined {
    return undefined
  }

  nextRaw(): Promise<RawSlice | undefined> {
    throw new TypeError('a change feed has no stored batches to hand out')
  }
}

/** Options as a consumer takes them. TypeError, RangeError naming the first that is unusable. */
export function resolveGroupChanges(options: GroupChangesOptions): ResolvedGroupConsume {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  const { batchRecordsMax = batchRecordsMaxDefault, onAssigned, onRevoked, onLost, ...rest } = options
  for (const name of Object.keys(rest)) if (!passed.has(name)) throw new TypeError(`unknown option of changes with a group: ${name}`)
  if (!Number.isSafeInteger(batchRecordsMax) || batchRecordsMax <= 0)
    throw new RangeError(`batchRecordsMax must be a positive integer, got ${String(batchRecordsMax)}`)
  const given: GroupConsumeOptions = { ...rest, onAssigned, onRevoked, onLost: onLost ?? onRevoked, maxRecords: batchRecordsMax }
  return { ...resolveGroupConsume(given), neverSkips: true }
}

const passed: ReadonlySet<string> = new Set(
  'group clientId instanceId autoOffsetReset autoCommit signal sessionTimeoutMs heartbeatIntervalMs maxPollIntervalMs'.split(' '),
)

class Batch<V, K extends StoreKey> implements GroupChangeBatch<V, K> {
  readonly changes: GroupChangeBatch<V, K>['changes']
  readonly position: number
  readonly #batch: ConsumedBatch

  constructor(batch: ConsumedBatch) {
    const { read } = batch.records[0] as unknown as ChangesRecord
    this.changes = read.changes as GroupChangeBatch<V, K>['changes']
    this.position = batch.nextOffset
    this.#batch = batch
  }

  commit(options?: CommitOptions): Promise<void> {
    return this.#batch.commit(options)
  }
  commitWith(tx: Transaction, options?: CommitOptions): void {
    this.#batch.commitWith(tx, options)
  }
}

export class GroupChanges<V, K extends StoreKey> implements GroupChangeFeed<V, K> {
  readonly #consumer: GroupConsumer

  constructor(consumer: GroupConsumer) {
    this.#consumer = consumer
  }

  get group(): string {
    return this.#consumer.group
  }
  get memberId(): string | undefined {
    return this.#consumer.memberId
  }
  get isActive(): boolean {
    return this.#consumer.assignment.length > 0
  }
  get lag(): number {
    return this.#consumer.lag
  }

  async poll(options?: { readonly maxWaitMs?: number | undefined }): Promise<GroupChangeBatch<V, K> | undefined> {
    const batch = await this.#consumer.poll(options)
    return batch === undefined ? undefined : new Batch<V, K>(batch)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GroupChangeBatch<V, K>, void, undefined> {
    for await (const batch of this.#consumer) yield new Batch<V, K>(batch)
  }

  commit(): Promise<void> {
    return this.#consumer.commit()
  }
  commitWith(tx: Transaction, options?: CommitOptions): void {
    this.#consumer.commitWith(tx, options)
  }
  close(): Promise<void> {
    return this.#consumer.close()
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
