/**
 * A store within a transaction: the verbs of `Store`, over the transaction's moment and its own writes.
 *
 * Given by `Transaction.store`; every verb throws CLOSED after the transaction has ended. Writes are kept in memory until the commit; keys and values
 * are encoded at the call, so bad ones are refused there and later changes of an object are not seen.
 */

import { checkString } from '../log/check-arguments.ts'
import type { StoreKey } from './key-codec.ts'
import type { IteratorShape } from './store-iterator.ts'
import { checkPutOptions, type PutOptions, type RangeOptions } from './store-options.ts'
import { TransactionIndex } from './transaction-index.ts'
import { TransactionIterator } from './transaction-iterator.ts'
import type { TransactionPart } from './transaction-part.ts'
import { checkTransactionRange, type TransactionPutOptions, type TransactionRangeOptions } from './transaction-range.ts'

/** A store within a transaction; see `Transaction.store`. */
export class TransactionStore<V = unknown, K extends StoreKey = StoreKey> {
  readonly name: string
  readonly #part: TransactionPart

  constructor(name: string, part: TransactionPart) {
    this.name = name
    this.#part = part
  }

  // --- reading -------------------------------------------------------------------------------------------------------------------------

  /** The value of the key; undefined when there is none. */
  get(key: K): V | undefined {
    this.#part.assertUsable()
    return this.#part.get(key) as V | undefined
  }

  /** Values in the order of the keys; undefined where there is none. */
  getMany(keys: readonly K[]): (V | undefined)[] {
    if (!Array.isArray(keys)) throw new TypeError(`keys must be an array, got ${String(keys)}`)
    return (keys as readonly K[]).map(key => this.get(key))
  }

  /** Whether the key has a value. */
  has(key: K): boolean {
    this.#part.assertUsable()
    return this.#part.has(key)
  }

  /** Keys and values of a range. Writes that are made after this call do not show in it. Leave it early where you can: only what was walked over can conflict. */
  entries(range: TransactionRangeOptions<K> = {}): TransactionIterator<[K, V]> {
    return this.#iterate<[K, V]>(range, 'entry')
  }

  /** As `entries`: for its `nextBatch` and `seek`. */
  iterator(range: TransactionRangeOptions<K> = {}): TransactionIterator<[K, V]> {
    return this.#iterate<[K, V]>(range, 'entry')
  }

  /** Keys alone; values are not decoded. */
  keys(range: TransactionRangeOptions<K> = {}): TransactionIterator<K> {
    return this.#iterate<K>(range, 'key')
  }

  /** Values alone. */
  values(range: TransactionRangeOptions<K> = {}): TransactionIterator<V> {
    return this.#iterate<V>(range, 'value')
  }

  [Symbol.iterator](): TransactionIterator<[K, V]> {
    return this.entries()
  }

  /** How many entries lie in the range. Walks over all of them. */
  count(range: TransactionRangeOptions<K> = {}): number {
    const iterator = this.#iterate<K>(range, 'key')
    let count = 0
    while (iterator.step()) count++
    iterator.close()
    return count
  }

  /** An index of the store, for queries by indexed value that see the transaction's own writes. NOT_FOUND when there is none of this name. */
  index(name: string): TransactionIndex<V, K> {
    this.#part.assertUsable()
    checkString(name, 'name')
    return new TransactionIndex<V, K>(this.#part, this.#part.index(name))
  }

  #iterate<T>(range: TransactionRangeOptions<K>, shape: IteratorShape): TransactionIterator<T> {
    const part = this.#part
    part.assertUsable()
    checkTransactionRange(range)
    const bounds = part.core.bounds(range as RangeOptions)
    return new TransactionIterator<T>(part.source<T>(shape), {
      bounds,
      reverse: range.reverse === true,
      limit: range.limit ?? Number.POSITIVE_INFINITY,
    })
  }

  // --- writing -------------------------------------------------------------------------------------------------------------------------

  /** Sets the value of the key when the transaction commits. `ttlMs` counts from this call. */
  put(key: K, value: V, options?: TransactionPutOptions): void {
    const part = this.#part
    part.assertUsable()
    if (options !== undefined) checkTransactionPut(options)
    part.put(key, value, part.core.expiryOf(options))
  }

  /**
   * Sets the value (undefined: removes the key) if the key has the `expected` value (undefined: none), compared by their encoding. Says whether it did. The key
   * counts as read.
   */
  compareAndSet(key: K, expected: V | undefined, value: V | undefined, options?: TransactionPutOptions): boolean {
    const part = this.#part
    part.assertUsable()
    if (options !== undefined) checkTransactionPut(options)
    if (!part.hasValue(key, expected)) return false
    if (value === undefined) part.delete(key)
    else part.put(key, value, part.core.expiryOf(options))
    return true
  }

  /** Removes the key when the transaction commits; nothing happens when there is none. */
  del(key: K): void {
    this.#part.assertUsable()
    this.#part.delete(key)
  }

  /**
   * Removes all keys of a range when the transaction commits: also those that others have put there since its moment, since it reads nothing.
   * `limit` and `reverse` are refused.
   */
  delRange(range: TransactionRangeOptions<K>): void {
    this.#part.assertUsable()
    checkTransactionRange(range)
    for (const name of ['limit', 'reverse'] as const) {
      if (range[name] !== undefined) throw new TypeError(`${name} has no meaning for delRange`)
    }
    this.#part.deleteRange(range as RangeOptions)
  }
}

function checkTransactionPut(options: TransactionPutOptions): void {
  checkPutOptions(options)
  if ((options as PutOptions).durability !== undefined) throw new TypeError('durability is an option of the transaction, not of its writes')
}
