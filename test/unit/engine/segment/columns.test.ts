/**
 * Goal: what a column builder is given comes back from the bytes as it was, in the encoding that its values call for; tables and columns that are cut or changed are damage, and never
 * read beyond their end.
 */
import { describe, expect, test } from 'vitest'
import { ColumnReader } from '../../../../compute/rows/column-chunks.ts'
import { vectorOf } from '../../../../engine/field/vector-builder.ts'
import { ColumnBuilder } from '../../../../engine/segment/column-builder.ts'
import { ColumnIndex } from '../../../../engine/segment/column-index.ts'
import { columnLayout } from '../../../../engine/segment/column-layout.ts'

/** The values after a way through bytes; undefined: they are no column. */
function roundTrip(
  values: readonly unknown[],
  builder: ColumnBuilder = new ColumnBuilder(),
): { values: unknown[]; kind: string } | undefined {
  // In pieces, as batches come.
  for (let at = 0; at < values.length; at += 7) {
    const piece = values.slice(at, at + 7)
    builder.append(vectorOf(piece), piece.length)
  }
  const column = builder.finish()
  builder.clear()
  if (column.length === 0) return undefined
  const vector = new ColumnReader('f').read({ columnBytes: () => column.length, read: () => column })
  return { values: values.map((_, row) => vector.get(row)), kind: columnLayout(column).kind }
}

const numbers = (count: number, of: (i: number) => unknown): unknown[] => Array.from({ length: count }, (_, i) => of(i))

const cases: readonly (readonly [name: string, kind: string, values: readonly unknown[]])[] = [
  ['nulls', 'nothing', numbers(20, () => null)],
  ['a sequence', 'integers', numbers(100, i => 1000 + i)],
  ['a constant with nulls', 'integers', numbers(100, i => (i % 3 === 0 ? null : -5))],
  ['bytes', 'integers', numbers(100, i => i * 2)],
  ['two bytes', 'integers', numbers(100, i => i * 600)],
  ['four bytes, below zero', 'integers', numbers(100, i => i * 40_000_000 - 2 ** 31)],
  ['large whole numbers', 'doubles', [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0]],
  ['minus zero', 'doubles', [1, -0, 2]],
  ['doubles', 'doubles', [0.5, Number.NaN, Number.POSITIVE_INFINITY, null, 2 ** 60]],
  ['truth values', 'booleans', numbers(50, i => [true, false, null][i % 3])],
  ['few texts', 'dictionary', numbers(1000, i => ['', 'Zürich', null, '😀'][i % 4])],
  ['more than 256 texts', 'dictionary', numbers(1000, i => (i % 9 === 0 ? null : `t${i % 300}`))],
  ['many texts', 'texts', numbers(20_000, i => (i % 9 === 0 ? null : `text ${i}`))],
  ['many texts without nulls', 'texts', numbers(17_000, i => String(i))],
]

describe('columns', () => {
  test.each(cases)('give %s back, as %s', (_name, kind, values) => {
    const found = roundTrip(values)
    expect(found?.kind).toBe(kind)
    expect(found?.values.every((value, row) => Object.is(value, values[row]))).toBe(true)
  })

  test('are none of values of several kinds or of others, and a builder goes on behind them', () => {
    const builder = new ColumnBuilder()
    for (const values of [[1, 'a'], ['a', true], [true, 1], [1n], [new Date(0)], [null, [1]]])
      expect(roundTrip(values, builder)).toBeUndefined()
    for (const [, kind, values] of cases) expect(roundTrip(values, builder)?.kind).toBe(kind)
  })

  test('are damage when they are cut or say what cannot be', () => {
    const builder = new ColumnBuilder()
    for (const [, , values] of cases) {
      builder.append(vectorOf(values), values.length)
      const column = builder.finish()
      builder.clear()
      if (column.length > 24) expect(() => columnLayout(column.slice(0, Math.floor(column.length / 2)))).toThrow(/column is cut off/)
      for (const [at, value] of [
        [0, 6],
        [1, 3],
        [2, 4],
      ] as const) {
        const wrong = column.slice()
        wrong[at] = value
        expect(() => columnLayout(wrong)).toThrow(/not known/)
      }
    }
  })

  test('have tables that are damage when they are cut or name other blocks', () => {
    // One field, one group of three blocks and ten rows, one column of 24 bytes.
    const table = Uint8Array.from([1, 0, 1, 0, 0, 0, 1, 0, 0x61, 3, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 24, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
    const index = new ColumnIndex(table, 3)
    expect([index.fields, index.groupCount, index.byteCount, index.rows(0), index.isPlain(0), index.endBlock(0)]).toEqual([
      ['a'],
      1,
      24,
      10,
      true,
      3,
    ])
    for (let size = 0; size < table.length; size++) expect(() => new ColumnIndex(table.slice(0, size), 3)).toThrow(/table of columns/)
    expect(() => new ColumnIndex(table, 4)).toThrow(/do not end with the blocks/)
    const odd = table.slice()
    odd[21] = 25
    expect(() => new ColumnIndex(odd, 3)).toThrow(/impossible size/)
  })
})
