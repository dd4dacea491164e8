/**
 * A consumer group that counts rows by key exactly once: counts and the group's offsets are one commit, so whoever goes on after a kill loses nothing and
 * counts nothing twice.
 */

import type { Database } from '../../index.ts'
import type { Columns } from './input.ts'
import { rowTopic, totalsStore } from './stores.ts'

export const countGroup = 'count'

export interface CountOptions {
  readonly columns: Columns
  readonly maxRecords: number
  readonly signal?: AbortSignal
  /** Hears how many rows each commit counted. */
  readonly told: (rows: number) => void
}

/** One member of the group; counts until the signal fires. */
export async function countRows(db: Database, { columns: { value: column }, maxRecords, signal, told }: CountOptions): Promise<void> {
  const totals = totalsStore(db)
  const options = { group: countGroup, maxRecords, ...(signal === undefined ? {} : { signal }) }
  for await (const batch of rowTopic(db).consume(options)) {
    const counted = new Map<string, { rows: number; sum: number }>()
    for (const { key, value } of batch.records) {
      if (key === null || value === null) throw new Error('every row has a key')
      let entry = counted.get(key)
      if (entry === undefined) counted.set(key, (entry = { rows: 0, sum: 0 }))
      entry.rows++
      if (column !== undefined) entry.sum += (value[column] as number | null) ?? 0
    }
    await db.transaction(tx => {
      const store = tx.store(totals)
      for (const [key, { rows, sum }] of counted) {
        const before = store.get(key)
        store.put(key, { rows: rows + (before?.rows ?? 0), sum: sum + (before?.sum ?? 0) })
      }
      tx.offsets(batch)
    })
    told(batch.records.length)
  }
}
