/**
 * Whether a topic may become compacted: only if all records that it has have a key, as those that it takes from then on must. Reads each partition from its start to its end, what is not
 * acknowledged yet included; markers of transactions need no key. (A record that was on its way meanwhile may still come without one: compaction lets it stay.)
 */
import { isControlBatch, type LocalLog, RecordCursor, VarveError } from '../../engine/index.ts'
import type { TopicCore } from './topic-core.ts'

const readBytes = 1024 * 1024
/** So many records are looked at without giving others a turn, at last: a topic that grows all the while has an end, too. */
const recordsOfTurn = 4096

/** Rejects with INVALID_RECORD for the first record without a key. */
export async function assertKeyed(core: TopicCore): Promise<void> {
  /** By partition, where to go on. */
  const next = Array.from({ length: core.partitionCount }, (_, i) => core.partition(i).startOffset)
  for (;;) {
    let left = 0
    for (let i = 0; i < core.partitionCount; i++) {
      const log = core.partition(i)
      next[i] ??= log.startOffset
      while (log.endOffset - (next[i] as number) > recordsOfTurn) {
        next[i] = await checkSome(core, log, i, Math.max(next[i] as number, log.startOffset))
      }
      left += log.endOffset - (next[i] as number)
    }
    if (left <= recordsOfTurn) break
  }
  for (let i = 0; i < core.partitionCount; i++) {
    const log = core.partition(i)
    for (let at = Math.max(next[i] ?? 0, log.startOffset); at < log.endOffset; ) {
      const { bytes, positions, nextOffset } = log.read(at, { bound: 'end', bytesMax: readBytes })
      checkBatches(core, i, bytes, positions, at)
      if (nextOffset <= at) break
      at = nextOffset
    }
  }
}

async function checkSome(core: TopicCore, log: LocalLog, partition: number, at: number): Promise<number> {
  const { bytes, positions, nextOffset } = await log.readAsync(at, { bound: 'end', bytesMax: readBytes })
  checkBatches(core, partition, bytes, positions, at)
  return nextOffset > at ? nextOffset : log.endOffset
}

function checkBatches(core: TopicCore, partition: number, bytes: Uint8Array, positions: readonly number[], from: number): void {
  const cursor = new RecordCursor()
  for (const position of positions) {
    cursor.open(bytes, position)
    if (isControlBatch(bytes, position)) continue
    while (cursor.next()) {
      if (cursor.keySize >= 0 || cursor.offset < from) continue
      const { offset } = cursor
      const message = `topic ${core.name} cannot be compacted: the record at offset ${offset} of partition ${partition} has no key; delete such records first (deleteRecords, retention)`
      throw new VarveError('INVALID_RECORD', message, { details: { topic: core.name, partition, offset } })
    }
  }
}
