/** Columns of a part: docs/FORMAT.md, "Columns". Decodes every one, and compares what it says with the records. */
import { Cursor, check, checksum, sameBytes } from './bytes.ts'

/** A record as columns know it. */
export interface ColumnRow {
  readonly value: Buffer | null
  /** Of topics. */
  readonly time?: number
  readonly offset?: number
}

interface Group {
  readonly endBlock: number
  readonly rows: number
  readonly columns: readonly { readonly size: number; readonly sum: Buffer }[]
}

function readTable(table: Buffer): { readonly fields: readonly string[]; readonly groups: readonly Group[] } {
  const cursor = new Cursor(table)
  const fieldCount = cursor.u16()
  const groupCount = cursor.u32()
  const fields = Array.from({ length: fieldCount }, () => cursor.take(cursor.u16()).toString())
  const groups = Array.from({ length: groupCount }, (): Group => {
    const [endBlock, rows, flags] = [cursor.u32(), cursor.u32(), cursor.u32()]
    check(flags < 2, 'the flags of a group of columns')
    return { endBlock, rows, columns: Array.from({ length: fieldCount }, () => ({ size: cursor.u32(), sum: cursor.take(8) })) }
  })
  check(cursor.done, 'bytes behind a table of columns')
  return { fields, groups }
}

/** Bytes of all columns of a table. */
export function columnsSize(table: Buffer): number {
  return readTable(table).groups.reduce((sum, { columns }) => sum + columns.reduce((all, { size }) => all + size, 0), 0)
}

/** `blocks`: of each block its records; `bytes` begin with the first column. Values that are JSON are compared too. */
export function checkColumns(table: Buffer, bytes: Buffer, blocks: readonly (readonly ColumnRow[])[]): void {
  const { fields, groups } = readTable(table)
  let [at, block] = [0, 0]
  for (const { endBlock, rows, columns } of groups) {
    check(endBlock > block && endBlock <= blocks.length, 'the blocks of a group of columns')
    const records = blocks.slice(block, endBlock).flat()
    block = endBlock
    for (const [i, { size, sum }] of columns.entries()) {
      check(size % 8 === 0, 'the size of a column')
      const column = bytes.subarray(at, at + size)
      at += size
      if (size === 0) {
        check(
          sum.every(byte => byte === 0),
          'the checksum of no column',
        )
        continue
      }
      check(rows === records.length && sameBytes(sum, checksum(column)), 'the checksum of a column')
      const values = readColumn(column, rows)
      for (const [row, record] of records.entries())
        check(Object.is(values[row], fieldOf(record, fields[i] as string)), `column ${fields[i]} differs from its records`)
    }
  }
  check(block === blocks.length, 'the end of the groups of columns')
}

function fieldOf({ value, time, offset }: ColumnRow, field: string): unknown {
  if (field === '@time') return time
  if (field === '@offset') return offset
  let at: unknown = value === null ? null : JSON.parse(value.toString())
  for (const name of field.split('.')) at = (at as Record<string, unknown> | null | undefined)?.[name]
  return at ?? null
}

function readColumn(column: Buffer, rows: number): unknown[] {
  const [encoding = 0, width = 0, flags = 0] = column
  check(column.readUInt32LE(4) === rows && flags < 4, 'the header of a column')
  const data = column.subarray(16)
  const padded = (size: number): number => Math.ceil(size / 8) * 8
  const nulls = (end: number): boolean[] => Array.from({ length: rows }, (_, row) => (flags & 1) !== 0 && data[end + row] === 1)
  const of = (end: number, value: (row: number) => unknown): unknown[] => nulls(end).map((isNull, row) => (isNull ? null : value(row)))
  const number = (at: number, bytes: number): number => (bytes === 0 ? 0 : data.readUIntLE(at, bytes))
  switch (encoding) {
    case 0:
      return new Array(rows).fill(null)
    case 1:
      return of(8 * rows, row => data.readDoubleLE(8 * row))
    case 2: {
      const base = column.readDoubleLE(8)
      return of(width * rows, row => base + ((flags & 2) === 0 ? number(row * width, width) : row))
    }
    case 3:
      return Array.from({ length: rows }, (_, row) => [false, true, null][data[row] as number])
    case 4: {
      const [entries, size] = [column.readUInt32LE(8), column.readUInt32LE(12)]
      const endsAt = padded(width * rows)
      const text = data.subarray(endsAt + 4 * entries, endsAt + 4 * entries + size)
      const border = (entry: number): number => (entry === 0 ? 0 : data.readUInt32LE(endsAt + 4 * (entry - 1)))
      return Array.from({ length: rows }, (_, row) => {
        const code = number(row * width, width)
        return code === entries ? null : text.subarray(border(code), border(code + 1)).toString()
      })
    }
    default: {
      check(encoding === 5, 'the encoding of a column')
      const text = padded(4 * (rows + 1))
      return of(text + column.readUInt32LE(8), row =>
        data.subarray(text + data.readUInt32LE(4 * row), text + data.readUInt32LE(4 * row + 4)).toString(),
      )
    }
  }
}
