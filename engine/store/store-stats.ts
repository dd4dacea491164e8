/** Numbers about one store, gathered when asked for: what lies where, and estimates that need no walk over the data. */
import { compareKeys } from '../batch/store-keys.ts'
import type { Memtable } from './memtable.ts'
import type { Run } from './run.ts'
import type { KeyBounds } from './store-core.ts'
import type { CursorTable } from './store-cursor.ts'
import type { StoreTable } from './store-table.ts'

export interface LevelStats {
  /** 0: as flushed; higher levels are older and larger. */
  readonly level: number
  readonly runs: number
  readonly bytes: number
  /** Superseded versions and deletes included. */
  readonly records: number
}

export interface StoreStats {
  /** Records in memtables and runs: an upper bound of the entries. */
  readonly records: number
  readonly memtables: { readonly count: number; readonly records: number }
  /** Ascending by level. */
  readonly levels: readonly LevelStats[]
  /** Of all runs on disk. */
  readonly bytes: number
  /** Memory of memtables' indexes, filters and fence keys. */
  readonly indexBytes: number
  /** How many places a missing key is looked for in, filters aside. */
  readonly readAmplification: number
}

export function statsOf(table: StoreTable): StoreStats {
  const { memtables, runs } = table
  const levels = new Map<number, { level: number; runs: number; bytes: number; records: number }>()
  for (const { part } of runs) {
    const { level } = part
    const found = levels.get(level) ?? { level, runs: 0, bytes: 0, records: 0 }
    found.runs++
    found.bytes += part.bytes
    found.records += part.recordCount
    levels.set(level, found)
  }
  const inMemory = memtables.reduce((sum, memtable) => sum + memtable.count, 0)
  return {
    records: inMemory + runs.reduce((sum, run) => sum + run.part.recordCount, 0),
    memtables: { count: memtables.length, records: inMemory },
    levels: [...levels.values()].sort((left, right) => left.level - right.level),
    bytes: runs.reduce((sum, run) => sum + run.part.bytes, 0),
    indexBytes: table.indexBytes,
    readAmplification: memtables.length + runs.length,
  }
}

/** Records in the range, by whole blocks of runs and by looking at memtables; versions and deletes count. */
export function estimateRecords(table: CursorTable, { start, end, isEmpty }: KeyBounds): number {
  if (isEmpty) return 0
  let sum = 0
  for (const run of table.runs) sum += recordsOfRun(run, start, end)
  for (const memtable of table.memtables) sum += recordsOfMemtable(memtable, start, end)
  return Math.round(sum)
}

function recordsOfRun({ index, part }: Run, start: Uint8Array | undefined, end: Uint8Array | undefined): number {
  const { blockCount } = index
  if (blockCount === 0) return 0
  const from = start === undefined ? 0 : Math.max(0, index.findFence(start, 0, start.length) - 1)
  const to = end === undefined ? blockCount : index.findFence(end, 0, end.length)
  const isWhole = from === 0 && to === blockCount
  if (isWhole) return part.recordCount
  let records = 0
  // The blocks at the edges lie half in it, on average.
  for (let block = from; block < to; block++) records += index.recordCount(block) * (block === from || block === to - 1 ? 0.5 : 1)
  return records
}

const walkMax = 10_000

function recordsOfMemtable(memtable: Memtable, start: Uint8Array | undefined, end: Uint8Array | undefined): number {
  if (start === undefined && end === undefined) return memtable.count
  const cursor = memtable.cursor()
  let records = 0
  for (let stands = start === undefined ? cursor.first() : cursor.seek(start); stands && records < walkMax; stands = cursor.next()) {
    const { buffer, keyStart, keyBytes } = cursor.record
    if (end !== undefined && compareKeys(buffer, keyStart, keyBytes, end, 0, end.length) >= 0) return records
    records++
  }
  // More than that: as if the rest of the memtable were in it, at most.
  return records < walkMax ? records : Math.max(records, memtable.count / 2)
}
