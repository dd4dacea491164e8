/**
 * Numbers, checksums and extension fields of docs/FORMAT.md, section 1, for the second reader. Written from that page; imports nothing of the engine.
 */
import xxhash from 'xxhash-wasm'

/** Bytes are not what was written. */
export class Damage extends Error {}
/** A newer version wrote it. */
export class Newer extends Error {}

const { h64Raw } = await xxhash()

/** xxh64 with seed 0 of the pieces as one message, as it is stored. */
export function checksum(...pieces: Uint8Array[]): Buffer {
  const stored = Buffer.alloc(8)
  stored.writeBigUInt64LE(h64Raw(pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)))
  return stored
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

export function check(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Damage(message)
}

export function safe(value: bigint): number {
  check(value >= -(2n ** 53n - 1n) && value < 2n ** 53n, 'a number above 2^53 - 1')
  return Number(value)
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** CRC-32C (Castagnoli). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** Reads one thing after the other and never behind the end. */
export class Cursor {
  readonly bytes: Buffer
  at: number
  readonly end: number

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.at = at
    this.end = end
    check(at <= end && end <= bytes.length, 'a range outside its bytes')
  }

  get done(): boolean {
    return this.at === this.end
  }

  /** Position of the next `size` bytes, which are passed over. */
  skip(size: number): number {
    const at = this.at
    check(size >= 0 && at + size <= this.end, 'bytes are cut off')
    this.at = at + size
    return at
  }
  take(size: number): Buffer {
    const at = this.skip(size)
    return this.bytes.subarray(at, at + size)
  }
  zeros(size: number): void {
    check(
      this.take(size).every(byte => byte === 0),
      'bytes that must be zero',
    )
  }
  u8(): number {
    return this.bytes.readUInt8(this.skip(1))
  }
  u16(): number {
    return this.bytes.readUInt16LE(this.skip(2))
  }
  u32(): number {
    return this.bytes.readUInt32LE(this.skip(4))
  }
  i32(): number {
    return this.bytes.readInt32LE(this.skip(4))
  }
  u48(): number {
    return this.bytes.readUIntLE(this.skip(6), 6)
  }
  u64(): number {
    return safe(this.bytes.readBigUInt64LE(this.skip(8)))
  }
  i64(): number {
    return safe(this.bytes.readBigInt64LE(this.skip(8)))
  }

  varint(): number {
    let value = 0n
    for (let shift = 0n; shift < 56n; shift += 7n) {
      const byte = this.u8()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return safe(value)
    }
    throw new Damage('a varint is too long')
  }
  /** The coded number may have 54 bits, so it does not go through `varint`. */
  zigzag(): number {
    let coded = 0n
    for (let shift = 0n; shift < 56n; shift += 7n) {
      const byte = this.u8()
      coded |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return safe(coded & 1n ? -(coded >> 1n) - 1n : coded >> 1n)
    }
    throw new Damage('a varint is too long')
  }
}

/** The extension fields in a range, by tag. `known` are the tags that the caller understands. */
export function extensions(bytes: Uint8Array, start: number, end: number, known: readonly number[] = []): Map<number, Buffer> {
  const cursor = new Cursor(bytes, start, end)
  const fields = new Map<number, Buffer>()
  let before = -1
  while (!cursor.done) {
    const tag = cursor.varint()
    check(tag > before, 'extension tags do not ascend')
    if (tag % 2 === 1 && !known.includes(tag)) throw new Newer(`extension ${tag}`)
    fields.set(tag, cursor.take(cursor.varint()))
    before = tag
  }
  return fields
}
