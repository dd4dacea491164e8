/**
 * Durable appends: in batches to one or many logs, and one record at a time, alone or from many callers at once.
 */

import type { LocalLog } from '../../../engine/index.ts'
import { type Measurement, nextTurn } from '../../measurement.ts'
import { expectAtLeast } from '../../workload.ts'
import { RecordSource, recordBytes } from '../records.ts'
import { expectRecords, openWithLogs, writeWithin } from './database.ts'

export interface BatchParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
  readonly logs: number
  /** Batches appended and not yet acknowledged. */
  readonly window: number
}

/** `flush`: the time until everything lies in segments counts too. */
export async function appendBatches(
  measurement: Measurement,
  { records, batch, logs: logCount, window: limit }: BatchParameters,
  flush: boolean,
): Promise<void> {
  const { database, logs } = await openWithLogs(measurement.folder, logCount)
  const source = new RecordSource(batch)
  await measurement.measure(async () => {
    await writeWithin(limit, Math.ceil(records / batch), i => {
      const begun = measurement.begin()
      const { acknowledged } = (logs[i % logCount] as LocalLog).appendRecords(source.next())
      return acknowledged.then(() => measurement.end(begun))
    })
    if (flush) await database.seal()
    return { operations: records, payloadBytes: records * recordBytes }
  })
  if (flush) expectAtLeast('bytes in segments', database.stats().segments.liveBytes, records * recordBytes)
  expectRecords(logs, records)
  await database.close()
}

export interface SingleParameters {
  readonly [name: string]: number
  readonly appends: number
  readonly callers: number
}

export async function appendSingly(
  measurement: Measurement,
  { appends, callers }: SingleParameters,
  sync: 'group' | 'inline',
): Promise<void> {
  const { database, logs } = await openWithLogs(measurement.folder, 1, { sync })
  const log = logs[0] as LocalLog
  const caller = async (): Promise<void> => {
    const source = new RecordSource(1)
    for (let i = 0; i < appends / callers; i++) {
      const begun = measurement.begin()
      await log.appendRecords(source.next()).acknowledged
      measurement.end(begun)
      if (sync === 'inline') await nextTurn() // nothing else lets the event loop turn
    }
  }
  await measurement.measure(async () => {
    await Promise.all(Array.from({ length: callers }, caller))
    return { operations: appends, payloadBytes: appends * recordBytes }
  })
  expectRecords(logs, appends)
  await database.close()
}
