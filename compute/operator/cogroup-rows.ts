/**
 * Rows of two inputs by key: for each key one row of the key's fields and the lists `left` and `right`. Null is a key like others. Where the lists of all keys do not fit into memory, rows go into
 * buckets by key (`key-spill.ts`), one of which has its lists in memory at a time. The lists of one key have to be there together.
 */
import { VarveError } from '../../engine/index.ts'
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import type { Needs } from '../source/source.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { VALUE_BYTES } from '../vector/column.ts'
import { AnyVector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import type { OperatorContext } from './context.ts'
import type { JoinReceivers } from './hash-join.ts'
import { byBucket, deeper, KeySpill, runThrough, SPILL_LEVEL_MAX, spilledKeys, Unfinished } from './key-spill.ts'
import { type Receiver, sendAll } from './receiver.ts'

/** Names of the lists in a result. */
export const SIDES: readonly ['left', 'right'] = ['left', 'right']

const rowsOnly: Needs = { paths: [], values: true }

export interface CogroupShape {
  /** Names of the key's fields. */
  readonly names: readonly string[]
  readonly leftKeys: readonly ExpressionNode[]
  readonly rightKeys: readonly ExpressionNode[]
}

export function cogroup(shape: CogroupShape, context: OperatorContext, next: Receiver): JoinReceivers {
  const groups = new Groups(shape.names, context)
  return { right: new Side(shape.rightKeys, groups, 1, next), left: new Side(shape.leftKeys, groups, 0, next) }
}

/** The groups of both inputs. */
class Groups {
  readonly names: readonly string[]
  readonly context: OperatorContext
  table: GroupTable
  /** Lists of the left and of the right rows, by group. */
  lists: readonly [unknown[][], unknown[][]] = [[], []]
  /** Rows in the lists. */
  rows = 0
  /** Rows of both sides, once they did not fit into memory. */
  spills: readonly [KeySpill, KeySpill] | undefined

  constructor(names: readonly string[], context: OperatorContext) {
    this.names = names
    this.context = context
    this.table = new GroupTable(names.length)
  }

  /** Whether rows must go elsewhere. TOO_LARGE when it is no use to divide them. */
  get isFull(): boolean {
    const { memoryBytesMax, keyBytesMax, spillLevel = 0 } = this.context
    const bytes = this.table.bytes + VALUE_BYTES * (this.rows + this.table.size)
    if (bytes <= memoryBytesMax) return false
    if (this.table.size > 1 && spillLevel < SPILL_LEVEL_MAX) return true
    if (bytes <= keyBytesMax) return false
    throw new VarveError('TOO_LARGE', `cogroup has more rows of one key than memory holds: ${this.rows} so far; raise memoryBytesMax`, {
      details: { limit: 'memoryBytesMax', actual: bytes, expected: keyBytesMax },
    })
  }

  /** What is there goes into buckets. */
  startSpilling(): void {
    const { context } = this
    const width = this.names.length
    this.spills = [new KeySpill(width, rowsOnly, context), new KeySpill(width, rowsOnly, context)]
    const keys = this.table.keys()
    for (const [side, spill] of this.spills.entries()) {
      for (const [group, rows] of (this.lists[side] as unknown[][]).entries()) {
        if (rows.length === 0) continue
        const ofKey = keys.map(key => vectorOf(new Array(rows.length).fill(key.get(group))))
        spill.receive(new Chunk(new ColumnRows(rows.length, spill.columns, [...ofKey, vectorOf(rows)])))
      }
    }
    this.table = new GroupTable(width)
    this.lists = [[], []]
    this.rows = 0
  }

  *results(): Generator<Chunk> {
    const { size } = this.table
    for (let from = 0; from < size; from += CHUNK_ROWS) {
      const to = Math.min(size, from + CHUNK_ROWS)
      const lists = this.lists.map(side => new AnyVector(side.slice(from, to)))
      yield new Chunk(new ColumnRows(to - from, [...this.names, ...SIDES], [...this.table.keys(from, to), ...lists]))
    }
  }
}

class Side implements Receiver {
  readonly #keys: readonly ExpressionNode[]
  readonly #groups: Groups
  readonly #side: 0 | 1
  readonly #next: Receiver
  #spilling: Receiver | undefined

  constructor(keys: readonly ExpressionNode[], groups: Groups, side: 0 | 1, next: Receiver) {
    this.#keys = keys
    this.#groups = groups
    this.#side = side
    this.#next = next
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    if (this.#groups.spills !== undefined) {
      this.#spilling ??= this.#groups.spills[this.#side].rows(this.#keys)
      return this.#spilling.receive(chunk)
    }
    const { data, rows, count } = chunk
    const numbers = new Int32Array(count)
    const { table, lists } = this.#groups
    table.assign(
      this.#keys.map(key => evaluate(key, chunk)),
      rows,
      count,
      numbers,
    )
    for (const side of lists) while (side.length < table.size) side.push([])
    const own = lists[this.#side]
    for (let k = 0; k < count; k++) (own[numbers[k] as number] as unknown[]).push(data.value(rows[k] as number))
    this.#groups.rows += count
    if (this.#groups.isFull) this.#groups.startSpilling()
    return undefined
  }

  /** The left side ends last. */
  finish(): void | Promise<void> {
    if (this.#side === 1) return undefined
    if (this.#groups.spills !== undefined) return this.#finishSpilled(this.#groups.spills)
    const sent = sendAll(this.#groups.results(), this.#next)
    return sent === undefined ? this.#next.finish() : sent.then(() => this.#next.finish())
  }

  async #finishSpilled([left, right]: readonly [KeySpill, KeySpill]): Promise<void> {
    const { names, context } = this.#groups
    const keys = spilledKeys(names.length)
    await byBucket(this.#next, async bucket => {
      const one = cogroup({ names, leftKeys: keys, rightKeys: keys }, deeper(context), new Unfinished(this.#next))
      await runThrough(right.bucket(bucket), one.right)
      await runThrough(left.bucket(bucket), one.left)
    })
    await this.#next.finish()
  }
}
