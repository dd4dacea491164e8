/**
 * A secondary index as users query it: by indexed value, with primary keys and values of the same moment. The public face of `indexes.ts`.
 *
 * An index of one field takes its value (`get('ada@x')`), a compound index an array of values in the order of its paths; fewer stand for all entries that
 * begin with them, as bounds too. Entries come in the order of values, then of primary keys. Verbs throw NOT_READY until the index is built, and for
 * moments before that; NOT_FOUND once it was dropped.
 */
import { assert, VarveError } from '../errors.ts'
import { endOf, indexedValues, prefixBounds, primaryKeyOf, startOf } from './index-entries.ts'
import type { Index } from './indexes.ts'
import { decodeKey, type KeyCodec, type StoreKey } from './key-codec.ts'
import type { Snapshot } from './snapshots.ts'
import type { StoreCore } from './store-core.ts'
import { StoreCursor } from './store-cursor.ts'
import { StoreIterator } from './store-iterator.ts'
import { checkRange, checkReadStoreOptions, type RangeOptions, type ReadStoreOptions } from './store-options.ts'

interface Bounds {
  readonly start: Uint8Array | undefined
  readonly end: Uint8Array | undefined
}

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
        const elements = decodeKey(bytes, start, end) as readonly StoreKey[]
        const primaryKey = elements.at(-1) as Uint8Array
        const values = elements.slice(0, -1)
        return [
          this.#index.rule.paths.length === 1 ? (values[0] as StoreKey) : values,
          this.#primaryKey(primaryKey),
          this.#read(primaryKey, snapshot.sequence - 1),
        ]
      }
    })
  }

  /** How many entries lie in the range of indexed values. Walks over all of them. */
  count(range: RangeOptions = {}): number {
    checkRange(range)
    const { snapshot, limit = Number.POSITIVE_INFINITY } = range
    this.#assertReadable(snapshot)
    const cursor = this.#cursor(this.#bounds(range), snapshot)
    let count = 0
    while (count < limit && cursor.next()) count++
    return count
  }

  #values(value: StoreKey, options: ReadStoreOptions | undefined, limit: number): V[] {
    if (options !== undefined) checkReadStoreOptions(options)
    const snapshot = options?.snapshot
    this.#assertReadable(snapshot)
    const values = this.#tuple(value, 'value')
    const cursor = this.#cursor({ start: startOf(values), end: endOf(values) }, snapshot)
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
    const { start, end } = this.#bounds(range)
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
      isEmpty: isEmpty(start, end),
      assertOpen: () => this.#assertUsable(),
      encodeKey: value => (reverse ? endOf : startOf)(this.#tuple(value, 'value')),
    })
  }

  #cursor({ start, end }: Bounds, snapshot: Snapshot | undefined): StoreCursor {
    const core = this.#core
    return new StoreCursor(this.#index.table, {
      start,
      end: isEmpty(start, end) ? start : end,
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
    this.#core.assertUsable()
    if (!this.#index.log.dropped) return
    throw new VarveError('NOT_FOUND', `index ${this.name} was dropped`, { details: { store: this.#core.name, index: this.name } })
  }

  #assertReadable(snapshot: Snapshot | undefined): void {
    this.#assertUsable()
    const { builtSequence, failure } = this.#index
    if (builtSequence !== undefined && (snapshot?.sequence ?? this.#core.host.visibleSequence) >= builtSequence) return
    const store = this.#core.name
    const why =
      builtSequence !== undefined
        ? 'was built after this moment'
        : failure === undefined
          ? 'is not built yet'
          : `could not be built: ${failure.message}`
    throw new VarveError('NOT_READY', `store ${store}: index ${this.name} ${why}`, {
      ...(failure === undefined ? {} : { cause: failure }),
      details: { store, index: this.name },
    })
  }

  #bounds(range: RangeOptions): Bounds {
    const { gt, gte, lt, lte, prefix } = range
    if (prefix !== undefined) return this.#prefix(prefix)
    let start: Uint8Array | undefined
    let end: Uint8Array | undefined
    if (gte !== undefined) start = startOf(this.#tuple(gte, 'gte'))
    else if (gt !== undefined) start = endOf(this.#tuple(gt, 'gt'))
    if (lt !== undefined) end = startOf(this.#tuple(lt, 'lt'))
    else if (lte !== undefined) end = endOf(this.#tuple(lte, 'lte'))
    return { start, end }
  }

  #prefix(prefix: StoreKey): Bounds {
    if (this.#index.rule.paths.length > 1) {
      const values = this.#tuple(prefix, 'prefix')
      return { start: startOf(values), end: endOf(values) }
    }
    if (typeof prefix !== 'string' && !(prefix instanceof Uint8Array))
      throw new TypeError('prefix must be a string or a Uint8Array: the index has one field')
    this.#tuple(prefix, 'prefix')
    return prefixBounds(prefix)
  }

  /** The values of the index that an argument stands for. */
  #tuple(value: StoreKey, option: string): readonly StoreKey[] {
    const { paths } = this.#index.rule
    const isCompound = paths.length > 1
    if (isCompound && (!Array.isArray(value) || value.length === 0 || value.length > paths.length))
      throw new TypeError(`${option} must be an array of 1 to ${paths.length} values, in the order of the index's paths`)
    const values: readonly unknown[] = isCompound ? (value as readonly unknown[]) : [value]
    for (const each of values) {
      if (indexedValues(anyValue, each).length === 0)
        throw new TypeError(`${option} must hold what can be indexed: a string, number, bigint, boolean, null, Date or bytes`)
    }
    return values as readonly StoreKey[]
  }
}

/** A rule under which a value makes an entry if it can be indexed at all. */
const anyValue = { paths: [[]], multi: false } as const

function isEmpty(start: Uint8Array | undefined, end: Uint8Array | undefined): boolean {
  return start !== undefined && end !== undefined && Buffer.compare(start, end) >= 0
}
