/** Goal: store batches and records have exactly the documented bytes, come back as written, and never mislead a reader when they are damaged. */
import { beforeAll, describe, expect, test } from 'vitest'
import {
  checkStoreBatch,
  fillStoreBatchChecksum,
  isStoreBatchChecksumFilled,
  openStoreBatch,
  StoreBatchWriter,
  storeBatchBaseOffset,
  storeBatchBaseSequence,
  storeBatchCodec,
  storeBatchCount,
  storeBatchEpoch,
  storeBatchHeaderSize,
  storeBatchSize,
  storeBatchTimestamp,
} from '../../../../engine/batch/store-batch.ts'
import { STORE_DELETE, STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { compareNewestFirst, StoreRecordCursor } from '../../../../engine/batch/store-record.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { isVarveError } from '../../../../engine/errors.ts'
import { fromHex, hex, type Random, seeded } from '../codec/random.ts'
import { type PlainBatch, type PlainRecord, plain, storeBatch, storeRecord } from '../segment/fixtures.ts'

beforeAll(loadChecksums)

const records = [
  { kind: STORE_PUT, key: 'ada', value: 'lovelace' },
  { kind: STORE_DELETE, key: 'bob', expiry: 300 },
  { kind: STORE_RANGE_DELETE, key: 'c', value: 'd', version: { ms: 2 ** 40 + 5, counter: 258, node: 0x01020304 } },
  { kind: STORE_POINTER, key: '', value: 'x' },
]

function readAll(bytes: Uint8Array): PlainRecord[] {
  const cursor = new StoreRecordCursor()
  openStoreBatch(cursor, bytes, 0)
  const found: PlainRecord[] = []
  while (cursor.next()) found.push(plain(cursor))
  return found
}

describe('bytes', () => {
  test('a record is length, flags, sequence, optional fields, key, value', () => {
    expect(hex(storeRecord({ kind: STORE_PUT, key: 'ab', value: 'xyz', sequence: 300 }))).toBe(
      '09' + '00' + 'ac02' + '02' + '6162' + '78797a',
    )
    expect(hex(storeRecord({ kind: STORE_DELETE, key: 'k', sequence: 1, expiry: 128 }))).toBe('06' + '05' + '01' + '8001' + '01' + '6b')
    const versioned = storeRecord({
      kind: STORE_PUT,
      key: 'k',
      value: '',
      sequence: 1,
      version: { ms: 0x010203040506, counter: 0x0708, node: 0x090a0b0c },
    })
    expect(hex(versioned)).toBe('10' + '08' + '01' + '060504030201' + '0807' + '0c0b0a09' + '01' + '6b')
  })

  test('a batch is its header and its records', () => {
    const bytes = storeBatch({
      baseOffset: 5,
      baseSequence: 7,
      timestamp: 1000,
      epoch: -1,
      records: [{ kind: STORE_PUT, key: 'a', value: 'b' }],
    })
    expect(hex(bytes)).toBe(
      '3e000000' +
        '01' +
        '00' +
        '0000' +
        '0500000000000000' +
        '0700000000000000' +
        'e803000000000000' +
        'ffffffff' +
        '01000000' +
        '0000000000000000' +
        '3800' +
        '000000000000' +
        '05' +
        '00' +
        '07' +
        '01' +
        '61' +
        '62',
    )
  })

  test('header accessors read what was written', () => {
    const bytes = storeBatch({ baseOffset: 2 ** 40, baseSequence: 2 ** 52, timestamp: 1234567890123, epoch: 3, records })
    expect(storeBatchSize(bytes, 0)).toBe(bytes.length)
    expect(storeBatchBaseOffset(bytes, 0)).toBe(2 ** 40)
    expect(storeBatchBaseSequence(bytes, 0)).toBe(2 ** 52)
    expect(storeBatchTimestamp(bytes, 0)).toBe(1234567890123)
    expect(storeBatchEpoch(bytes, 0)).toBe(3)
    expect(storeBatchCount(bytes, 0)).toBe(4)
    expect(checkStoreBatch(bytes, 0)).toBe(bytes.length)
  })
})

describe('round trips', () => {
  test.each([0, 1])('every kind and field, codec %i', codec => {
    const many = Array.from({ length: 50 }, () => records).flat()
    const bytes = storeBatch({ baseOffset: 0, baseSequence: 100, codec, checksum: true, records: many })
    expect(storeBatchCodec(bytes, 0)).toBe(codec)
    expect(readAll(bytes)).toEqual(many.map((record, i) => ({ ...record, sequence: 100 + i })))
    expect(checkStoreBatch(bytes, 0)).toBe(bytes.length)
  })

  test('records that do not shrink stay uncompressed', () => {
    const bytes = storeBatch({ baseOffset: 0, baseSequence: 1, codec: 1, records: records.slice(0, 1) })
    expect(storeBatchCodec(bytes, 0)).toBe(0)
    expect(readAll(bytes)).toHaveLength(1)
  })

  test('a large batch has the same checksum rule as a small one', () => {
    const bytes = storeBatch({
      baseOffset: 0,
      baseSequence: 1,
      checksum: true,
      records: [{ kind: STORE_PUT, key: 'k', value: 'v'.repeat(100_000) }],
    })
    expect(checkStoreBatch(bytes, 0)).toBe(bytes.length)
    bytes[90_000]! ^= 1
    expect(() => checkStoreBatch(bytes, 0)).toThrow('checksum')
  })

  test('batches lie at any position, and the checksum may be filled later and twice', () => {
    const batch = storeBatch({ baseOffset: 0, baseSequence: 1, records })
    const bytes = new Uint8Array(batch.length + 20).fill(0xff)
    bytes.set(batch, 13)
    expect(isStoreBatchChecksumFilled(bytes, 13)).toBe(false)
    fillStoreBatchChecksum(bytes, 13)
    const once = bytes.slice()
    fillStoreBatchChecksum(bytes, 13)
    expect(bytes).toEqual(once)
    expect(checkStoreBatch(bytes, 13, 13 + batch.length)).toBe(13 + batch.length)
  })

  test('extensions of the header are carried, and must be understood when their tag is odd', () => {
    const write = (tag: number): Uint8Array => {
      const facts = { baseOffset: 0, baseSequence: 0, timestamp: 0, epoch: 0, extensions: [{ tag, bytes: Uint8Array.of(1, 2, 3) }] }
      const bytes = new Uint8Array(storeBatchHeaderSize(facts.extensions))
      const writer = new StoreBatchWriter()
      writer.begin(bytes, 0, facts)
      return bytes.subarray(0, writer.finish())
    }
    expect(checkStoreBatch(write(2), 0)).toBe(61)
    expect(() => checkStoreBatch(write(3), 0)).toThrow(expect.objectContaining({ code: 'NEWER_FORMAT' }))
  })

  test('extensions of a record are skipped', () => {
    const bytes = fromHex('09 10 05 03 02 01 ff 01 6b 76')
    const cursor = new StoreRecordCursor()
    cursor.reset(bytes, 0, bytes.length)
    expect(cursor.next()).toBe(true)
    expect(cursor.extensionStart).toBe(3)
    expect(plain(cursor)).toEqual({ kind: STORE_PUT, key: 'k', sequence: 5, value: 'v' })
  })
})

describe('damage', () => {
  const codeOf = (bytes: Uint8Array): string | undefined => {
    try {
      checkStoreBatch(bytes, 0)
      return undefined
    } catch (error) {
      if (!isVarveError(error)) throw error
      return error.code
    }
  }

  test('unknown record flags and versions are newer, not damaged', () => {
    const flags = storeBatch({ baseOffset: 0, baseSequence: 1, records: records.slice(0, 1) })
    flags[57] = 0x20
    expect(codeOf(flags)).toBe('NEWER_FORMAT')
    const version = storeBatch({ baseOffset: 0, baseSequence: 1, records })
    version[4] = 2
    expect(codeOf(version)).toBe('NEWER_FORMAT')
  })

  test('every flipped bit of a batch with a checksum is noticed', () => {
    const bytes = storeBatch({ baseOffset: 3, baseSequence: 1, checksum: true, records })
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >>> 3]! ^= 1 << (bit & 7)
      if (bit === 48) continue // the flag that says there is a checksum: without it the batch is a valid one
      expect(codeOf(flipped), `bit ${bit}`).toBeDefined()
    }
  })

  test('every truncation is noticed', () => {
    const bytes = storeBatch({ baseOffset: 3, baseSequence: 1, records })
    for (let size = 0; size < bytes.length; size++) expect(codeOf(bytes.slice(0, size))).toBe('CORRUPT')
  })

  test('a record out of sequence, one too many and one too few are noticed', () => {
    const batch: PlainBatch = { baseOffset: 3, baseSequence: 1, records }
    for (const [at, value] of [
      [16, 2],
      [36, 3],
      [36, 5],
    ] as const) {
      const bytes = storeBatch(batch)
      bytes[at] = value
      expect(codeOf(bytes)).toBe('CORRUPT')
    }
  })

  test('random bytes never crash, hang or read outside', async () => {
    await seeded(random => {
      for (let i = 0; i < 5000; i++) {
        const bytes = random.below(2) === 0 ? random.bytes(random.below(120)) : mutated(random)
        expect(() => codeOf(bytes)).not.toThrow()
      }
    })
  })

  function mutated(random: Random): Uint8Array {
    const bytes = storeBatch({
      baseOffset: 3,
      baseSequence: 1,
      codec: random.below(2),
      records: [...records, ...records, ...records, ...records],
    })
    for (let i = random.below(4); i >= 0; i--) bytes[random.below(bytes.length)] = random.below(256)
    return bytes
  }
})

test('newest first: by version in versioned stores, by sequence elsewhere', () => {
  const at = (record: Partial<PlainRecord>): StoreRecordCursor => {
    const cursor = new StoreRecordCursor()
    const bytes = storeRecord({ kind: STORE_PUT, key: 'k', sequence: 1, ...record })
    cursor.readAt(bytes, 0, bytes.length)
    return cursor
  }
  const old = at({ sequence: 9, version: { ms: 1, counter: 5, node: 9 } })
  const young = at({ sequence: 3, version: { ms: 2, counter: 0, node: 0 } })
  expect(compareNewestFirst(young, old, true)).toBeLessThan(0)
  expect(compareNewestFirst(young, old, false)).toBeGreaterThan(0)
  expect(compareNewestFirst(at({ sequence: 50 }), old, true)).toBeGreaterThan(0)
  expect(compareNewestFirst(at({ version: { ms: 1, counter: 6, node: 0 } }), old, true)).toBeLessThan(0)
  expect(compareNewestFirst(at({ version: { ms: 1, counter: 5, node: 10 } }), old, true)).toBeLessThan(0)
  expect(compareNewestFirst(at({ sequence: 4 }), at({ sequence: 4 }), true)).toBe(0)
})
