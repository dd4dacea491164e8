/** TeraSort: records of 100 bytes in the order of their keys, into a file. Checked by count, by order, and by a sum over all of the file that does not depend on the order. */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { flow, readText, row, writeJsonl } from '../../../compute/index.ts'
import { duckdb, quoted } from '../products/duckdb.ts'
import { varve } from '../products/varve.ts'
import type { Answer, Contestant, Place } from '../workload.ts'

const outputName = 'sorted'

/** Records may be written with something before and after them; `skip` characters come before. */
function sorted(place: Place, skip: number): Answer {
  const file = openSync(join(place.own, outputName), 'r')
  const buffer = Buffer.allocUnsafe(1 << 20)
  let [kept, records, sum] = [0, 0, 0]
  let last = ''
  try {
    for (;;) {
      const read = readSync(file, buffer, kept, buffer.length - kept, null)
      const end = read === 0 ? kept : buffer.lastIndexOf(0x0a, kept + read - 1) + 1
      for (const line of buffer.toString('latin1', 0, end).split('\n')) {
        if (line === '') continue
        const record = skip === 0 ? line : (JSON.parse(line) as string)
        if (record < last) throw new Error(`record ${records} is out of order: ${record} after ${last}`)
        last = record
        records++
        for (let i = 0; i < record.length; i++) sum = (Math.imul(record.charCodeAt(i), i + 1) + sum) >>> 0
      }
      if (read === 0) break
      buffer.copy(buffer, 0, end, kept + read)
      kept = kept + read - end
    }
  } finally {
    closeSync(file)
  }
  return [records, sum]
}

const varves = varve({
  reads: 'text file',
  forms: ['text'],
  run: (_, place, options) =>
    flow('sort', readText(place.path('text')))
      .sort(row<string>())
      .to(writeJsonl(join(place.own, outputName), { overwrite: true }), options),
  answer: (_, place) => sorted(place, 1),
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
        ) to ${quoted(join(place.own, outputName))} (header false, delim '\\x01', quote '', escape '')`,
      answer: (_, place) => sorted(place, 0),
    }),
    name: `duckdb${threads === 1 ? ' 1 thread' : ''}`,
    reads: 'text file, as CSV of one column',
    forms: ['text'],
  }
}

export const teraSort: readonly Contestant[] = [...varves, duckdbSort(2), duckdbSort(1)]
/** Beyond memory: only whether it holds its bound. */
export const outgrownSort: readonly Contestant[] = varves.slice(0, 1)
