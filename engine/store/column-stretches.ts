/**
 * Where a reader of a store may take columns in place of records: the ranges of keys of which everything that a moment shows lies in one group of columns of one run.
 *
 * That is so where the group's records are puts that do not expire, each of another key, all from before the moment, and where no memtable and no other run has anything of these keys,
 * not even a delete. After compaction nearly all of a store is so; what was written since makes the groups it touches ones whose records are read.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { isVarveError } from '../errors.ts'
import type { ColumnIndex } from '../segment/column-index.ts'
import { hasColumns } from '../segment/column-writer.ts'
import type { Run, SortedRun } from './run.ts'
import { type CursorTable, StoreCursor } from './store-cursor.ts'

/** Columns of a group. */
export interface StoreColumns {
  /** Entries. */
  readonly rows: number
  /** Bytes of a field's column. */
  columnBytes(path: string): number
  /** See `SealedColumns.read`. */
  read(path: string, into?: Uint8Array): Uint8Array
}

/** A range of encoded keys, one behind the other. */
export interface StoreStretch {
  /** Undefined: from the beginning. */
  readonly start: Uint8Array | undefined
  /** Exclusive; undefined: to the end. */
  readonly end: Uint8Array | undefined
  /** All of its entries; undefined: they are to be read as records. */
  readonly columns: StoreColumns | undefined
}

export interface StretchOptions {
  readonly start: Uint8Array | undefined
  readonly end: Uint8Array | undefined
  /** Records with a larger sequence are not of the moment. */
  readonly sequenceMax: number
  readonly now: number
  /** Fields that must be there. */
  readonly paths: readonly string[]
}

/** The range in stretches, in key order. */
export function stretchesOf(table: CursorTable, options: StretchOptions): StoreStretch[] {
  const { start, end } = options
  const run = table.runs.reduce<SortedRun | undefined>(
    (most, one) => (most === undefined || blocksOf(one) > blocksOf(most) ? one : most),
    undefined,
  )
  const hasDeletes = table.runs.some(one => one.hasRangeDeletes) || table.memtables.some(memtable => memtable.rangeDeleteCount > 0)
  const stretches: StoreStretch[] = []
  let at = start
  if (run !== undefined && hasColumns && !hasDeletes) {
    const others: CursorTable = {
      version: 0,
      memtables: table.memtables.filter(memtable => memtable.count > 0),
      runs: table.runs.filter(one => one !== run),
      idle: { forward: undefined, backward: undefined },
    }
    for (const piece of run.pieces) {
      const columns = columnsOf(piece)
      if (columns === undefined || piece.largestSequence > options.sequenceMax) continue
      for (let group = 0; group < columns.groupCount; group++) {
        const from = fence(piece, columns.firstBlock(group))
        const to =
          columns.endBlock(group) === piece.index.blockCount ? behind(piece.index.largestKey) : fence(piece, columns.endBlock(group))
        if (!columns.isPlain(group) || isBefore(from, at) || (end !== undefined && isBefore(end, to))) continue
        if (!options.paths.every(path => columnBytes(columns, group, path) > 0) || !isAlone(others, from, to, options)) continue
        if (at === undefined || isBefore(at, from)) stretches.push({ start: at, end: from, columns: undefined })
        stretches.push({ start: from, end: to, columns: groupOf(piece, columns, group) })
        at = to
      }
    }
  }
  if (at === undefined || end === undefined || isBefore(at, end)) stretches.push({ start: at, end, columns: undefined })
  return stretches
}

function blocksOf(run: SortedRun): number {
  return run.pieces.reduce((blocks, { index }) => blocks + index.blockCount, 0)
}

/** Undefined also where their table says what cannot be. */
function columnsOf({ index }: Run): ColumnIndex | undefined {
  try {
    return index.columns
  } catch (error) {
    if (isVarveError(error, 'CORRUPT')) return undefined
    throw error
  }
}

function groupOf({ part: { reader, part } }: Run, columns: ColumnIndex, group: number): StoreColumns {
  return {
    rows: columns.rows(group),
    columnBytes: path => columnBytes(columns, group, path),
    read: (path, into) => reader.readColumn(part, group, columns.fields.indexOf(path), into),
  }
}

function columnBytes(columns: ColumnIndex, group: number, path: string): number {
  const field = columns.fields.indexOf(path)
  return field < 0 ? 0 : columns.columnBytes(group, field)
}

/** Whether nothing else has a record in the range that the moment sees, deletes included. */
function isAlone(others: CursorTable, start: Uint8Array, end: Uint8Array, { sequenceMax, now }: StretchOptions): boolean {
  if (others.memtables.length === 0 && others.runs.length === 0) return true
  const cursor = new StoreCursor(others, { sequenceMax, now, start, end })
  const isEmpty = !cursor.nextStretch(1)
  cursor.release()
  return isEmpty
}

function fence({ index }: Run, block: number): Uint8Array {
  const start = index.keyStart(block)
  return index.bytes.slice(start, start + index.keyBytes(block))
}

/** The first bytes behind a key. */
function behind(key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(key.length + 1)
  bytes.set(key)
  return bytes
}

/** False without an `other`, which is then the beginning. */
function isBefore(key: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && compareKeys(key, 0, key.length, other, 0, other.length) < 0
}
