/**
 * A secondary index of a store in a lease: the queries of `StoreIndex`, over the lease's moment. Given by `LeasedStore.index`.
 *
 * Every verb throws CLOSED once the lease was released, and NOT_READY when the index was being built at the moment.
 */
import type { VarveError } from '../errors.ts'
import type { EntryRule } from './index-entries.ts'
import { IndexQueries, type IndexSource } from './index-queries.ts'
import { assertBuilt } from './index-ranges.ts'
import type { StoreKey } from './key-codec.ts'
import { checkLeasedRange } from './leased-range.ts'
import type { LeasedTable } from './leased-table.ts'
import type { Snapshot } from './snapshots.ts'
import type { StoreIterator } from './store-iterator.ts'
import type { ViewRangeOptions } from './store-view.ts'

/** An index as the lease has it. */
export interface LeasedIndexSource {
  readonly name: string
  readonly rule: EntryRule
  /** See `Index.builtSequence`. */
  readonly builtSequence: number | undefined
  readonly failure: VarveError | undefined
  readonly table: LeasedTable
}

/** A secondary index in a lease, read-only; see `LeasedStore.index`. */
export class LeasedIndex<V = unknown, K extends StoreKey = StoreKey> {
  /** As the store declares it. */
  readonly name: string
  readonly #queries: IndexQueries<V, K>
  readonly #moment: Snapshot
  readonly #assertReadable: () => void
  readonly #index: LeasedIndexSource

  constructor(storeName: string, index: LeasedIndexSource, store: Omit<IndexSource, 'rule' | 'table'>, moment: Snapshot) {
    this.name = index.name
    this.#index = index
    this.#queries = new IndexQueries<V, K>({ ...store, rule: index.rule, table: index.table })
    this.#moment = moment
    this.#assertReadable = () => {
      store.assertUsable()
      assertBuilt(storeName, index, moment.sequence)
    }
  }

  /** Whether the index was built when the lease was taken. */
  get isReady(): boolean {
    return this.#index.builtSequence !== undefined
  }

  /** The value of the first key, in key order, that had this indexed value; undefined when none had. */
  get(value: StoreKey): V | undefined {
    this.#assertReadable()
    return this.#queries.values(value, this.#sight(), 1)[0]
  }

  /** The values of all keys that had this indexed value, in key order. */
  getAll(value: StoreKey): V[] {
    this.#assertReadable()
    return this.#queries.values(value, this.#sight(), Number.POSITIVE_INFINITY)
  }

  /** Primary keys of a range of indexed values. Values are not read. A key with several elements in the range comes for each. */
  keys(range: ViewRangeOptions = {}): StoreIterator<K> {
    this.#assertRange(range)
    return this.#queries.keys(range, () => ({ snapshot: this.#moment, ownsSnapshot: false }))
  }

  /** Indexed value (compound: all of them, in an array), primary key and value of a range of indexed values. */
  entries(range: ViewRangeOptions = {}): StoreIterator<[StoreKey, K, V]> {
    this.#assertRange(range)
    return this.#queries.entries(range, () => ({ snapshot: this.#moment, ownsSnapshot: false }))
  }

  /** How many entries lay in the range of indexed values. Walks over all of them. */
  count(range: ViewRangeOptions = {}): number {
    this.#assertRange(range)
    return this.#queries.count(range, this.#sight())
  }

  #sight(): { readonly sequenceMax: number; readonly now: number } {
    return { sequenceMax: this.#moment.sequence - 1, now: this.#moment.time }
  }

  #assertRange(range: ViewRangeOptions): void {
    this.#assertReadable()
    checkLeasedRange(range)
  }
}
