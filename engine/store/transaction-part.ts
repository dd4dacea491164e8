/**
 * A transaction's share in one store: what it has written and read there, and how that becomes rows.
 *
 * Made by the transaction when it first names the store; `transaction-store.ts` and `transaction-iterator.ts` read and write through it.
 */
import type { StoreWrites } from '../batch/store-writes.ts'
import { findConflict, type ReadConflict } from './conflict-check.ts'
import type { StoreKey } from './key-codec.ts'
import { coveringRange, Overlay, type OverlayEntry, textOfBytes } from './overlay.ts'
import { ReadSet } from './read-set.ts'
import type { Snapshot } from './snapshots.ts'
import type { StoreCore } from './store-core.ts'
import type { RangeOptions } from './store-options.ts'

/** What a part needs of its transaction. */
export interface PartOwner {
  /** What the transaction reads, in all stores; taken when it is first asked for. */
  readonly moment: Snapshot
  /** CLOSED when the transaction has ended. */
  assertActive(): void
}

export class TransactionPart {
  readonly core: StoreCore
  readonly overlay: Overlay = new Overlay()
  readonly reads: ReadSet = new ReadSet()
  readonly #owner: PartOwner

  constructor(core: StoreCore, owner: PartOwner) {
    this.core = core
    this.#owner = owner
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
    if (coveringRange(this.overlay.ranges, text) !== undefined) return undefined
    this.reads.addKey(text)
    const { moment } = this
    return this.core.find(size, moment.sequence - 1, moment.time)
  }

  /** Whether an own entry shows: a put that has not expired. */
  isAlive(entry: OverlayEntry): boolean {
    return entry.value !== undefined && (entry.expiry === 0 || entry.expiry > this.moment.time)
  }

  decodeOwn({ value }: OverlayEntry): unknown {
    return value === undefined ? undefined : this.core.values.decode(value, 0, value.byteLength)
  }

  // --- writing -------------------------------------------------------------------------------------------------------------------------

  put(key: StoreKey, value: unknown, expiry: number): void {
    const { core } = this
    // A copy: the encoder of values may give the same memory twice, and bytes are the caller's.
    const encoded = new Uint8Array(core.values.encode(value))
    const bytes = core.keyBytes(key)
    this.overlay.set({ text: textOfBytes(bytes, 0, bytes.byteLength), bytes, value: encoded, expiry })
  }

  delete(key: StoreKey): void {
    const bytes = this.core.keyBytes(key)
    this.overlay.set({ text: textOfBytes(bytes, 0, bytes.byteLength), bytes, value: undefined, expiry: 0 })
  }

  deleteRange(range: RangeOptions): void {
    const { start, end, isEmpty } = this.core.bounds(range)
    if (isEmpty) return
    const options = copyOfRange(range)
    this.overlay.deleteRange(
      options,
      start === undefined ? '' : textOfBytes(start, 0, start.byteLength),
      end === undefined ? undefined : textOfBytes(end, 0, end.byteLength),
    )
  }

  // --- commit --------------------------------------------------------------------------------------------------------------------------

  /** The first read that a later commit has overtaken. */
  conflict(sequenceMax: number): ReadConflict | undefined {
    return findConflict(this.core.table, this.reads, sequenceMax)
  }

  /** All writes as rows: ranges first, see `overlay.ts`. */
  collect(writes: StoreWrites): void {
    const { core, overlay } = this
    for (const range of overlay.deleted) core.addRangeDelete(writes, range)
    for (const entry of overlay.entries) {
      const key = core.keys.decode(entry.bytes, 0, entry.bytes.byteLength)
      if (entry.value === undefined) core.addDelete(writes, key)
      else core.addPut(writes, key, this.decodeOwn(entry), entry.expiry)
    }
  }

  /** The key for an error's details; undefined for bytes that are no key. */
  describe(conflict: ReadConflict): StoreKey | undefined {
    const { key } = conflict
    return key === undefined ? undefined : this.core.keys.decode(key, 0, key.byteLength)
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
