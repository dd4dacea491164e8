/**
 * Many partitions read as one: takes records from whichever has some, in turn, and waits when none has.
 *
 * A partition that has nothing is waited for once, by one waiter on its log that stays until it fires, however often somebody polls. Owned by a consumer.
 * Invariant: a session is polled by one caller at a time.
 */
import { Breath, type Environment } from '../../engine/index.ts'
import type { ConsumedRecord } from './consumed-record.ts'
import type { Gathering } from './gathering.ts'
import type { Fetcher } from './partition-fetcher.ts'

/** Longer than any loop waits, ms. */
const holdMs = 0x7fff_ffff
/** Records handed out at a time at first; then as many as take between so many ms: more at once are no faster, and hold the thread. Code that is new is fifty times slower. */
const pieceFirst = 100
const pieceMsMin = 0.25
const pieceMsMax = 1
/** A loop that finds records without waiting lets the rest of the process have a turn so often, ms: nothing else in it would. */
const breathMs = 2

export interface PollOptions {
  readonly recordsMax: number
  readonly bytesMax: number
  readonly signal: AbortSignal
}

export interface Polled {
  readonly fetcher: Fetcher
  readonly records: ConsumedRecord[]
}

/** What a session needs of an environment. */
export type FetchPlace = Pick<Environment, 'clock' | 'timers'>

export class FetchSession {
  readonly #place: FetchPlace
  readonly #fetchers: Fetcher[] = []
  /** Fetchers with a waiter under way, with what ends it. */
  readonly #waiting = new Map<Fetcher, AbortController>()
  /** Index in `#fetchers` of the one to ask next. */
  #next = 0
  #wake: (() => void) | undefined
  /** What a waiter ended with; thrown by the next wait, unless its fetcher was removed since. */
  #failed: { readonly fetcher: Fetcher; readonly error: unknown } | undefined
  /** Records handed out at a time, at most. */
  #piece = pieceFirst
  readonly #breath: Breath
  readonly #gathering: Gathering | undefined

  /** `gathering`: hands out nothing before it says so. */
  constructor(place: FetchPlace, gathering?: Gathering) {
    this.#place = place
    this.#breath = new Breath(place, breathMs)
    this.#gathering = gathering
  }

  get fetchers(): readonly Fetcher[] {
    return this.#fetchers
  }

  add(fetcher: Fetcher): void {
    this.#fetchers.push(fetcher)
    this.wake()
  }

