/**
 * What the bare disk and a plain loop can do, measured in the same run as the engine, because ratios survive a change of machine:
 *
 *   rawPipeline   encode on the main thread, durable writes of about 1 MB, two buffers: one is encoded while the other is written
 *   rawWrites     one 4 KB write after the other, each durable before the next, awaited or blocking
 *   rawRead       a file from start to end, from the page cache, in large pieces into one buffer
 */

import { type Measurement, nextTurn } from '../../measurement.ts'
import { expectEqual } from '../../workload.ts'
import { RecordSource, recordBytes } from '../records.ts'
import { batchBytesMax, countRecords, encodeBatch } from './encode.ts'
import { RawFile } from './file.ts'

const alignment = 4096

export interface PipelineParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
  /** A group is written when it has this many bytes. */
  readonly groupBytes: number
}

export async function rawPipeline(measurement: Measurement, { records, batch, groupBytes }: PipelineParameters): Promise<void> {
  const source = new RecordSource(batch)
  const bytesMax = batchBytesMax(batch, recordBytes)
  const groups = [0, 1].map(() => {
    const bytes = new Uint8Array(groupBytes + bytesMax)
    return { bytes, view: new DataView(bytes.buffer) }
  })
  const file = new RawFile(measurement.folder, Math.ceil(records / batch) * bytesMax + groupBytes)
  let end = 0
  await measurement.measure(async () => {
    let encoded = 0
    let writing: Promise<void> = Promise.resolve()
    for (let turn = 0; encoded < records; turn++) {
      const { bytes, view } = groups[turn % 2] as (typeof groups)[number]
      let used = 0
      while (used < groupBytes && encoded < records) {
        used = encodeBatch(bytes, view, used, encoded, source.next())
        encoded += batch
      }
      await writing
      writing = timedWrite(measurement, file, bytes.subarray(0, used), end)
      end += used
    }
    await writing
    return { operations: encoded, payloadBytes: encoded * recordBytes }
  })
  const written = new Uint8Array(end)
  expectEqual('bytes read back', file.readSync(written, 0), end)
  expectEqual('records read back', countRecords(new DataView(written.buffer), end), Math.ceil(records / batch) * batch)
  file.close()
}

async function timedWrite(measurement: Measurement, file: RawFile, bytes: Uint8Array, position: number): Promise<void> {
  const begun = measurement.begin()
  await file.write(bytes, position)
  measurement.end(begun)
}

export interface WriteParameters {
  readonly [name: string]: number
  readonly writes: number
}

export async function rawWrites(measurement: Measurement, mode: 'async' | 'sync', { writes }: WriteParameters): Promise<void> {
  const bytes = new Uint8Array(alignment)
  const file = new RawFile(measurement.folder, writes * alignment)
  await measurement.measure(async () => {
    for (let i = 0; i < writes; i++) {
      new DataView(bytes.buffer).setUint32(0, i + 1)
      const begun = measurement.begin()
      if (mode === 'async') await file.write(bytes, i * alignment)
      else file.writeSync(bytes, i * alignment)
      measurement.end(begun)
      if (mode === 'sync') await nextTurn()
    }
    return { operations: writes, payloadBytes: writes * alignment }
  })
  file.readSync(bytes, (writes - 1) * alignment)
  expectEqual('number in the last page', new DataView(bytes.buffer).getUint32(0), writes)
  file.close()
}

export interface ReadParameters {
  readonly [name: string]: number
  readonly bytes: number
  readonly pieceBytes: number
  /** How often the file is read. */
  readonly passes: number
}

export async function rawRead(measurement: Measurement, { bytes, pieceBytes, passes }: ReadParameters): Promise<void> {
  const file = new RawFile(measurement.folder, bytes)
  const piece = new Uint8Array(pieceBytes)
  let total = 0
  await measurement.measure(async () => {
    for (let pass = 0; pass < passes; pass++) {
      for (let at = 0; at < bytes; ) {
        const begun = measurement.begin()
        const count = file.readSync(piece, at)
        measurement.end(begun)
        at += count
        total += count
        if ((at / pieceBytes) % 8 === 0) await nextTurn()
      }
    }
    return { operations: total / pieceBytes, payloadBytes: total }
  })
  expectEqual('bytes read', total, bytes * passes)
  file.close()
}
