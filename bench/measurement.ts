/**
 * The stopwatch of one workload run: time, latencies, event-loop delay, memory, bytes written to the disk.
 *
 * Used by `child.ts` (and by tests, in-process): `new Measurement(folder)`, `await workload.run(measurement, size)`, `measurement.sample()`.
 * Invariant: `measure` is called exactly once per run. Latencies go into a histogram with three significant digits.
 */

import { readFileSync } from 'node:fs'
import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import type { Sample } from './workload.ts'

const loopResolutionMs = 1

export interface Work {
  readonly operations: number
  readonly payloadBytes: number
}

export class Measurement {
  /** An empty folder that belongs to this run; whoever made it removes it. */
  readonly folder: string
  readonly #latencies: RecordableHistogram = createHistogram()
  #result: Sample | undefined
  #writtenBefore: number | undefined

  constructor(folder: string) {
    this.folder = folder
  }

  /** Runs the part that counts; it returns what it did. */
  async measure(body: () => Promise<Work>): Promise<void> {
    if (this.#result !== undefined) throw new Error('a workload measures once')
    const loop = monitorEventLoopDelay({ resolution: loopResolutionMs })
    await setImmediate()
    this.#writtenBefore = writtenBytesNow()
    loop.enable()
    const start = performance.now()
    const work = await body()
    const elapsedMs = performance.now() - start
    await setImmediate() // a delay that is still going on is recorded when the loop turns
    loop.disable()
    const latencies = this.#latencies
    this.#result = {
      operations: work.operations,
      payloadBytes: work.payloadBytes,
      elapsedMs,
      ...(latencies.count > 0 && {
        p50Us: latencies.percentile(50) / 1000,
        p99Us: latencies.percentile(99) / 1000,
        maxUs: latencies.max / 1000,
      }),
      rssBytes: process.resourceUsage().maxRSS * 1024,
      ...(loop.max > 0 && { loopP999Ms: lateness(loop.percentile(99.9)), loopMaxMs: lateness(loop.max) }),
    }
  }

  /** A point in time for `end`. */
  begin(): number {
    return performance.now()
  }

  /** Records the latency of one operation that began at `begun`. */
  end(begun: number): void {
    this.#latencies.record(Math.max(1, Math.round((performance.now() - begun) * 1e6)))
  }

  /** To be called when the workload has closed everything. */
  sample(): Sample {
    if (this.#result === undefined) throw new Error('the workload measured nothing')
    const writtenAfter = writtenBytesNow()
    return {
      ...this.#result,
      ...(writtenAfter !== undefined && this.#writtenBefore !== undefined && { writtenBytes: writtenAfter - this.#writtenBefore }),
    }
  }
}

/** Lets the event loop turn; for workloads whose operations are synchronous. */
export async function nextTurn(): Promise<void> {
  await setImmediate()
}

function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - loopResolutionMs)
}

/**
 * Bytes that this process handed to write calls, all threads together; Linux counts them, elsewhere undefined. (Its other counter, of bytes
 * sent to the storage layer, counts a whole large folio for each small write into it.)
 */
function writtenBytesNow(): number | undefined {
  try {
    const match = /^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))
    return match?.[1] === undefined ? undefined : Number(match[1])
  } catch {
    return undefined // no such file: not Linux
  }
}
