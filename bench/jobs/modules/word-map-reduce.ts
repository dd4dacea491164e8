/** Word count as Hadoop's first example has it, with a combiner. */
import { type Job, mapReduce, readText } from 'varve/compute'

interface WordCount {
  readonly word: string
  readonly n: number
}

const add = (a: number, b: number): number => a + b

const wordMapReduce: Job<WordCount, { readonly path: string }> = mapReduce<
  string,
  string,
  number,
  WordCount,
  string,
  { readonly path: string }
>(import.meta.url, 'word map reduce', {
  input: ({ source, args }) => source(readText(args.path)),
  map: (line, { emit }) => {
    for (const word of line.split(' ')) emit(word, 1)
  },
  combine: (_word, counts) => counts.reduce(add),
  reduce: (word, counts, { emit }) => emit({ word, n: counts.reduce(add) }),
})
export default wordMapReduce
