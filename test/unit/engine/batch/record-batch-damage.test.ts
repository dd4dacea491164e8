/** Goal: whatever the bytes, reading them ends, with records or with a typed error. */
import { describe, expect, it } from 'vitest'
import * as format from '../../../../engine/batch/format.ts'
import { fillCrc, validateRecordBatch } from '../../../../engine/batch/record-batch.ts'
import { encodeRecordBatch } from '../../../../engine/batch/record-batch-codec.ts'
import { RecordCursor, validateRecords } from '../../../../engine/batch/record-cursor.ts'
import { write32BE, writeI64BE } from '../../../../engine/codec/fixed-width.ts'
import { VarveError } from '../../../../engine/errors.ts'
import { type Random, seeded } from '../codec/random.ts'

const cursor = new RecordCursor()

function sample(compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd' = 'none'): Uint8Array {
  const records = Array.from({ length: 12 }, (_, index) => ({
    key: index % 3 === 0 ? null : `key ${index}`,
    value: index % 5 === 0 ? null : `value ${index}`.repeat(index),
    timestamp: 1_700_000_000_000 + index * 1000,
    headers:
      index % 4 === 0
        ? [
            { key: 'trace', value: 'abc' },
            { key: 'empty', value: null },
          ]
        : [],
  }))
  return encodeRecordBatch(records, { compression, baseOffset: 1000 })
}

/** Reads all there is; a typed error's code, or 'whole'. Anything else that is thrown passes through. */
function read(bytes: Uint8Array): string {
  try {
    validateRecords(cursor, bytes, 0)
    return 'whole'
  } catch (error) {
    if (error instanceof VarveError) return error.code
    throw error
  }
}

/** What `next` finds, record by record, and how it ends. */
function walked(bytes: Uint8Array): string[] {
  const found: string[] = []
  try {
    cursor.open(bytes, 0)
    while (cursor.next()) {
      const { offset, timestamp, keySize, keyStart, valueSize, valueStart } = cursor
      const [start, end] = valueSize < 0 ? [-1, -1] : [valueStart, valueStart + valueSize]
      found.push([offset, timestamp, keyStart, keySize, start, end].join(' '))
    }
  } catch (error) {
    if (!(error instanceof VarveError)) throw error
    found.push(`${error.code} ${error.message}`)
  }
  return found
}

/** The same by `take`, some records at a time. */
function taken(bytes: Uint8Array, random: Random): string[] {
  const found: string[] = []
  const into = {
    starts: new Int32Array(16),
    ends: new Int32Array(16),
    keyStarts: new Int32Array(16),
    keySizes: new Int32Array(16),
    times: new Float64Array(16),
    offsets: new Float64Array(16),
  }
  let size = 0
  const add = (): void => {
    for (let i = 0; i < size; i++) {
      found.push([into.offsets[i], into.times[i], into.keyStarts[i], into.keySizes[i], into.starts[i], into.ends[i]].join(' '))
    }
  }
  try {
    cursor.open(bytes, 0)
    do {
      into.offsets.fill(-1)
      size = 0
      size = cursor.take(into, 0, 1 + random.below(5))
      size += cursor.take(into, size, 1 + random.below(5))
      add()
    } while (cursor.remaining > 0)
  } catch (error) {
    if (!(error instanceof VarveError)) throw error
    // Those before the record that is damaged.
    size = Math.max(0, into.offsets.indexOf(-1))
    add()
    found.push(`${error.code} ${error.message}`)
  }
  return found
}

