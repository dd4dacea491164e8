/**
 * A topic's index of keys (the option `keyIndex`): where the records of each key lie, so that an append can be checked against the newest of them, and the
 * records of one key read without the others.
 *
 * It follows the topic's logs instead of being written by each sender: whoever appends, the index sees it, and senders pay nothing. It is written in slices
 * (`KeyIndexStore`); a question first takes up, in its own turn, what was appended since, so its answer is exact. What a crash takes of the index is read
 * again. When half of it may speak of records that are gone, the next generation is begun beside it and takes its place once it has caught up.
 *
 * Made by `Topics`, one a topic; closed with the database, dropped with the topic or the option.
 * Invariant: an answer of `version` or `entries` covers everything that was appended before the question.
 */
import { assert, isVarveError, type LocalLog, VarveError } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import { generationsOf, KeyIndexStore, type KeyRange, keyIndexLogs, sliceBytesMax, walkKeys } from './key-index-store.ts'
import {
  entryOf,
  FLAG_EXPIRES,
  FLAG_TOMBSTONE,
  FLAG_TRANSACTIONAL,
  flagsOfEntry,
  INDEXED_KEY_BYTES_MAX,
  offsetOfEntry,
} from './key-rows.ts'
import { RecordReader } from './record-reader.ts'

/** Offsets that are taken up within a question; with more to do at the opening, questions wait for the build. */
const catchUpMax = 50_000
/** Entries that may be stale, whatever the share. */
const staleMin = 10_000

/** What an expected version says of a key without records. */
export const NO_VERSION = -1

export class KeyIndex {
  readonly #host: StreamHost
  readonly #core: TopicCore
  readonly #ended = new AbortController()
  /** Partitions with a waiter under way. */
  readonly #watched = new Set<number>()
  readonly #done: Promise<void>
  #current: KeyIndexStore
  /** The next generation, while it is being built. */
  #next: KeyIndexStore | undefined
  #isBuilt = false
  #failed: unknown
  #wake: (() => void) | undefined
  #resolveBuilt: () => void = () => undefined
  #rejectBuilt: (error: unknown) => void = () => undefined
  /** Resolves when questions are answered; rejects with what keeps the index from it. */
  readonly built: Promise<void> = new Promise((resolve, reject) => {
    this.#resolveBuilt = resolve
    this.#rejectBuilt = reject
  })

