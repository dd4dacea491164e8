/**
 * The log of an internal topic: where this database keeps a state of its own, one partition, compacted. Whoever keeps the state folds the log into memory at
 * the first use, and adds to it within commits of its own; this file finds, defines, reads and compacts the log.
 *
 * Owned by `internal-topic.ts` (maps of text to JSON) and `offsets/group-offsets.ts` (rows of its own format). Invariant: the fold was given every record of the log
 * before anybody asks for the state.
 */
import { type LocalLog, RecordCursor } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'

/** Records since the last compaction that begin the next, when they outnumber what lives four times. */
const compactAfter = 20_000

export interface InternalLogPlace {
  readonly host: StreamHost
  /** The log of the topic's only partition; undefined when it is not defined yet. */
  existing(): LocalLog | undefined
  /** Defines it, in this turn. */
  define(): LocalLog
  /** Ids of all topics that are defined. */
  topicIds(): ReadonlySet<number>
}

/** What is made of the log. */
export interface InternalFold {
  /** The next record of the log. */
  take(cursor: RecordCursor): void
  /** How many records compaction would leave. */
  readonly size: number
  /** Behind the turn in which the log of an earlier process was folded: takes back what that one had no time for. What fails is tried again by the next process. */
  tidy(): Promise<void>
}

export class InternalLog {
  readonly #place: InternalLogPlace
  readonly #fold: InternalFold
  #log: LocalLog | undefined
  /** Records appended since the last compaction, and those found at the first use. */
  #records = 0
  #isCompacting = false

  constructor(place: InternalLogPlace, fold: InternalFold) {
    this.#place = place
    this.#fold = fold
  }

  get host(): StreamHost {
    return this.#place.host
  }

  /** The log, folded, and defined if need be. */
  get opened(): LocalLog {
    this.load()
    this.#log ??= this.#place.define()
    return this.#log
  }

  /** Folds the log, once. */
  load(): void {
    if (this.#log !== undefined) return
    const log = this.#place.existing()
    if (log === undefined) return
    this.#log = log
    const cursor = new RecordCursor()
    for (let offset = log.startOffset; offset < log.endOffset; ) {
      const { bytes, positions, nextOffset } = log.read(offset, { bound: 'end' })
      for (const position of positions) {
        cursor.open(bytes, position)
        while (cursor.next()) {
          this.#records++
          if (cursor.keySize >= 0) this.#fold.take(cursor)
        }
        cursor.close()
      }
      if (nextOffset === offset) break
      offset = nextOffset
    }
    // Whoever asks may be in the middle of a commit.
    queueMicrotask(() => {
      this.#fold.tidy().catch(() => undefined)
    })
  }

  /** So many records were appended, in a commit that was made. */
  appended(count: number): void {
    this.#records += count
    if (this.#isCompacting || this.#records < compactAfter || this.#records < 4 * this.#fold.size) return
    this.#isCompacting = true
    // What lies in the tail is compacted the next time.
    this.#records = this.#fold.size
    this.host
      .compactLog(this.opened.name)
      .catch(() => undefined) // background work, tried again
      .finally(() => {
        this.#isCompacting = false
      })
  }

  /** Ids of all topics that are defined. */
  get topicIds(): ReadonlySet<number> {
    return this.#place.topicIds()
  }
}
