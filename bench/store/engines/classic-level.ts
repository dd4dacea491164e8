/** classic-level (LevelDB): utf8 keys and values, arrays of operations. By default its log is written and not synced. */

import { join } from 'node:path'
import { loadPeer, peerVersion } from '../../peer-packages.ts'
import type { Sink, Value } from '../data.ts'
import type { OpenSettings, OpenStore, ScanRange, StoreEngine, WriteBatch } from '../engine.ts'

type Operation = { readonly type: 'put'; readonly key: string; readonly value: Value } | { readonly type: 'del'; readonly key: string }

interface LevelIterator extends AsyncIterable<[string, Value]> {
  nextv(size: number): Promise<[string, Value][]>
  close(): Promise<void>
}

/** What is used of the class. */
interface Level {
  open(): Promise<void>
  batch(operations: readonly Operation[], options: { readonly sync: boolean }): Promise<void>
  put(key: string, value: Value, options: { readonly sync: boolean }): Promise<void>
  getSync(key: string): Value | undefined
  iterator(options: ScanRange & { readonly highWaterMarkBytes: number }): LevelIterator
  compactRange(start: string, end: string): Promise<void>
  close(): Promise<void>
}

interface LevelModule {
  readonly ClassicLevel: new (location: string, options: object) => Level
}

const scanBatch = 1000

export const classicLevel: StoreEngine = {
  name: 'classic-level',
  settings:
    'utf8 keys and values (buffer values for buffers), getSync, batch arrays one after the other (several at once lose their order), nextv(1000) with highWaterMarkBytes to match; sync: true where it must',
  available: () => peerVersion('classic-level'),
  durability: writes => (writes === 'asItComes' ? 'buffered' : 'sync'),
  isLog: name => name.endsWith('.log'),
  async open(folder, settings) {
    const { ClassicLevel } = loadPeer<LevelModule>('classic-level')
    const database = new ClassicLevel(join(folder, 'level'), {
      keyEncoding: 'utf8',
      valueEncoding: settings.values === 'buffer' ? 'buffer' : 'utf8',
      ...(settings.budgetBytes !== undefined && { cacheSize: settings.budgetBytes }),
    })
    await database.open()
    return new OpenLevel(database, settings)
  },
}

class OpenLevel implements OpenStore {
  readonly getIsAsync = false
  readonly #database: Level
  readonly #options: { readonly sync: boolean }
  readonly #highWaterMarkBytes: number
  #written: Promise<void> = Promise.resolve()

  constructor(database: Level, { writes, entryBytes }: OpenSettings) {
    this.#database = database
    this.#options = { sync: writes !== 'asItComes' }
    this.#highWaterMarkBytes = Math.max(16 * 1024, scanBatch * entryBytes * 2)
  }

  /** Batches that are under way at once take effect in any order, so each waits for the one before. */
  write({ count, keys, values }: WriteBatch): Promise<void> {
    const operations: Operation[] = new Array(count)
    for (let i = 0; i < count; i++) {
      const key = keys[i] as string
      operations[i] = values === undefined ? { type: 'del', key } : { type: 'put', key, value: values[i] as Value }
    }
    this.#written = this.#written.then(() => this.#database.batch(operations, this.#options))
    return this.#written
  }

  put(key: string, value: Value): Promise<void> {
    return this.#database.put(key, value, this.#options)
  }

  get(key: string): Value | undefined {
    return this.#database.getSync(key)
  }

  async scanBatches(range: ScanRange, sink: Sink): Promise<void> {
    const iterator = this.#database.iterator({ ...range, highWaterMarkBytes: this.#highWaterMarkBytes })
    let left = range.limit ?? Number.POSITIVE_INFINITY
    while (left > 0) {
      const entries = await iterator.nextv(Math.min(scanBatch, left))
      if (entries.length === 0) break
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i] as [string, Value]
        sink.add(entry[0], entry[1])
      }
      left -= entries.length
    }
    await iterator.close()
  }

  async scanEntries(range: ScanRange, sink: Sink): Promise<void> {
    for await (const [key, value] of this.#database.iterator({ ...range, highWaterMarkBytes: this.#highWaterMarkBytes }))
      sink.add(key, value)
  }

  flush(): undefined {
    return undefined // it has no such call
  }

  compact(): Promise<void> {
    return this.#database.compactRange('', '\uffff')
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}
