/**
 * A transaction's share in one store: what it has written and read there, and how that becomes rows.
 *
 * Made by the transaction when it first names the store; `transaction-store.ts` and `transaction-iterator.ts` read and write through it.
 */
import type { StoreRecordCursor } from '../batch/store-record.ts'
import type { StoreWrites } from '../batch/store-writes.ts'
import { assert } from '../errors.ts'
import { findConflict } from './conflict-check.ts'
import { endOf, entryParts, primaryKeyOf, startOf } from './index-entries.ts'
import { IndexOverlay } from './index-overlay.ts'
import { assertIndexReadable, assertIndexUsable, indexTuple } from './index-ranges.ts'
import type { Index } from './indexes.ts'
import type { StoreKey } from './key-codec.ts'
import { Overlay, type OverlayEntry, textOfBytes } from './overlay.ts'
import { ReadSet } from './read-set.ts'
import type { Snapshot } from './snapshots.ts'
import { type StoreCore, successor } from './store-core.ts'
import type { IteratorShape } from './store-iterator.ts'
import type { RangeOptions } from './store-options.ts'
import type { TransactionSource } from './transaction-iterator.ts'
import { TransactionStore } from './transaction-store.ts'

/** What a part needs of its transaction. */
export interface PartOwner {
  /** What the transaction reads, in all stores; taken when it is first asked for. */
  readonly moment: Snapshot
  /** CLOSED when the transaction has ended. */
  assertActive(): void
}

/** An entry of an index as a query finds it. */
export interface IndexEntry {
  /** Indexed value; compound: all of them, in an array. */
  readonly value: StoreKey
  readonly primaryKey: Uint8Array
  /** The own put that has made it; undefined: it is stored. */
  readonly own: OverlayEntry | undefined
}

/** What a transaction has read of an index, and what its own writes mean there. */
interface IndexPart {
  readonly overlay: IndexOverlay
  readonly reads: ReadSet
}

/** A read that does not hold any more. */
export interface PartConflict {
  /** Of the store; undefined when it cannot be named. */
  readonly key: StoreKey | undefined
  /** The index that was queried; undefined when the store itself was read. */
  readonly index: string | undefined
}

export class TransactionPart {
  readonly core: StoreCore
  readonly overlay: Overlay = new Overlay()
  readonly reads: ReadSet = new ReadSet()
  readonly #owner: PartOwner
  /** The verbs that the body was given. */
  readonly store: TransactionStore
  /** Of the indexes that were queried; made for the first. */
  #indexes: Map<Index, IndexPart> | undefined

  constructor(core: StoreCore, owner: PartOwner, name: string) {
    this.core = core
    this.#owner = owner
    this.store = new TransactionStore(name, this)
  }

  get moment(): Snapshot {
    return this.#owner.moment
  }

  assertUsable(): void {
    this.#owner.assertActive()
    this.core.assertUsable()
  }

  // --- reading -------------------------------------------------------------------------------------------------------------------------

  /** The value of the key; undefined when there is none. */
  get(key: StoreKey): unknown {
    const { core } = this
    const size = core.encodeKey(key)
    const text = textOfBytes(core.encoder.bytes, 0, size)
    const own = this.overlay.find(text)
    if (own !== undefined) return this.isAlive(own) ? this.decodeOwn(own) : undefined
    const record = this.#findStored(text, size)
    return record === undefined ? undefined : core.decode(record)
  }

  has(key: StoreKey): boolean {
    const { core } = this
    const size = core.encodeKey(key)
    const text = textOfBytes(core.encoder.bytes, 0, size)
    const own = this.overlay.find(text)
    return own === undefined ? this.#findStored(text, size) !== undefined : this.isAlive(own)
  }

