/**
 * Rows for which an operator has no room, divided by their key into buckets, in memory for a little and then in a file: when its input has ended, the operator takes them bucket by bucket, each of
 * which has a share of the keys. This is the partitioning of a grace hash join (M. Kitsuregawa, 1983); a bucket, a 64th of the keys, must fit into memory.
 */
import type { ExpressionNode } from '../expression/node.ts'
import type { NamedExpression } from '../plan/node.ts'
import { BUCKETS, type ExchangeOutput } from '../shuffle/exchange.ts'
import { ExchangeReader } from '../shuffle/exchange-reader.ts'
import { ExchangeWriter } from '../shuffle/exchange-writer.ts'
import type { Needs } from '../source/source.ts'
import type { Chunk } from '../vector/chunk.ts'
import type { OperatorContext } from './context.ts'
import type { Receiver } from './receiver.ts'
import { ShipRows, shippedColumns } from './ship-rows.ts'

export class KeySpill {
  /** Names of what rows have in the buckets: `#0`, `#1`, … the key, then what is needed. */
  readonly columns: readonly string[]
  readonly #keyWidth: number
  readonly #needs: Needs
  readonly #context: OperatorContext
  readonly #writer: ExchangeWriter
  #output: ExchangeOutput | undefined

  /** `needs`: what is wanted of the rows later. */
  constructor(keyWidth: number, needs: Needs, context: OperatorContext) {
    this.columns = shippedColumns(keyWidth, needs)
    this.#keyWidth = keyWidth
    this.#needs = needs
    this.#context = context
    const { files, memoryBytesMax } = context
    this.#writer = new ExchangeWriter({
      columns: this.columns,
      keyWidth,
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

  /** The rows of a bucket, in the order in which they came; from the first call on no more may come. */
  *bucket(bucket: number): Generator<Chunk> {
    if (this.#output === undefined) {
      this.#writer.finish()
      this.#output = this.#writer.output()
    }
    const { columns } = this
    const buckets = { from: bucket, to: bucket + 1 }
    const reader = new ExchangeReader({
      outputs: [this.#output],
      buckets,
      columns,
      keyWidth: this.#keyWidth,
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

/** Memory that is not bounded: of an operator that runs over one bucket. */
export function unbounded(context: OperatorContext): OperatorContext {
  return { ...context, memoryBytesMax: Number.MAX_SAFE_INTEGER }
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