describe('damaged record batches', () => {
  it('are cut off wherever they are cut', () => {
    const bytes = sample()
    for (let size = 0; size < bytes.length; size++) {
      expect(() => validateRecordBatch(bytes, 0, size, true)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      expect(read(bytes.slice(0, size))).toBe('CORRUPT')
    }
    expect(read(bytes)).toBe('whole')
  })

  it('are found by the checksum at every changed bit behind it', () => {
    const bytes = sample()
    for (let bit = format.ATTRIBUTES_AT * 8; bit < bytes.length * 8; bit += 3) {
      const damaged = bytes.slice()
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => validateRecordBatch(damaged, 0, damaged.length, true)).toThrow(VarveError)
    }
  })

  it('are refused with the reason, one field at a time', () => {
    const cases: readonly [reason: string, damage: (bytes: Uint8Array) => void][] = [
      ['magic', bytes => void (bytes[format.MAGIC_AT] = 1)],
      ['shorter', bytes => void write32BE(bytes, format.LENGTH_AT, 48)],
      ['shorter', bytes => void write32BE(bytes, format.LENGTH_AT, -1)],
      ['cut off', bytes => void write32BE(bytes, format.LENGTH_AT, bytes.length)],
      ['offsets', bytes => void writeI64BE(bytes, format.BASE_OFFSET_AT, -1)],
      ['offsets', bytes => void writeI64BE(bytes, format.BASE_OFFSET_AT, 2 ** 53 - 5)],
      ['safe', bytes => void (bytes[format.BASE_OFFSET_AT] = 1)],
      ['offsets', bytes => void write32BE(bytes, format.LAST_OFFSET_DELTA_AT, -1)],
      ['count', bytes => void write32BE(bytes, format.RECORD_COUNT_AT, -1)],
      ['count', bytes => void write32BE(bytes, format.RECORD_COUNT_AT, 13)],
      ['has records', bytes => void write32BE(bytes, format.RECORD_COUNT_AT, 0)],
      ['codec', bytes => void (bytes[format.ATTRIBUTES_AT + 1] = 5)],
      ['timestamp', bytes => void writeI64BE(bytes, format.MAX_TIMESTAMP_AT, -2)],
      ['epoch', bytes => void write32BE(bytes, format.EPOCH_AT, -2)],
      ['safe', bytes => void (bytes[format.PRODUCER_ID_AT] = 1)],
    ]
    for (const [reason, damage] of cases) {
      const bytes = sample()
      damage(bytes)
      expect(() => validateRecordBatch(bytes, 0, bytes.length, false), reason).toThrow(reason)
    }
  })

  it('are refused when the records are not those that the header counts', () => {
    const bytes = sample()
    write32BE(bytes, format.RECORD_COUNT_AT, 11)
    expect(() => validateRecords(cursor, bytes, 0)).toThrow('after the last record')
    write32BE(bytes, format.LAST_OFFSET_DELTA_AT, 12)
    write32BE(bytes, format.RECORD_COUNT_AT, 13)
    expect(() => validateRecords(cursor, bytes, 0)).toThrow('cut off')
    write32BE(bytes, format.RECORD_COUNT_AT, 12)
    write32BE(bytes, format.LAST_OFFSET_DELTA_AT, 10)
    expect(() => validateRecordBatch(bytes, 0, bytes.length, false)).toThrow('count')
  })

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    it(`${compression}: random changes give records or a typed error, and nothing hangs`, async () => {
      const codes = new Set<string>()
      await seeded(random => {
        const good = sample(compression)
        for (let round = 0; round < 1500; round++) {
          const bytes = good.slice()
          const from = random.below(2) === 0 ? 0 : format.RECORD_BATCH_HEADER_BYTES
          for (let changes = 1 + random.below(5); changes > 0; changes--) {
            bytes[from + random.below(bytes.length - from)] = random.pick([0, 0xff, 0x80, 0x7f, random.below(256)])
          }
          codes.add(read(bytes))
        }
      })
      expect([...codes].filter(code => !['whole', 'CORRUPT', 'TOO_LARGE'].includes(code))).toEqual([])
    })
  }

  it('are the same to whoever takes many records at a time, damaged or whole, at the end of the bytes too', async () => {
    await seeded(random => {
      for (let round = 0; round < 600; round++) {
        const records = Array.from({ length: 1 + random.below(20) }, () => ({
          key: random.below(3) === 0 ? null : random.bytes(random.below(random.pick([2, 100]))),
          value: random.below(5) === 0 ? null : random.bytes(random.below(random.pick([3, 70, 300, 3000]))),
          timestamp: random.pick([5, 1_700_000_000_000]) + random.integer(random.pick([6, 14, 30, 40]), false),
          headers: random.below(10) === 0 ? [{ key: 'h', value: 'x' }] : [],
        }))
        const bytes = encodeRecordBatch(records, { baseOffset: random.integer(40, false) })
        expect(taken(bytes, random)).toEqual(walked(bytes))
        for (let changes = random.below(4); changes > 0; changes--) {
          const from = format.RECORD_BATCH_HEADER_BYTES
          bytes[from + random.below(Math.min(40, bytes.length - from))] = random.pick([0, 0xff, 0x80, 0x7f, 1, 3, random.below(256)])
        }
        expect(taken(bytes, random)).toEqual(walked(bytes))
      }
    })
  })

  it('random bytes behind a sound header give records or a typed error', async () => {
    await seeded(random => {
      for (let round = 0; round < 1000; round++) {
        const bytes = sample()
        bytes.set(random.bytes(random.below(bytes.length - 61)), 61)
        fillCrc(bytes, 0)
        expect(['whole', 'CORRUPT']).toContain(read(bytes))
        expect(['whole', 'CORRUPT']).toContain(read(random.bytes(random.below(200))))
      }
    })
  })
})
