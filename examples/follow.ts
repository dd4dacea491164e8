/** The reader of docs/API.md: follows a log and keeps its place in the metadata. */
import { decodeRecords, type LocalLog } from 'varve'

export async function follow(log: LocalLog, from: number, signal: AbortSignal, handle: (value: Uint8Array | null) => void): Promise<void> {
  for (let next = from; ; ) {
    await log.waitFor(next, { signal }) // rejects with the signal's reason
    const slice = log.read(next)
    for (const position of slice.positions) {
      for (const record of decodeRecords(slice.bytes, position)) if (record.offset >= next) handle(record.value)
    }
    next = slice.nextOffset
    await log.metadata.set('reader', new TextEncoder().encode(String(next))).durable
  }
}
