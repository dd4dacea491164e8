/**
 * A memtable: the index of one store's records in one arena. It copies no keys and no values; it names records by their positions.
 *
 * Owned by the store, which adds every record as it is committed; leased readers open a description of a moment in other threads.
 * - *Points*: a hash table, open addressing, linear probing. A slot is (reference, hash lane); the whole lane is kept, so that nearly every miss
 *   touches no record and growing touches none at all. A reference above 0 is 1 + the position of a key's only version; one below 0 is -1 - the
 *   number of the newest version's entry; 0 is none.
 * - *Entries*: one per record, in the order of adding: its position and the reference to the version of the same key before it.
 * - *Range deletes*: in a list of their own (`memtable-range-deletes.ts`); they are entries, but not in the hash table.
 * - *Order*: nothing until the first cursor, then sorted chunks (`memtable-chunks.ts`).
 *
 * Invariant: all of it is shared memory that only this thread writes. An entry never changes. A slot changes only its reference, from none to a
 * key's first version and on to newer ones, and is written last and atomically, so that whoever reads it finds the entry behind it. Slots and
 * entries grow together into other buffers, so that a description's old ones stay complete; those that no description has are used again. A reader of a moment passes over newer versions by
 * entry number, position and sequence.
 */
import { STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { createKeyHash, hashKey, type KeyHash, sameKey } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { assert } from '../errors.ts'
import { type MemtableEntries, MemtableOrder, stepRecords } from './memtable-chunks.ts'
import type { MemtableCursor } from './memtable-cursor.ts'
import { MemtableRangeDeletes } from './memtable-range-deletes.ts'
import { giveSharedNumbers, takeSharedNumbers } from './shared-numbers.ts'

/** Positions and entry numbers are below this, so that references are small integers. */
const positionLimit = 2 ** 30
const slotsFirst = 64
/** Slots grow fourfold below this, then twofold. */
const slotsLarge = 16_384

/** A moment of a memtable, to be opened in this thread or another one. Structured-clonable; all memory in it is shared. */
export interface MemtableDescription {
  readonly arenaNumber: number
  readonly count: number
  readonly firstSequence: number
  readonly lastSequence: number
  /** Position in the arena after the last record. */
  readonly limit: number
  readonly slots: Int32Array
  readonly entries: Int32Array
  readonly rangeDeletes: Uint32Array
  readonly rangeDeleteCount: number
  /** The records that are in order already: the oldest ones. */
  readonly chunks: readonly Uint32Array[]
}

export class Memtable implements MemtableEntries {
  readonly arenaNumber: number
  readonly bytes: Uint8Array
  readonly #readOnly: boolean
  readonly #expected: number
  #count: number
  #firstSequence: number
  #lastSequence: number
  #limit: number
  /** Two numbers a slot: reference, hash lane. */
  #slots: Int32Array
  /** Two numbers an entry: position, reference to the version before. */
  #entries: Int32Array
  readonly #rangeDeletes: MemtableRangeDeletes
  #order: MemtableOrder | undefined
  /** A lease may read its memory. */
  #isDescribed = false
  readonly #hash: KeyHash = createKeyHash()
  readonly #probe: StoreRecordCursor = new StoreRecordCursor()

  /**
   * An empty memtable for the records of arena `arenaNumber`, whose shared memory is `bytes`. `expected`: how many records may come; the index is made for so many
   * at once, because moving a hundred thousand slots takes milliseconds, in which nothing else goes on. `moment`: see `open`.
   */
  constructor(arenaNumber: number, bytes: Uint8Array, expected: number = 0, moment?: MemtableDescription) {
    assert(bytes.length <= positionLimit, 'positions of an arena are below 2^30', bytes.length)
    assert(moment === undefined || moment.arenaNumber === arenaNumber, 'the moment is of this arena', arenaNumber, moment?.arenaNumber)
    this.arenaNumber = arenaNumber
    this.bytes = bytes
    this.#readOnly = moment !== undefined
    this.#expected = expected
    this.#count = moment?.count ?? 0
    this.#firstSequence = moment?.firstSequence ?? -1
    this.#lastSequence = moment?.lastSequence ?? -1
    this.#limit = moment?.limit ?? 0
    this.#slots = moment?.slots ?? takeSharedNumbers(0)
    this.#entries = moment?.entries ?? takeSharedNumbers(0)
    this.#rangeDeletes = new MemtableRangeDeletes(bytes, moment?.rangeDeletes, moment?.rangeDeleteCount, moment?.limit)
    this.#order = moment === undefined || moment.chunks.length === 0 ? undefined : new MemtableOrder(moment.chunks)
    assert(this.#limit <= bytes.length, 'the records of the moment lie in the arena', this.#limit, bytes.length)
  }

  /** The moment that was described, read-only. `bytes` is the arena's memory as this thread has it. */
  static open(description: MemtableDescription, bytes: Uint8Array): Memtable {
    return new Memtable(description.arenaNumber, bytes, 0, description)
  }

  /** Records, range deletes included. */
  get count(): number {
    return this.#count
  }

  /** Sequence of the oldest record; -1 when empty. */
  get firstSequence(): number {
    return this.#firstSequence
  }

  /** Sequence of the newest record; -1 when empty. */
  get lastSequence(): number {
    return this.#lastSequence
  }

  get rangeDeleteCount(): number {
    return this.#rangeDeletes.count
  }

  /** Position in `bytes` after the last record: nothing behind it is read. */
  get limit(): number {
    return this.#limit
  }

  /** For `MemtableOrder`. */
  get entries(): Int32Array {
    return this.#entries
  }

  /** Memory of the index, the arena aside. */
  get indexBytes(): number {
    return this.#slots.byteLength + this.#entries.byteLength + this.#rangeDeletes.bytes + (this.#order?.bytes ?? 0)
  }

  /** Adds the record on which `record` stands in `bytes`. Records come in commit order: sequences ascend. */
  add(record: StoreRecordCursor): void {
    assert(!this.#readOnly, 'a described moment takes no records', this.#count)
    assert(record.buffer === this.bytes, 'the record lies in the arena', this.arenaNumber)
    assert(record.sequence > this.#lastSequence, 'sequences ascend', record.sequence, this.#lastSequence)
    const entry = this.#count
    if (entry * 2 === this.#entries.length) this.#grow()
    this.#entries[entry * 2] = record.start
    if (record.kind === STORE_RANGE_DELETE) this.#rangeDeletes.add(record)
    else this.#addPoint(record, entry)
    if (entry === 0) this.#firstSequence = record.sequence
    this.#lastSequence = record.sequence
    if (record.end > this.#limit) this.#limit = record.end
    this.#count = entry + 1
    if (this.#order !== undefined && this.#count % stepRecords === 0) this.#order.step(this)
  }

  /**
   * Finds the newest put, delete or pointer of the key with a sequence of at most `sequenceMax` and puts it under `record`; false when there
   * is none, which leaves `record` anywhere. `hash` is the key hash with seed 0. Range deletes are not looked at.
   */
  find(key: Uint8Array, start: number, size: number, hash: KeyHash, sequenceMax: number, record: StoreRecordCursor): boolean {
    if (this.#count === 0) return false
    const { bytes } = this
    const slots = this.#slots
    const limit = this.#limit
    const mask = (slots.length >>> 1) - 1
    const lane = hash[1]!
    for (let slot = lane & mask; ; slot = (slot + 1) & mask) {
      const newest = Atomics.load(slots, slot * 2)
      if (newest === 0) return false
      if (slots[slot * 2 + 1] !== lane) continue
      let reference = this.#withinMoment(newest)
      if (reference === 0) continue
      record.readAt(bytes, this.#positionOf(reference), limit)
      if (record.keyBytes !== size || !sameKey(bytes, record.keyStart, key, start, size)) continue
      const largest = sequenceMax < this.#lastSequence ? sequenceMax : this.#lastSequence
      while (record.sequence > largest) {
        reference = this.#before(reference)
        if (reference === 0) return false
        record.readAt(bytes, this.#positionOf(reference), limit)
      }
      return true
    }
  }

  /** The largest sequence <= `sequenceMax` of a range delete [key, value) that covers the key; -1 when there is none. */
  coveringRangeDelete(key: Uint8Array, start: number, size: number, sequenceMax: number): number {
    return this.#rangeDeletes.covering(key, start, size, sequenceMax)
  }

  /**
   * All records of this moment in order of (key, newest first); it stands before the first. The first cursor sorts everything (up to 65,536
   * records at a time), later ones only what came since; a store that is read in order opens one early. `former`: a cursor of the caller's that is no
   * longer used; it is given again where it walks the same records.
   */
  cursor(former?: MemtableCursor): MemtableCursor {
    this.#order ??= new MemtableOrder()
    return this.#order.cursor(this, former)
  }

  /** Hands the keys of up to `count` records to `visit`, evenly spread over those that came; of range deletes, where they begin. */
  sampleKeys(count: number, visit: (bytes: Uint8Array, start: number, size: number) => void): void {
    const record = this.#probe
    const step = Math.max(1, Math.ceil(this.#count / count))
    for (let entry = 0; entry < this.#count; entry += step) {
      record.readAt(this.bytes, this.#entries[entry * 2]!, this.#limit)
      visit(this.bytes, record.keyStart, record.keyBytes)
    }
  }

  /** This moment, for a lease. What is added later is not seen by those who open it. */
  describe(): MemtableDescription {
    this.#isDescribed = true
    return {
      arenaNumber: this.arenaNumber,
      count: this.#count,
      firstSequence: this.#firstSequence,
      lastSequence: this.#lastSequence,
      limit: this.#limit,
      slots: this.#slots,
      entries: this.#entries,
      rangeDeletes: this.#rangeDeletes.positions,
      rangeDeleteCount: this.#rangeDeletes.count,
      chunks: this.#order?.chunks ?? [],
    }
  }

  /** The newest version of the slot's key that belongs to this moment; 0 when all are newer. Reads no record. */
  #withinMoment(newest: number): number {
    let reference = newest
    while (reference < 0 && -1 - reference >= this.#count) reference = this.#before(reference)
    return reference > this.#limit ? 0 : reference
  }

  #positionOf(reference: number): number {
    return reference > 0 ? reference - 1 : this.#entries[(-1 - reference) * 2]!
  }

  #before(reference: number): number {
    return reference > 0 ? 0 : this.#entries[(-1 - reference) * 2 + 1]!
  }

  #addPoint(record: StoreRecordCursor, entry: number): void {
    const { bytes } = this
    const slots = this.#slots
    const probe = this.#probe
    const mask = (slots.length >>> 1) - 1
    hashKey(bytes, record.keyStart, record.keyBytes, this.#hash)
    const lane = this.#hash[1]!
    for (let slot = lane & mask; ; slot = (slot + 1) & mask) {
      const newest = slots[slot * 2]!
      if (newest === 0) {
        slots[slot * 2 + 1] = lane
        Atomics.store(slots, slot * 2, record.start + 1)
        return
      }
      if (slots[slot * 2 + 1] !== lane) continue
      probe.readAt(bytes, this.#positionOf(newest), this.#limit)
      if (probe.keyBytes !== record.keyBytes || !sameKey(bytes, probe.keyStart, bytes, record.keyStart, record.keyBytes)) continue
      this.#entries[entry * 2 + 1] = newest
      Atomics.store(slots, slot * 2, -1 - entry)
      return
    }
  }

  /** Five entries for eight slots at most. Slots are moved in their order, which fills the new ones from two places onwards. */
  #grow(): void {
    const old = this.#slots
    const count = old.length === 0 ? slotsFor(this.#expected) : (old.length / 2) * (old.length / 2 < slotsLarge ? 4 : 2)
    const slots = takeSharedNumbers(count * 2)
    const entries = takeSharedNumbers((count / 8) * 5 * 2)
    const mask = count - 1
    entries.set(this.#entries)
    for (let from = 0; from < old.length; from += 2) {
      if (old[from] === 0) continue
      const lane = old[from + 1]!
      let slot = lane & mask
      while (slots[slot * 2] !== 0) slot = (slot + 1) & mask
      slots[slot * 2 + 1] = lane
      slots[slot * 2] = old[from]!
    }
    this.#giveBack()
    this.#slots = slots
    this.#entries = entries
  }

  /** Nobody will read it again: its memory is used for something else, unless a lease may have it. */
  retire(): void {
    assert(!this.#readOnly, 'who opened a moment does not own its memory', this.#count)
    this.#giveBack()
    this.#slots = takeSharedNumbers(0)
    this.#entries = takeSharedNumbers(0)
  }

  #giveBack(): void {
    if (this.#isDescribed) return
    giveSharedNumbers(this.#slots)
    giveSharedNumbers(this.#entries)
  }
}

/** How many slots a memtable of so many records grows to. */
function slotsFor(records: number): number {
  let count = slotsFirst
  while ((count / 8) * 5 < records) count *= 2
  return count
}
