/**
 * The indexes of one store: what follows from the rows of a commit in its index logs and in its expiry queue, in the same commit.
 *
 * `StoreCore.append` hands over the rows once they are collected. For each key that they touch, the record before the commit and the last row decide:
 * entries that only the old one made are removed, entries of the new one are put, and unique values are checked as the commit will leave them. So two
 * writes of a key in one batch are right, and two keys may swap a unique value. Whether an index is built does not matter here: entries of keys
 * that the build has not reached are removed without harm, and it will find the newest record.
 *
 * Owned by `Stores`, one a core. Invariant: a built index has exactly the entries of the store's newest records (expired ones until they are swept).
 */
import { STORE_DELETE, STORE_PUT, STORE_RANGE_DELETE } from '../batch/store-format.ts'
import { StoreWrites } from '../batch/store-writes.ts'
import { assert, VarveError } from '../errors.ts'
import type { LocalCommit } from '../log/committer.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { coverOf, type DeletedRange, joined, rowOver } from './deleted-cover.ts'
import type { ExpiryQueue } from './expiry.ts'
import { type EntryRule, endOf, entriesOfValue, indexedValues, keyText, primaryKeyOf, ruleOf, startOf } from './index-entries.ts'
import type { StoredIndex } from './index-options.ts'
import type { StoreKey } from './key-codec.ts'
import type { StoreCore } from './store-core.ts'
import { StoreCursor } from './store-cursor.ts'
import type { StoreTable } from './store-table.ts'

const builtSlot = 'built'
const noBytes = new Uint8Array(0)

/** One index: its log, what makes entries, and how far it is built. */
export class Index {
  readonly name: string
  readonly log: LogicalLog
  readonly table: StoreTable
  readonly stored: StoredIndex
  readonly rule: EntryRule
  /** Why the build stopped; tried again when the index is declared again. */
  failure: VarveError | undefined
  /** Rows of the commit under way. */
  writes: StoreWrites = new StoreWrites()
  /** Unique values of the commit under way: text of the value's bytes -> text of the primary key. */
  readonly claimed: Map<string, string> = new Map()

  constructor(name: string, log: LogicalLog, table: StoreTable, stored: StoredIndex) {
    this.name = name
    this.log = log
    this.table = table
    this.stored = stored
    this.rule = ruleOf(stored)
  }

  /** Moments from this commit sequence on can be read; undefined while it is being built. */
  get builtSequence(): number | undefined {
    if (this.stored.complete) return 0
    const slot = this.log.metadata.get(builtSlot)
    return slot === undefined ? undefined : Number(new TextDecoder().decode(slot))
  }

  /** Adds the durable mark that everything is in it. */
  markBuilt(commit: LocalCommit, sequence: number): void {
    commit.setMetadata(this.log, builtSlot, new TextEncoder().encode(String(sequence)))
  }

  begin(): void {
    this.writes.clear()
    this.claimed.clear()
  }

  put(key: Uint8Array, expiry: number): void {
    this.writes.add(STORE_PUT, key, 0, key.length, noBytes, 0, 0, expiry)
  }

  delete(key: Uint8Array): void {
    this.writes.add(STORE_DELETE, key, 0, key.length, noBytes, 0, 0, 0)
  }

  /** Bytes of the primary key that an entry with these values points to, other than those that `isOwn` accepts; undefined: none. */
  holder(
    values: readonly StoreKey[],
    sequenceMax: number,
    now: number,
    isOwn: (primaryKey: Uint8Array) => boolean,
  ): Uint8Array | undefined {
    const cursor = new StoreCursor(this.table, { start: startOf(values), end: endOf(values), sequenceMax, now })
    while (cursor.next()) {
      const { buffer, keyStart, keyBytes } = cursor.record
      const primaryKey = primaryKeyOf(buffer, keyStart, keyStart + keyBytes)
      if (!isOwn(primaryKey)) return primaryKey
    }
    return undefined
  }
}

