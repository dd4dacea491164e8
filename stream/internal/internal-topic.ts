/**
 * A state of this database's own as a map from text to small JSON values, in a compacted internal topic (`internal-log.ts`). The newest record of a key counts,
 * one without a value takes it back.
 *
 * Owned by whoever keeps the state (`produce/producer-registry.ts`, `transactions/coordinator.ts`, `queue/topic-queues.ts`). Changes are records within the
 * owner's commit, so that they are durable together with what they speak of, and are in memory when the owner says `apply` in the same turn. Invariant: memory
 * holds what the log holds, for whoever looks between two turns.
 */
import { type Commit, type LocalLog, type RecordCursor, readText, type TopicRecord } from '../../engine/index.ts'
import { InternalLog, type InternalLogPlace } from './internal-log.ts'

/** A changed key; undefined takes it back. */
export interface InternalChange<T> {
  readonly key: string
  readonly value: T | undefined
}

/** The topic that a row is about, by id; undefined: about none. */
export type TopicIdOf = (key: string) => number | undefined

export class InternalTopic<T> {
  readonly #log: InternalLog
  readonly #values = new Map<string, T>()
  readonly #topicIdOf: TopicIdOf

  /** `topicIdOf`: rows about a topic go when it is deleted. */
  constructor(place: InternalLogPlace, topicIdOf: TopicIdOf = () => undefined) {
    this.#topicIdOf = topicIdOf
    const values = this.#values
    this.#log = new InternalLog(place, {
      take: cursor => this.#take(cursor),
      get size() {
        return values.size
      },
      tidy: () => this.#tidy(),
    })
  }

  get(key: string): T | undefined {
    this.#log.load()
    return this.#values.get(key)
  }

  entries(): IterableIterator<[string, T]> {
    this.#log.load()
    return this.#values.entries()
  }

  /** The log, defined if need be. */
  get log(): LocalLog {
    return this.#log.opened
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
    this.#log.load()
    for (const { key, value } of changes) this.#set(key, value)
    this.#log.appended(changes.length)
  }

  /** Makes the changes, as a commit of their own. Resolves when durable. BUSY, POISONED and the like are thrown, in this turn. */
  commit(changes: readonly InternalChange<T>[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve()
    void this.log // defined before the commit begins
    const { acknowledged } = this.#log.host.commit(commit => this.write(commit, changes))
    this.apply(changes)
    acknowledged.catch(() => undefined) // whatever stands on it is told the same
    return acknowledged
  }

  /** Takes back the rows whose keys match. Resolves when durable. */
  async forget(matches: (key: string) => boolean): Promise<void> {
    await this.commit([...this.entries()].filter(([key]) => matches(key)).map(([key]) => ({ key, value: undefined })))
  }

  /** A topic was deleted: so are the rows about it. Resolves when durable. */
  forgetTopic(topicId: number): Promise<void> {
    return this.forget(key => this.#topicIdOf(key) === topicId)
  }

  #take({ data, keyStart, keySize, valueStart, valueSize }: RecordCursor): void {
    const text = valueSize < 0 ? undefined : readText(data, valueStart, valueStart + valueSize)
    this.#set(readText(data, keyStart, keyStart + keySize), text === undefined ? undefined : (JSON.parse(text) as T))
  }

  /** A process that ended while it deleted a topic has left the rows about it. */
  async #tidy(): Promise<void> {
    const { topicIds } = this.#log
    await this.forget(key => {
      const id = this.#topicIdOf(key)
      return id !== undefined && !topicIds.has(id)
    })
  }

  #set(key: string, value: T | undefined): void {
    if (value === undefined) this.#values.delete(key)
    else this.#values.set(key, value)
  }
}
