/** rocksdb-native: promises only, write batches, keys and values as bytes. It has no way to sync a write, so it takes no part where one must be. */

import { join } from 'node:path'
import { loadPeer, peerVersion } from '../../peer-packages.ts'
import type { Sink, Value } from '../data.ts'
import type { OpenSettings, OpenStore, ScanRange, StoreEngine, WriteBatch } from '../engine.ts'

interface RocksBatch {
  tryPut(key: string, value: Value): void
  tryDelete(key: string): void
  flush(): Promise<void>
  destroy(): void
}

/** What is used of the class. */
interface Rocks {
  ready(): Promise<void>
  write(options: { readonly capacity: number }): RocksBatch
  put(key: string, value: Value): Promise<void>
  get(key: string): Promise<Buffer | null>
  iterator(range: ScanRange, options: { readonly capacity: number }): AsyncIterable<{ readonly key: Buffer; readonly value: Buffer }>
  flush(): Promise<void>
  compactRange(): Promise<void>
  close(): Promise<void>
}

const scanBatch = 1000

export const rocksdbNative: StoreEngine = {
  name: 'rocksdb-native',
  settings:
    'default options, write batches one after the other (several at once lose their order), strings to and from bytes in the adapter, its stream as the only scan (capacity 1000), awaited gets; no memory budget',
  available: () => peerVersion('rocksdb-native'),
  durability: writes => (writes === 'asItComes' ? 'buffered' : undefined),
  isLog: name => name.endsWith('.log'),
  async open(folder, settings) {
    const RocksDB = loadPeer<new (path: string) => Rocks>('rocksdb-native')
    const database = new RocksDB(join(folder, 'rocksdb'))
    await database.ready()
    return new OpenRocks(database, settings)
  },
}

class OpenRocks implements OpenStore {
  readonly getIsAsync = true
  readonly #database: Rocks
  readonly #strings: boolean
  #written: Promise<void> = Promise.resolve()

  constructor(database: Rocks, { values }: OpenSettings) {
    this.#database = database
    this.#strings = values === 'string'
  }

  /** Flushes that are under way at once take effect in any order, so each waits for the one before. */
  write({ count, keys, values }: WriteBatch): Promise<void> {
    const batch = this.#database.write({ capacity: count })
    for (let i = 0; i < count; i++) {
      if (values === undefined) batch.tryDelete(keys[i] as string)
      else batch.tryPut(keys[i] as string, values[i] as Value)
    }
    this.#written = this.#written.then(() => flushed(batch))
    return this.#written
  }

  put(key: string, value: Value): Promise<void> {
    return this.#database.put(key, value)
  }

  async get(key: string): Promise<Value | undefined> {
    const value = await this.#database.get(key)
    return value === null ? undefined : this.#decode(value)
  }

  #decode(value: Buffer): Value {
    return this.#strings ? value.toString() : value
  }

  scanBatches(range: ScanRange, sink: Sink): Promise<void> {
    return this.scanEntries(range, sink)
  }

  async scanEntries(range: ScanRange, sink: Sink): Promise<void> {
    const capacity = Math.min(scanBatch, range.limit ?? scanBatch)
    for await (const { key, value } of this.#database.iterator(range, { capacity })) sink.add(key.toString(), this.#decode(value))
  }

  flush(): Promise<void> {
    return this.#database.flush()
  }

  compact(): Promise<void> {
    return this.#database.compactRange()
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}

async function flushed(batch: RocksBatch): Promise<void> {
  await batch.flush()
  batch.destroy()
}
