/** The first row of each key; without criteria, of rows that are equal (`value-order.ts`), the first. */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { type Receiver, Stage } from './receiver.ts'

const wholeRow: readonly ExpressionNode[] = [{ kind: 'field', path: '' }]

export class DistinctRows extends Stage {
  readonly #by: readonly ExpressionNode[]
  readonly #table: GroupTable
  #groups = new Int32Array(CHUNK_ROWS)

  constructor(by: readonly ExpressionNode[], next: Receiver) {
    super(next)
    this.#by = by.length === 0 ? wholeRow : by
    this.#table = new GroupTable(this.#by.length)
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    const groups = this.#groups
    let known = this.#table.size
    this.#table.assign(
      this.#by.map(expression => evaluate(expression, chunk)),
      rows,
      count,
      groups,
    )
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      // New groups are numbered in the order in which they appear.
      if (groups[k] !== known) continue
      kept[found++] = rows[k] as number
      known++
    }
    return found === 0 ? undefined : this.next.receive(new Chunk(data, kept, found))
  }
}
