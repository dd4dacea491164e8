/**
 * Records of one topic on their way into one commit: encoded as they come, a batch for each partition (or several, at Kafka's `max.message.bytes`).
 *
 * Made and filled in the turn of a call (`send-batch.ts`), or by a transaction over its body (`topic-transaction.ts`). Invariant: the records of a partition stand in
 * its batches in the order of `add`.
 */
import {
  type Commit,
  type Committed,
  type CompressionName,
  type LocalLog,
  type TopicBatch,
  type Transaction,
  VarveError,
} from '../../engine/index.ts'
import type { VersionCheck } from '../keys/expected-version.ts'
import type { StickyPartition } from '../partition/partitioner.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { giveBack, takeBatch } from './batch-pool.ts'
import type { Outgoing, Sent } from './outgoing.ts'

/** Of one batch, before the next begins: readers take whole batches. */
const batchBytesMax = 1024 * 1024
/** What a record takes beside key, value and headers, about. */
const recordOverhead = 16

interface PartitionBatch {
  readonly log: LocalLog
  readonly partition: number
  readonly batch: TopicBatch
  /** Position among the batches. */
  readonly index: number
  /** Of each record; undefined while all are of the time that the records were gathered at. */
  timestamps: number[] | undefined
}

export class GatheredRecords<V = unknown, K = unknown> {
  readonly #core: TopicCore<V, K>
  readonly #sticky: StickyPartition
  /** Of records without a time of their own, unless `add` is told another. */
  readonly #now: number
  readonly #batches: PartitionBatch[] = []
  #isReleased = false
  /** By partition: the batch that is filled. */
  readonly #open: (PartitionBatch | undefined)[] = []

  constructor(core: TopicCore<V, K>, sticky: StickyPartition, now: number) {
    this.#core = core
    this.#sticky = sticky
    this.#now = now
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0
  }

  /** Encodes a record; returns which batch it is in. `check` is told of it. TypeError, RangeError, INVALID_RECORD, TOO_LARGE, CLOSED. */
  add(item: V | Outgoing<V, K>, check?: VersionCheck, now: number = this.#now): number {
    if (this.#isReleased) throw new VarveError('CLOSED', 'the transaction has ended')
    const prepared = this.#core.prepare(item, this.#sticky, now)
    check?.take(prepared)
    const { partition, key, value, timestamp, headers, size } = prepared
    let open = this.#open[partition]
    if (open === undefined || open.batch.size + size + recordOverhead > batchBytesMax) open = this.#begin(partition)
    const { batch } = open
    if (timestamp !== this.#now) open.timestamps ??= new Array<number>(batch.count).fill(this.#now)
    batch.add(key, value, timestamp, headers)
    open.timestamps?.push(timestamp)
    return open.index
  }

  #begin(partition: number): PartitionBatch {
    const begun = {
      log: this.#core.partition(partition),
      partition,
      batch: takeBatch(),
      index: this.#batches.length,
      timestamps: undefined,
    }
    this.#batches.push(begun)
    this.#open[partition] = begun
    return begun
  }

  /** Adds the batches to a commit. */
  append(commit: Commit): void {
    const options = this.#appendOptions()
    for (const { log, batch } of this.#batches) commit.appendRecords(log, batch, options)
  }

  /** Adds the batches to a transaction. */
  appendWithin(tx: Transaction): void {
    const options = this.#appendOptions()
    for (const { log, batch } of this.#batches) tx.log(log).appendRecords(batch, options)
  }

  #appendOptions(): { readonly compression: CompressionName } | undefined {
    const { compression } = this.#core.options
    return compression === undefined ? undefined : { compression }
  }

  /** Where the records went: `batchOf` has what `add` returned for each, and `committed` has answers from `first` on. */
  sent(batchOf: Uint32Array, { appends }: Committed, first = 0): Sent[] {
    const batches = this.#batches
    /** Of the next record of each batch. */
    const offsets = batches.map((_, index) => appends[first + index]?.baseOffset as number)
    const places = new Uint32Array(batches.length)
    const sent = new Array<Sent>(batchOf.length)
    for (let i = 0; i < batchOf.length; i++) {
      const index = batchOf[i] as number
      const { partition, timestamps } = batches[index] as PartitionBatch
      const place = places[index] as number
      places[index] = place + 1
      const timestamp = timestamps === undefined ? this.#now : (timestamps[place] as number)
      sent[i] = { partition, offset: (offsets[index] as number) + place, timestamp, duplicate: false }
    }
    return sent
  }

  /** The commit was made, or never will be: the batches' memory is for others. `sent` still answers. Idempotent. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    for (const { batch } of this.#batches) giveBack(batch)
    this.#open.length = 0
  }
}
