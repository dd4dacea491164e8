/** Opening: after a kill with a long tail in the commit log, and after a clean close of much data. */

import { type Database, type OpenOptions, open } from 'varve'
import type { Measurement } from '../../measurement.ts'
import { ended, firstMessage, startScript } from '../../scripts.ts'
import { expectAtLeast, expectEqual } from '../../workload.ts'
import { RecordSource, recordBytes } from '../records.ts'
import { expectRecords, fill, openWithLogs } from './database.ts'

/** One commit-log file that holds `records` records, so that none of them is flushed. */
export function tailOptions(records: number): OpenOptions {
  const fileBytes = Math.ceil((records * recordBytes * 1.25) / 2 ** 20 + 8) * 2 ** 20
  return { commitLogFileBytes: fileBytes, commitLogFileBytesFirst: fileBytes, tailBytesMax: 4 * fileBytes }
}

export interface OpenParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
}

export async function openAfterKill(measurement: Measurement, { records, batch }: OpenParameters): Promise<void> {
  const victim = startScript('logs/workloads/victim', [measurement.folder, String(records), String(batch)])
  const message = await firstMessage<{ readonly records: number }>(victim)
  expectEqual('records of the victim', message.records, records)
  victim.kill('SIGKILL')
  await ended(victim)
  const { cleanClose, bytes } = await measureOpen(measurement, records, tailOptions(records))
  expectEqual('closed cleanly', cleanClose, false)
  expectAtLeast('bytes recovered from the commit log', bytes, records * recordBytes)
}

export async function openAfterClose(measurement: Measurement, { records, batch }: OpenParameters): Promise<void> {
  const { database, logs } = await openWithLogs(measurement.folder, 1)
  await fill(logs, new RecordSource(batch), records / batch)
  await database.close()
  const { cleanClose } = await measureOpen(measurement, records, {})
  expectEqual('closed cleanly', cleanClose, true)
}

async function measureOpen(measurement: Measurement, records: number, options: OpenOptions): Promise<Database['recovery']> {
  const opened: { database?: Database } = {}
  await measurement.measure(async () => {
    const begun = measurement.begin()
    opened.database = await open(measurement.folder, options)
    measurement.end(begun)
    return { operations: 1, payloadBytes: records * recordBytes }
  })
  const { database } = opened
  if (database === undefined) throw new Error('not open')
  expectRecords([database.log('log-0')], records)
  await database.close()
  return database.recovery
}
