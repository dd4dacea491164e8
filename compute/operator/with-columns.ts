/** Rows with computed fields beside their own. */
import { evaluate } from '../expression/evaluate.ts'
import type { NamedExpression } from '../plan/node.ts'
import { AddedColumns } from '../rows/added-columns.ts'
import { Chunk } from '../vector/chunk.ts'
import { type Receiver, Stage } from './receiver.ts'

export class WithColumns extends Stage {
  readonly #columns: readonly NamedExpression[]
  readonly #names: readonly string[]

  constructor(columns: readonly NamedExpression[], next: Receiver) {
    super(next)
    this.#columns = columns
    this.#names = columns.map(({ name }) => name)
  }

  receive(chunk: Chunk): void | Promise<void> {
    const vectors = this.#columns.map(({ expression }) => evaluate(expression, chunk))
    return this.next.receive(new Chunk(new AddedColumns(chunk.data, this.#names, vectors), chunk.rows, chunk.count))
  }
}
