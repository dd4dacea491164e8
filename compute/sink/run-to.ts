/** Runs a flow into a sink: opened before the run, committed after all rows are in, aborted when anything fails. */
import { nodeClock } from '../../engine/index.ts'
import type { Counters } from '../execute/run-inline.ts'
import type { Sink, SinkWriter } from './sink.ts'

/** What a run into a sink did. */
export interface RunReport {
  /** Rows that the sink got. */
  readonly rows: number
  /** Sums of what functions of a MapReduce counted, and `badRecords`, records that were left out. */
  readonly counters: Readonly<Record<string, number>>
  /** Time from the beginning to the commit, ms. */
  readonly ms: number
}

export async function runTo(sink: Sink, run: (end: SinkWriter) => Promise<Counters>): Promise<RunReport> {
  if (typeof sink !== 'object' || sink === null || typeof sink.open !== 'function')
    throw new TypeError(`sink must be a sink, got ${String(sink)}`)
  const began = nodeClock.monotonic()
  const writer = await sink.open()
  let rows: number
  let counters: Counters
  try {
    counters = await run(writer)
    rows = writer.rows
    await writer.commit()
  } catch (error) {
    await writer.abort().catch(() => undefined) // the first error is the one to tell
    throw error
  }
  return { rows, counters, ms: nodeClock.monotonic() - began }
}