/** A key that a commit touches. */
interface Touched {
  readonly key: Uint8Array
  /** The put that remains; -1: it is deleted. */
  row: number
  /** The last row that names it; -1: none does, a range delete covers it. */
  last: number
}

/** A record's part in an index. */
interface RecordState {
  readonly value: unknown
  /** Absolute ms; 0: none. */
  readonly expiry: number
}

export class StoreIndexes {
  readonly #core: StoreCore
  readonly #byName = new Map<string, Index>()
  readonly expiry: ExpiryQueue
  readonly #dropLog: (logName: string) => Promise<void>
  #lastCommit: LocalCommit | undefined
  /** Entries of indexes are being collected. */
  #isCollecting = false

  /** `dropLog`: drops a log in this turn; resolves when durable. */
  constructor(core: StoreCore, expiry: ExpiryQueue, dropLog: (logName: string) => Promise<void>) {
    this.#core = core
    this.expiry = expiry
    this.#dropLog = dropLog
  }

  add(index: Index): void {
    this.#byName.set(index.name, index)
  }

  /** Indexes that were not dropped. */
  live(): Index[] {
    for (const [name, index] of this.#byName) if (index.log.dropped) this.#byName.delete(name)
    return [...this.#byName.values()]
  }

  find(name: string): Index | undefined {
    const index = this.#byName.get(name)
    return index === undefined || index.log.dropped ? undefined : index
  }

  /** NOT_FOUND when there is none. */
  get(name: string): Index {
    const index = this.find(name)
    if (index !== undefined) return index
    const store = this.#core.name
    throw new VarveError('NOT_FOUND', `store ${store} has no index ${name}`, { details: { store, index: name } })
  }

  /** NOT_FOUND when there is none. Its log is dropped in this turn, and with it what writes owe to it. */
  async drop(name: string): Promise<void> {
    await this.#dropLog(this.get(name).log.name)
  }

  /**
   * Adds what follows from the rows to the commit. Once a commit and store: the second time could not see the first one's rows. Throws UNIQUE, or TOO_LARGE
   * for an entry beyond the size of a key; nothing is written then. TypeError within `collect`.
   */
  append(commit: LocalCommit, writes: StoreWrites): void {
    if (this.#isCollecting) throw new TypeError(`store ${this.#core.name}: its value codec must not write to it, values are being indexed`)
    assert(commit !== this.#lastCommit, 'rows of a store come once a commit')
    this.#lastCommit = commit
    const indexes = this.#byName.size === 0 ? [] : this.live()
    if (indexes.length > 0) this.collect(() => this.#maintain(commit, writes, indexes))
    else if (writes.hasExpiry) this.expiry.appendAll(commit, writes)
  }

  /** True when nothing follows from the rows: no index is there, nothing expires. */
  concernsNothing(writes: StoreWrites): boolean {
    return this.#byName.size === 0 && !writes.hasExpiry && !this.#isCollecting
  }

  /** Runs what decodes records and gathers rows of indexes: a value codec that writes meanwhile would void what was looked up, and mix its rows with these. */
  collect<T>(gather: () => T): T {
    this.#isCollecting = true
    try {
      return gather()
    } finally {
      this.#isCollecting = false
    }
  }

  #maintain(commit: LocalCommit, writes: StoreWrites, indexes: readonly Index[]): void {
    const core = this.#core
    const touched = this.#touched(writes)
    const now = core.host.now()
    this.expiry.begin()
    for (const index of indexes) index.begin()
    for (const [text, { key, row }] of touched) {
      const before = this.#before(key)
      const after =
        row < 0 ? undefined : { value: core.values.decode(writes.value(row), 0, writes.value(row).length), expiry: writes.expiry(row) }
      for (const index of indexes) {
        this.#change(index, key, before, after)
        const counts = after !== undefined && !(after.expiry > 0 && after.expiry <= now)
        if (index.stored.unique && counts) this.#claim(index, key, text, after.value, now, touched)
      }
      this.expiry.change(key, before?.expiry ?? 0, after?.expiry ?? 0)
    }
    for (const { log, writes: rows } of indexes) if (rows.count > 0) commit.appendWrites(log, rows)
    this.expiry.append(commit)
  }

  /** The newest record of the key before the commit, expired or not. */
  #before(key: Uint8Array): RecordState | undefined {
    const core = this.#core
    const record = core.table.find(key, 0, key.length, Number.MAX_SAFE_INTEGER)
    if (record === undefined) return undefined
    const { expiry } = record
    return { value: core.decode(record), expiry }
  }

  #change(index: Index, key: Uint8Array, before: RecordState | undefined, after: RecordState | undefined): void {
    const old = before === undefined ? undefined : entriesOfValue(index.rule, before.value, key)
    const fresh = after === undefined ? undefined : entriesOfValue(index.rule, after.value, key)
    if (old !== undefined) for (const [text, entry] of old) if (fresh === undefined || !fresh.has(text)) index.delete(entry)
    if (fresh === undefined || after === undefined) return
    for (const [text, entry] of fresh) if (before?.expiry !== after.expiry || !(old?.has(text) ?? false)) index.put(entry, after.expiry)
  }

  /** UNIQUE when another key has one of the values, as the commit leaves them. */
  #claim(index: Index, key: Uint8Array, text: string, value: unknown, now: number, touched: ReadonlyMap<string, Touched>): void {
    for (const values of indexedValues(index.rule, value)) {
      const claim = keyText(startOf(values))
      const claimant = index.claimed.get(claim)
      if (claimant !== undefined && claimant !== text) throw uniqueError(this.#core, index, key, Buffer.from(claimant, 'latin1'))
      index.claimed.set(claim, text)
      // Keys of this commit lose the values they had; those they have after it are among the claims.
      const holder = index.holder(values, Number.MAX_SAFE_INTEGER, now, primaryKey => touched.has(keyText(primaryKey)))
      if (holder !== undefined) throw uniqueError(this.#core, index, key, holder)
    }
  }

  /** Keys that the rows touch, by the text of their bytes; those of range deletes by walking over what they cover together, once. */
  #touched(writes: StoreWrites): Map<string, Touched> {
    const touched = new Map<string, Touched>()
    const deletes: DeletedRange[] = []
    for (let row = 0; row < writes.count; row++) {
      const key = writes.key(row)
      if (writes.kind(row) === STORE_RANGE_DELETE) deletes.push({ start: key.slice(), end: writes.value(row).slice(), row })
      else touch(touched, key, row, writes.kind(row) === STORE_DELETE)
    }
    if (deletes.length === 0) return touched
    const covers = coverOf(deletes)
    for (const item of touched.values()) if (rowOver(covers, item.key) > item.last) item.row = -1
    for (const { start, end } of joined(covers)) {
      const cursor = this.#core.cursor({ start, end, sequenceMax: Number.MAX_SAFE_INTEGER, now: 0 })
      while (cursor.next()) {
        const { buffer, keyStart, keyBytes } = cursor.record
        const text = keyText(buffer, keyStart, keyStart + keyBytes)
        // One that is written too was judged above.
        if (!touched.has(text)) touched.set(text, { key: buffer.slice(keyStart, keyStart + keyBytes), row: -1, last: -1 })
      }
    }
    return touched
  }
}

function touch(touched: Map<string, Touched>, key: Uint8Array, row: number, isDelete: boolean): void {
  const text = keyText(key)
  const known = touched.get(text)
  if (known === undefined) touched.set(text, { key, row: isDelete ? -1 : row, last: row })
  else {
    known.row = isDelete ? -1 : row
    known.last = row
  }
}

export function uniqueError(core: StoreCore, index: Index, keyBytes: Uint8Array, holderBytes: Uint8Array): VarveError {
  const key = core.keys.decode(keyBytes, 0, keyBytes.length)
  const holder = core.keys.decode(holderBytes, 0, holderBytes.length)
  return new VarveError('UNIQUE', `store ${core.name}: another key has the value of ${String(key)} in the unique index ${index.name}`, {
    details: { store: core.name, index: index.name, key, holder },
  })
}
