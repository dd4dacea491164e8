/** Rows of a JavaScript iterable, also an asynchronous one. Read where it is, in one split; a second run iterates it again. */
import { ValueRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import type { Source, Split, SplitReader, SplitSet } from './source.ts'

export class IterableSource implements Source {
  readonly kind = 'iterable'
  readonly name = 'iterable'
  readonly isPortable = false
  readonly bytes = undefined
  readonly #rows: Iterable<unknown> | AsyncIterable<unknown>

  constructor(rows: Iterable<unknown> | AsyncIterable<unknown>) {
    this.#rows = rows
  }

  split(): Promise<SplitSet> {
    return Promise.resolve({ splits: [{ name: 'iterable', bytes: 0, input: undefined }], release: () => undefined })
  }

  open(_split: Split): SplitReader {
    return Symbol.iterator in this.#rows ? new IterableReader(this.#rows) : new AsyncIterableReader(this.#rows)
  }
}

class IterableReader implements SplitReader {
  readonly bytesRead = 0
  readonly #iterator: Iterator<unknown>
  #ended = false

  constructor(rows: Iterable<unknown>) {
    this.#iterator = rows[Symbol.iterator]()
  }

  next(): Chunk | undefined {
    const values: unknown[] = []
    while (values.length < CHUNK_ROWS && !this.#ended) {
      const step = this.#iterator.next()
      if (step.done === true) this.#ended = true
      else values.push(step.value)
    }
    return values.length === 0 ? undefined : new Chunk(new ValueRows(values))
  }

  close(): void {
    if (!this.#ended) this.#iterator.return?.()
    this.#ended = true
  }
}

class AsyncIterableReader implements SplitReader {
  readonly bytesRead = 0
  readonly #iterator: AsyncIterator<unknown>
  #ended = false

  constructor(rows: AsyncIterable<unknown>) {
    this.#iterator = rows[Symbol.asyncIterator]()
  }

  async next(): Promise<Chunk | undefined> {
    const values: unknown[] = []
    while (values.length < CHUNK_ROWS && !this.#ended) {
      const step = await this.#iterator.next()
      if (step.done === true) this.#ended = true
      else values.push(step.value)
    }
    return values.length === 0 ? undefined : new Chunk(new ValueRows(values))
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.#iterator.return?.()
    this.#ended = true
  }
}
