/**
 * Rows of the store in which a topic keeps its index of keys. Fixed numbers are big-endian.
 *
 *   newest records of a key   0 u8 | partition u32 | key, escaped | 00 00               ->  list
 *   older ones, list by list  0 u8 | partition u32 | key, escaped | 00 00 | first u64   ->  list; `first`: the first offset in it
 *   a partition               1 u8 | partition u32                                      ->  position, entries, start, cleaned: u64 each (see `KeyPlace`)
 *
 * A list is the newest entry as u64, then the difference of each entry to the one before as a varint; an entry is offset * 8 + flags. A zero byte of a key
 * becomes 00 FF: so no key's rows lie among those of another one.
 */

const KIND_KEY = 0
const KIND_PLACE = 1
/** Longest key that is indexed, bytes: escaped it must fit a key of a store. */
export const INDEXED_KEY_BYTES_MAX: number = 16 * 1024
/** The record has no value: compaction may have dropped it. */
export const FLAG_TOMBSTONE = 1
/** The record belongs to a transaction of a producer: it may be open or aborted. */
export const FLAG_TRANSACTIONAL = 2

/** The record expires: compaction may have dropped it. */
export const FLAG_EXPIRES = 4
const flagStates = 8
/** Entries of a list that gets a row of its own. */
export const LIST_ENTRIES_MAX = 64

/** How far a partition is indexed. */
export interface KeyPlace {
  /** All below is indexed. */
  position: number
  /** Records indexed of the partition since the index was begun. */
  entries: number
  /** The log's `startOffset` and `cleanedTo` when it was begun. */
  readonly start: number
  readonly cleaned: number
}

/** What the rows of a key begin with. */
export function keyPrefix(partition: number, data: Uint8Array, start: number, end: number): Uint8Array {
  let zeros = 0
  for (let i = start; i < end; i++) if (data[i] === 0) zeros++
  const prefix = new Uint8Array(5 + end - start + zeros + 2)
  prefix[0] = KIND_KEY
  setU32(prefix, 1, partition)
  if (zeros === 0) {
    if (end - start > 32) prefix.set(data.subarray(start, end), 5)
    else for (let i = start; i < end; i++) prefix[5 + i - start] = data[i] as number
    return prefix
  }
  let at = 5
  for (let i = start; i < end; i++) {
    const byte = data[i] as number
    prefix[at++] = byte
    if (byte === 0) prefix[at++] = 0xff
  }
  return prefix
}

/** The row of a full list, by the first offset in it. */
export function listRow(prefix: Uint8Array, first: number): Uint8Array {
  const row = new Uint8Array(prefix.length + 8)
  row.set(prefix)
  setU64(row, prefix.length, first)
  return row
}

/** An offset with its flags as one number. */
export function entryOf(offset: number, flags: number): number {
  return offset * flagStates + flags
}

export function offsetOfEntry(entry: number): number {
  return Math.floor(entry / flagStates)
}

export function flagsOfEntry(entry: number): number {
  return entry % flagStates
}

/** Entries ascend; see the head of this file. */
export function encodeList(entries: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 + entries.length * 8)
  setU64(bytes, 0, entries.at(-1) as number)
  let at = 8
  let last = 0
  for (const entry of entries) {
    let delta = entry - last
    last = entry
    for (; delta >= 128; delta = Math.floor(delta / 128)) bytes[at++] = (delta % 128) + 128
    bytes[at++] = delta
  }
  return bytes.subarray(0, at)
}

/** The newest entry of a list. */
export function lastEntry(bytes: Uint8Array): number {
  return getU64(bytes, 0)
}

export function decodeList(bytes: Uint8Array): number[] {
  const entries: number[] = []
  let entry = 0
  for (let at = 8; at < bytes.length; ) {
    let byte = bytes[at++] as number
    let delta = byte & 127
    for (let scale = 128; byte >= 128; scale *= 128) {
      byte = bytes[at++] as number
      delta += (byte & 127) * scale
    }
    entry += delta
    entries.push(entry)
  }
  return entries
}

/** The row of a partition. */
export function placeRow(partition: number): Uint8Array {
  const row = new Uint8Array(5)
  row[0] = KIND_PLACE
  setU32(row, 1, partition)
  return row
}

export function encodePlace({ position, entries, start, cleaned }: KeyPlace): Uint8Array {
  const bytes = new Uint8Array(32)
  for (const [index, value] of [position, entries, start, cleaned].entries()) setU64(bytes, index * 8, value)
  return bytes
}

export function decodePlace(bytes: Uint8Array): KeyPlace {
  return { position: getU64(bytes, 0), entries: getU64(bytes, 8), start: getU64(bytes, 16), cleaned: getU64(bytes, 24) }
}

function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function setU64(bytes: Uint8Array, at: number, value: number): void {
  setU32(bytes, at, Math.floor(value / 0x1_0000_0000))
  setU32(bytes, at + 4, value >>> 0)
}

function getU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  )
}

function getU64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) * 0x1_0000_0000 + getU32(bytes, at + 4)
}
