/** Rows as columns that go to another stage: the keys by which they are divided, then the fields that the stage needs, then the row as a value if it needs that. */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { ColumnRows } from '../rows/chunk-data.ts'
import type { Needs } from '../source/source.ts'
import { Chunk } from '../vector/chunk.ts'
import { type Receiver, Stage } from './receiver.ts'

/** Names of the columns that `ShipRows` gives; '' is the row itself. */
export function shippedColumns(keys: number, needs: Needs): string[] {
  const names = Array.from({ length: keys }, (_, i) => `#${i}`)
  names.push(...needs.paths.filter(path => path !== ''))
  if (needs.values) names.push('')
  return names
}

export class ShipRows extends Stage {
  readonly #keys: readonly ExpressionNode[]
  readonly #needs: Needs
  readonly #names: readonly string[]

  constructor(keys: readonly ExpressionNode[], needs: Needs, next: Receiver) {
    super(next)
    this.#keys = keys
    this.#needs = needs
    this.#names = shippedColumns(keys.length, needs)
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    const vectors = this.#keys.map(key => evaluate(key, chunk))
    for (const path of this.#needs.paths) if (path !== '') vectors.push(data.field(path))
    if (this.#needs.values) vectors.push(data.field(''))
    return this.next.receive(new Chunk(new ColumnRows(data.size, this.#names, vectors), rows, count))
  }
}
