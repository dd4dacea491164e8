/**
 * Rows for which an operator has no room, divided by their key into buckets, in memory for a little and then in a file: when its input has ended, the operator takes them bucket by bucket, each of
 * which has a share of the keys. This is the partitioning of a grace hash join (M. Kitsuregawa, 1983). The operator that takes a bucket and has no room for it divides its rows again, by other bits of
 * the hash; `spillLevel` of its context says how often that was done before.
 */
import type { ExpressionNode } from '../expression/node.ts'
import type { NamedExpression } from '../plan/node.ts'
import { BUCKETS, type ExchangeOutput } from '../shuffle/exchange.ts'
import { allBuckets, type BucketRange, ExchangeReader } from '../shuffle/exchange-reader.ts'
import { ExchangeWriter } from '../shuffle/exchange-writer.ts'
import type { Needs } from '../source/source.ts'
import type { Chunk } from '../vector/chunk.ts'
import type { OperatorContext } from './context.ts'
import type { Receiver } from './receiver.ts'
import { ShipRows, shippedColumns } from './ship-rows.ts'

/** Keys that were not told apart by now have one hash. */
export const SPILL_LEVEL_MAX = 6

export class KeySpill {
  /** Names of what rows have in the buckets: `#0`, `#1`, … the key, then what is needed. */
  readonly columns: readonly string[]
  readonly #keyWidth: number
  readonly #needs: Needs
  readonly #context: OperatorContext
  readonly #level: number
  readonly #writer: ExchangeWriter
  #finished: ExchangeOutput | undefined

  /** `needs`: what is wanted of the rows later. */
  constructor(keyWidth: number, needs: Needs, context: OperatorContext) {
    this.columns = shippedColumns(keyWidth, needs)
    this.#keyWidth = keyWidth
    this.#needs = needs
    this.#context = context
    const { files, memoryBytesMax, spillLevel = 0 } = context
    // Level 0 is what brought the rows here.
    this.#level = spillLevel + 1
    this.#writer = new ExchangeWriter({
      columns: this.columns,
      keyWidth,
      level: this.#level,
      files,
      path: context.spillPath(),
      memoryBytesMax: memoryBytesMax / 8,
      outputBytesMax: memoryBytesMax / 8,
      isShared: false,
    })
    context.onEnd(() => this.#writer.close())
  }

  /** Takes rows as they come to the operator, with these keys. */
  rows(keys: readonly ExpressionNode[]): Receiver {
    return new ShipRows(keys, this.#needs, this.#writer)
  }

  /** Takes rows that have `columns`. */
  receive(chunk: Chunk): void {
    this.#writer.receive(chunk)
  }

  /** All rows there are; from this call on no more may come. */
  get rowCount(): number {
    return this.#output().rows
  }

  /** Whether it is no use to divide the rows: all have one key, as far as hashes tell. */
  get isIndivisible(): boolean {
    const { buckets } = this.#output()
    return this.#level > SPILL_LEVEL_MAX || (buckets.length === 1 && (buckets[0]?.bucket as number) >= 0)
  }

  /** The rows of a bucket, in the order in which they came. */
  bucket(bucket: number): Generator<Chunk> {
    return this.#read({ from: bucket, to: bucket + 1 })
  }

  /** All rows, bucket after bucket. */
  all(): Generator<Chunk> {
    return this.#read(allBuckets)
  }

  #output(): ExchangeOutput {
    if (this.#finished === undefined) {
      this.#writer.finish()
      this.#finished = this.#writer.output()
    }
    return this.#finished
  }

  *#read(buckets: BucketRange): Generator<Chunk> {
    const { columns } = this
    const reader = new ExchangeReader({
      outputs: [this.#output()],
      buckets,
      columns,
      keyWidth: this.#keyWidth,
      level: this.#level,
      files: this.#context.files,
    })
    try {
      for (let chunk = reader.next(); chunk !== undefined; chunk = reader.next()) yield chunk
    } finally {
      reader.close()
    }
  }
}

/** Bucket after bucket, as long as somebody wants rows. */
export async function byBucket(next: Receiver, run: (bucket: number) => Promise<void>): Promise<void> {
  for (let bucket = 0; bucket < BUCKETS && !next.isSated; bucket++) await run(bucket)
}

/** All of the chunks, then the end. */
export async function runThrough(chunks: Iterable<Chunk>, receiver: Receiver): Promise<void> {
  for (const chunk of chunks) {
    if (receiver.isSated) break
    await receiver.receive(chunk)
  }
  await receiver.finish()
}

/** The keys of rows in buckets. */
export function spilledKeys(width: number): ExpressionNode[] {
  return Array.from({ length: width }, (_, i) => ({ kind: 'field', path: `#${i}` }))
}

/** The same under the names of `keys`. */
export function spilledNames(keys: readonly NamedExpression[]): NamedExpression[] {
  return spilledKeys(keys.length).map((expression, i) => ({ name: (keys[i] as NamedExpression).name, expression }))
}

/** For an operator that runs over one bucket. */
export function deeper(context: OperatorContext): OperatorContext {
  return { ...context, spillLevel: (context.spillLevel ?? 0) + 1 }
}

/** Hands on rows; the end is somebody else's to tell. */
export class Unfinished implements Receiver {
  readonly #next: Receiver

  constructor(next: Receiver) {
    this.#next = next
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    return this.#next.receive(chunk)
  }

  finish(): void {}
}
