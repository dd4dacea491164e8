/**
 * TeraSort: records of 100 bytes in the order of their keys, the first ten, into a file, or into files that are in order one after the other. Checked by count, by order, and by a sum over all
 * records that does not depend on the order.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { flow, readBinary, row, writeBinary } from '../../../compute/index.ts'
import { keyBytes, recordBytes } from '../inputs/records.ts'
import { duckdb, quoted } from '../products/duckdb.ts'
import { varve } from '../products/varve.ts'
import type { Answer, Contestant } from '../workload.ts'

/** Of a file, and of a folder. */
const fileName = 'sorted'
const folderName = 'sorted-parts'

function sorted(files: readonly string[]): Answer {
  const seen: Seen = { records: 0, sum: 0, last: '' }
  for (const file of files) look(file, seen)
  return [seen.records, seen.sum]
}

interface Seen {
  records: number
  sum: number
  last: string
}

function look(path: string, seen: Seen): void {
  const file = openSync(path, 'r')
  const buffer = Buffer.allocUnsafe(1 << 20)
  let kept = 0
  try {
    for (;;) {
      const read = readSync(file, buffer, kept, buffer.length - kept, null)
      const end = read === 0 ? kept : buffer.lastIndexOf(0x0a, kept + read - 1) + 1
      for (const record of buffer.toString('latin1', 0, end).split('\n')) {
        if (record === '') continue
        if (record < seen.last) throw new Error(`record ${seen.records} is out of order: ${record} after ${seen.last}`)
        seen.last = record
        seen.records++
        for (let i = 0; i < record.length; i++) seen.sum = (Math.imul(record.charCodeAt(i), i + 1) + seen.sum) >>> 0
      }
      if (read === 0) break
      buffer.copy(buffer, 0, end, kept + read)
      kept = kept + read - end
    }
  } finally {
    closeSync(file)
  }
}

const varves = varve({
  reads: 'file of records',
  forms: ['text'],
  run: (_, place, options) =>
    flow('sort', readBinary(place.path('text'), { recordBytes }))
      .sort(row<Uint8Array>().slice(0, keyBytes))
      .to(writeBinary(join(place.own, folderName), { overwrite: true, parts: true }), options),
  answer: (_, { own }) => sorted(readdirSync(join(own, folderName)).map(name => join(own, folderName, name))),
})

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
        ) to ${quoted(join(place.own, fileName))} (header false, delim '\\x01', quote '', escape '')`,
      answer: (_, { own }) => sorted([join(own, fileName)]),
    }),
    name: `duckdb${threads === 1 ? ' 1 thread' : ''}`,
    reads: 'text file, as CSV of one column',
    forms: ['text'],
  }
}

export const teraSort: readonly Contestant[] = [...varves, duckdbSort(2), duckdbSort(1)]
/** Beyond memory: only whether it holds its bound. */
export const outgrownSort: readonly Contestant[] = varves.slice(0, 1)
