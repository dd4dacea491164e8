/** The MapReduce of `word-count.ts`: a module of its own, since each worker thread loads it. */
import { type Job, mapReduce, readText } from 'varve/compute'

export interface WordCount {
  readonly word: string
  readonly count: number
}

interface Arguments {
  readonly files: string
}

const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b)

const words: Job<WordCount, Arguments> = mapReduce<string, string, number, WordCount, string, Arguments>(import.meta.url, 'words', {
  input: ({ source, args }) => source(readText(args.files)),
  map: (line, { emit, count }) => {
    count('lines')
    for (const [word] of line.toLowerCase().matchAll(/\p{L}+/gu)) emit(word, 1)
  },
  combine: (_word, counts) => sum(counts), // in each task, before pairs travel
  reduce: (word, counts, { emit }) => emit({ word, count: sum(counts) }),
})

export default words
