/**
 * What the main job keeps, by name.
 *
 *   rows     topic, four partitions by key               all rows of the input
 *   kept     store [key, line] -> row                    some of them, or all; indexes on the columns that have a meaning; history
 *   totals   store key -> { rows, sum }                  what the consumer group has counted; index on rows
 *   removed  store key -> count                          how many rows were taken out of `kept`
 *   newest   store key -> row                            filled by a replay
 */

import type { Database, Store, Topic } from '../../index.ts'
import type { Columns, DataRow } from './input.ts'
import type { Totals } from './model.ts'

export type RowKey = readonly [key: string, line: number]
export type RowStore = Store<DataRow, readonly (string | number)[]>

const hourMs = 3_600_000
export const partitions = 4

/** Compacted by hand at the end: what compacts by itself looks every `retentionCheckMs` (see `openOptions`). */
export const openOptions: { readonly retentionCheckMs: number } = { retentionCheckMs: hourMs }

export function rowTopic(db: Database): Topic<DataRow, string> {
  return db.topic<DataRow, string>('rows', {
    partitions,
    cleanup: 'compact',
    timestampAheadMsMax: Number.MAX_SAFE_INTEGER, // times of a user's file may lie ahead
    recordBytesMax: 64 << 20,
  })
}

export function keptStore(db: Database, { by, value }: Columns): RowStore {
  const columns = value === undefined ? by : [...by, value]
  return db.store('kept', {
    indexes: Object.fromEntries(columns.map(column => [column, column])),
    history: { retentionMs: 24 * hourMs },
  })
}

export function totalsStore(db: Database): Store<Totals, string> {
  return db.store('totals', { indexes: { rows: 'rows' } })
}

export function removedStore(db: Database): Store<number, string> {
  return db.store('removed')
}

export function newestStore(db: Database): Store<DataRow, string> {
  return db.store('newest')
}
