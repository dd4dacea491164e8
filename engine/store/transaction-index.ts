/**
 * A secondary index within a transaction: the queries of `StoreIndex`, over the transaction's moment and its own writes.
 *
 * Given by `TransactionStore.index`; every verb throws CLOSED after the transaction has ended, and as `StoreIndex` NOT_READY and NOT_FOUND. What a query
 * has walked over counts as read, also where it found nothing: another commit that adds, moves or removes an entry there is a conflict. The records
 * whose values it gave count as read too.
 */

import { boundsOfIndex, boundsOfValue } from './index-ranges.ts'
import type { Index } from './indexes.ts'
import type { StoreKey } from './key-codec.ts'
import type { KeyBounds } from './store-core.ts'
import type { RangeOptions } from './store-options.ts'
import { TransactionIterator } from './transaction-iterator.ts'
import type { IndexEntry, TransactionPart } from './transaction-part.ts'
import { checkTransactionRange, type TransactionRangeOptions } from './transaction-range.ts'

/** A secondary index within a transaction; see `TransactionStore.index`. */
export class TransactionIndex<V = unknown, K extends StoreKey = StoreKey> {
  /** As the store declares it. */
  readonly name: string
  readonly #part: TransactionPart
  readonly #index: Index

  constructor(part: TransactionPart, index: Index) {
    this.name = index.name
    this.#part = part
    this.#index = index
  }

  /** The value of the first key, in key order, that has this indexed value; undefined when none has. */
  get(value: StoreKey): V | undefined {
    return this.#values(value, 1)[0]
  }

  /** The values of all keys that have this indexed value, in key order. */
  getAll(value: StoreKey): V[] {
    return this.#values(value, Number.POSITIVE_INFINITY)
  }

  /** Primary keys of a range of indexed values. Values are not read. A key with several elements in the range comes for each. */
  keys(range: TransactionRangeOptions = {}): TransactionIterator<K> {
    return this.#iterate(range, ({ primaryKey }) => this.#part.decodeKey(primaryKey) as K)
  }

  /** Indexed value (compound: all of them, in an array), primary key and value of a range of indexed values. */
  entries(range: TransactionRangeOptions = {}): TransactionIterator<[StoreKey, K, V]> {
    return this.#iterate(range, entry => [entry.value, this.#part.decodeKey(entry.primaryKey) as K, this.#part.valueOf(entry) as V])
  }

  /** How many entries lie in the range of indexed values. Walks over all of them. */
  count(range: TransactionRangeOptions = {}): number {
    const iterator = this.#iterate(range, () => undefined)
    let count = 0
    while (iterator.step()) count++
    iterator.close()
    return count
  }

  #values(value: StoreKey, limit: number): V[] {
    this.#part.assertUsable()
    const iterator = this.#walk(boundsOfValue(this.#index.rule, value), false, limit, entry => this.#part.valueOf(entry) as V)
    return [...iterator]
  }

  #iterate<T>(range: TransactionRangeOptions, decode: (entry: IndexEntry) => T): TransactionIterator<T> {
    this.#part.assertUsable()
    checkTransactionRange(range)
    const bounds = boundsOfIndex(this.#index.rule, range as RangeOptions)
    return this.#walk(bounds, range.reverse === true, range.limit ?? Number.POSITIVE_INFINITY, decode)
  }

  #walk<T>(bounds: KeyBounds, reverse: boolean, limit: number, decode: (entry: IndexEntry) => T): TransactionIterator<T> {
    return new TransactionIterator<T>(this.#part.indexSource(this.#index, decode), { bounds, reverse, limit })
  }
}
