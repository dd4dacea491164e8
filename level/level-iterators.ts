/**
 * The three iterators of abstract-level over one range reader each. abstract-level counts, limits, decodes and keeps calls from overlapping; sublevels
 * wrap these. What is inherited there is not repeated here.
 */
import {
  AbstractIterator,
  type AbstractIteratorOptions,
  AbstractKeyIterator,
  type AbstractLevel,
  AbstractValueIterator,
} from 'abstract-level'
import { bytesOf, type Formatted } from './format.ts'
import { RangeReader, type RangeSource } from './range-reader.ts'

/** A database of any types: iterators of private calls carry encoded data. */
export type AnyLevel = AbstractLevel<Formatted, unknown, unknown>

/** Options as abstract-level hands them on, with its symbols for the encodings inside. */
export type IteratorOptions = AbstractIteratorOptions<unknown, unknown>

export class LevelIterator extends AbstractIterator<AnyLevel, unknown, unknown> {
  readonly #reader: RangeReader<[unknown, unknown]>

  constructor(db: AnyLevel, options: IteratorOptions, source: RangeSource<[unknown, unknown]>) {
    super(db, options)
    this.#reader = new RangeReader(source)
  }

  _next(): Promise<[unknown, unknown] | undefined> {
    return this.#reader.one(this.limit - this.count)
  }

  _nextv(size: number): Promise<[unknown, unknown][]> {
    return this.#reader.many(size)
  }

  _all(): Promise<[unknown, unknown][]> {
    return this.#reader.many(this.limit - this.count)
  }

  _seek(target: Formatted): void {
    this.#reader.seek(bytesOf(target))
  }

  async _close(): Promise<void> {
    this.#reader.close()
  }
}

export class LevelKeyIterator extends AbstractKeyIterator<AnyLevel, unknown> {
  readonly #reader: RangeReader<unknown>

  constructor(db: AnyLevel, options: IteratorOptions, source: RangeSource<unknown>) {
    super(db, options)
    this.#reader = new RangeReader(source)
  }

  _next(): Promise<unknown> {
    return this.#reader.one(this.limit - this.count)
  }

  _nextv(size: number): Promise<unknown[]> {
    return this.#reader.many(size)
  }

  _all(): Promise<unknown[]> {
    return this.#reader.many(this.limit - this.count)
  }

  _seek(target: Formatted): void {
    this.#reader.seek(bytesOf(target))
  }

  async _close(): Promise<void> {
    this.#reader.close()
  }
}

export class LevelValueIterator extends AbstractValueIterator<AnyLevel, unknown, unknown> {
  readonly #reader: RangeReader<unknown>

  constructor(db: AnyLevel, options: IteratorOptions, source: RangeSource<unknown>) {
    super(db, options)
    this.#reader = new RangeReader(source)
  }

  _next(): Promise<unknown> {
    return this.#reader.one(this.limit - this.count)
  }

  _nextv(size: number): Promise<unknown[]> {
    return this.#reader.many(size)
  }

  _all(): Promise<unknown[]> {
    return this.#reader.many(this.limit - this.count)
  }

  _seek(target: Formatted): void {
    this.#reader.seek(bytesOf(target))
  }

  async _close(): Promise<void> {
    this.#reader.close()
  }
}
