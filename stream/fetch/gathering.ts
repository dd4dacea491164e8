/**
 * Waits until there is enough to hand out: Kafka's `fetch.min.bytes` and `fetch.max.wait.ms`. Owned by a `FetchSession` whose consumer asks for it; the others
 * pay nothing.
 *
 * What can be read is counted once, in stored bytes over all partitions that are not paused. When it suffices, or the time since there was something is over, all
 * that was counted is released, and handed out before anything is counted again.
 */
import type { Environment } from '../../engine/index.ts'
import type { Fetcher } from './partition-fetcher.ts'

/** How much to wait for. */
export interface GatheringOptions {
  readonly minBytes: number
  readonly maxWaitMs: number
}

interface Counted {
  /** The fetcher's position when counting began; another one makes the count void. */
  readonly from: number
  /** All below is counted. */
  to: number
  bytes: number
  /** High watermark when it was looked at last: news are behind it. */
  seen: number
}

export class Gathering {
  readonly #options: GatheringOptions
  readonly #clock: Pick<Environment['clock'], 'monotonic'>
  readonly #counted = new WeakMap<Fetcher, Counted>()
  readonly #released = new Set<Fetcher>()
  /** When what there is is handed out in any case, monotonic ms; undefined while there is nothing. */
  #dueAt: number | undefined

  constructor(options: GatheringOptions, clock: Pick<Environment['clock'], 'monotonic'>) {
    this.#options = options
    this.#clock = clock
  }

  /** Whether the partition's records may be handed out now. */
  allows(fetcher: Fetcher): boolean {
    return this.#released.has(fetcher)
  }

  /** Offset behind which a partition that is not released may have news. */
  seen(fetcher: Fetcher): number {
    return this.#counted.get(fetcher)?.seen ?? fetcher.position
  }

  /** How long until what there is is handed out; undefined while there is nothing. */
  get dueMs(): number | undefined {
    return this.#dueAt === undefined ? undefined : Math.max(0, this.#dueAt - this.#clock.monotonic())
  }

  /** Counts what has come, and releases it when it is time. Rejects with what a read throws. */
  async look(fetchers: readonly Fetcher[]): Promise<void> {
    for (const fetcher of this.#released) {
      const isDone = !fetcher.hasSlice && fetcher.position >= (this.#counted.get(fetcher)?.to ?? 0)
      if (isDone || fetcher.paused || !fetchers.includes(fetcher)) this.#released.delete(fetcher)
    }
    if (this.#released.size > 0) return
    const ready = fetchers.filter(fetcher => !fetcher.paused && fetcher.isReady)
    let bytes = 0
    for (const fetcher of ready) bytes += await this.#count(fetcher)
    if (ready.length === 0) {
      this.#dueAt = undefined
      return
    }
    const now = this.#clock.monotonic()
    this.#dueAt ??= now + this.#options.maxWaitMs
    if (bytes < this.#options.minBytes && now < this.#dueAt) return
    this.#dueAt = undefined
    for (const fetcher of ready) this.#released.add(fetcher)
  }

  /** Stored bytes of a partition that can be read; no more are counted than are waited for. */
  async #count(fetcher: Fetcher): Promise<number> {
    const { minBytes } = this.#options
    const { position, log } = fetcher
    if (fetcher.hasSlice) return minBytes
    let counted = this.#counted.get(fetcher)
    if (counted?.from !== position) {
      counted = { from: position, to: position, bytes: 0, seen: position }
      this.#counted.set(fetcher, counted)
    }
    const { highWatermark } = log
    while (counted.to < fetcher.bound && counted.bytes < minBytes) {
      const { bytes, nextOffset } = await log.read(counted.to, { bytesMax: minBytes - counted.bytes })
      if (nextOffset <= counted.to) break
      counted.to = nextOffset
      counted.bytes += bytes.length
    }
    counted.seen = Math.max(position, highWatermark)
    return counted.bytes
  }
}

/** RangeError naming the option. */
export function checkGathering(options: { readonly minBytes?: unknown; readonly maxWaitMs?: unknown }): void {
  const { minBytes, maxWaitMs } = options
  if (minBytes !== undefined && !(Number.isSafeInteger(minBytes) && (minBytes as number) > 0))
    throw new RangeError(`minBytes must be a positive integer, got ${String(minBytes)}`)
  if (maxWaitMs !== undefined && !(Number.isSafeInteger(maxWaitMs) && (maxWaitMs as number) >= 0))
    throw new RangeError(`maxWaitMs must be a non-negative integer, got ${String(maxWaitMs)}`)
}

/** What waits for `minBytes`; undefined where one byte is enough. */
export function gatheringOf(
  { minBytes = 1, maxWaitMs = 500 }: { readonly minBytes?: number | undefined; readonly maxWaitMs?: number | undefined },
  clock: Pick<Environment['clock'], 'monotonic'>,
): Gathering | undefined {
  return minBytes > 1 ? new Gathering({ minBytes, maxWaitMs }, clock) : undefined
}
