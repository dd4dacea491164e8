/**
 * A secondary index as users query it: by indexed value, with primary keys and values of the same moment. The public face of `indexes.ts`.
 *
 * An index of one field takes its value (`get('ada@x')`), a compound index an array of values in the order of its paths; fewer stand for all entries that
 * begin with them, as bounds too. Entries come in the order of values, then of primary keys. Verbs throw NOT_READY until the index is built, and for
 * moments before that; NOT_FOUND once it was dropped.
 */
import { IndexQueries } from './index-queries.ts'
import { assertIndexReadable, assertIndexUsable } from './index-ranges.ts'
import type { Index } from './indexes.ts'
import type { StoreKey } from './key-codec.ts'
import type { Snapshot } from './snapshots.ts'
import type { StoreCore } from './store-core.ts'
import type { StoreIterator } from './store-iterator.ts'
import { checkRange, checkReadStoreOptions, type RangeOptions, type ReadStoreOptions } from './store-options.ts'

/** A secondary index, for queries by indexed value; see `Store.index`. */
export class StoreIndex<V = unknown, K extends StoreKey = StoreKey> {
  /** As the store declares it. */
  readonly name: string
  readonly #core: StoreCore
  readonly #index: Index
  readonly #queries: IndexQueries<V, K>

  constructor(core: StoreCore, index: Index) {
    this.name = index.name
    this.#core = core
    this.#index = index
    this.#queries = new IndexQueries<V, K>({
      rule: index.rule,
      table: index.table,
      keys: core.keys,
      values: core.values,
      assertUsable: () => assertIndexUsable(core, index),
      find: (primaryKey, sequenceMax) => core.table.find(primaryKey, 0, primaryKey.length, sequenceMax),
    })
  }

  /** True once the index is built; see `Store.ready`. */
  get isReady(): boolean {
    return this.#index.builtSequence !== undefined
  }

  /** The value of the first key, in key order, that has this indexed value; undefined when none has. */
  get(value: StoreKey, options?: ReadStoreOptions): V | undefined {
    return this.#values(value, options, 1)[0]
  }

  /** The values of all keys that have this indexed value, in key order. */
  getAll(value: StoreKey, options?: ReadStoreOptions): V[] {
    return this.#values(value, options, Number.POSITIVE_INFINITY)
  }

  /** Primary keys of a range of indexed values. Values are not read. A key with several elements in the range comes for each. */
  keys(range: RangeOptions = {}): StoreIterator<K> {
    this.#assertRange(range)
    return this.#queries.keys(range, () => this.#take(range.snapshot))
  }

  /** Indexed value (compound: all of them, in an array), primary key and value of a range of indexed values. */
  entries(range: RangeOptions = {}): StoreIterator<[StoreKey, K, V]> {
    this.#assertRange(range)
    return this.#queries.entries(range, () => this.#take(range.snapshot))
  }

  /** How many entries lie in the range of indexed values. Walks over all of them. */
  count(range: RangeOptions = {}): number {
    this.#assertRange(range)
    return this.#queries.count(range, this.#moment(range.snapshot))
  }

  #values(value: StoreKey, options: ReadStoreOptions | undefined, limit: number): V[] {
    if (options !== undefined) checkReadStoreOptions(options)
    this.#assertReadable(options?.snapshot)
    return this.#queries.values(value, this.#moment(options?.snapshot), limit)
  }

  #moment(snapshot: Snapshot | undefined): { readonly sequenceMax: number; readonly now: number } {
    const core = this.#core
    return { sequenceMax: core.sequenceMax(snapshot), now: snapshot?.time ?? core.host.now() }
  }

  #take(given: Snapshot | undefined): { readonly snapshot: Snapshot; readonly ownsSnapshot: boolean } {
    const { host } = this.#core
    return { snapshot: given ?? host.snapshots.take(host.visibleSequence, host.now()), ownsSnapshot: given === undefined }
  }

  #assertRange(range: RangeOptions): void {
    checkRange(range)
    this.#assertReadable(range.snapshot)
  }

  #assertReadable(snapshot: Snapshot | undefined): void {
    assertIndexReadable(this.#core, this.#index, snapshot?.sequence ?? this.#core.host.visibleSequence)
  }
}
