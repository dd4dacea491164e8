/** TeraSort: records of 100 bytes in the order of their keys, into files. Checked as valsort does: how many there are, that they are the same ones, and that they are in order. */
import { join } from 'node:path'
import { flow, readBinary, row, writeBinary } from 'varve/compute'
import { checkRows, filesOf, keyBytes, rowBytes } from '../../../examples/terasort/rows.ts'
import { duckdb, quoted } from '../products/duckdb.ts'
import { varve } from '../products/varve.ts'
import type { Answer, Contestant, Place } from '../workload.ts'

const outputOf = ({ own }: Place): string => join(own, 'sorted')

function checked(paths: readonly string[]): Answer {
  const { rows, checksum, unordered } = checkRows(paths)
  if (unordered > 0) throw new Error(`${unordered} records are out of order`)
  return [rows, checksum]
}

const sort: Parameters<typeof varve>[0] = {
  reads: 'binary file',
  forms: ['text'],
  run: (_, place, options) =>
    flow('sort', readBinary(place.path('text'), { recordBytes: rowBytes }))
      .sort(row<Uint8Array>().slice(0, keyBytes))
      .to(writeBinary(outputOf(place), { parts: true, overwrite: true }), options),
  answer: (_, place) => checked(filesOf(outputOf(place))),
}

function duckdbSort(threads: number): Contestant {
  return {
    ...duckdb({
      form: 'csv',
      threads,
      table: '',
      sql: (_, place) => `
        copy (
          select line
          from read_csv(${quoted(place.path('text'))}, columns = {line: 'varchar'}, header = false, delim = '\\x01', quote = '', escape = '')
          order by line
        ) to ${quoted(outputOf(place))} (header false, delim '\\x01', quote '', escape '')`,
      answer: (_, place) => checked([outputOf(place)]),
    }),
    name: `duckdb${threads === 1 ? ' 1 thread' : ''}`,
    reads: 'text file, as CSV of one column',
    forms: ['text'],
  }
}

export const teraSort: readonly Contestant[] = [...varve(sort), duckdbSort(2), duckdbSort(1)]

/** Beyond memory: only whether it holds its bound. */
export const outgrownSort: readonly Contestant[] = varve({ ...sort, memoryBytesMax: 128 << 20 }).slice(0, 1)
