/**
 * Carrying: the tail batches of a log that may not be flushed (they lie above an owner's high watermark) are appended again at the head of
 * the commit log, with their offsets and epochs, so that no log pins old files. Readers see the same bytes at another place.
 *
 * One frame a batch at most: recovery puts each carried batch where its offset belongs, in whatever frames they come.
 */
import { STATE_CHECKSUM_OPEN, STATE_STORE } from '../commit-log/arena.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import {
  ENTRY_FLAG_CARRIED,
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_HEADER_BYTES,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
} from '../commit-log/format.ts'
import type { LogicalLog } from './logical-log.ts'
import { arenaNumberOf, slotOf } from './tail.ts'

/** Appends the tail batches from index `from` on that lie in these arenas again. Durable with the next sync. Returns how many there were. */
export function carryBatches(commitLog: CommitLog, log: LogicalLog, from: number, arenas: ReadonlySet<number>): number {
  const { tail } = log
  // What was durable is remembered by index; by the LSN of its new place it would not be (see `carried`).
  void log.durableOffset
  let carried = 0
  for (let i = from; i < tail.length; i++) {
    if (!arenas.has(arenaNumberOf(tail.slot(i)))) continue
    carried++
    const bytes = tail.bytes(i)
    const source = tail.arena(i).bytes
    const position = tail.position(i)
    const open = (tail.state(i) & STATE_CHECKSUM_OPEN) !== 0
    const store = (tail.state(i) & STATE_STORE) !== 0
    const space = commitLog.begin(ENTRY_HEADER_BYTES + bytes, 'both')
    const body = space.position + ENTRY_HEADER_BYTES
    space.arena.bytes.set(source.subarray(position, position + bytes), body)
    const flags = ENTRY_FLAG_CARRIED | (open ? ENTRY_FLAG_CHECKSUM_OPEN : 0)
    commitLog.addEntry(store ? ENTRY_STORE_BATCH : ENTRY_TOPIC_BATCH, flags, log.id, space.position, body + bytes)
    const state = (open ? STATE_CHECKSUM_OPEN : 0) | (store ? STATE_STORE : 0)
    const row = space.arena.addIndexRow(
      log.id,
      body,
      bytes,
      tail.baseOffset(i),
      tail.endOffset(i),
      tail.maxTimestamp(i),
      tail.epoch(i),
      state,
    )
    commitLog.end('sync', 0)
    log.carried(i, slotOf(space.arena.number, row))
  }
  return carried
}
