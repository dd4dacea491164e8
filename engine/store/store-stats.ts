/** Numbers about one store, gathered when asked for: what lies where, and estimates that need no walk over the data. */
import { compareKeys } from '../batch/store-keys.ts'
import type { PartRef } from '../log/parts.ts'
import type { Memtable } from './memtable.ts'
import type { Run } from './run.ts'
import type { KeyBounds } from './store-core.ts'
import type { CursorTable } from './store-cursor.ts'
import type { StoreTable } from './store-table.ts'

/** Runs of one level. */
export interface LevelStats {
  /** 0: as flushed; higher levels are older and larger. */
  readonly level: number
  /** Of the last level: pieces, each of a range of keys of its own. */
  readonly runs: number
  /** As stored. */
  readonly bytes: number
  /** Superseded versions and deletes included. */
  readonly records: number
}

/** Lookups of single keys in runs. */
export interface FilterStats {
  /** A run was asked for a key. */
  readonly lookups: number
  /** Its filter answered, without a block. */
  readonly filtered: number
  /** It passed the filter, and nothing was found: a false positive, or versions newer than the moment. */
  readonly missed: number
}

/** An index of a store; `records` and `bytes` as those of the store. */
export interface IndexStats {
  /** As it was declared. */
  readonly name: string
  /** It is built. */
  readonly isReady: boolean
  /** Entries, superseded ones and deletes among them until compaction. */
  readonly records: number
  /** Of its runs on disk. */
  readonly bytes: number
}

/** Bytes that were written for a store since the database was opened; its indexes aside. */
export interface WrittenBytes {
  /** Into the commit log, as batches. Counted from the first time that the store was opened. */
  readonly appended: number
  /** Into runs, by flushes. */
  readonly flushed: number
  /** Read and written by compaction. */
  readonly compactedIn: number
  /** Bytes that compactions wrote. */
  readonly compactedOut: number
}

/** Numbers of `Store.stats`; docs/API.md describes them too. */
export interface StoreStats {
  /** Records in memtables and runs: an upper bound of the entries. */
  readonly records: number
  /** Parts of the tail that are indexed in memory, and records in them. */
  readonly memtables: { readonly count: number; readonly records: number }
  /** Ascending by level. */
  readonly levels: readonly LevelStats[]
  /** Of all runs on disk, as stored. */
  readonly bytes: number
  /** The same without compression. */
  readonly rawBytes: number
  /** Memory of memtables' indexes, filters and fence keys. */
  readonly indexBytes: number
  /** Lists of keys that values share, of at most 64; 0 for values that do not. */
  readonly sharedStructures: number
  /** How many places a missing key is looked for in, filters aside. */
  readonly readAmplification: number
  /**
   * Bytes of all runs by those of the largest one, which holds nearly all that is live once the store was compacted: an upper estimate of what
   * superseded versions and deletes take. 1 without runs.
   */
  readonly spaceAmplification: number
  /** Bytes written to disk (commit log, flushes, compactions) by bytes appended, since the opening. 1 while nothing was appended. */
  readonly writeAmplification: number
  /** What stands behind `writeAmplification`, bytes. */
  readonly written: WrittenBytes
  /** Since the store was opened. */
  readonly filters: FilterStats
  /** Sorted by name. */
  readonly indexes: readonly IndexStats[]
}

/** What stands behind `Store.stats` beside the table. */
export interface StatsSource {
  readonly table: StoreTable
  readonly sharedStructures: number
  readonly flushed: number
  readonly compactedIn: number
  readonly compactedOut: number
  readonly indexes: readonly { readonly name: string; readonly isReady: boolean; readonly table: StoreTable }[]
}

export function statsOf({ table, sharedStructures, flushed, compactedIn, compactedOut, indexes }: StatsSource): StoreStats {
  const { memtables, runs } = table
  const parts = table.pieces.map(run => run.part)
  const inMemory = memtables.reduce((sum, memtable) => sum + memtable.count, 0)
  const appended = table.appendedBytes
  return {
    records: recordsOf(table),
    memtables: { count: memtables.length, records: inMemory },
    levels: levelsOf(parts),
    bytes: bytesOf(parts),
    rawBytes: table.pieces.reduce((sum, { index }) => sum + index.contentPosition(index.blockCount), 0),
    indexBytes: table.indexBytes,
    sharedStructures,
    readAmplification: memtables.length + runs.length,
    spaceAmplification: spaceAmplificationOf(parts),
    writeAmplification: appended === 0 ? 1 : (appended + flushed + compactedOut) / appended,
    written: { appended, flushed, compactedIn, compactedOut },
    filters: filtersOf([table]),
    indexes: indexes
      .map(({ name, isReady, table: entries }) => {
        return { name, isReady, records: recordsOf(entries), bytes: bytesOf(entries.pieces.map(run => run.part)) }
      })
      .sort((left, right) => (left.name < right.name ? -1 : 1)),
  }
}

type RunPart = Pick<PartRef, 'level' | 'bytes' | 'recordCount'>

/** Runs by level, ascending. */
export function levelsOf(runs: readonly RunPart[]): LevelStats[] {
  const levels = new Map<number, { level: number; runs: number; bytes: number; records: number }>()
  for (const { level, bytes, recordCount } of runs) {
    const found = levels.get(level) ?? { level, runs: 0, bytes: 0, records: 0 }
    found.runs++
    found.bytes += bytes
    found.records += recordCount
    levels.set(level, found)
  }
  return [...levels.values()].sort((left, right) => left.level - right.level)
}

/** See `StoreStats.spaceAmplification`. The largest level counts as a whole: its runs hold different keys. */
export function spaceAmplificationOf(runs: readonly RunPart[]): number {
  const bottom = levelsOf(runs).reduce((most, { level, bytes }) => (level === 0 ? most : Math.max(most, bytes)), 0)
  const largest = Math.max(bottom, ...runs.map(({ bytes }) => bytes))
  return largest > 0 ? bytesOf(runs) / largest : 1
}

/** Of several tables together. */
export function filtersOf(tables: Iterable<StoreTable>): FilterStats {
  const sum = { lookups: 0, filtered: 0, missed: 0 }
  for (const table of tables) {
    const { lookups, filtered, found } = table.lookups()
    sum.lookups += lookups
    sum.filtered += filtered
    sum.missed += lookups - filtered - found
  }
  return sum
}

function bytesOf(runs: readonly RunPart[]): number {
  return runs.reduce((sum, { bytes }) => sum + bytes, 0)
}

function recordsOf({ memtables, pieces }: StoreTable): number {
  return memtables.reduce((sum, memtable) => sum + memtable.count, 0) + pieces.reduce((sum, run) => sum + run.part.recordCount, 0)
}

/** Records in the range, by whole blocks of runs and by looking at memtables; versions and deletes count. */
export function estimateRecords(table: CursorTable, { start, end, isEmpty }: KeyBounds): number {
  if (isEmpty) return 0
  let sum = 0
  for (const run of table.runs.flatMap(({ pieces }) => pieces)) sum += recordsOfRun(run, start, end)
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
