/** Rows into the topic and the store: a transaction for each thousand, so that a crash leaves both or neither of each. */

import type { Database } from '../../index.ts'
import type { BadLine, DataRow, KeyedRow } from './input.ts'
import type { Model } from './model.ts'
import { keptStore, type RowStore, rowTopic } from './stores.ts'

export interface Ingested {
  readonly bad: number
  /** The first of them. */
  readonly badLines: readonly BadLine[]
  /** Reading the file and noting what must be found. */
  readonly readMs: number
  readonly sendMs: number
}

const rowsPerCommit = 1000
const underWayMax = 16
const badLinesKept = 20

/** At most `rowsMax` good rows. `advance` hears of bytes of the file. */
export async function ingest(db: Database, model: Model, rowsMax: number, advance: (bytes: number) => void): Promise<Ingested> {
  const { columns, keeps, read } = model.input
  const topic = rowTopic(db)
  const kept: RowStore = keptStore(db, columns)
  await Promise.all([topic.ready(), kept.ready()])

  const send = async (rows: readonly KeyedRow[]): Promise<void> => {
    await db.transaction(tx => {
      tx.topic(topic).sendBatch(rows.map(recordOf))
      const store = tx.store(kept)
      for (const { key, line, row } of rows) if (keeps(row)) store.put([key, line], row)
    })
  }

  const badLines: BadLine[] = []
  const underWay: Promise<void>[] = []
  let bad = 0
  let rows: KeyedRow[] = []
  let readMs = 0
  let sendMs = 0
  let begun = performance.now()
  const lap = (): number => -begun + (begun = performance.now())
  const flush = async (): Promise<void> => {
    readMs += lap()
    await db.drain() // never more in memory than the database wants
    if (columns.time === undefined) model.times.push(Date.now())
    underWay.push(send(rows))
    rows = []
    if (underWay.length > underWayMax) await underWay.shift()
    sendMs += lap()
  }
  reading: for await (const batch of read(advance)) {
    for (const row of batch) {
      if ('problem' in row) {
        bad++
        if (badLines.length < badLinesKept) badLines.push(row)
        continue
      }
      model.add(row)
      if (rows.push(row) === rowsPerCommit) await flush()
      if (model.all.rows === rowsMax) break reading
    }
  }
  if (rows.length > 0) await flush()
  readMs += lap()
  await Promise.all(underWay)
  sendMs += lap()
  return { bad, badLines, readMs, sendMs }
}

function recordOf({ key, row: value, time: timestamp }: KeyedRow): { key: string; value: DataRow; timestamp?: number } {
  return timestamp === undefined ? { key, value } : { key, value, timestamp }
}
