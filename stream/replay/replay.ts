/**
 * Replay: reads a range of a topic again, by offset or by time, into another topic, a store or a function.
 *
 * At full speed partitions are read in turn, each in order. At a pace records of all partitions come in the order of their times, as far apart as they once
 * were, divided by the factor. A replay with a name keeps how far it came, in the commit that writes what it read where the target is a topic or a store: so
 * it goes on after a crash without loss or duplicate. Into a function it is at least once.
 *
 * What is replayed ends where the topic ended when the replay began: a copy of a topic into itself would never end otherwise.
 */
import { Breath, type Store, storeLogPrefix, type Transaction } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import { checkExpired, type ExpiredRecords } from '../fetch/expiry.ts'
import { type Isolation, PartitionFetcher } from '../fetch/partition-fetcher.ts'
import { offsetOfPlace, type Place } from '../fetch/place.ts'
import type { StreamHost } from '../host.ts'
import { Topic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { whenThereIsRoom } from '../when-there-is-room.ts'
import { type ReplayTarget, type ReplayWrite, targetOf } from './targets.ts'

/** What is read again, and where it goes. */
export interface ReplayOptions<V = unknown, K = unknown> {
  // --- changes meaning -----------------------------------------------------------------------------------------------------------------
  /** Where records go. */
  readonly to: ReplayTarget<V, K>
  /** Which partitions. Default: all. */
  readonly partitions?: readonly number[] | undefined
  /** First offset of each partition, or the time (ms) of the first record. Default: the oldest. */
  readonly from?: Place | undefined
  /** Offset, or time (ms), that ends it, exclusive. Default: the end when the replay begins. */
  readonly until?: Place | undefined
  /** Only records that it says true for. */
  readonly filter?: ((record: ConsumedRecord<V, K>) => boolean) | undefined
  /** 1: as far apart as they once were; 10: ten times faster. Default: as fast as it goes. */
  readonly pace?: number | undefined
  /**
   * A name under which progress is kept: the same replay, called again, goes on; after a crash without loss or duplicate, after its end with what has come since.
   * Forgotten with the topic.
   */
  readonly resume?: string | undefined
  /** Reads and filters, writes nothing. */
  readonly dryRun?: boolean | undefined
  /** Default 'read_committed'. */
  readonly isolation?: Isolation | undefined
  /** Records whose `ttlMs` or `expiresAt` is over: 'skip' (default) or 'include'. */
  readonly expired?: ExpiredRecords | undefined
  /** Ends it between two batches; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Called after each batch. */
  readonly onProgress?: ((progress: ReplayProgress) => void) | undefined
  // --- changes speed -------------------------------------------------------------------------------------------------------------------
  /** Records of one commit at most. Default 10,000. */
  readonly batch?: number | undefined
}

/** How far a replay has come. */
export interface ReplayProgress {
  /** Offsets gone over, in all partitions; what compaction took counts too. */
  readonly done: number
  /** Offsets to go over, those done among them. */
  readonly total: number
  /** Records read since the call. */
  readonly read: number
  /** Records written since the call. */
  readonly written: number
}

/** What a replay has read and written. */
export interface ReplayReport {
  /** Records that were read. */
  readonly read: number
  /** Records that went to the target. */
  readonly written: number
  /** Bytes of keys and values written. */
  readonly bytes: number
  /** By partition: where it began and ended, `[from, to)`. */
  readonly ranges: readonly { readonly partition: number; readonly from: number; readonly to: number }[]
  /** Whether it went on where an earlier one had ended. */
  readonly resumed: boolean
  /** Whether nothing was written. */
  readonly dryRun: boolean
}

/** Kept by name in the internal store while a replay is under way. */
interface SavedReplay {
  readonly topic: number
  readonly positions: { readonly [partition: string]: number }
  readonly ends: { readonly [partition: string]: number }
  /** It has come to its ends: whoever was not told in time must not replay all of it again. */
  readonly ended?: boolean
}

interface Range {
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly fetcher: PartitionFetcher
  /** Read and not written; of a paced replay. */
  waiting: ConsumedRecord[]
}

const batchDefault = 10_000
/** Of one read of a partition: what is made of it in one turn. */
const fetchBytesMax = 256 * 1024
/** It lets the rest of the process have a turn so often, ms. */
const breathMs = 4
/** Writes that are committed and not durable yet, at most: the next ones are read and encoded meanwhile. */
const writesMax = 4
/** Paced records that are due within this time go out together, ms. */
const paceSliceMs = 5
const replaysStore = '__replays'
const optionNames: ReadonlySet<string> = new Set(
  'to partitions from until filter pace resume dryRun isolation expired signal onProgress batch'.split(' '),
)

/** Takes away the progress of unfinished replays of topics that are gone: their names are free. Resolves when durable. */
export async function forgetReplays(host: StreamHost, isGone: (topicId: number) => boolean): Promise<void> {
  if (host.get(storeLogPrefix + replaysStore) === undefined) return
  const saves = host.store<SavedReplay, string>(replaysStore)
  const gone = [...saves.entries()].filter(([, { topic }]) => isGone(topic)).map(([key]) => key)
  if (gone.length > 0) await saves.batch(gone.map(key => ({ type: 'del', key })))
}

export async function replay<V, K>(host: StreamHost, core: TopicCore<V, K>, options: ReplayOptions<V, K>): Promise<ReplayReport> {
  checkReplayOptions(options)
  const { resume, dryRun = false, isolation = 'read_committed' } = options
  const isTopic = (to: unknown): to is Topic<V, K> => to instanceof Topic
  const target = targetOf(host, core, options.to, isTopic)
  const saves = resume === undefined ? undefined : host.store<SavedReplay, string>(replaysStore)
  const found = resume === undefined ? undefined : saves?.get(resume)
  // That of a topic that was deleted says nothing any more.
  const saved = found !== undefined && host.list().some(({ id }) => id === found.topic) ? found : undefined
  if (saved !== undefined && saved.topic !== core.id)
    throw new TypeError(`resume must be a name of its own: '${resume}' is the name of a replay of another topic`)
  const partitions = options.partitions ?? Array.from({ length: core.partitionCount }, (_, partition) => partition)
  const clock = options.expired === 'include' ? undefined : host.environment.clock
  const ranges = partitions.map((partition): Range => {
    const log = core.partition(partition)
    const end = isolation === 'read_committed' ? log.lastStableOffset : log.highWatermark
    const from = saved?.positions[partition] ?? (options.from === undefined ? log.startOffset : offsetOfPlace(log, options.from))
    const to =
      (saved?.ended === true ? undefined : saved?.ends[partition]) ??
      Math.min(end, options.until === undefined ? end : offsetOfPlace(log, options.until))
    const source = { topic: core.name, partition, keys: core.keys, values: core.values }
    const fetcher = new PartitionFetcher(log, source, from, isolation, clock) as unknown as PartitionFetcher
    return { partition, from, to: Math.max(from, to), fetcher, waiting: [] }
  })
  const run = new Run(host, ranges, options as unknown as ReplayOptions<never, never>)
  const save = saves === undefined || dryRun ? undefined : saveOf(saves, resume as string, core.id, ranges)
  await run.run(dryRun ? undefined : (records, positions) => target.write(records as ConsumedRecord<V, K>[], save?.(positions)))
  if (save !== undefined) {
    const ended = save(new Map(ranges.map(range => [range, range.to])), true)
    await whenThereIsRoom(host, () => host.transaction(ended))
  }
  return {
    read: run.read,
    written: run.written,
    bytes: run.bytes,
    ranges: ranges.map(({ partition, from, to }) => ({ partition, from, to })),
    resumed: saved !== undefined,
    dryRun,
  }
}

function saveOf(
  saves: Store<SavedReplay, string>,
  name: string,
  topic: number,
  ranges: readonly Range[],
): (positions: ReadonlyMap<Range, number>, ended?: boolean) => (tx: Transaction) => void {
  const ends = Object.fromEntries(ranges.map(({ partition, to }) => [partition, to]))
  return (positions, ended = false) => {
    const at = Object.fromEntries(ranges.map(range => [range.partition, positions.get(range) ?? range.from]))
    return tx => tx.store(saves).put(name, { topic, positions: at, ends, ended })
  }
}

interface Step extends ReplayProgress {
  readonly bytes: number
  /** undefined: nothing was to be written. */
  readonly durable: Promise<void> | undefined
}

/** One call of `replay`. */
class Run {
  read = 0
  written = 0
  bytes = 0
  readonly #host: StreamHost
  readonly #ranges: readonly Range[]
  readonly #options: ReplayOptions<never, never>
  /** Of each range: all below was read and given to be written, or left out. */
  readonly #positions = new Map<Range, number>()
  /** What was given to be written, oldest first, with how far it had come by then. */
  readonly #underWay: Step[] = []

  constructor(host: StreamHost, ranges: readonly Range[], options: ReplayOptions<never, never>) {
    this.#host = host
    this.#ranges = ranges
    this.#options = options
    for (const range of ranges) this.#positions.set(range, range.from)
  }

  async run(write: ((records: ConsumedRecord[], positions: ReadonlyMap<Range, number>) => ReplayWrite) | undefined): Promise<void> {
    const breath = new Breath(this.#host.environment, breathMs)
    const put = async (records: readonly ConsumedRecord[]): Promise<void> => {
      const { filter, signal } = this.#options
      this.read += records.length
      const matching = filter === undefined ? [...records] : records.filter(record => filter(record as ConsumedRecord<never, never>))
      let bytes = 0
      for (const { size } of matching) bytes += size
      const begun = matching.length === 0 ? undefined : write?.(matching, this.#positions)
      this.#underWay.push({ ...this.#progress(), written: matching.length, bytes, durable: begun?.durable })
      begun?.durable.catch(() => undefined) // told by `committed`, or when its turn comes
      await begun?.committed
      await this.#settle(writesMax)
      await breath.due()
      signal?.throwIfAborted()
    }
    this.#options.signal?.throwIfAborted()
    try {
      if (this.#options.pace === undefined) await this.#atFullSpeed(put)
      else await this.#atPace(this.#options.pace, put)
      await this.#settle(0)
    } finally {
      // Nothing is written any more when it ends, however it does.
      await Promise.allSettled(this.#underWay.map(({ durable }) => durable))
    }
  }

  /** Waits until so many writes are under way, and tells how far it has come. */
  async #settle(writes: number): Promise<void> {
    for (let step = this.#underWay[0]; step !== undefined; step = this.#underWay[0]) {
      if (step.durable !== undefined && this.#underWay.length <= writes) return
      await step.durable
      this.#underWay.shift()
      this.written += step.written
      this.bytes += step.bytes
      this.#options.onProgress?.({ done: step.done, total: step.total, read: step.read, written: this.written })
    }
  }

  async #atFullSpeed(put: (records: readonly ConsumedRecord[]) => Promise<void>): Promise<void> {
    let open = this.#ranges.filter(({ from, to }) => from < to)
    while (open.length > 0) {
      for (const range of open) {
        const records = await this.#fetch(range)
        this.#positions.set(range, Math.min(range.to, range.fetcher.position))
        if (records.length > 0) await put(records)
      }
      open = open.filter(range => (this.#positions.get(range) as number) < range.to)
    }
  }

  /** In the order of times, as far apart as they were divided by `pace`. */
  async #atPace(pace: number, put: (records: readonly ConsumedRecord[]) => Promise<void>): Promise<void> {
    const { clock } = this.#host.environment
    const begun = clock.monotonic()
    let first: number | undefined
    let due: ConsumedRecord[] = []
    let dueMs = 0
    for (;;) {
      const next = await this.#oldest()
      if (next === undefined) break
      const record = next.waiting[0] as ConsumedRecord
      first ??= record.timestamp
      const atMs = Math.max(0, record.timestamp - first) / pace
      if (due.length > 0 && (atMs > dueMs + paceSliceMs || due.length >= (this.#options.batch ?? batchDefault))) {
        await this.#sleep(dueMs - (clock.monotonic() - begun))
        await put(due)
        due = []
      }
      if (due.length === 0) dueMs = atMs
      due.push(record)
      next.waiting.shift()
      this.#positions.set(next, next.waiting[0]?.offset ?? Math.min(next.to, next.fetcher.position))
    }
    if (due.length === 0) return
    await this.#sleep(dueMs - (clock.monotonic() - begun))
    await put(due)
  }

  /** The range whose next record is the oldest. */
  async #oldest(): Promise<Range | undefined> {
    let oldest: Range | undefined
    for (const range of this.#ranges) {
      while (range.waiting.length === 0 && range.fetcher.position < range.to) {
        const records = await this.#fetch(range)
        if (records.length > 0) range.waiting = [...records]
      }
      const [record] = range.waiting
      if (record === undefined) continue
      if (oldest === undefined || record.timestamp < (oldest.waiting[0] as ConsumedRecord).timestamp) oldest = range
    }
    return oldest
  }

  /** Records below the range's end; the fetcher's position is beyond it when nothing is left. */
  async #fetch({ fetcher, to }: Range): Promise<readonly ConsumedRecord[]> {
    const records = await fetcher.next(this.#options.batch ?? batchDefault, fetchBytesMax)
    // Nothing more is stored below the end: the rest was compacted away.
    if (records.length === 0) fetcher.seek(to)
    return (records.at(-1)?.offset ?? 0) < to ? records : records.filter(({ offset }) => offset < to)
  }

  #sleep(ms: number): Promise<void> {
    const { signal } = this.#options
    if (ms <= 0) return Promise.resolve()
    return new Promise<void>((resolve, reject) => {
      const cancel = this.#host.environment.timers.after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = (): void => {
        cancel()
        reject(signal?.reason)
      }
      if (signal?.aborted === true) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #progress(): ReplayProgress {
    let done = 0
    let total = 0
    for (const range of this.#ranges) {
      done += (this.#positions.get(range) as number) - range.from
      total += range.to - range.from
    }
    return { done, total, read: this.read, written: this.written }
  }
}

function checkReplayOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!optionNames.has(name)) throw new TypeError(`unknown option of replay: ${name}`)
  const { partitions, from, until, filter, pace, resume, isolation, signal, batch } = options as ReplayOptions
  if (partitions !== undefined && !(Array.isArray(partitions) && partitions.length > 0))
    throw new TypeError(`partitions must be a non-empty array of numbers, got ${String(partitions)}`)
  for (const [name, place] of [
    ['from', from],
    ['until', until],
  ] as const) {
    if (place === undefined) continue
    const number = typeof place === 'object' && place !== null ? ('time' in place ? place.time : place.offset) : undefined
    if (typeof number !== 'number' || !(number >= 0))
      throw new TypeError(`${name} must be { offset } or { time }, got ${JSON.stringify(place)}`)
  }
  checkExpired((options as ReplayOptions).expired)
  if (filter !== undefined && typeof filter !== 'function') throw new TypeError(`filter must be a function, got ${String(filter)}`)
  if (pace !== undefined && !(typeof pace === 'number' && pace > 0))
    throw new RangeError(`pace must be a number above 0, got ${String(pace)}`)
  if (resume !== undefined && (typeof resume !== 'string' || resume === ''))
    throw new TypeError(`resume must be a non-empty string, got ${String(resume)}`)
  if (isolation !== undefined && isolation !== 'read_committed' && isolation !== 'read_uncommitted')
    throw new TypeError(`isolation must be 'read_committed' or 'read_uncommitted', got ${String(isolation)}`)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
  if (batch !== undefined && !(Number.isSafeInteger(batch) && batch > 0))
    throw new RangeError(`batch must be a positive integer, got ${String(batch)}`)
}