  /** Of the store at the transaction's moment; remembered as read. What the transaction has deleted itself is not asked of the store. */
  #findStored(text: string, size: number): ReturnType<StoreCore['find']> {
    if (this.overlay.coveringRange(text) !== undefined) return undefined
    this.reads.addKey(text)
    return this.core.find(size, this.moment)
  }

  /** Whether an own entry shows: a put that has not expired. */
  isAlive(entry: OverlayEntry): boolean {
    return entry.value !== undefined && (entry.expiry === 0 || entry.expiry > this.moment.time)
  }

  decodeOwn({ value }: OverlayEntry): unknown {
    return value === undefined ? undefined : this.core.values.decode(value, 0, value.byteLength)
  }

  /** What iterates the store. */
  source<T>(shape: IteratorShape): TransactionSource<T> {
    const { core, overlay, reads, moment } = this
    return {
      table: core.table,
      moment,
      overlay,
      reads,
      deleted: overlay.ranges,
      hides: undefined,
      assertUsable: () => this.assertUsable(),
      isAlive: entry => this.isAlive(entry),
      seekTo: (key, reverse) => (reverse ? successor(core.keyBytes(key)) : core.keyBytes(key)),
      decodeStored: record => {
        if (shape === 'value') return core.decode(record) as T
        const key = core.keys.decode(record.buffer, record.keyStart, record.keyStart + record.keyBytes)
        return (shape === 'key' ? key : [key, core.decode(record)]) as T
      },
      decodeOwn: entry => {
        if (shape === 'value') return this.decodeOwn(entry) as T
        const key = this.decodeKey(entry.bytes)
        return (shape === 'key' ? key : [key, this.decodeOwn(entry)]) as T
      },
    }
  }

  decodeKey(bytes: Uint8Array): StoreKey {
    return this.core.keys.decode(bytes, 0, bytes.length)
  }

  // --- indexes -------------------------------------------------------------------------------------------------------------------------

  /** An index of the store. NOT_FOUND when there is none of this name. */
  index(name: string): Index {
    const { indexes } = this.core
    assert(indexes !== undefined, 'a store that users open has its indexes')
    return indexes.get(name)
  }

  /** What iterates the index, with the writes that were made until now. NOT_FOUND, NOT_READY, TOO_LARGE for an own value that makes too large an entry. */
  indexSource<T>(index: Index, decode: (entry: IndexEntry) => T): TransactionSource<T> {
    const { core, moment } = this
    assertIndexReadable(core, index, moment.sequence)
    const { overlay, reads } = this.#indexPart(index)
    overlay.update()
    const { version } = overlay
    const deleted = this.overlay.ranges
    return {
      table: index.table,
      moment,
      overlay: overlay.entries,
      reads,
      deleted: [],
      hides: ({ buffer, keyStart, keyBytes }) => overlay.hides(buffer, keyStart, keyStart + keyBytes, version, deleted),
      assertUsable: () => {
        this.assertUsable()
        assertIndexUsable(core, index)
      },
      isAlive: entry => this.isAlive(entry),
      seekTo: (value, reverse) => (reverse ? endOf : startOf)(indexTuple(index.rule, value, 'value')),
      decodeStored: ({ buffer, keyStart, keyBytes }: StoreRecordCursor) =>
        decode({ ...entryParts(index.rule, buffer, keyStart, keyStart + keyBytes), own: undefined }),
      decodeOwn: own => decode({ ...entryParts(index.rule, own.bytes, 0, own.bytes.length), own }),
    }
  }

  /** The value of the record that an entry points to; a stored one is remembered as read, since it may change where its entries stay. */
  valueOf({ primaryKey, own }: IndexEntry): unknown {
    if (own !== undefined) return this.decodeOwn(own)
    const { core, moment } = this
    this.reads.addKey(textOfBytes(primaryKey, 0, primaryKey.length))
    const record = core.table.find(primaryKey, 0, primaryKey.length, moment.sequence - 1)
    assert(record !== undefined, 'an index entry has its record', core.name)
    return core.decode(record)
  }

  #indexPart(index: Index): IndexPart {
    this.#indexes ??= new Map()
    let part = this.#indexes.get(index)
    if (part === undefined) {
      part = { overlay: new IndexOverlay(index, this.overlay, entry => this.decodeOwn(entry)), reads: new ReadSet() }
      this.#indexes.set(index, part)
    }
    return part
  }

  #wrote(text: string): void {
    if (this.#indexes !== undefined) for (const { overlay } of this.#indexes.values()) overlay.wrote(text)
  }

  // --- writing -------------------------------------------------------------------------------------------------------------------------

  put(key: StoreKey, value: unknown, expiry: number): void {
    const { core } = this
    // A copy: the encoder of values may give the same memory twice, and bytes are the caller's.
    const encoded = new Uint8Array(core.values.encode(value))
    const bytes = core.keyBytes(key)
    const text = textOfBytes(bytes, 0, bytes.byteLength)
    this.overlay.set({ text, bytes, value: encoded, expiry })
    this.#wrote(text)
  }

  /** Whether the key has the expected value now (undefined: none), compared by their encoding; remembered as read. */
  hasValue(key: StoreKey, expected: unknown): boolean {
    const { core } = this
    const wanted = expected === undefined ? undefined : core.comparable(expected)
    const size = core.encodeKey(key)
    const text = textOfBytes(core.encoder.bytes, 0, size)
    const own = this.overlay.find(text)
    if (own !== undefined) {
      const value = this.isAlive(own) ? own.value : undefined
      return value === undefined || wanted === undefined ? value === wanted : core.holds(value, 0, value.byteLength, wanted)
    }
    const record = this.#findStored(text, size)
    if (record === undefined || wanted === undefined) return record === wanted
    return core.holds(record.buffer, record.valueStart, record.valueStart + record.valueBytes, wanted)
  }

  delete(key: StoreKey): void {
    const bytes = this.core.keyBytes(key)
    const text = textOfBytes(bytes, 0, bytes.byteLength)
    this.overlay.set({ text, bytes, value: undefined, expiry: 0 })
    this.#wrote(text)
  }

  deleteRange(range: RangeOptions): void {
    const { start, end, isEmpty } = this.core.bounds(range)
    if (isEmpty) return
    const options = copyOfRange(range)
    const from = start === undefined ? '' : textOfBytes(start, 0, start.byteLength)
    const to = end === undefined ? undefined : textOfBytes(end, 0, end.byteLength)
    this.overlay.deleteRange(options, from, to)
    if (this.#indexes !== undefined) for (const { overlay } of this.#indexes.values()) overlay.deletedRange(from, to)
  }

  // --- commit --------------------------------------------------------------------------------------------------------------------------

  /** The first read that a later commit has overtaken. What was read of an index that is gone does not hold. */
  conflict(sequenceMax: number): PartConflict | undefined {
    const { core } = this
    const own = findConflict(core.table, this.reads, sequenceMax)
    if (own !== undefined) return { key: own.key === undefined ? undefined : this.decodeKey(own.key), index: undefined }
    for (const [index, { reads }] of this.#indexes ?? []) {
      if (index.log.dropped) return { key: undefined, index: index.name }
      const found = findConflict(index.table, reads, sequenceMax)
      if (found === undefined) continue
      const { key } = found
      return { key: key === undefined ? undefined : this.decodeKey(primaryKeyOf(key, 0, key.length)), index: index.name }
    }
    return undefined
  }

  /** All writes as rows: ranges first, see `overlay.ts`. */
  collect(writes: StoreWrites): void {
    const { core, overlay } = this
    for (const range of overlay.deleted) core.addRangeDelete(writes, range)
    for (const { bytes, value, expiry } of overlay.entries) core.addEncoded(writes, bytes, value, expiry)
  }
}

/** Bounds as the caller gave them, out of reach of what he does with them later. */
function copyOfRange(range: RangeOptions): RangeOptions {
  const { gt, gte, lt, lte, prefix } = range
  return { gt: copyOfKey(gt), gte: copyOfKey(gte), lt: copyOfKey(lt), lte: copyOfKey(lte), prefix: copyOfKey(prefix) }
}

function copyOfKey<K extends StoreKey | undefined>(key: K): K
function copyOfKey(key: StoreKey | undefined): StoreKey | undefined {
  if (typeof key !== 'object' || key === null) return key
  if (key instanceof Date) return new Date(key)
  if (key instanceof Uint8Array) return new Uint8Array(key)
  return key.map(element => copyOfKey(element))
}
