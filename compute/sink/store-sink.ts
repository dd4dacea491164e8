/**
 * Rows into a store, all of them in one commit: a reader of the store sees the output of a run whole or not at all, whatever happens.
 *
 * They are gathered until the end of the run. With 'upsert' keys that the store has keep their place and others stay; with 'replace' the store holds nothing but these rows after it.
 */

import { type BatchOperation, checkOptions, Store, type StoreKey, VarveError } from '../../engine/index.ts'
import type { Chunk } from '../vector/chunk.ts'
import { keyFunction, type SinkKey } from './key-of.ts'
import type { Sink, SinkWriter } from './sink.ts'

/** Options of `toStore`. */
export interface StoreSinkOptions<T> {
  /** The key of a row: a field path, several (a tuple), or a function. */
  readonly key: SinkKey<T>
  /** What is put. Default: the row. */
  readonly value?: (row: T) => unknown
  /** 'upsert' (default) puts the rows; 'replace' deletes in the same commit whatever else the store has. */
  readonly mode?: 'upsert' | 'replace'
}

/** A sink that puts each row into a store; the run's rows are one commit. */
export function toStore<T, V, K extends StoreKey>(store: Store<V, K>, options: StoreSinkOptions<T>): Sink<T> {
  if (!(store instanceof Store)) throw new TypeError(`toStore must be given a store, got ${String(store)}`)
  checkOptions(options, 'toStore', ['key', 'value', 'mode'])
  const { mode = 'upsert', value } = options
  const keyOf = keyFunction(options.key, 'key')
  if (mode !== 'upsert' && mode !== 'replace') throw new TypeError(`mode must be 'upsert' or 'replace', got ${String(mode)}`)
  if (value !== undefined && typeof value !== 'function') throw new TypeError(`value must be a function, got ${String(value)}`)
  return {
    kind: 'store',
    name: store.name,
    guarantee: 'once',
    async open() {
      await store.ready()
      return new StoreWriter(
        store as unknown as Store,
        keyOf as (row: unknown) => StoreKey,
        value as ((row: unknown) => unknown) | undefined,
        mode,
      )
    },
  }
}

class StoreWriter implements SinkWriter {
  readonly isSated = false
  rows = 0
  readonly #store: Store
  readonly #keyOf: (row: unknown) => StoreKey
  readonly #valueFor: ((row: unknown) => unknown) | undefined
  #operations: BatchOperation[] = []

  constructor(
    store: Store,
    keyOf: (row: unknown) => StoreKey,
    valueFor: ((row: unknown) => unknown) | undefined,
    mode: 'upsert' | 'replace',
  ) {
    this.#store = store
    this.#keyOf = keyOf
    this.#valueFor = valueFor
    if (mode === 'replace') this.#operations.push({ type: 'delRange', range: {} })
  }

  receive(chunk: Chunk): void {
    const { data, rows, count } = chunk
    this.rows += count
    for (let k = 0; k < count; k++) {
      const row = data.value(rows[k] as number)
      const key = this.#keyOf(row)
      if (key === undefined) {
        throw new VarveError('INVALID_RECORD', `a row for store ${this.#store.name} has no key`, { details: { store: this.#store.name } })
      }
      this.#operations.push({ type: 'put', key, value: this.#valueFor === undefined ? row : this.#valueFor(row) })
    }
  }

  finish(): void {}

  async commit(): Promise<void> {
    await this.#store.batch(this.#operations)
    this.#operations = []
  }

  async abort(): Promise<void> {
    this.#operations = []
  }
}
