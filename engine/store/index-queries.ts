/**
 * Queries of one index at a moment: what `StoreIndex` and `LeasedIndex` do once their arguments name the moment.
 *
 * An entry and the record that it points to are read at the same moment. Invariant: whoever asks has checked that the index can be read then.
 */
import type { StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import { type EntryRule, endOf, entryParts, primaryKeyOf, startOf } from './index-entries.ts'
import { boundsOfIndex, boundsOfValue, indexTuple } from './index-ranges.ts'
import type { KeyCodec, StoreKey } from './key-codec.ts'
import type { Snapshot } from './snapshots.ts'
import type { KeyBounds } from './store-core.ts'
import { type CursorTable, StoreCursor } from './store-cursor.ts'
import { StoreIterator } from './store-iterator.ts'
import type { RangeOptions } from './store-options.ts'
import type { ValueCodec } from './value-codec.ts'

/** What is queried. */
export interface IndexSource {
  readonly rule: EntryRule
  /** Of the index. */
  readonly table: CursorTable
  /** Of the store. */
  readonly keys: KeyCodec
  readonly values: ValueCodec<unknown>
  assertUsable(): void
  /** The store's record of a primary key. The cursor holds until the next call. */
  find(primaryKey: Uint8Array, sequenceMax: number): StoreRecordCursor | undefined
}

/** What a query sees: records up to this sequence that live beyond this time, ms. */
export interface QueryMoment {
  readonly sequenceMax: number
  readonly now: number
}

/** A snapshot, and whether the iterator that gets it closes it. */
export interface IteratorMoment {
  readonly snapshot: Snapshot
  readonly ownsSnapshot: boolean
}

type Ranges = Omit<RangeOptions, 'snapshot'>
/** Iterators decode keys of the index with it; nothing else is asked of a codec there. */
type EntryDecoder = (bytes: Uint8Array, start: number, end: number) => unknown

export class IndexQueries<V, K extends StoreKey> {
  readonly #source: IndexSource

  constructor(source: IndexSource) {
    this.#source = source
  }

  values(value: StoreKey, moment: QueryMoment, limit: number): V[] {
    const cursor = this.#cursor(boundsOfValue(this.#source.rule, value), moment)
    const found: V[] = []
    while (found.length < limit && cursor.next()) {
      const { buffer, keyStart, keyBytes } = cursor.record
      found.push(this.#read(primaryKeyOf(buffer, keyStart, keyStart + keyBytes), moment.sequenceMax))
    }
    return found
  }

  count(range: Ranges, moment: QueryMoment): number {
    const { limit = Number.POSITIVE_INFINITY } = range
    const cursor = this.#cursor(boundsOfIndex(this.#source.rule, range), moment)
    return cursor.count(limit)
  }

  keys(range: Ranges, moment: () => IteratorMoment): StoreIterator<K> {
    return this.#iterate<K>(range, moment, () => (bytes, start, end) => this.#primaryKey(primaryKeyOf(bytes, start, end)))
  }

  entries(range: Ranges, moment: () => IteratorMoment): StoreIterator<[StoreKey, K, V]> {
    return this.#iterate<[StoreKey, K, V]>(range, moment, ({ sequence }) => {
      return (bytes, start, end) => {
        const { value, primaryKey } = entryParts(this.#source.rule, bytes, start, end)
        return [value, this.#primaryKey(primaryKey), this.#read(primaryKey, sequence - 1)]
      }
    })
  }

  /** The moment is taken once the range was found right. */
  #iterate<T>(range: Ranges, moment: () => IteratorMoment, decoder: (snapshot: Snapshot) => EntryDecoder): StoreIterator<T> {
    const { rule, table, keys, values } = this.#source
    const { start, end, isEmpty } = boundsOfIndex(rule, range)
    const reverse = range.reverse === true
    const { snapshot, ownsSnapshot } = moment()
    return new StoreIterator<T>({
      table,
      keys: { ...keys, decode: decoder(snapshot) as KeyCodec['decode'] },
      values,
      snapshot,
      ownsSnapshot,
      bounds: { start, end, reverse },
      limit: range.limit ?? Number.POSITIVE_INFINITY,
      shape: 'key',
      isEmpty,
      assertOpen: () => this.#source.assertUsable(),
      encodeKey: value => (reverse ? endOf : startOf)(indexTuple(rule, value, 'value')),
    })
  }

  #cursor({ start, end, isEmpty }: KeyBounds, { sequenceMax, now }: QueryMoment): StoreCursor {
    return new StoreCursor(this.#source.table, { start, end: isEmpty ? start : end, sequenceMax, now })
  }

  #read(primaryKey: Uint8Array, sequenceMax: number): V {
    const record = this.#source.find(primaryKey, sequenceMax)
    assert(record !== undefined, 'an index entry has its record')
    return this.#source.values.decode(record.buffer, record.valueStart, record.valueStart + record.valueBytes) as V
  }

  #primaryKey(bytes: Uint8Array): K {
    return this.#source.keys.decode(bytes, 0, bytes.length) as K
  }
}
