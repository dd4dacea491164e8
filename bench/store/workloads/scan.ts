/** Workloads that go through keys in order: all of them, short ranges, and seeks. */

import { nextTurn } from '../../measurement.ts'
import { RangeSums, Sink } from '../data.ts'
import { share } from '../parameters.ts'
import type { StoreRun } from '../store-run.ts'

export const rangeEntries = 100
/** Ranges between two turns of the event loop. */
const rangesPerTurn = 16
const timedEvery = 8
const passes = 3
const keyPurpose = 4

export type ScanForm = 'batches' | 'entries'

/** The whole store, three times. */
export async function scanAll(run: StoreRun, form: ScanForm, reverse: boolean): Promise<void> {
  const { n } = run.parameters
  const sums = run.data.expectedSums()
  const store = await run.open()
  const range = reverse ? { reverse } : {}
  await run.measure(async () => {
    for (let pass = 0; pass < passes; pass++) {
      const sink = new Sink()
      const begun = run.measurement.begin()
      await (form === 'batches' ? store.scanBatches(range, sink) : store.scanEntries(range, sink))
      run.measurement.end(begun)
      sink.expect('scan', n, sums)
      await nextTurn()
    }
    return passes * n
  })
  await store.close()
}

/** From a random key on, `entries` of them (1: a seek). */
export async function scanRanges(run: StoreRun, entries: number): Promise<void> {
  const { data, measurement } = run
  const { n, keyBytes, valueBytes } = run.parameters
  const random = data.random(keyPurpose)
  const ranges = share(n, entries === 1 ? 10 : 100, 100)
  const sums = new RangeSums(data)
  const store = await run.open()
  await run.measure(
    async () => {
      for (let i = 0; i < ranges; i++) {
        const from = random.below(n - entries + 1)
        const sink = new Sink()
        const timed = i % timedEvery === 0
        const begun = timed ? measurement.begin() : 0
        const scanned = store.scanBatches({ gte: data.key(from), limit: entries }, sink)
        if (scanned !== undefined) await scanned
        if (timed) measurement.end(begun)
        sums.expect(sink, from, entries)
        if (i % rangesPerTurn === 0) await nextTurn()
      }
      return ranges
    },
    entries * (keyBytes + valueBytes),
  )
  await store.close()
}
