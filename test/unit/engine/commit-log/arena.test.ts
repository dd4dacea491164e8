/** Goal: an arena in memory that another one has used says what was put into it, and nothing of what stands there still; its index grows as any other's. */
import { expect, test } from 'vitest'
import { Arena, INDEX_BASE_OFFSET, INDEX_LOG_ID, INDEX_STATE } from '../../../../engine/commit-log/arena.ts'

test('an index that was used before begins empty, and grows', () => {
  const first = new Arena(1, new Uint8Array(new SharedArrayBuffer(1024)), 0, false)
  for (let row = 0; row < 300; row++) first.addIndexRow(7, row, 1, row, row + 1, 0, 0, 3)
  const second = new Arena(2, first.bytes, 5000, false, first.index)
  expect([second.indexCount, second.viewNow().indexCount, second.used, second.baseLsn]).toEqual([0, 0, 0, 5000])
  expect(second.memoryBytes).toBe(1024 + first.index.byteLength)
  const { length } = second.index
  for (let row = 0; row < 2000; row++) expect(second.addIndexRow(9, row, 1, 10 + row, 11 + row, 0, 0, 0)).toBe(row)
  expect(second.index.length).toBeGreaterThan(length)
  for (const row of [0, 299, 300, 1999])
    expect([INDEX_LOG_ID, INDEX_BASE_OFFSET, INDEX_STATE].map(column => second.cell(row, column))).toEqual([9, 10 + row, 0])
})
