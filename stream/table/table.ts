/**
 * A table: the newest value of each key of a topic, kept current in an internal store, with the offsets it stands at in the same transaction. So it goes on
 * where it stood after a crash, and needs no compaction of the topic. Read-only for users; reads are those of a store.
 *
 * Made by `Topics`, one a topic, and closed with the database. Only this file writes the two stores. Keys and values lie there as the topic has them, byte
 * for byte, so that nothing is decoded before it is read.
 * Invariant: a record is in the store exactly if its offset is below that of its partition in `offsets()`.
 */
import { isVarveError, type Store, storeLogPrefix, type Transaction, VarveError } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import { FetchSession } from '../fetch/fetch-session.ts'
import { PartitionFetcher } from '../fetch/partition-fetcher.ts'
import type { StreamHost } from '../host.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { whenThereIsRoom } from '../when-there-is-room.ts'

/** Offsets of all tables by topic id and partition. */
const offsetsStore = '__tables'
const recordsMax = 5000
const bytesMax = 1024 * 1024

/** Takes away the offsets of tables whose topics are gone. Resolves when durable. */
export async function forgetTables(host: StreamHost, isGone: (topicId: number) => boolean): Promise<void> {
  if (host.get(storeLogPrefix + offsetsStore) === undefined) return
  const store = host.store<number, [number, number]>(offsetsStore)
  const gone = [...store.keys()].filter(([topicId]) => isGone(topicId))
  if (gone.length > 0) await store.batch(gone.map(key => ({ type: 'del', key })))
}

/** Name of the store that holds the table of a topic. */
export function tableStoreName(topicId: number): string {
  return `__table-${topicId}`
}

/** A range of keys, in the order of their bytes. `gt` and `gte` exclude each other, so do `lt` and `lte`. Default: everything. */
export interface TableRange<K = string> {
  /** Above this key. */
  readonly gt?: K | undefined
  /** From this key on. */
  readonly gte?: K | undefined
  /** Below this key. */
  readonly lt?: K | undefined
  /** Up to this key, inclusive. */
  readonly lte?: K | undefined
  /** From the end. Default false. */
  readonly reverse?: boolean | undefined
  /** At most so many. Default: all. */
  readonly limit?: number | undefined
}

/** A place that a table shall have passed: what `send` resolves with, or a partition and the offset of a record. */
export interface TablePlace {
  /** Where the record lies. */
  readonly partition: number
  /** Its place there. */
  readonly offset: number
}

/** See the head of this file. */
export class Table<V = unknown, K = string> {
  readonly #host: StreamHost
  readonly #core: TopicCore<V, K>
  readonly #entries: Store<Uint8Array, Uint8Array>
  readonly #offsets: Store<number, [number, number]>
  readonly #session: FetchSession
  /** By partition: all below is in the table. */
  readonly #positions: number[] = []
  readonly #ended = new AbortController()
  readonly #waiters = new Set<() => void>()
  readonly #done: Promise<void>
  #failed: unknown

  /** For `Topics`. */
  constructor(host: StreamHost, core: TopicCore<V, K>, onClosed: () => void) {
    this.#host = host
    this.#core = core
    const { timers, clock } = host.environment
    // Unlike a loop of the user's, a table does not keep the process alive.
    this.#session = new FetchSession({ clock, timers: { soon: run => timers.soon(run), after: (ms, run) => timers.after(ms, run) } })
    this.#entries = host.store(tableStoreName(core.id), { keys: 'bytes', value: 'bytes' })
    this.#offsets = host.store(offsetsStore)
    this.#addPartitions()
    this.#done = this.#run().finally(onClosed)
  }