  remove(fetcher: Fetcher): void {
    const index = this.#fetchers.indexOf(fetcher)
    if (index >= 0) this.#fetchers.splice(index, 1)
    this.#waiting.get(fetcher)?.abort()
    this.#waiting.delete(fetcher)
    if (this.#failed?.fetcher === fetcher) this.#failed = undefined
    this.wake()
  }

  /** Ends a wait: partitions came or went, a pause ended, a position moved. */
  wake(): void {
    this.#wake?.()
  }

  /** Ends what waits on logs: until the next poll nobody asks for records. */
  rest(): void {
    for (const controller of this.#waiting.values()) controller.abort()
    this.#waiting.clear()
  }

  close(): void {
    this.rest()
    this.#fetchers.length = 0
    this.wake()
  }

  /** To be awaited, where there is something to await, before `ready` is asked; `poll` does it by itself. */
  gather(): Promise<void> | undefined {
    return this.#gathering?.look(this.#fetchers)
  }

  /** To be awaited between two batches. */
  breath(): Promise<void> | undefined {
    return this.#breath.due()
  }

  /** The fetcher whose turn it is among those that have something; undefined when none has. */
  ready(): Fetcher | undefined {
    const count = this.#fetchers.length
    for (let i = 0; i < count; i++) {
      const index = (this.#next + i) % count
      const fetcher = this.#fetchers[index] as Fetcher
      if (fetcher.paused || !fetcher.isReady || this.#gathering?.allows(fetcher) === false) continue
      this.#next = index + 1
      return fetcher
    }
    return undefined
  }

  /**
   * As `poll` of records that were read already and are only to be handed out; undefined when there are none, or something is to be awaited first. An error is met
   * again by `poll`.
   */
  pollRead(recordsMax: number): Polled | undefined {
    if (this.#gathering !== undefined || this.#breath.isDue) return undefined
    const next = this.#next
    const fetcher = this.ready()
    if (fetcher?.hasSlice === true) {
      const records = fetcher.nextRead(Math.min(recordsMax, this.#piece))
      if (records !== undefined) {
        if (records.length < recordsMax && fetcher.hasSlice) this.#goOnWith(fetcher)
        return { fetcher, records }
      }
    }
    this.#next = next
    return undefined
  }

  /** Records of one partition; undefined when there are none now. */
  async poll({ recordsMax, bytesMax }: PollOptions): Promise<Polled | undefined> {
    if (this.#gathering !== undefined) await this.gather()
    for (let fetcher = this.ready(); fetcher !== undefined; fetcher = this.ready()) {
      const begunMs = this.#place.clock.monotonic()
      const found = fetcher.next(Math.min(recordsMax, this.#piece), bytesMax)
      const records = Array.isArray(found) ? this.#timed(found, begunMs) : await found
      if (records.length === 0) continue
      // Its turn is not over: pieces of all partitions at once would keep all their slices in memory.
      if (records.length < recordsMax && fetcher.hasSlice) this.#goOnWith(fetcher)
      return { fetcher, records }
    }
    return undefined
  }

  /** The next turn is again the fetcher's, if it was not removed while it read. */
  #goOnWith(fetcher: Fetcher): void {
    const index = this.#fetchers.indexOf(fetcher)
    if (index >= 0) this.#next = index
  }

  /** Records that were made just now: more or fewer at a time are better. */
  #timed(records: ConsumedRecord[], begunMs: number): ConsumedRecord[] {
    const ms = this.#place.clock.monotonic() - begunMs
    if (ms > pieceMsMax) this.#piece = Math.max(pieceFirst, this.#piece >>> 1)
    else if (ms < pieceMsMin && records.length === this.#piece) this.#piece = Math.min(this.#piece * 2, 2 ** 30)
    return records
  }

  /** Resolves, having kept the process alive so long, when a partition may have something, `wake` was called, or the signal fired. Rejects with the error of a log. */
  async wait(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    // A loop that waits for records is what the process lives for, as a server's socket would be.
    const letGo = this.#place.timers.after(holdMs, () => undefined, true)
    const woken = new Promise<void>(resolve => {
      this.#wake = resolve
    })
    signal.addEventListener('abort', this.#onAbort, { once: true })
    for (const fetcher of this.#fetchers) {
      if (fetcher.paused) continue
      if (fetcher.isReady && this.#gathering?.allows(fetcher) !== false) this.#wake?.()
      else this.#watch(fetcher)
    }
    const dueMs = this.#gathering?.dueMs
    const notDue = dueMs === undefined ? undefined : this.#place.timers.after(dueMs, () => this.wake(), true)
    await woken
    notDue?.()
    letGo()
    this.#wake = undefined
    this.#breath.taken()
    signal.removeEventListener('abort', this.#onAbort)
    const failed = this.#failed
    this.#failed = undefined
    if (failed !== undefined && !signal.aborted) throw failed.error
  }

  readonly #onAbort = (): void => this.wake()

  #watch(fetcher: Fetcher): void {
    if (this.#waiting.has(fetcher)) return
    const controller = new AbortController()
    this.#waiting.set(fetcher, controller)
    const { log } = fetcher
    // Markers that release a transaction move the high watermark too.
    const seen =
      this.#gathering !== undefined && fetcher.isReady ? this.#gathering.seen(fetcher) : Math.max(fetcher.position, log.highWatermark)
    log.waitFor(seen, { signal: controller.signal }).then(
      () => this.#woken(fetcher, controller),
      error => {
        if (!controller.signal.aborted) this.#failed = { fetcher, error }
        this.#woken(fetcher, controller)
      },
    )
  }

  #woken(fetcher: Fetcher, controller: AbortController): void {
    if (this.#waiting.get(fetcher) === controller) this.#waiting.delete(fetcher)
    this.wake()
  }
}
