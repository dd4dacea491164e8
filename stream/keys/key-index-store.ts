/**
 * One generation of a topic's index of keys: an internal store with the offsets of the records of each key, and how far it has come in each partition, written
 * by the same commit. Owned by `KeyIndex`, which feeds it with slices of the log in order.
 *
 * It may say too much (records that retention, compaction or an abort has taken since), never too little.
 * Invariant: a record of the log is in it exactly if its offset is below the position of its partition; and is committed before it enters.
 */
import {
  isControlBatch,
  isTransactionalBatch,
  type LocalLog,
  type LogSlice,
  RecordCursor,
  recordExpiresAt,
  type Store,
} from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import {
  decodeList,
  decodePlace,
  encodeList,
  encodePlace,
  entryOf,
  FLAG_EXPIRES,
  FLAG_TOMBSTONE,
  FLAG_TRANSACTIONAL,
  INDEXED_KEY_BYTES_MAX,
  type KeyPlace,
  keyPrefix,
  LIST_ENTRIES_MAX,
  lastEntry,
  listRow,
  offsetOfEntry,
  placeRow,
} from './key-rows.ts'

/** Which records of a key. */
export interface KeyRange {
  /** Offsets at or above it. */
  readonly from?: number
  /** Offsets below it. */
  readonly before?: number
  /** Newest first. */
  readonly reverse?: boolean
}

/** Read at a time; what comes of it is one commit or a few. */
export const sliceBytesMax: number = 256 * 1024

/** Of one commit. */
const pieceBytes = 512 * 1024

interface Put {
  readonly type: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
}

const cursor = new RecordCursor()
const namePrefix = '__keys-'

function storeName(topicId: number, generation: number): string {
  return `${namePrefix}${topicId}-${generation}`
}

/** Generations of a topic's index that there are, oldest first. */
export function generationsOf(host: StreamHost, topicId: number): number[] {
  const prefix = `store/${namePrefix}${topicId}-`
  return host
    .list()
    .filter(({ name }) => name.startsWith(prefix))
    .map(({ name }) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b)
}

/** Names of the logs of a topic's index. */
export function keyIndexLogs(host: StreamHost, topicId: number): string[] {
  return generationsOf(host, topicId).map(generation => `store/${storeName(topicId, generation)}`)
}

export class KeyIndexStore {
  readonly generation: number
  /** Why the newest write was refused; known a microtask after it. */
  failure: unknown
  readonly #store: Store<Uint8Array, Uint8Array>
  readonly #places: KeyPlace[] = []

  constructor(host: StreamHost, topicId: number, generation: number) {
    this.generation = generation
    this.#store = host.store(storeName(topicId, generation), { keys: 'bytes', value: 'bytes' })
  }

  /** Records that were indexed, over all partitions. */
  get entries(): number {
    return this.#places.reduce((sum, { entries }) => sum + entries, 0)
  }

  /** Entries at most that stand for records which are gone: offsets that were trimmed or cleaned since the index was begun. */
  staleEntries(log: LocalLog, partition: number): number {
    const { start, cleaned } = this.#place(log, partition)
    return Math.max(0, log.startOffset - start) + Math.max(0, log.cleanedTo - cleaned)
  }

  /** The writer has failed: what is stored is what is durable, and may be less than what was written. */
  reload(): void {
    this.#places.length = 0
  }

  /** The offset to read on from. */
  position(log: LocalLog, partition: number): number {
    return Math.max(this.#place(log, partition).position, log.startOffset)
  }

  #place(log: LocalLog, partition: number): KeyPlace {
    let place = this.#places[partition]
    if (place === undefined) {
      const stored = this.#store.get(placeRow(partition))
      const { startOffset: start, cleanedTo: cleaned } = log
      place = stored === undefined ? { position: start, entries: 0, start, cleaned } : decodePlace(stored)
      this.#places[partition] = place
    }
    return place
  }

  /** Takes up a slice that was read at `position`. False when the database accepts no writes now: `failure` says why, and the rest is still to be read. */
  take(log: LocalLog, partition: number, slice: LogSlice): boolean {
    const pieces: { readonly changes: Changes; readonly position: number }[] = []
    let changes = new Changes()
    walkKeys(slice, this.position(log, partition), (data, start, end, offset, flags) => {
      if (changes.bytes > pieceBytes) {
        pieces.push({ changes, position: offset })
        changes = new Changes()
      }
      changes.add(partition, data, start, end, entryOf(offset, flags))
    })
    pieces.push({ changes, position: slice.nextOffset })
    return pieces.every(piece => this.#write(log, partition, piece.changes, piece.position))
  }

  #write(log: LocalLog, partition: number, { byKey, count }: Changes, position: number): boolean {
    const place = this.#place(log, partition)
    const next = { ...place, position, entries: place.entries + count }
    // A position alone is not worth a commit: what has no keys is walked again after a restart.
    if (count > 0) {
      const puts: Put[] = []
      const oldest = entryOf(log.startOffset, 0)
      for (const { prefix, entries } of byKey.values()) this.#putLists(puts, prefix, entries, oldest)
      const key = placeRow(partition)
      const value = encodePlace(next)
      puts.push({ type: 'put', key, value })
      this.failure = undefined
      // Durable with whatever is synced next: what a crash takes is read again.
      this.#store.batch(puts, { durability: 'none' }).catch(error => void (this.failure = error))
      const stored = this.#store.get(key)
      if (stored === undefined || Buffer.compare(stored, value) !== 0) return false
    }
    this.#places[partition] = next
    return true
  }

