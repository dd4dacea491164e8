/**
 * lmdb-js: keys and values as strings, batches as its asynchronous transactions. By default a promise means committed, with the flush to the
 * disk right behind it (`overlappingSync`); where writes must be synced, that is off and a commit waits for the disk.
 */

import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { loadPeer, peerVersion } from '../../peer-packages.ts'
import type { Sink, Value } from '../data.ts'
import type { OpenSettings, OpenStore, ScanRange, StoreEngine, WriteBatch } from '../engine.ts'

type Lmdb = typeof import('lmdb')
type Environment = RootDatabase<Value, string>

const fileName = 'data.mdb'

export const lmdb: StoreEngine = {
  name: 'lmdb',
  settings:
    "encoding 'string' ('binary' for buffers), default options, batches in transaction(); scans through its iterable; fillsync with putSync and, as " +
    'fillsync-64, overlappingSync: false; compact is backup with compaction in place of the old file; it has no memory budget',
  available: () => peerVersion('lmdb'),
  durability: writes => (writes === 'asItComes' ? 'buffered, synced soon' : 'sync'),
  isLog: () => false,
  async open(folder, settings) {
    return new OpenLmdb(join(folder, 'lmdb'), settings)
  },
}

class OpenLmdb implements OpenStore {
  readonly getIsAsync = false
  readonly #path: string
  readonly #settings: OpenSettings
  #database: Environment

  constructor(path: string, settings: OpenSettings) {
    this.#path = path
    this.#settings = settings
    this.#database = this.#open()
  }

  #open(): Environment {
    const { values, writes } = this.#settings
    return loadPeer<Lmdb>('lmdb').open<Value, string>({
      path: this.#path,
      encoding: values === 'buffer' ? 'binary' : 'string',
      ...(writes !== 'asItComes' && { overlappingSync: false }),
    })
  }

  write({ count, keys, values }: WriteBatch): Promise<void> {
    const database = this.#database
    return database.transaction(() => {
      for (let i = 0; i < count; i++) {
        if (values === undefined) database.remove(keys[i] as string)
        else database.put(keys[i] as string, values[i] as Value)
      }
    })
  }

  put(key: string, value: Value): Promise<unknown> | undefined {
    if (this.#settings.writes !== 'syncSingle') return this.#database.put(key, value)
    this.#database.putSync(key, value)
    return undefined
  }

  get(key: string): Value | undefined {
    return this.#database.get(key)
  }

  scanBatches(range: ScanRange, sink: Sink): undefined {
    this.scanEntries(range, sink)
  }

  scanEntries({ gte, reverse, limit }: ScanRange, sink: Sink): undefined {
    const range = { ...(gte !== undefined && { start: gte }), ...(reverse === true && { reverse }), ...(limit !== undefined && { limit }) }
    for (const { key, value } of this.#database.getRange(range)) sink.add(key, value)
  }

  async flush(): Promise<void> {
    await this.#database.flushed
  }

  async compact(): Promise<void> {
    const copy = `${this.#path}.copy`
    mkdirSync(copy)
    await this.#database.backup(copy, true)
    await this.#database.close()
    renameSync(join(copy, fileName), join(this.#path, fileName))
    rmSync(copy, { recursive: true, force: true })
    this.#database = this.#open()
  }

  async close(): Promise<void> {
    await this.#database.flushed
    await this.#database.close()
  }
}
