/**
 * A state of this database's own that lives in a compacted internal topic of one partition: a map from text to small JSON values, folded into memory at the
 * first use. The newest record of a key counts, one without a value takes it back.
 *
 * Owned by whoever keeps the state (`produce/producer-registry.ts`, `transactions/coordinator.ts`). Changes are records within the owner's commit, so that
 * they are durable together with what they speak of, and are in memory when the owner says `apply` in the same turn. Invariant: memory holds what the log
 * holds, for whoever looks between two turns.
 */
import { type Commit, type LocalLog, RecordCursor, readText, type TopicRecord } from '../engine/index.ts'
import type { StreamHost } from './host.ts'

/** Records since the last compaction that begin the next, when they outnumber what lives four times. */
const compactAfter = 20_000

/** A changed key; undefined takes it back. */
export interface InternalChange<T> {
  readonly key: string
  readonly value: T | undefined
}

export interface InternalTopicPlace {
  readonly host: StreamHost
  /** The log of the topic's only partition; undefined when it is not defined yet. */
  existing(): LocalLog | undefined
  /** Defines it, in this turn. */
  define(): LocalLog
}

export class InternalTopic<T> {
  readonly #place: InternalTopicPlace
  readonly #values = new Map<string, T>()
  #log: LocalLog | undefined
  /** Records appended since the last compaction, and those found at the first use. */
  #records = 0
  #isCompacting = false

  constructor(place: InternalTopicPlace) {
    this.#place = place
  }

  get(key: string): T | undefined {
    this.#load()
    return this.#values.get(key)
  }

  entries(): IterableIterator<[string, T]> {
    this.#load()
    return this.#values.entries()
  }

  /** The log, defined if need be. */
  get log(): LocalLog {
    this.#load()
    this.#log ??= this.#place.define()
    return this.#log
  }

  records(changes: readonly InternalChange<T>[]): TopicRecord[] {
    return changes.map(({ key, value }) => ({ key, value: value === undefined ? null : JSON.stringify(value) }))
  }

  /** Adds the changes to a commit. */
  write(commit: Commit, changes: readonly InternalChange<T>[]): void {
    if (changes.length > 0) commit.appendRecords(this.log, this.records(changes))
  }

  /** The commit was made. */
  apply(changes: readonly InternalChange<T>[]): void {
    this.#load()
    for (const { key, value } of changes) this.#set(key, value)
    this.#records += changes.length
    this.#maybeCompact()
  }

  #set(key: string, value: T | undefined): void {
    if (value === undefined) this.#values.delete(key)
    else this.#values.set(key, value)
  }

  #load(): void {
    if (this.#log !== undefined) return
    const log = this.#place.existing()
    if (log === undefined) return
    this.#log = log
    const cursor = new RecordCursor()
    for (let offset = log.startOffset; offset < log.endOffset; ) {
      const { bytes, positions, nextOffset } = log.read(offset, { bound: 'end' })
      for (const position of positions) {
        cursor.open(bytes, position)
        const { data } = cursor
        while (cursor.next()) {
          const { keyStart, keySize, valueStart, valueSize } = cursor
          if (keySize < 0) continue
          const text = valueSize < 0 ? undefined : readText(data, valueStart, valueStart + valueSize)
          this.#set(readText(data, keyStart, keyStart + keySize), text === undefined ? undefined : (JSON.parse(text) as T))
          this.#records++
        }
        cursor.close()
      }
      if (nextOffset === offset) break
      offset = nextOffset
    }
  }

  #maybeCompact(): void {
    if (this.#isCompacting || this.#records < compactAfter || this.#records < 4 * this.#values.size) return
    this.#isCompacting = true
    // What lies in the tail is compacted the next time.
    this.#records = this.#values.size
    this.#place.host
      .compactLog(this.log.name)
      .catch(() => undefined) // background work, tried again
      .finally(() => {
        this.#isCompacting = false
      })
  }
}
