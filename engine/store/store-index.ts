/**
 * A secondary index as users query it: by indexed value, with primary keys and values of the same moment. The public face of `indexes.ts`.
 *
 * An index of one field takes its value (`get('ada@x')`), a compound index an array of values in the order of its paths; fewer stand for all entries that
 * begin with them, as bounds too. Entries come in the order of values, then of primary keys. Verbs throw NOT_READY until the index is built, and for
 * moments before that; NOT_FOUND once it was dropped.
 */
import { assert } from '../errors.ts'
import { endOf, entryParts, primaryKeyOf, startOf } from './index-entries.ts'
import { assertIndexReadable, assertIndexUsable, boundsOfIndex, boundsOfValue, indexTuple } from './index-ranges.ts'
import type { Index } from './indexes.ts'
import type { KeyCodec, StoreKey } from './key-codec.ts'
import type { Snapshot } from './snapshots.ts'
import type { KeyBounds, StoreCore } from './store-core.ts'
import { StoreCursor } from './store-cursor.ts'
import { StoreIterator } from './store-iterator.ts'
import { checkRange, checkReadStoreOptions, type RangeOptions, type ReadStoreOptions } from './store-options.ts'

/** Iterators decode keys of the index with it; nothing else is asked of a codec there. */
type EntryDecoder = (bytes: Uint8Array, start: number, end: number) => unknown

export class StoreIndex<V = unknown, K extends StoreKey = StoreKey> {
  readonly name: string
  readonly #core: StoreCore
  readonly #index: Index

  constructor(core: StoreCore, index: Index) {
    this.name = index.name
    this.#core = core
    this.#index = index
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
    return this.#iterate<K>(range, () => (bytes, start, end) => this.#primaryKey(primaryKeyOf(bytes, start, end)))
  }

  /** Indexed value (compound: all of them, in an array), primary key and value of a range of indexed values. */
  entries(range: RangeOptions = {}): StoreIterator<[StoreKey, K, V]> {
    return this.#iterate<[StoreKey, K, V]>(range, snapshot => {
      return (bytes, start, end) => {
        const { value, primaryKey } = entryParts(this.#index.rule, bytes, start, end)
        return [value, this.#primaryKey(primaryKey), this.#read(primaryKey, snapshot.sequence - 1)]
      }
    })
  }

  /** How many entries lie in the range of indexed values. Walks over all of them. */
  count(range: RangeOptions = {}): number {
    checkRange(range)
    const { snapshot, limit = Number.POSITIVE_INFINITY } = range
    this.#assertReadable(snapshot)
    const cursor = this.#cursor(boundsOfIndex(this.#index.rule, range), snapshot)
    let count = 0
    while (count < limit && cursor.next()) count++
    return count
  }

  #values(value: StoreKey, options: ReadStoreOptions | undefined, limit: number): V[] {
    if (options !== undefined) checkReadStoreOptions(options)
    const snapshot = options?.snapshot
    this.#assertReadable(snapshot)
    const cursor = this.#cursor(boundsOfValue(this.#index.rule, value), snapshot)
    const found: V[] = []
    while (found.length < limit && cursor.next()) {
      const { buffer, keyStart, keyBytes } = cursor.record
      found.push(this.#read(primaryKeyOf(buffer, keyStart, keyStart + keyBytes), this.#core.sequenceMax(snapshot)))
    }
    return found
  }

  #iterate<T>(range: RangeOptions, decoder: (snapshot: Snapshot) => EntryDecoder): StoreIterator<T> {
    checkRange(range)
    this.#assertReadable(range.snapshot)
    const { start, end, isEmpty } = boundsOfIndex(this.#index.rule, range)
    const core = this.#core
    const { host } = core
    const reverse = range.reverse === true
    const snapshot = range.snapshot ?? host.snapshots.take(host.visibleSequence, host.now())
    const decode = decoder(snapshot) as KeyCodec['decode']
    return new StoreIterator<T>({
      table: this.#index.table,
      keys: { ...core.keys, decode },
      values: core.values,
      snapshot,
      ownsSnapshot: range.snapshot === undefined,
      bounds: { start, end, reverse },
      limit: range.limit ?? Number.POSITIVE_INFINITY,
      shape: 'key',
      isEmpty,
      assertOpen: () => this.#assertUsable(),
      encodeKey: value => (reverse ? endOf : startOf)(indexTuple(this.#index.rule, value, 'value')),
    })
  }

  #cursor({ start, end, isEmpty }: KeyBounds, snapshot: Snapshot | undefined): StoreCursor {
    const core = this.#core
    return new StoreCursor(this.#index.table, {
      start,
      end: isEmpty ? start : end,
      sequenceMax: core.sequenceMax(snapshot),
      now: snapshot?.time ?? core.host.now(),
    })
  }

  /** The value of the record that an entry points to, at the entry's moment. */
  #read(primaryKey: Uint8Array, sequenceMax: number): V {
    const core = this.#core
    const record = core.table.find(primaryKey, 0, primaryKey.length, sequenceMax)
    assert(record !== undefined, 'an index entry has its record', core.name, this.name)
    return core.decode(record) as V
  }

  #primaryKey(bytes: Uint8Array): K {
    return this.#core.keys.decode(bytes, 0, bytes.length) as K
  }

  #assertUsable(): void {
    assertIndexUsable(this.#core, this.#index)
  }

  #assertReadable(snapshot: Snapshot | undefined): void {
    assertIndexReadable(this.#core, this.#index, snapshot?.sequence ?? this.#core.host.visibleSequence)
  }
}