  /** The list of a key's newest records with more at its end, and lists that are full. */
  #putLists(puts: Put[], prefix: Uint8Array, added: readonly number[], oldest: number): void {
    const stored = this.#store.get(prefix)
    let entries = stored === undefined || lastEntry(stored) < oldest ? [] : decodeList(stored)
    if (entries.length > 0 && (entries[0] as number) < oldest) entries = entries.filter(entry => entry >= oldest)
    for (const entry of added) {
      if (entries.length === LIST_ENTRIES_MAX) {
        puts.push({ type: 'put', key: listRow(prefix, offsetOfEntry(entries[0] as number)), value: encodeList(entries) })
        entries = []
      }
      entries.push(entry)
    }
    puts.push({ type: 'put', key: prefix, value: encodeList(entries) })
  }

  /** The newest entry of a key; undefined when it has none. */
  newest(partition: number, key: Uint8Array): number | undefined {
    const stored = this.#store.get(keyPrefix(partition, key, 0, key.length))
    return stored === undefined ? undefined : lastEntry(stored)
  }

  /** Entries of a key in order, or back. */
  *entriesOf(partition: number, key: Uint8Array, range: KeyRange): Iterable<number> {
    const prefix = keyPrefix(partition, key, 0, key.length)
    const newest = this.#store.get(prefix)
    if (newest === undefined) return
    const head = decodeList(newest)
    const { from = 0, before = Number.MAX_SAFE_INTEGER, reverse = false } = range
    if (reverse) {
      yield* within(head.reverse(), range)
      for (const list of this.#store.values({ gte: listRow(prefix, 0), lt: listRow(prefix, before), reverse }))
        yield* within(decodeList(list).reverse(), range)
      return
    }
    if (from < offsetOfEntry(head[0] as number)) {
      // The list that `from` lies in begins before it.
      const [first = listRow(prefix, 0)] = this.#store.keys({
        gte: listRow(prefix, 0),
        lte: listRow(prefix, from),
        reverse: true,
        limit: 1,
      })
      for (const list of this.#store.values({ gte: first, lt: listRow(prefix, before) })) yield* within(decodeList(list), range)
    }
    yield* within(head, range)
  }
}

function* within(entries: readonly number[], { from = 0, before = Number.MAX_SAFE_INTEGER }: KeyRange): Iterable<number> {
  for (const entry of entries) if (offsetOfEntry(entry) >= from && offsetOfEntry(entry) < before) yield entry
}

/** Entries that are added by one commit, by key. */
class Changes {
  readonly byKey = new Map<string, { readonly prefix: Uint8Array; readonly entries: number[] }>()
  /** Of entries. */
  count = 0
  /** About what the rows will have. */
  bytes = 0

  add(partition: number, data: Uint8Array, start: number, end: number, entry: number): void {
    const text = Buffer.from(data.buffer, data.byteOffset + start, end - start).toString('latin1')
    const known = this.byKey.get(text)
    if (known === undefined) {
      const prefix = keyPrefix(partition, data, start, end)
      this.byKey.set(text, { prefix, entries: [entry] })
      this.bytes += prefix.length + 64
    } else known.entries.push(entry)
    this.count++
    this.bytes += 8
  }
}

/** Visits the keys of a slice's records at and above `from`; those that are too long to be indexed are left out. */
export function walkKeys(
  { bytes, positions }: LogSlice,
  from: number,
  visit: (data: Uint8Array, keyStart: number, keyEnd: number, offset: number, flags: number) => void,
): void {
  for (const at of positions) {
    if (isControlBatch(bytes, at)) continue
    const ofBatch = isTransactionalBatch(bytes, at) ? FLAG_TRANSACTIONAL : 0
    cursor.open(bytes, at)
    const { data } = cursor
    while (cursor.next()) {
      const { keySize, keyStart, offset } = cursor
      if (offset < from || keySize < 0 || keySize > INDEXED_KEY_BYTES_MAX) continue
      const ofValue = cursor.valueSize < 0 ? FLAG_TOMBSTONE : 0
      const expires = cursor.headerCount > 0 && recordExpiresAt(cursor) >= 0 ? FLAG_EXPIRES : 0
      visit(data, keyStart, keyStart + keySize, offset, ofBatch | ofValue | expires)
    }
    cursor.close()
  }
}
