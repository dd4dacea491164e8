/** Whether the columns of segments say what the records say, of stores and of topics: everything that a reader would take out of columns is compared with what it would find in the records. */
import { ColumnReader } from '../../compute/rows/column-chunks.ts'
import { isControlBatch } from '../../engine/batch/record-batch.ts'
import { RecordCursor } from '../../engine/batch/record-cursor.ts'
import type { LocalLog } from '../../engine/log/log.ts'
import { stretchesOf } from '../../engine/store/column-stretches.ts'
import { valueAtPath } from '../../engine/store/field-path.ts'
import type { StoreKey } from '../../engine/store/key-codec.ts'
import { coreOf, type Store } from '../../engine/store/store.ts'
import { equal } from './compare.ts'

/** Compares all groups of columns that a job would read now; returns their rows. `entries`: what the store has, in order. */
export function compareStoreColumns<V, K extends StoreKey>(
  store: Store<V, K>,
  paths: readonly string[],
  now: number,
  entries: Iterable<[K, V]> = store.entries(),
): number {
  const core = coreOf(store)
  const rows = [...entries].map(([key, value]) => ({ key: core.keyBytes(key).slice(), value }))
  let compared = 0
  for (const path of paths) {
    const options = { start: undefined, end: undefined, sequenceMax: core.host.visibleSequence - 1, now, paths: [path] }
    for (const { start, end, columns } of stretchesOf(core.table, options)) {
      if (columns === undefined) continue
      const within = rows.filter(
        ({ key }) => (start === undefined || Buffer.compare(key, start) >= 0) && (end === undefined || Buffer.compare(key, end) < 0),
      )
      const expected = within.map(({ value }) => valueAtPath(value, path.split('.')) ?? null)
      const vector = new ColumnReader(path).read(columns)
      const found = Array.from({ length: columns.rows }, (_, row) => vector.get(row))
      equal(JSON.stringify(found), JSON.stringify(expected), `column ${path} of ${store.name}`)
      compared += found.length
    }
  }
  return compared
}

/** Compares all groups of columns of a partition; returns their rows. `decode`: of values. */
export function compareTopicColumns(log: LocalLog, paths: readonly string[], decode: (bytes: Uint8Array) => unknown): number {
  let compared = 0
  for (let at = log.startOffset; at < log.flushedEnd; ) {
    const columns = log.columnsAt(at)
    if (columns === undefined) {
      const block = log.blockAt(at)
      if (block === undefined || block.nextOffset <= at) break
      at = block.nextOffset
      continue
    }
    const { baseOffset, nextOffset, rows } = columns
    // What was trimmed lies in the group still, and is no record any more.
    const records = recordsOf(log, Math.max(baseOffset, log.startOffset), nextOffset)
    const offsets = new ColumnReader('@offset').read(columns)
    const kept = Array.from({ length: rows }, (_, row) => row).filter(row => (offsets.get(row) as number) >= log.startOffset)
    const all = [...paths, '@offset', '@time'].filter(path => columns.columnBytes(path) > 0)
    for (const path of all) {
      const vector = new ColumnReader(path).read(columns)
      const found = kept.map(row => vector.get(row))
      const expected = records.map(({ offset, time, value }) => {
        if (path === '@offset') return offset
        if (path === '@time') return time
        return value === null ? null : (valueAtPath(decode(value), path.split('.')) ?? null)
      })
      equal(JSON.stringify(found), JSON.stringify(expected), `column ${path} of ${log.name} from ${baseOffset} to ${nextOffset}`)
    }
    if (all.length > 2) compared += rows
    at = nextOffset
  }
  return compared
}

interface ReadRecord {
  readonly offset: number
  readonly time: number
  readonly value: Uint8Array | null
}

/** All records, of aborted transactions too; without markers. */
function recordsOf(log: LocalLog, from: number, to: number): ReadRecord[] {
  const records: ReadRecord[] = []
  const cursor = new RecordCursor()
  for (let at = from; at < to; ) {
    const { bytes, positions, nextOffset } = log.read(at, { bound: 'end' })
    for (const position of positions) {
      if (isControlBatch(bytes, position)) continue
      cursor.open(bytes, position)
      while (cursor.next()) {
        if (cursor.offset < at || cursor.offset >= to) continue
        const { valueStart, valueSize } = cursor
        const value = valueSize < 0 ? null : cursor.data.slice(valueStart, valueStart + valueSize)
        records.push({ offset: cursor.offset, time: cursor.timestamp, value })
      }
    }
    if (nextOffset <= at) break
    at = nextOffset
  }
  return records
}