  constructor(host: StreamHost, core: TopicCore) {
    this.#host = host
    this.#core = core
    const [first = 0, second] = generationsOf(host, core.id)
    this.#current = new KeyIndexStore(host, core.id, first)
    if (second !== undefined) this.#next = new KeyIndexStore(host, core.id, second)
    this.built.catch(() => undefined) // told to whoever asks
    if (this.#behind(this.#current) <= catchUpMax) this.#setBuilt()
    this.#done = this.#run()
  }

  /** What was indexed, and how many offsets are not taken up yet. */
  get stats(): { readonly entries: number; readonly behind: number } {
    return { entries: this.#current.entries, behind: this.#behind(this.#current) }
  }

  /**
   * Offset of the newest record of the key that the log still has, a tombstone or one of an open transaction included; NO_VERSION when there is none.
   * NOT_READY while the index is built.
   */
  version(partition: number, key: Uint8Array): number {
    const log = this.#core.partition(partition)
    if (this.#prepare(partition, key)) {
      const newest = this.#current.newest(partition, key)
      if (newest === undefined) return NO_VERSION
      if (isThere(log, newest)) return offsetOfEntry(newest)
    }
    const reader = new RecordReader(log, { topic: this.#core.name, partition, keys: this.#core.keys, values: this.#core.values })
    for (const entry of this.entries(partition, key, { reverse: true })) {
      const offset = offsetOfEntry(entry)
      if (offset < log.startOffset) break
      if (reader.state(offset) !== 'gone') return offset
      // What compaction has taken had superseded all before it, unless its transaction was aborted.
      if ((flagsOfEntry(entry) & FLAG_TRANSACTIONAL) === 0) break
    }
    return NO_VERSION
  }

  /** Entries of a key, in order or back; some of their records may be gone. To be walked in one turn. NOT_READY while the index is built. */
  entries(partition: number, key: Uint8Array, range: KeyRange = {}): Iterable<number> {
    const isWhole = this.#prepare(partition, key)
    const indexed = this.#current.entriesOf(partition, key, range)
    if (isWhole) return indexed
    const rest = this.#unindexed(partition, key, range)
    return range.reverse === true ? chain(rest.reverse(), indexed) : chain(indexed, rest)
  }

  /** Takes up what was appended; false when the database accepts no writes now, and the rest is to be looked through. */
  #prepare(partition: number, key: Uint8Array): boolean {
    if (!this.#isBuilt) {
      throw new VarveError('NOT_READY', `topic ${this.#core.name}: its index of keys is being built`, {
        details: { topic: this.#core.name },
        ...(this.#failed === undefined ? {} : { cause: this.#failed }),
      })
    }
    if (this.#failed !== undefined) this.#current.reload()
    return key.length > INDEXED_KEY_BYTES_MAX || this.#catchUp(this.#current, partition)
  }

  /** Stops following; the next opening goes on from here. Idempotent. */
  async close(): Promise<void> {
    this.#ended.abort()
    this.#wake?.()
    await this.#done
  }

  /** Ends it for good, and removes what it has stored. */
  async drop(): Promise<void> {
    const closed = this.close()
    const logs = keyIndexLogs(this.#host, this.#core.id)
    // In this turn: the next index of the topic must not meet them.
    const dropped = logs.length > 0 ? this.#host.drop(logs) : undefined
    await closed
    await dropped
  }

  /** Offsets that a generation has not taken up. */
  #behind(store: KeyIndexStore): number {
    let behind = 0
    for (let partition = 0; partition < this.#core.partitionCount; partition++) {
      const log = this.#core.partition(partition)
      behind += log.endOffset - store.position(log, partition)
    }
    return behind
  }

  /** Takes up all that was appended to a partition, in this turn. False when the database accepts no writes now. */
  #catchUp(store: KeyIndexStore, partition: number): boolean {
    const log = this.#core.partition(partition)
    for (let position = store.position(log, partition); position < log.endOffset; ) {
      if (!store.take(log, partition, log.read(position, { bound: 'end', bytesMax: sliceBytesMax }))) return false
      const next = store.position(log, partition)
      assert(next > position, 'an index of keys moves on', next, position)
      position = next
    }
    return true
  }

  #unindexed(partition: number, key: Uint8Array, { from = 0, before = Number.POSITIVE_INFINITY }: KeyRange): number[] {
    const log = this.#core.partition(partition)
    const entries: number[] = []
    for (let position = this.#current.position(log, partition); position < log.endOffset; ) {
      const slice = log.read(position, { bound: 'end', bytesMax: sliceBytesMax })
      walkKeys(slice, Math.max(from, position), (data, start, end, offset, flags) => {
        if (offset < before && end - start === key.length && Buffer.compare(data.subarray(start, end), key) === 0)
          entries.push(entryOf(offset, flags))
      })
      position = slice.nextOffset
    }
    return entries
  }

  // --- following -----------------------------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    const { signal } = this.#ended
    // The turn of the opening belongs to its caller.
    await new Promise<void>(resolve => this.#host.environment.timers.soon(resolve))
    try {
      while (!signal.aborted) {
        await this.#follow(this.#current)
        if (signal.aborted) break
        this.#setBuilt()
        if (this.#next !== undefined) await this.#follow(this.#next)
        if (signal.aborted) break
        await this.#changeGenerations()
        await this.#wait()
      }
    } catch (error) {
      // The topic is gone, the database closed or broken: questions meet the same.
      this.#failed = error
    }
    if (this.#isBuilt) return
    this.#rejectBuilt(this.#failed ?? new VarveError('CLOSED', 'the index of keys was closed'))
  }

  #setBuilt(): void {
    this.#isBuilt = true
    this.#resolveBuilt()
  }

  /** Until there is nothing to take up. Yields where it reads the disk. */
  async #follow(store: KeyIndexStore): Promise<void> {
    for (let partition = 0; partition < this.#core.partitionCount; partition++) {
      while (!this.#ended.signal.aborted) {
        const log = this.#core.partition(partition)
        const position = store.position(log, partition)
        if (position >= log.endOffset) break
        const slice = await log.readAsync(position, { bound: 'end', bytesMax: sliceBytesMax }).catch(error => {
          if (isVarveError(error, 'OFFSET_OUT_OF_RANGE')) return undefined // retention was faster
          throw error
        })
        // A question has taken it up meanwhile.
        if (slice === undefined || store.position(log, partition) !== position) continue
        if (store.take(log, partition, slice)) continue
        await this.#host.drain()
        if (store.failure !== undefined && !isVarveError(store.failure, 'BUSY')) throw store.failure
      }
    }
  }

  /** Puts the next generation in the place of the current one, or begins one when too much is stale. */
  async #changeGenerations(): Promise<void> {
    const next = this.#next
    if (next === undefined) {
      let stale = 0
      for (let partition = 0; partition < this.#core.partitionCount; partition++)
        stale += this.#current.staleEntries(this.#core.partition(partition), partition)
      if (stale > Math.max(staleMin, this.#current.entries / 2))
        this.#next = new KeyIndexStore(this.#host, this.#core.id, this.#current.generation + 1)
      return
    }
    if (this.#behind(next) > 0) return
    this.#current = next
    this.#next = undefined
    const [, ...rest] = keyIndexLogs(this.#host, this.#core.id).reverse()
    await this.#host.drop(rest)
  }

  /** Resolves when something was acknowledged, or the index ends. */
  async #wait(): Promise<void> {
    const { signal } = this.#ended
    if (this.#next !== undefined && this.#behind(this.#next) > 0) return
    const woken = new Promise<void>(resolve => {
      this.#wake = resolve
    })
    for (let partition = 0; partition < this.#core.partitionCount; partition++) this.#watch(partition)
    if (signal.aborted) return
    await woken
    this.#wake = undefined
    if (this.#failed !== undefined) throw this.#failed
  }

  #watch(partition: number): void {
    if (this.#watched.has(partition)) return
    this.#watched.add(partition)
    const log = this.#core.partition(partition)
    log.waitFor(this.#current.position(log, partition), { signal: this.#ended.signal }).then(
      () => this.#woken(partition),
      error => {
        if (!this.#ended.signal.aborted) this.#failed = error
        this.#woken(partition)
      },
    )
  }

  #woken(partition: number): void {
    this.#watched.delete(partition)
    this.#wake?.()
  }
}

/** Whether the log has the newest record of a key for certain: compaction takes only what it may. */
function isThere(log: LocalLog, entry: number): boolean {
  const offset = offsetOfEntry(entry)
  const flags = flagsOfEntry(entry)
  if (offset < log.startOffset || (flags & FLAG_TRANSACTIONAL) !== 0) return false
  return (flags & (FLAG_TOMBSTONE | FLAG_EXPIRES)) === 0 || offset >= log.cleanedTo
}

function* chain(first: Iterable<number>, second: Iterable<number>): Iterable<number> {
  yield* first
  yield* second
}
