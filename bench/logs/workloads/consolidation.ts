/** Merging many small segments into few large ones. */

import type { Measurement } from '../../measurement.ts'
import { expectAtLeast } from '../../workload.ts'
import { RecordSource, recordBytes } from '../records.ts'
import { expectRecords, fill, openWithLogs } from './database.ts'

export interface ConsolidationParameters {
  readonly [name: string]: number
  readonly records: number
  readonly segments: number
  readonly batch: number
  readonly logs: number
}

export async function consolidate(
  measurement: Measurement,
  { records, segments, batch, logs: logCount }: ConsolidationParameters,
): Promise<void> {
  const { database, logs } = await openWithLogs(measurement.folder, logCount, { autoConsolidate: false })
  const source = new RecordSource(batch)
  for (let i = 0; i < segments; i++) {
    await fill(logs, source, records / segments / batch)
    await database.seal()
  }
  const before = database.stats()
  await measurement.measure(async () => {
    const begun = measurement.begin()
    await database.consolidate()
    measurement.end(begun)
    return { operations: records, payloadBytes: records * recordBytes }
  })
  const { segments: after, merge } = database.stats()
  expectAtLeast('bytes merged', merge.bytesIn, records * recordBytes)
  expectAtLeast('segments fewer by', before.segments.count - after.count, segments / 2)
  expectRecords(logs, records)
  await database.close()
}
