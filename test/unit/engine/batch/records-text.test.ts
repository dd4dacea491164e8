import { describe, expect, it } from 'vitest'
import { RecordsText } from '../../../../engine/batch/records-text.ts'
import { STORE_DELETE, STORE_PUT } from '../../../../engine/batch/store-format.ts'
import { StoreRecordCursor, storeRecordSize, writeStoreRecord } from '../../../../engine/batch/store-record.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import { RowWindow, type ScanMoment } from '../../../../engine/store/row-window.ts'

interface Row {
  readonly kind: number
  readonly sequence: number
  readonly key: Buffer
  readonly value: Buffer
  readonly expiry: number
}

function write(rows: readonly Row[], before: number): { bytes: Uint8Array; end: number } {
  const size = rows.reduce(
    (sum, { sequence, key, value, expiry }) => sum + storeRecordSize(sequence, key.length, value.length, expiry, false),
    0,
  )
  const bytes = new Uint8Array(before + size + 10).fill(0xff)
  let at = before
  for (const { kind, sequence, key, value, expiry } of rows) {
    at = writeStoreRecord(bytes, at, kind, sequence, key, 0, key.length, value, 0, value.length, expiry)
  }
  return { bytes, end: at }
}

const moment: ScanMoment = { sequenceMax: Number.MAX_SAFE_INTEGER, now: 0, hasRangeDeletes: false, covers: () => false }

function othersBeforeKeys(bytes: Uint8Array, start: number, end: number): number {
  const cursor = new StoreRecordCursor()
  cursor.reset(bytes, start, end)
  let count = 0
  while (cursor.next()) for (let at = cursor.start; at < cursor.keyStart; at++) if ((bytes[at] ?? 0) >= 0x80) count++
  return count
}

describe('RecordsText', () => {
  // Goal: the text is given exactly when every key and value is ASCII, whatever numbers stand before them, and cuts to what the bytes say.
  it('is a text of records whose keys and values are ASCII, and of no others', () => {
    const random = new SimRandom(4711)
    let texts = 0
    for (let round = 0; round < 200; round++) {
      const odd = random.below(3) === 0 ? random.below(20) : -1
      const expires = random.below(2) === 0
      const rows: Row[] = Array.from({ length: 20 }, (_, i) => ({
        kind: random.below(5) === 0 ? STORE_DELETE : STORE_PUT,
        sequence: Math.floor(2 ** (random.below(50) + random.below(1000) / 1000)),
        key: Buffer.from(`key${'x'.repeat(random.below(random.below(10) === 0 ? 200 : 20))}`),
        value: Buffer.from(i === odd ? 'größe' : 'v'.repeat(random.below(random.below(10) === 0 ? 300 : 100))),
        expiry: expires && random.below(6) === 0 ? 1_700_000_000_000 + random.below(1000) : 0,
      }))
      const before = random.below(50)
      const { bytes, end } = write(rows, before)
      const lines = new RecordsText(bytes, before, end)
      const text = lines.ascii
      expect(text === false).toBe(odd >= 0)
      // The same from who counted what is not ASCII while it looked for rows.
      const rowsOfAll = new RowWindow()
      rowsOfAll.fill(bytes, before, end, 20, moment, false, { bytes, start: 0, size: -1 })
      if (!rows.some(({ expiry }) => expiry > 0)) expect(rowsOfAll.othersBeforeKeys).toBe(othersBeforeKeys(bytes, before, end))
      const told = new RecordsText(bytes, before, end)
      told.tellOthers(rowsOfAll.othersBeforeKeys)
      expect(told.ascii).toBe(text)
      if (text === false) continue
      texts++
      const cursor = new StoreRecordCursor()
      cursor.reset(bytes, before, end)
      for (const { key, value } of rows) {
        expect(cursor.next()).toBe(true)
        const start = cursor.keyStart - lines.start
        expect(text.substring(start, start + cursor.keyBytes)).toBe(key.toString())
        expect(text.substring(start + cursor.keyBytes, cursor.end - lines.start)).toBe(value.toString())
      }
    }
    expect(texts).toBeGreaterThan(80)
  })

  // Goal: a large value is not kept in memory by the key that was read with it.
  it('is none for a long stretch', () => {
    const { bytes, end } = write(
      [{ kind: STORE_PUT, sequence: 7, key: Buffer.from('key'), value: Buffer.alloc(20_000, 'v'), expiry: 0 }],
      0,
    )
    expect(new RecordsText(bytes, 0, end).ascii).toBe(false)
  })
})
