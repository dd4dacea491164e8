/** Rows of two inputs by key: for each key one row of the key's fields and the lists `left` and `right`, all of it in memory. Null is a key like others. */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { AnyVector } from '../vector/vector.ts'
import type { JoinReceivers } from './hash-join.ts'
import { type Receiver, sendAll } from './receiver.ts'

/** Names of the lists in a result. */
export const SIDES: readonly ['left', 'right'] = ['left', 'right']

export interface CogroupShape {
  /** Names of the key's fields. */
  readonly names: readonly string[]
  readonly leftKeys: readonly ExpressionNode[]
  readonly rightKeys: readonly ExpressionNode[]
}

export function cogroup(shape: CogroupShape, next: Receiver): JoinReceivers {
  const groups = new Groups(shape.names)
  return { right: new Side(shape.rightKeys, groups, 1, undefined, next), left: new Side(shape.leftKeys, groups, 0, next, next) }
}

/** The groups of both inputs. */
class Groups {
  readonly #names: readonly string[]
  readonly table: GroupTable
  /** Lists of the left and of the right rows, by group. */
  readonly lists: readonly [unknown[][], unknown[][]] = [[], []]

  constructor(names: readonly string[]) {
    this.#names = names
    this.table = new GroupTable(names.length)
  }

  *results(): Generator<Chunk> {
    const { size } = this.table
    for (let from = 0; from < size; from += CHUNK_ROWS) {
      const to = Math.min(size, from + CHUNK_ROWS)
      const lists = this.lists.map(side => new AnyVector(side.slice(from, to)))
      yield new Chunk(new ColumnRows(to - from, [...this.#names, ...SIDES], [...this.table.keys(from, to), ...lists]))
    }
  }
}

class Side implements Receiver {
  readonly #keys: readonly ExpressionNode[]
  readonly #groups: Groups
  readonly #side: 0 | 1
  /** Who gets the results when this side, the last, ends. */
  readonly #next: Receiver | undefined
  readonly #end: Receiver

  constructor(keys: readonly ExpressionNode[], groups: Groups, side: 0 | 1, next: Receiver | undefined, end: Receiver) {
    this.#keys = keys
    this.#groups = groups
    this.#side = side
    this.#next = next
    this.#end = end
  }

  get isSated(): boolean {
    return this.#end.isSated
  }

  receive(chunk: Chunk): void {
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
  }

  finish(): void | Promise<void> {
    const next = this.#next
    if (next === undefined) return undefined
    const sent = sendAll(this.#groups.results(), next)
    return sent === undefined ? next.finish() : sent.then(() => next.finish())
  }
}
