/**
 * Reads partitions of topics: by batch (`for await (const batch of consumer)`), by record (`records()`), or as stored bytes (`raw()`).
 *
 * One loop at a time. Ends when `close` is called, the signal fires, or, with `until: 'end'`, when everything that was there at the start was read.
 */

import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import { checkExpired, type ExpiredRecords } from '../fetch/expiry.ts'
import { FetchSession, type Polled } from '../fetch/fetch-session.ts'
import { checkGathering, gatheringOf } from '../fetch/gathering.ts'
import { type Fetcher, type Isolation, PartitionFetcher, type RawSlice } from '../fetch/partition-fetcher.ts'
import { offsetOfPlace, type Place } from '../fetch/place.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { Topics } from '../topic/topics.ts'
import { ConsumedBatch } from './consumed-batch.ts'

/** Where reading begins: the oldest record, behind the newest, an offset of each partition, or the first record at or after a time (ms). */
export type ConsumeFrom = 'earliest' | 'latest' | Place

/** How a consumer reads. */
export interface ConsumeOptions {
  // --- changes meaning -----------------------------------------------------------------------------------------------------------------
  /** Which partitions. Default: all. */
  readonly partitions?: readonly number[] | undefined
  /** Default 'earliest'. */
  readonly from?: ConsumeFrom | undefined
  /** 'read_committed' (default): nothing of open or aborted transactions. */
  readonly isolation?: Isolation | undefined
  /** Records whose `ttlMs` or `expiresAt` is over: 'skip' (default) or 'include'. Of `raw()` all. */
  readonly expired?: ExpiredRecords | undefined
  /** 'end': stop behind what is there when the consumer is made. Default: go on for ever. */
  readonly until?: 'end' | undefined
  /** Ends the loop, without an error. */
  readonly signal?: AbortSignal | undefined
  // --- changes speed -------------------------------------------------------------------------------------------------------------------
  /** Records of one batch at most. Default 10,000. Fewer come where so many would hold the thread for more than about a millisecond. */
  readonly maxRecords?: number | undefined
  /** Bytes of one read of a partition, in whole stored batches. Default 1 MiB. */
  readonly maxBytes?: number | undefined
  /** Waits until so many stored bytes can be read over all partitions, or `maxWaitMs` is over (Kafka's `fetch.min.bytes`). Default 1: hands out at once. */
  readonly minBytes?: number | undefined
  /** How long records wait for `minBytes`, ms (Kafka's `fetch.max.wait.ms`). Default 500. */
  readonly maxWaitMs?: number | undefined
}

/** A slice of `raw()`, with its place. */
export interface RawBatch extends RawSlice {
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition. */
  readonly partition: number
}

const maxRecordsDefault = 10_000
const maxBytesDefault = 1024 * 1024
const optionNames: ReadonlySet<string> = new Set([
  'partitions',
  'from',
  'isolation',
  'expired',
  'until',
  'signal',
  'maxRecords',
  'maxBytes',
  'minBytes',
  'maxWaitMs',
])

/** Reads partitions of topics; see `Topic`. */
export class Consumer<V = unknown, K = unknown> implements AsyncIterable<ConsumedBatch<V, K>> {
  readonly #session: FetchSession
  readonly #options: ConsumeOptions
  readonly #ended = new AbortController()
  /** By fetcher: where `until: 'end'` stops. */
  readonly #ends = new Map<Fetcher, number>()
  readonly #core: TopicCore<V, K>
  readonly #clock: TopicCore['host']['environment']['clock'] | undefined
  /** Partitions from this number on were not there yet when it looked last. */
  #partitionCount: number
  #isReading = false

