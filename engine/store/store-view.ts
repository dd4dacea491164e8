/**
 * A store as it was at one moment of its history: the reading verbs, nothing else. Given by `Store.asOf`.
 *
 * The moment stays readable until the view is closed, however far the horizon moves meanwhile; one that was forgotten, with
 * all its iterators, gives it back when it is collected. Verbs throw CLOSED after `close`.
 */
import { checkObject } from '../log/check-arguments.ts'
import type { StoreKey } from './key-codec.ts'
import type { Snapshot } from './snapshots.ts'
import type { Store } from './store.ts'
import type { StoreIterator } from './store-iterator.ts'
import type { RangeOptions } from './store-options.ts'

/** As `RangeOptions`, of the view's moment. */
export type ViewRangeOptions<K = StoreKey> = Omit<RangeOptions<K>, 'snapshot'>

/** A store as it was at one moment, read-only; see `Store.asOf`. */
export class StoreView<V = unknown, K extends StoreKey = StoreKey> implements Disposable {
  readonly #store: Store<V, K>
  readonly #snapshot: Snapshot

  /** Takes over the snapshot, which is collectable: iterators of the view refer to it, so it outlives a view that is used up. */
  constructor(store: Store<V, K>, snapshot: Snapshot) {
    this.#store = store
    this.#snapshot = snapshot
  }

  /** Whose moment it is. */
  get store(): Store<V, K> {
    return this.#store
  }

  /** Commits before it are seen. */
  get sequence(): number {
    return this.#snapshot.sequence
  }

  /** The clock by which entries have expired or not, ms since 1970. */
  get time(): number {
    return this.#snapshot.time
  }

  /** True after `close`. */
  get isClosed(): boolean {
    return this.#snapshot.isClosed
  }

  /** The value that the key had; undefined when it had none. */
  get(key: K): V | undefined {
    return this.#store.get(key, { snapshot: this.#snapshot })
  }

  /** As `get`, without blocking the thread while the disk is read. */
  getAsync(key: K): Promise<V | undefined> {
    return this.#store.getAsync(key, { snapshot: this.#snapshot })
  }

  /** Values in the order of the keys; undefined where there was none. */
  getMany(keys: readonly K[]): (V | undefined)[] {
    return this.#store.getMany(keys, { snapshot: this.#snapshot })
  }

  /** Whether the key had a value. */
  has(key: K): boolean {
    return this.#store.has(key, { snapshot: this.#snapshot })
  }

  /** As `has`, without blocking the thread while the disk is read. */
  hasAsync(key: K): Promise<boolean> {
    return this.#store.hasAsync(key, { snapshot: this.#snapshot })
  }

  /** Keys and values of a range. */
  entries(range: ViewRangeOptions<K> = {}): StoreIterator<[K, V]> {
    return this.#store.entries(this.#at(range))
  }

  /** Keys alone. */
  keys(range: ViewRangeOptions<K> = {}): StoreIterator<K> {
    return this.#store.keys(this.#at(range))
  }

  /** Values alone. */
  values(range: ViewRangeOptions<K> = {}): StoreIterator<V> {
    return this.#store.values(this.#at(range))
  }

  /** How many entries lay in the range. Walks over all of them. */
  count(range: ViewRangeOptions<K> = {}): number {
    return this.#store.count(this.#at(range))
  }

  [Symbol.iterator](): StoreIterator<[K, V]> {
    return this.entries()
  }

  /** Gives the moment back. Idempotent. */
  close(): void {
    this.#snapshot.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #at(range: ViewRangeOptions<K>): RangeOptions<K> {
    checkObject(range, 'options')
    if ('snapshot' in range) throw new TypeError('snapshot has no meaning in a view, which is of one moment')
    return { ...range, snapshot: this.#snapshot }
  }
}
