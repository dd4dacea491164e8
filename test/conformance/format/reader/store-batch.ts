/** Store batches and store records: docs/FORMAT.md, section 6. */
import { Cursor, check, checksum, Damage, extensions, Newer, sameBytes } from './bytes.ts'
import { decompress } from './codecs.ts'

export interface Version {
  readonly ms: number
  readonly counter: number
  readonly node: number
}

export interface StoreRecord {
  readonly kind: number
  readonly sequence: number
  /** 0: none. */
  readonly expiry: number
  readonly version: Version | undefined
  readonly key: Buffer
  readonly value: Buffer
}

export interface StoreBatch {
  readonly size: number
  readonly baseOffset: number
  /** Exclusive. */
  readonly endOffset: number
  readonly baseSequence: number
  readonly time: number
  readonly epoch: number
  readonly records: readonly StoreRecord[]
}

export function readVersion(cursor: Cursor): Version {
  return { ms: cursor.u48(), counter: cursor.u16(), node: cursor.u32() }
}

export function readStoreRecord(cursor: Cursor): StoreRecord {
  const length = cursor.varint()
  const end = cursor.skip(length) + length
  const inner = new Cursor(cursor.bytes, end - length, end)
  const flags = inner.u8()
  if (flags > 31) throw new Newer(`store record flags ${flags}`)
  const sequence = inner.varint()
  const expiry = flags & 4 ? inner.varint() : 0
  check((flags & 4) === 0 || expiry > 0, 'an expiry of 0')
  const version = flags & 8 ? readVersion(inner) : undefined
  if (flags & 16) {
    const size = inner.varint()
    const at = inner.skip(size)
    extensions(inner.bytes, at, at + size)
  }
  const key = inner.take(inner.varint())
  return { kind: flags & 3, sequence, expiry, version, key, value: inner.take(end - inner.at) }
}

/** Less than 0 when `left` is the newer of two records of one key. */
export function newestFirst(left: StoreRecord, right: StoreRecord, isVersioned: boolean): number {
  if (isVersioned) {
    const [a, b] = [left.version, right.version]
    if (a === undefined || b === undefined) {
      if (a !== b) return a === undefined ? 1 : -1
    } else {
      const difference = b.ms - a.ms || b.counter - a.counter || b.node - a.node
      if (difference !== 0) return difference
    }
  }
  return right.sequence - left.sequence
}

/** Reads the batch that begins at `at`, all of it. */
export function readStoreBatch(bytes: Buffer, at: number, end: number): StoreBatch {
  const cursor = new Cursor(bytes, at, end)
  const size = cursor.u32()
  check(size >= 56 && size <= 2 ** 30 && at + size <= end, 'a store batch of an impossible size')
  const version = cursor.u8()
  const codec = cursor.u8()
  const flags = cursor.u16()
  if (flags & 1) {
    const expected = checksum(bytes.subarray(at, at + 40), bytes.subarray(at + 48, at + size))
    check(sameBytes(expected, bytes.subarray(at + 40, at + 48)), 'the checksum of a store batch')
  }
  if (version === 0) throw new Damage('store batch version 0')
  if (version > 1 || flags > 1) throw new Newer(`store batch version ${version}, flags ${flags}`)
  const header = { size, baseOffset: cursor.u64(), baseSequence: cursor.u64(), time: cursor.u64(), epoch: cursor.i32() }
  const count = cursor.u32()
  const sum = cursor.take(8)
  if (flags === 0) check(sameBytes(sum, Buffer.alloc(8)), 'a checksum without its flag')
  const headerSize = cursor.u16()
  check(headerSize >= 56 && headerSize <= size, 'a store batch header of an impossible size')
  cursor.zeros(6)
  extensions(bytes, at + 56, at + headerSize)
  const inner = recordsOf(bytes.subarray(at + headerSize, at + size), codec)
  const records: StoreRecord[] = []
  while (!inner.done) {
    const record = readStoreRecord(inner)
    check(record.sequence === header.baseSequence + records.length, 'the sequence of a store record')
    records.push(record)
  }
  check(records.length === count, 'the number of store records')
  return { ...header, endOffset: header.baseOffset + count, records }
}

function recordsOf(section: Buffer, codec: number): Cursor {
  if (codec === 0) return new Cursor(section)
  const outer = new Cursor(section)
  const size = outer.varint()
  const plain = decompress(codec, section.subarray(outer.at))
  check(plain.length === size, 'the size of compressed store records')
  return new Cursor(plain)
}