  /** For `Topic`. */
  constructor(topics: Topics, core: TopicCore<V, K>, options: ConsumeOptions) {
    checkConsumeOptions(options)
    this.#options = options
    this.#core = core
    // Where it ends with what is there, more is not waited for.
    const { environment } = topics.host
    this.#session = new FetchSession(environment, options.until === 'end' ? undefined : gatheringOf(options, environment.clock))
    this.#clock = options.expired === 'include' ? undefined : environment.clock
    this.#partitionCount = core.partitionCount
    const { from = 'earliest', isolation } = options
    const partitions = options.partitions ?? Array.from({ length: core.partitionCount }, (_, partition) => partition)
    for (const partition of partitions) {
      const fetcher = this.#add(partition, startOf(core.partition(partition), from, isolation))
      if (options.until === 'end') this.#ends.set(fetcher, fetcher.bound)
    }
    const { signal } = options
    if (signal?.aborted === true) this.#ended.abort()
    else signal?.addEventListener('abort', () => this.#ended.abort(), { once: true, signal: this.#ended.signal })
  }

  /** Offset of the next record of a partition. RangeError for one that is not read. */
  position(partition: number): number {
    return this.#fetcher(partition).position
  }
  /** Goes on at `offset`. */
  seek(partition: number, offset: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`offset must be a non-negative integer, got ${String(offset)}`)
    this.#fetcher(partition).seek(offset)
    this.#session.wake()
  }
  /** Hands out nothing of these partitions until `resume`. */
  pause(partitions: readonly number[]): void {
    for (const partition of partitions) this.#fetcher(partition).paused = true
  }
  /** Ends a pause. */
  resume(partitions: readonly number[]): void {
    for (const partition of partitions) this.#fetcher(partition).paused = false
    this.#session.wake()
  }
  /** Records that can be read now and were not handed out, over all partitions. */
  get lag(): number {
    let lag = 0
    for (const { bound, position } of this.#session.fetchers) lag += Math.max(0, bound - position)
    return lag
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumedBatch<V, K>, void, undefined> {
    for await (const { batch } of this.#batches()) yield batch
  }

  #add(partition: number, position: number): Fetcher {
    const { name: topic, keys, values } = this.#core
    const { isolation = 'read_committed' } = this.#options
    const source = { topic, partition, keys, values }
    const log = this.#core.partition(partition)
    const fetcher = new PartitionFetcher<V, K>(log, source, position, isolation, this.#clock) as unknown as Fetcher
    this.#session.add(fetcher)
    return fetcher
  }

  /** Takes up partitions that were added since, from their first record: whoever reads all for ever reads these. */
  #addPartitions(): void {
    const { partitions, until, from, isolation } = this.#options
    if (this.#core.partitionCount === this.#partitionCount || partitions !== undefined || until !== undefined) return
    for (; this.#partitionCount < this.#core.partitionCount; this.#partitionCount++) {
      const log = this.#core.partition(this.#partitionCount)
      const isByTime = typeof from === 'object' && 'time' in from
      this.#add(this.#partitionCount, isByTime ? startOf(log, from, isolation) : log.startOffset)
    }
  }

  async *#batches(): AsyncGenerator<{ readonly batch: ConsumedBatch<V, K>; readonly fetcher: Fetcher }, void, undefined> {
    const { maxRecords = maxRecordsDefault, maxBytes = maxBytesDefault } = this.#options
    const { signal } = this.#ended
    const endReading = this.#begin()
    try {
      while (!signal.aborted) {
        const polled = await this.#session.poll({ recordsMax: maxRecords, bytesMax: maxBytes, signal })
        if (polled !== undefined) {
          const batch = this.#batch(polled)
          if (batch !== undefined) yield { batch, fetcher: polled.fetcher }
        } else if (this.#isAtEnd()) return
        else await this.#session.wait(signal)
        this.#dropEnded()
        await this.#session.breath()
      }
    } finally {
      endReading()
    }
  }

  /** One record at a time; slower than by batch. A seek, a pause and the end count from the next record on. */
  async *records(): AsyncGenerator<ConsumedRecord<V, K>, void, undefined> {
    const { signal } = this.#ended
    for await (const { batch, fetcher } of this.#batches()) {
      const { seeks } = fetcher
      for (const record of batch.records) {
        yield record
        if (signal.aborted) return
        if (fetcher.seeks !== seeks) break
        if (!fetcher.paused) continue
        // The rest comes again when the pause ends.
        fetcher.seek(record.offset + 1)
        break
      }
    }
  }

  /** Stored batches as they lie, without decoding. The bytes hold until the next turn of the loop. */
  async *raw(): AsyncGenerator<RawBatch, void, undefined> {
    const { maxBytes = maxBytesDefault } = this.#options
    const { signal } = this.#ended
    const into = new Uint8Array(maxBytes)
    const endReading = this.#begin()
    try {
      while (!signal.aborted) {
        const gathering = this.#session.gather()
        if (gathering !== undefined) await gathering
        const fetcher = this.#session.ready()
        if (fetcher !== undefined) {
          const slice = await fetcher.nextRaw(maxBytes, into)
          const { topic, partition } = fetcher.source
          if (slice !== undefined) yield { topic, partition, ...slice }
        } else if (this.#isAtEnd()) return
        else await this.#session.wait(signal)
        this.#dropEnded()
        await this.#session.breath()
      }
    } finally {
      endReading()
    }
  }

  /** Ends the loop. Idempotent. */
  close(): Promise<void> {
    this.#ended.abort()
    this.#session.close()
    return Promise.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Returns what ends the loop that begins. */
  #begin(): () => void {
    if (this.#isReading) throw new TypeError('a consumer is read by one loop at a time')
    this.#addPartitions()
    this.#isReading = true
    const endGrowth = this.#core.whenGrown(() => this.#addPartitions())
    return () => {
      this.#isReading = false
      endGrowth()
      this.#session.rest()
    }
  }

  /** The records up to where `until` says. */
  #batch({ fetcher, records }: Polled): ConsumedBatch<V, K> | undefined {
    const end = this.#ends.get(fetcher) ?? Number.POSITIVE_INFINITY
    const counted = (records.at(-1)?.offset ?? 0) < end ? records : records.filter(({ offset }) => offset < end)
    if (counted.length === 0) return undefined
    return new ConsumedBatch<V, K>(counted as ConsumedRecord<V, K>[], fetcher.position, fetcher.log.highWatermark)
  }

  #dropEnded(): void {
    for (const [fetcher, end] of this.#ends) {
      if (fetcher.position < end) continue
      this.#ends.delete(fetcher)
      this.#session.remove(fetcher)
    }
  }

  #isAtEnd(): boolean {
    if (this.#options.until !== 'end') return false
    this.#dropEnded()
    if (this.#ends.size > 0) return false
    this.#ended.abort() // nothing comes any more
    return true
  }

  #fetcher(partition: number): Fetcher {
    const found = this.#session.fetchers.find(({ source }) => source.partition === partition)
    if (found === undefined) throw new RangeError(`partition ${String(partition)} is not read by this consumer`)
    return found
  }
}

function startOf(log: ReturnType<TopicCore['partition']>, from: ConsumeFrom, isolation: Isolation = 'read_committed'): number {
  if (from === 'earliest') return log.startOffset
  // What an open transaction has written already is still to come for those who wait for its end (Kafka's `seekToEnd`).
  if (from === 'latest') return isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark
  return offsetOfPlace(log, from)
}

function checkConsumeOptions(options: unknown): asserts options is ConsumeOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!optionNames.has(name)) throw new TypeError(`unknown option of consume: ${name}`)
  const { partitions, from, isolation, until, signal, maxRecords, maxBytes } = options as ConsumeOptions
  if (partitions !== undefined && !(Array.isArray(partitions) && partitions.length > 0))
    throw new TypeError(`partitions must be a non-empty array of numbers, got ${String(partitions)}`)
  if (from !== undefined && from !== 'earliest' && from !== 'latest') {
    const place = typeof from === 'object' && from !== null ? ('time' in from ? from.time : from.offset) : undefined
    if (typeof place !== 'number' || !(place >= 0))
      throw new TypeError(`from must be 'earliest', 'latest', { offset } or { time }, got ${JSON.stringify(from) ?? String(from)}`)
  }
  if (isolation !== undefined && isolation !== 'read_committed' && isolation !== 'read_uncommitted')
    throw new TypeError(`isolation must be 'read_committed' or 'read_uncommitted', got ${String(isolation)}`)
  checkExpired((options as ConsumeOptions).expired)
  if (until !== undefined && until !== 'end') throw new TypeError(`until must be 'end', got ${String(until)}`)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
  checkGathering(options)
  for (const [name, value] of [
    ['maxRecords', maxRecords],
    ['maxBytes', maxBytes],
  ] as const) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw new RangeError(`${name} must be a positive integer, got ${String(value)}`)
  }
}
