/** Reading one log from start to end, from segments in the page cache: slices as they lie, and every record as an object. */

import { batchRecordCount } from '../../../engine/batch/record-batch.ts'
import { decodeRecords } from '../../../engine/batch/record-batch-codec.ts'
import { type Measurement, nextTurn } from '../../measurement.ts'
import { expectEqual } from '../../workload.ts'
import { keyBytes, RecordSource, recordBytes, valueBytes } from '../records.ts'
import { fill, openWithLogs } from './database.ts'

export interface ReadParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
  /** Of one read. */
  readonly bytesMax: number
}

export async function readRaw(measurement: Measurement, parameters: ReadParameters): Promise<void> {
  await read(measurement, parameters, (bytes, positions) => {
    let count = 0
    for (const position of positions) count += batchRecordCount(bytes, position)
    return count
  })
}

export async function readDecoded(measurement: Measurement, parameters: ReadParameters): Promise<void> {
  let next = 0
  await read(measurement, parameters, (bytes, positions) => {
    let count = 0
    for (const position of positions) {
      const decoded = decodeRecords(bytes, position)
      for (const { offset, key, value } of decoded) if (offset === next && key?.length === keyBytes && value?.length === valueBytes) next++
      count += decoded.length
    }
    return count
  })
  expectEqual('whole records in order', next, parameters.records)
}

async function read(
  measurement: Measurement,
  { records, batch, bytesMax }: ReadParameters,
  visit: (bytes: Uint8Array, positions: readonly number[]) => number,
): Promise<void> {
  const { database, logs } = await openWithLogs(measurement.folder, 1)
  const [log] = logs
  if (log === undefined) throw new Error('no log')
  await fill(logs, new RecordSource(batch), records / batch)
  await database.seal()
  let count = 0
  const into = new Uint8Array(bytesMax)
  await measurement.measure(async () => {
    for (let offset = 0; offset < records; ) {
      const begun = measurement.begin()
      const slice = log.read(offset, { bytesMax, into })
      count += visit(slice.bytes, slice.positions)
      measurement.end(begun)
      offset = slice.nextOffset
      await nextTurn()
    }
    return { operations: records, payloadBytes: records * recordBytes }
  })
  expectEqual('records read', count, records)
  await database.close()
}
