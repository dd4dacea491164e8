/** Word count: the ten most frequent words of a text. */

import { closeSync, openSync, readSync } from 'node:fs'
import { count, flow, readText, row } from 'varve/compute'
import wordClosures from '../modules/word-closures.ts'
import wordMapReduce from '../modules/word-map-reduce.ts'
import { duckdb, quoted } from '../products/duckdb.ts'
import { polars } from '../products/polars.ts'
import { varve } from '../products/varve.ts'
import type { Answer, Contestant } from '../workload.ts'

interface WordCount {
  readonly word: string
  readonly n: number
}

const most = 10

/** Of rows in order. */
function answerOf(rows: readonly WordCount[]): Answer {
  return rows.map(({ word, n }) => [word, Number(n)])
}

const builtIn = varve({
  reads: 'text file',
  forms: ['text'],
  run: (_, place, options) =>
    flow('words', readText(place.path('text')))
      .words()
      .keyBy({ word: row<string>() })
      .aggregate({ n: count() })
      .sort({ by: 'n', descending: true }, 'word')
      .limit(most)
      .toArray(options),
  answer: answerOf,
})

const closures = varve({
  reads: 'text file',
  forms: ['text'],
  run: (db, place, options) => wordClosures.toArray(db, { ...options, args: { path: place.path('text'), most } }),
  answer: answerOf,
})

const mapReduced = varve({
  name: 'varve mapReduce',
  threads: [2],
  reads: 'text file',
  forms: ['text'],
  run: (db, place, options) => wordMapReduce.toArray(db, { ...options, args: { path: place.path('text') } }),
  answer: (rows: readonly WordCount[]) => answerOf([...rows].sort((a, b) => b.n - a.n || (a.word < b.word ? -1 : 1)).slice(0, most)),
})

function duckdbWords(threads: number): Contestant {
  return {
    ...duckdb({
      form: 'csv',
      threads,
      table: '',
      sql: (_, place) => `
        select word, count(*) n
        from (
          select unnest(string_split(line, ' ')) as word
          from read_csv(${quoted(place.path('text'))}, columns = {line: 'varchar'}, header = false, delim = '\\x01', quote = '', escape = '')
        )
        group by word order by n desc, word limit ${most}`,
      answer: rows => answerOf(rows as never),
    }),
    name: `duckdb${threads === 1 ? ' 1 thread' : ''}`,
    reads: 'text file, as CSV of one column',
    forms: ['text'],
  }
}

const polarsWords = polars({
  form: 'text',
  frame: (library, path) =>
    library
      .scanCSV(path, { hasHeader: false, sep: '\x01', quoteChar: '', schema: { line: library.String } })
      .select(library.col('line').str.split(' ').explode().alias('word'))
      .groupBy('word')
      .agg(library.col('word').count().alias('n'))
      .sort([library.col('n').mul(-1), library.col('word')])
      .limit(most),
  answer: rows => answerOf(rows as never),
})

const chunkBytes = 1 << 20

/** A megabyte at a time up to its last line end; words are cut out by their positions, not by a regular expression. */
const byHand: Contestant = {
  name: 'javascript',
  product: 'javascript',
  threads: 1,
  reads: 'text file',
  forms: ['text'],
  start: async place => ({
    run: async () => {
      const counts = new Map<string, number>()
      const file = openSync(place.path('text'), 'r')
      const buffer = Buffer.allocUnsafe(2 * chunkBytes)
      let kept = 0
      for (;;) {
        const read = readSync(file, buffer, kept, chunkBytes, null)
        const end = read === 0 ? kept : buffer.lastIndexOf(0x0a, kept + read - 1) + 1
        countWords(buffer.toString('utf8', 0, end), counts)
        if (read === 0) break
        buffer.copy(buffer, 0, end, kept + read)
        kept = kept + read - end
      }
      closeSync(file)
      return [...counts]
        .map(([word, n]) => ({ word, n }))
        .sort((a, b) => b.n - a.n || (a.word < b.word ? -1 : 1))
        .slice(0, most)
    },
    answer: result => answerOf(result as WordCount[]),
    close: () => undefined,
  }),
}

function countWords(text: string, counts: Map<string, number>): void {
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code !== 0x20 && code !== 0x0a) continue
    if (at > start) {
      const word = text.slice(start, at)
      counts.set(word, (counts.get(word) ?? 0) + 1)
    }
    start = at + 1
  }
}

const peers: readonly Contestant[] = [duckdbWords(2), duckdbWords(1), polarsWords, byHand]

export const builtInWords: readonly Contestant[] = [...builtIn, ...peers]
export const closureWords: readonly Contestant[] = [...closures, ...mapReduced, ...peers]
