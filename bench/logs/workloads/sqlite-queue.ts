/**
 * The peer of topics that Node programs have: a queue as a table of SQLite (better-sqlite3, WAL, synchronous=FULL), rowids as offsets, a transaction a batch.
 */

import { join } from 'node:path'
import type { Measurement } from '../../measurement.ts'
import { loadPeer, peerVersion } from '../../peer-packages.ts'
import { expectEqual } from '../../workload.ts'
import { type BenchRecord, keyBytes, RecordSource } from '../records.ts'

interface Statement {
  run(...values: readonly (Uint8Array | number)[]): unknown
  all(...values: readonly number[]): { readonly id: number; readonly key: Uint8Array; readonly value: Uint8Array }[]
}

interface Sqlite {
  exec(sql: string): unknown
  prepare(sql: string): Statement
  close(): unknown
}

/** False where the package is not installed: its workloads are left out then. */
export function hasSqlite(): boolean {
  return 'version' in peerVersion('better-sqlite3')
}

function openQueue(folder: string): { readonly db: Sqlite; readonly insert: Statement } {
  const db = new (loadPeer<new (path: string) => Sqlite>('better-sqlite3'))(join(folder, 'queue.sqlite'))
  db.exec(
    'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB, value BLOB)',
  )
  return { db, insert: db.prepare('INSERT INTO queue (key, value) VALUES (?, ?)') }
}

function insertBatch(db: Sqlite, insert: Statement, records: readonly BenchRecord[]): void {
  db.exec('BEGIN')
  for (const { key, value } of records) insert.run(Buffer.from(key), Buffer.from(value))
  db.exec('COMMIT')
}

export async function sqliteSend(
  measurement: Measurement,
  {
    records,
    batch,
    valueBytes,
  }: { readonly [name: string]: number; readonly records: number; readonly batch: number; readonly valueBytes: number },
): Promise<void> {
  const { db, insert } = openQueue(measurement.folder)
  const source = new RecordSource(batch, valueBytes)
  await measurement.measure(async () => {
    for (let i = 0; i * batch < records; i++) {
      const begun = measurement.begin()
      insertBatch(db, insert, source.next())
      measurement.end(begun)
    }
    return { operations: records, payloadBytes: records * (keyBytes + valueBytes) }
  })
  db.close()
}

export async function sqliteRead(
  measurement: Measurement,
  { records, batch }: { readonly [name: string]: number; readonly records: number; readonly batch: number },
): Promise<void> {
  const { db, insert } = openQueue(measurement.folder)
  const source = new RecordSource(batch, 100)
  for (let i = 0; i * batch < records; i++) insertBatch(db, insert, source.next())
  const select = db.prepare('SELECT id, key, value FROM queue WHERE id > ? ORDER BY id LIMIT 1000')
  let count = 0
  let bytes = 0
  await measurement.measure(async () => {
    for (let last = 0; ; ) {
      const rows = select.all(last)
      if (rows.length === 0) break
      for (const { id, key, value } of rows) {
        bytes += key.length + value.length
        last = id
      }
      count += rows.length
    }
    return { operations: count, payloadBytes: bytes }
  })
  expectEqual('records read', count, records)
  db.close()
}
