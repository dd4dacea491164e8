/** Where to cut a store into ranges of like size, for readers that share the work: known from fence keys, without reading a block. */
import { compareKeys } from '../batch/store-keys.ts'
import type { Run } from './run.ts'
import type { CursorTable } from './store-cursor.ts'

/**
 * At most `count - 1` encoded keys, ascending, that cut the store into ranges. The largest run, which has most of the records once a store was compacted, tells where; fewer
 * where it has few blocks, none where all lies in memory.
 */
export function splitKeysOf(table: CursorTable, count: number): Uint8Array[] {
  let pieces: readonly Run[] = []
  let blocks = 0
  for (const run of table.runs) {
    const ofRun = run.pieces.reduce((sum, piece) => sum + piece.index.blockCount, 0)
    if (ofRun <= blocks) continue
    pieces = run.pieces
    blocks = ofRun
  }
  const keys: Uint8Array[] = []
  let before = 0
  let cut = 1
  for (const { index } of pieces) {
    for (; cut < count; cut++) {
      const even = Math.floor((blocks * cut) / count) - before
      if (even >= index.blockCount) break
      // Columns are read by whole groups.
      const { columns } = index
      const block = columns === undefined ? even : columns.firstBlock(columns.groupOf(even))
      const start = index.keyStart(block)
      const key = index.bytes.slice(start, start + index.keyBytes(block))
      const last = keys.at(-1)
      if (key.length > 0 && (last === undefined || compareKeys(last, 0, last.length, key, 0, key.length) < 0)) keys.push(key)
    }
    before += index.blockCount
  }
  return keys
}
