/**
 * `reduce` and `fold` by users' functions: one state a key, rows in the order in which they come. Results are rows of the key's fields and `value`. Rows of keys that come when there are as many states
 * as memory holds are folded later, bucket by bucket.
 */
import { evaluate } from '../expression/evaluate.ts'
import { GroupTable } from '../group/group-table.ts'
import type { NamedExpression } from '../plan/node.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import type { Needs } from '../source/source.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { VALUE_BYTES } from '../vector/column.ts'
import { AnyVector, type Vector } from '../vector/vector.ts'
import type { OperatorContext } from './context.ts'
import { byBucket, deeper, KeySpill, runThrough, spilledNames, Unfinished } from './key-spill.ts'
import { type Receiver, sendAll } from './receiver.ts'

export interface FoldFunctions {
  /** Undefined: the first row is the first state. */
  readonly initial: (() => unknown) | undefined
  readonly fold: (state: unknown, row: unknown) => unknown
  readonly merge: ((a: unknown, b: unknown) => unknown) | undefined
  /** Rows have states of parts as `value`. */
  readonly isMerge?: boolean
}

export class FoldRows implements Receiver {
  readonly isSated = false
  readonly #keys: readonly NamedExpression[]
  readonly #functions: FoldFunctions
  readonly #needs: Needs
  readonly #context: OperatorContext
  readonly #next: Receiver
  #table: GroupTable | undefined
  readonly #states: unknown[] = []
  #groups = new Int32Array(CHUNK_ROWS)
  /** Rows of keys that found no room. */
  #spill: KeySpill | undefined
  #spilling: Receiver | undefined

  /** `needs`: what the fold needs of its rows. */
  constructor(keys: readonly NamedExpression[], functions: FoldFunctions, needs: Needs, context: OperatorContext, next: Receiver) {
    this.#keys = keys
    this.#functions = functions
    this.#needs = needs
    this.#context = context
    this.#next = next
    this.#table = keys.length === 0 ? undefined : new GroupTable(keys.length)
  }

  receive(chunk: Chunk): void {
    const { data, rows, count } = this.#spilling === undefined ? this.#numbered(chunk) : this.#known(chunk, this.#spilling)
    const groups = this.#groups
    const states = this.#states
    const { initial, fold, merge, isMerge } = this.#functions
    if (isMerge === true && merge !== undefined) {
      const parts = chunk.field('value')
      for (let k = 0; k < count; k++) {
        const group = groups[k] as number
        const part = parts.get(rows[k] as number)
        if (group < states.length) states[group] = merge(states[group], part)
        else states.push(part)
      }
    } else {
      for (let k = 0; k < count; k++) {
        const group = groups[k] as number
        const value = data.value(rows[k] as number)
        if (group < states.length) states[group] = fold(states[group], value)
        else states.push(initial === undefined ? value : fold(initial(), value))
      }
    }
    if (this.#table === undefined || this.#spilling !== undefined) return
    if (this.#table.bytes + VALUE_BYTES * states.length <= this.#context.memoryBytesMax) return
    this.#spill = new KeySpill(this.#keys.length, this.#needs, this.#context)
    this.#spilling = this.#spill.rows(this.#keys.map(({ expression }) => expression))
  }

  /** The chunk, with the groups of its rows at hand, new ones included. */
  #numbered(chunk: Chunk): Chunk {
    const { rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    if (this.#table === undefined) this.#groups.fill(0, 0, count)
    else this.#table.assign(this.#keysOf(chunk), rows, count, this.#groups)
    return chunk
  }

  /** Those rows whose key has a state, with their groups at hand; others go away. */
  #known(chunk: Chunk, spilling: Receiver): Chunk {
    const { data, rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    const groups = this.#groups
    this.#table?.find(this.#keysOf(chunk), rows, count, groups)
    const [known, others] = [new Int32Array(count), new Int32Array(count)]
    let found = 0
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      if (group < 0) others[k - found] = rows[k] as number
      else {
        groups[found] = group
        known[found++] = rows[k] as number
      }
    }
    if (found < count) void spilling.receive(new Chunk(data, others, count - found))
    return new Chunk(data, known, found)
  }

  #keysOf(chunk: Chunk): Vector[] {
    return this.#keys.map(({ expression }) => evaluate(expression, chunk))
  }

  finish(): void | Promise<void> {
    // As an aggregate of no rows, a fold without keys has a result: where it begins. A reduce has none.
    const { initial } = this.#functions
    if (this.#table === undefined && this.#states.length === 0 && initial !== undefined) this.#states.push(initial())
    const sent = sendAll(this.#results(), this.#next)
    if (this.#spill !== undefined) return this.#finishSpilled(this.#spill, sent)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  async #finishSpilled(spill: KeySpill, sent: void | Promise<void>): Promise<void> {
    await sent
    this.#table = undefined
    this.#states.length = 0
    const keys = spilledNames(this.#keys)
    await byBucket(this.#next, async bucket => {
      const rest = new FoldRows(keys, this.#functions, this.#needs, deeper(this.#context), new Unfinished(this.#next))
      await runThrough(spill.bucket(bucket), rest)
    })
    await this.#next.finish()
  }

  *#results(): Generator<Chunk> {
    const names = [...this.#keys.map(({ name }) => name), 'value']
    for (let from = 0; from < this.#states.length; from += CHUNK_ROWS) {
      const to = Math.min(this.#states.length, from + CHUNK_ROWS)
      const vectors = [...(this.#table?.keys(from, to) ?? []), new AnyVector(this.#states.slice(from, to))]
      yield new Chunk(new ColumnRows(to - from, names, vectors))
    }
  }
}
