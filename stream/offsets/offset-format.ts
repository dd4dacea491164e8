/**
 * The records of the internal topic `__consumer_offsets`, numbers big-endian. docs/TOPICS.md has the layout for readers.
 *
 *   key    version u8 = 1 | kind u8 | group: length u16, UTF-8 | kind 0: topic id u64, partition u32
 *   value  kind 0, a committed offset: offset u64 | time of the commit u64, ms | metadata, UTF-8, to the end
 *          kind 1, when a group was last in use: live u8 (1: it has members) | time u64, ms | generation u32
 *
 * A record without a value takes back what its key says. The topic's id, not its name, is in the key: a renamed topic keeps its offsets, and a new topic
 * with the name of a deleted one begins without any.
 */
import { VarveError } from '../../engine/index.ts'

export const OFFSET_KEY_VERSION = 1
export const KIND_OFFSET = 0
export const KIND_GROUP = 1
/** Longest group name, bytes of UTF-8. */
export const GROUP_BYTES_MAX = 1000
/** Longest metadata of a committed offset, bytes of UTF-8 (Kafka's `offset.metadata.max.bytes`). */
export const METADATA_BYTES_MAX = 4096

/** What a key names. */
export interface OffsetKey {
  readonly kind: typeof KIND_OFFSET | typeof KIND_GROUP
  readonly group: string
  /** 0 for kind 1, as `partition`. */
  readonly topicId: number
  readonly partition: number
}

export interface CommittedOffset {
  /** Offset of the next record to process. */
  readonly offset: number
  readonly metadata: string
  /** Milliseconds since 1970. */
  readonly timestamp: number
}

export interface GroupUse {
  /** It had members when this was written. */
  readonly live: boolean
  /** Since when, milliseconds since 1970. */
  readonly timestamp: number
  /** The newest that there was. */
  readonly generation: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** A record of each commit: bytes are written one by one, since views and encoders made for a few of them would cost more than the rest of a commit. */
export function encodeOffsetKey({ kind, group, topicId, partition }: OffsetKey): Uint8Array {
  const size = Buffer.byteLength(group)
  const key = new Uint8Array(4 + size + (kind === KIND_OFFSET ? 12 : 0))
  key[0] = OFFSET_KEY_VERSION
  key[1] = kind
  key[2] = size >>> 8
  key[3] = size
  if (size === group.length) for (let i = 0; i < size; i++) key[4 + i] = group.charCodeAt(i)
  else encoder.encodeInto(group, key.subarray(4))
  if (kind === KIND_OFFSET) {
    setU64(key, 4 + size, topicId)
    setU32(key, 12 + size, partition)
  }
  return key
}

/** undefined for a key of a version or kind that is not known here. CORRUPT for one that is cut off. */
export function decodeOffsetKey(key: Uint8Array): OffsetKey | undefined {
  const view = viewOf(key)
  if (key.length < 4) throw damaged('key')
  const kind = view.getUint8(1)
  if (view.getUint8(0) !== OFFSET_KEY_VERSION || (kind !== KIND_OFFSET && kind !== KIND_GROUP)) return undefined
  const end = 4 + view.getUint16(2)
  if (key.length !== end + (kind === KIND_OFFSET ? 12 : 0)) throw damaged('key')
  const group = decoder.decode(key.subarray(4, end))
  if (kind === KIND_GROUP) return { kind, group, topicId: 0, partition: 0 }
  return { kind, group, topicId: getU64(view, end), partition: view.getUint32(end + 8) }
}

export function encodeCommittedOffset({ offset, metadata, timestamp }: CommittedOffset): Uint8Array {
  const value = new Uint8Array(16 + (metadata === '' ? 0 : Buffer.byteLength(metadata)))
  setU64(value, 0, offset)
  setU64(value, 8, timestamp)
  if (metadata !== '') encoder.encodeInto(metadata, value.subarray(16))
  return value
}

export function decodeCommittedOffset(value: Uint8Array): CommittedOffset {
  if (value.length < 16) throw damaged('offset')
  const view = viewOf(value)
  return { offset: getU64(view, 0), timestamp: getU64(view, 8), metadata: decoder.decode(value.subarray(16)) }
}

export function encodeGroupUse({ live, timestamp, generation }: GroupUse): Uint8Array {
  const value = new Uint8Array(13)
  value[0] = live ? 1 : 0
  setU64(value, 1, timestamp)
  setU32(value, 9, generation)
  return value
}

export function decodeGroupUse(value: Uint8Array): GroupUse {
  if (value.length !== 13) throw damaged('group')
  const view = viewOf(value)
  return { live: view.getUint8(0) === 1, timestamp: getU64(view, 1), generation: view.getUint32(9) }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

function setU64(bytes: Uint8Array, at: number, value: number): void {
  setU32(bytes, at, Math.floor(value / 0x1_0000_0000))
  setU32(bytes, at + 4, value)
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
}

function damaged(what: string): VarveError {
  return new VarveError('CORRUPT', `a record of __consumer_offsets has a ${what} that is cut off`)
}
