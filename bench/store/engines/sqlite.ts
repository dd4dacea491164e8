/**
 * SQLite, through better-sqlite3 and through Node's own module where it is there: one table WITHOUT ROWID in WAL mode, prepared statements,
 * transactions around batches. synchronous=NORMAL by default (a WAL that is written and not synced), FULL where writes must be synced.
 */

import { join } from 'node:path'
import { loadPeer, peerVersion } from '../../peer-packages.ts'
import type { Sink, Value } from '../data.ts'
import type { OpenSettings, OpenStore, ScanRange, StoreEngine, WriteBatch } from '../engine.ts'

interface Row {
  readonly key: string
  readonly value: Value
}

interface Statement {
  run(...values: readonly (Value | number)[]): unknown
  get(...values: readonly (Value | number)[]): Row | undefined
  all(...values: readonly (Value | number)[]): Row[]
  iterate(...values: readonly (Value | number)[]): Iterable<Row>
}

/** What both bindings have. */
interface Sqlite {
  exec(sql: string): unknown
  prepare(sql: string): Statement
  close(): unknown
}

type SqliteClass = new (path: string) => Sqlite

const scanBatch = 1000
const settings =
  'WAL, synchronous=NORMAL (FULL where writes must be synced), table WITHOUT ROWID with a text key, prepared statements, a transaction a batch, ' +
  'batch scans as all() of 1000 rows; compact is VACUUM'

export const betterSqlite3: StoreEngine = {
  ...sqliteEngine('better-sqlite3', () => loadPeer<SqliteClass>('better-sqlite3')),
  available: () => peerVersion('better-sqlite3'),
}

export const nodeSqlite: StoreEngine = {
  ...sqliteEngine('node:sqlite', () => (builtin() as { readonly DatabaseSync: SqliteClass }).DatabaseSync),
  available: () => (builtin() === undefined ? { reason: `Node ${process.version} has no node:sqlite` } : { version: process.version }),
}

function builtin(): unknown {
  return process.getBuiltinModule?.('node:sqlite')
}

function sqliteEngine(name: string, load: () => SqliteClass): Omit<StoreEngine, 'available'> {
  return {
    name,
    settings,
    durability: writes => (writes === 'asItComes' ? 'buffered' : 'sync'),
    isLog: fileName => fileName.endsWith('-wal'),
    async open(folder, openSettings) {
      return new OpenSqlite(new (load())(join(folder, 'bench.sqlite')), openSettings)
    },
  }
}

class OpenSqlite implements OpenStore {
  readonly getIsAsync = false
  readonly #database: Sqlite
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #put: Statement
  readonly #delete: Statement
  readonly #get: Statement
  readonly #forward: Statement
  readonly #after: Statement
  readonly #backward: Statement
  readonly #before: Statement

  constructor(database: Sqlite, { values, writes, budgetBytes }: OpenSettings) {
    this.#database = database
    database.exec('PRAGMA journal_mode = WAL')
    database.exec(`PRAGMA synchronous = ${writes === 'asItComes' ? 'NORMAL' : 'FULL'}`)
    if (budgetBytes !== undefined) database.exec(`PRAGMA cache_size = -${Math.ceil(budgetBytes / 1024)}`)
    const type = values === 'buffer' ? 'BLOB' : 'TEXT'
    database.exec(`CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY NOT NULL, value ${type} NOT NULL) WITHOUT ROWID`)
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#put = database.prepare('INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
    this.#delete = database.prepare('DELETE FROM kv WHERE key = ?')
    this.#get = database.prepare('SELECT value FROM kv WHERE key = ?')
    this.#forward = database.prepare('SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?')
    this.#after = database.prepare('SELECT key, value FROM kv WHERE key > ? ORDER BY key LIMIT ?')
    this.#backward = database.prepare('SELECT key, value FROM kv ORDER BY key DESC LIMIT ?')
    this.#before = database.prepare('SELECT key, value FROM kv WHERE key < ? ORDER BY key DESC LIMIT ?')
  }

  write({ count, keys, values }: WriteBatch): undefined {
    this.#begin.run()
    for (let i = 0; i < count; i++) {
      if (values === undefined) this.#delete.run(keys[i] as string)
      else this.#put.run(keys[i] as string, values[i] as Value)
    }
    this.#commit.run()
  }

  put(key: string, value: Value): undefined {
    this.#put.run(key, value)
  }

  get(key: string): Value | undefined {
    return this.#get.get(key)?.value
  }

  scanBatches({ gte = '', reverse = false, limit = Number.MAX_SAFE_INTEGER }: ScanRange, sink: Sink): undefined {
    let size = Math.min(scanBatch, limit)
    let rows = reverse ? this.#backward.all(size) : this.#forward.all(gte, size)
    for (let left = limit; ; ) {
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i] as Row
        sink.add(row.key, row.value)
      }
      left -= rows.length
      if (rows.length < size || left === 0) return
      size = Math.min(scanBatch, left)
      rows = (reverse ? this.#before : this.#after).all(sink.lastKey, size)
    }
  }

  scanEntries({ gte = '', reverse = false, limit = Number.MAX_SAFE_INTEGER }: ScanRange, sink: Sink): undefined {
    for (const row of reverse ? this.#backward.iterate(limit) : this.#forward.iterate(gte, limit)) sink.add(row.key, row.value)
  }

  flush(): undefined {
    this.#database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
  }

  compact(): undefined {
    this.#database.exec('VACUUM')
    this.flush()
  }

  close(): undefined {
    this.#database.close()
  }
}