  /** The newest value of the key; undefined when there is none or its newest record is a tombstone. */
  get(key: K): V | undefined {
    const bytes = this.#entries.get(this.#keyBytes(key))
    return bytes === undefined ? undefined : this.#core.values.decode(bytes, 0, bytes.length)
  }
  /** As `get`, of several. */
  getMany(keys: readonly K[]): (V | undefined)[] {
    return keys.map(key => this.get(key))
  }
  /** Whether the key has a value. */
  has(key: K): boolean {
    return this.#entries.has(this.#keyBytes(key))
  }
  /** Keys and values, in the order of the keys' bytes. */
  *entries(range: TableRange<K> = {}): IterableIterator<[K, V]> {
    const { keys, values } = this.#core
    for (const [key, value] of this.#entries.entries(this.#rangeOf(range)))
      yield [keys.decode(key, 0, key.length), values.decode(value, 0, value.length)]
  }
  /** As `entries`, keys alone. */
  *keys(range: TableRange<K> = {}): IterableIterator<K> {
    const { keys } = this.#core
    for (const key of this.#entries.keys(this.#rangeOf(range))) yield keys.decode(key, 0, key.length)
  }
  /** As `entries`, values alone. */
  *values(range: TableRange<K> = {}): IterableIterator<V> {
    for (const [, value] of this.entries(range)) yield value
  }
  /** As `entries`. */
  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries()
  }
  /** How many keys have a value. */
  count(range: TableRange<K> = {}): number {
    return this.#entries.count(this.#rangeOf(range))
  }

  /** By partition: the offset of the next record that will enter the table. */
  offsets(): number[] {
    return [...this.#positions]
  }

  /**
   * Resolves when the table has what is in the topic now, or these records: `await table.caughtUp(await topic.send(…))` reads one's own write. Rejects with
   * what has ended the table (CLOSED, NOT_FOUND), or the signal's reason.
   */
  async caughtUp(places?: TablePlace | readonly TablePlace[], options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#addPartitions()
    const { signal } = options
    const wanted = places === undefined ? this.#ends() : Array.isArray(places) ? (places as TablePlace[]) : [places as TablePlace]
    for (;;) {
      signal?.throwIfAborted()
      if (wanted.every(({ partition, offset }) => (this.#positions[partition] ?? 0) > offset)) return
      if (this.#failed !== undefined) throw this.#failed
      await new Promise<void>(resolve => {
        const wake = (): void => {
          this.#waiters.delete(wake)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        this.#waiters.add(wake)
        signal?.addEventListener('abort', wake, { once: true })
      })
    }
  }

  /** Stops following; the content stays and the next opening goes on from it. Idempotent. */
  async close(): Promise<void> {
    this.#ended.abort()
    await this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #keyBytes(key: K): Uint8Array {
    const bytes = this.#core.keys.encode(key)
    return typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  }

  #rangeOf({ gt, gte, lt, lte, reverse, limit }: TableRange<K>): Parameters<Store<Uint8Array, Uint8Array>['entries']>[0] {
    const bound = (key: K | undefined): Uint8Array | undefined => (key === undefined ? undefined : this.#keyBytes(key))
    return { gt: bound(gt), gte: bound(gte), lt: bound(lt), lte: bound(lte), reverse, limit }
  }

  /** Last records that can be read now. */
  #ends(): TablePlace[] {
    return this.#session.fetchers.map(({ bound, source: { partition } }) => ({ partition, offset: bound - 1 }))
  }

  /** Takes up partitions that were added since. */
  #addPartitions(): void {
    for (let partition = this.#positions.length; partition < this.#core.partitionCount; partition++) {
      const log = this.#core.partition(partition)
      const { name: topic, keys, values } = this.#core
      const position = Math.max(this.#offsets.get([this.#core.id, partition]) ?? 0, log.startOffset)
      this.#positions[partition] = position
      this.#session.add(
        new PartitionFetcher(log, { topic, partition, keys, values }, position, 'read_committed') as unknown as PartitionFetcher,
      )
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended
    const endGrowth = this.#core.whenGrown(() => this.#addPartitions())
    try {
      while (!signal.aborted) {
        if (!(await this.#step())) await this.#session.wait(signal)
        await this.#session.breath()
      }
    } catch (error) {
      this.#failed = error
    }
    endGrowth()
    this.#failed ??= new VarveError('CLOSED', 'the table was closed')
    this.#session.close()
    for (const wake of this.#waiters) wake()
  }

  /** Takes records of one partition into the table; false when there are none. */
  async #step(): Promise<boolean> {
    const fetcher = this.#session.ready()
    if (fetcher === undefined) return false
    let records: readonly ConsumedRecord[]
    try {
      records = await fetcher.next(recordsMax, bytesMax)
    } catch (error) {
      if (!isVarveError(error, 'OFFSET_OUT_OF_RANGE')) throw error
      // Retention was faster.
      fetcher.seek(fetcher.log.startOffset)
      return true
    }
    const { position, source } = fetcher
    if (records.length > 0) await this.#apply(records, source.partition, position)
    // Markers and aborted records alone are not worth a commit: they are walked again after a crash.
    this.#positions[source.partition] = position
    for (const wake of this.#waiters) wake()
    return true
  }

  async #apply(records: readonly ConsumedRecord[], partition: number, position: number): Promise<void> {
    const write = (tx: Transaction): void => {
      const entries = tx.store(this.#entries)
      for (const { keyBytes, valueBytes, expiresAt } of records) {
        if (keyBytes === null) continue
        if (valueBytes === null) entries.del(keyBytes)
        // What has expired hides what was there before it, too.
        else entries.put(keyBytes, valueBytes, expiresAt === undefined ? undefined : { expiresAt })
      }
      tx.store(this.#offsets).put([this.#core.id, partition], position)
    }
    // Without a wait for the disk: what is lost with a crash is read again.
    await whenThereIsRoom(this.#host, () => this.#host.transaction(write, { durability: 'buffered' }))
  }
}
