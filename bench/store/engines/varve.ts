/** Varve through its public interface: every acknowledged write is synced, which is its default. */

import { type OpenOptions, open } from 'varve'
import { packageVersion } from '../../peer-packages.ts'
import type { Sink, Value } from '../data.ts'
import type { OpenStore, ScanRange, StoreEngine, WriteBatch } from '../engine.ts'

type Operation = { readonly type: 'put'; readonly key: string; readonly value: Value } | { readonly type: 'del'; readonly key: string }

/** What is used of a store. */
interface VarveStore {
  get(key: string): Value | undefined
  put(key: string, value: Value): Promise<void>
  batch(operations: readonly Operation[]): Promise<void>
  entries(range: ScanRange): Iterable<[string, Value]>
  iterator(range: ScanRange): { nextBatch(count: number): [string, Value][]; close(): void }
  compact(): Promise<void>
}

interface VarveDatabase {
  store(name: string, options: { readonly keys: 'string'; readonly value: 'string' | 'bytes' }): VarveStore
  seal(): Promise<void>
  close(): Promise<void>
}

const scanBatch = 1000

export const varve: StoreEngine = {
  name: 'varve',
  settings: "string keys, value codec 'string' ('bytes' for buffers), default options; fillsync with sync: 'inline'",
  available: () => ({ version: packageVersion() }),
  durability: () => 'sync',
  isLog: name => /^(commit|spare|staged)-\d+\.log/.test(name), // files of the commit log, in use or kept for reuse
  async open(folder, { values, writes, budgetBytes }) {
    const options: OpenOptions & { readonly memoryBytesMax?: number } = {
      ...(writes === 'syncSingle' && { sync: 'inline' }),
      ...(budgetBytes !== undefined && { memoryBytesMax: budgetBytes }),
    }
    const database = (await open(folder, options)) as unknown as VarveDatabase
    return new OpenVarve(database, database.store('bench', { keys: 'string', value: values === 'buffer' ? 'bytes' : 'string' }))
  },
}

class OpenVarve implements OpenStore {
  readonly getIsAsync = false
  readonly #database: VarveDatabase
  readonly #store: VarveStore

  constructor(database: VarveDatabase, store: VarveStore) {
    this.#database = database
    this.#store = store
  }

  write({ count, keys, values }: WriteBatch): Promise<void> {
    const operations: Operation[] = new Array(count)
    for (let i = 0; i < count; i++) {
      const key = keys[i] as string
      operations[i] = values === undefined ? { type: 'del', key } : { type: 'put', key, value: values[i] as Value }
    }
    return this.#store.batch(operations)
  }

  put(key: string, value: Value): Promise<void> {
    return this.#store.put(key, value)
  }

  get(key: string): Value | undefined {
    return this.#store.get(key)
  }

  scanBatches(range: ScanRange, sink: Sink): undefined {
    const iterator = this.#store.iterator(range)
    const size = Math.min(scanBatch, range.limit ?? scanBatch)
    for (;;) {
      const entries = iterator.nextBatch(size)
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i] as [string, Value]
        sink.add(entry[0], entry[1])
      }
      if (entries.length < size || range.limit === size) break
    }
    iterator.close()
  }

  scanEntries(range: ScanRange, sink: Sink): undefined {
    for (const [key, value] of this.#store.entries(range)) sink.add(key, value)
  }

  flush(): Promise<void> {
    return this.#database.seal()
  }

  compact(): Promise<void> {
    return this.#store.compact()
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}
