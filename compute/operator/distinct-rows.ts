/**
 * The first row of each key; without criteria, of rows that are equal (`value-order.ts`), the first. Keys beyond the memory bound are told apart later, bucket by bucket, so that their rows follow
 * those of the others.
 */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import type { Needs } from '../source/source.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import type { OperatorContext } from './context.ts'
import { byBucket, deeper, KeySpill, runThrough, spilledKeys, Unfinished } from './key-spill.ts'
import { type Receiver, Stage } from './receiver.ts'

const wholeRow: readonly ExpressionNode[] = [{ kind: 'field', path: '' }]

export class DistinctRows extends Stage {
  readonly #by: readonly ExpressionNode[]
  readonly #needs: Needs
  readonly #context: OperatorContext
  #table: GroupTable
  #groups = new Int32Array(CHUNK_ROWS)
  /** Rows of keys that found no room. */
  #spill: KeySpill | undefined
  #spilling: Receiver | undefined

  /** `needs`: what is wanted of the rows. */
  constructor(by: readonly ExpressionNode[], needs: Needs, context: OperatorContext, next: Receiver) {
    super(next)
    this.#by = by.length === 0 ? wholeRow : by
    this.#needs = by.length === 0 ? { ...needs, values: true } : needs
    this.#context = context
    this.#table = new GroupTable(this.#by.length)
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    const groups = this.#groups
    const keys = this.#by.map(expression => evaluate(expression, chunk))
    const kept = new Int32Array(count)
    let found = 0
    if (this.#spilling !== undefined) {
      this.#table.find(keys, rows, count, groups)
      for (let k = 0; k < count; k++) if ((groups[k] as number) < 0) kept[found++] = rows[k] as number
      return found === 0 ? undefined : this.#spilling.receive(new Chunk(data, kept, found))
    }
    let known = this.#table.size
    this.#table.assign(keys, rows, count, groups)
    for (let k = 0; k < count; k++) {
      // New groups are numbered in the order in which they appear.
      if (groups[k] !== known) continue
      kept[found++] = rows[k] as number
      known++
    }
    if (this.#table.bytes > this.#context.memoryBytesMax) {
      this.#spill = new KeySpill(this.#by.length, this.#needs, this.#context)
      this.#spilling = this.#spill.rows(this.#by)
    }
    return found === 0 ? undefined : this.next.receive(new Chunk(data, kept, found))
  }

  override finish(): void | Promise<void> {
    return this.#spill === undefined ? this.next.finish() : this.#finishSpilled(this.#spill)
  }

  async #finishSpilled(spill: KeySpill): Promise<void> {
    const by = spilledKeys(this.#by.length)
    this.#table = new GroupTable(by.length)
    await byBucket(this.next, async bucket => {
      const rest = new DistinctRows(by, this.#needs, deeper(this.#context), new Unfinished(this.next))
      await runThrough(spill.bucket(bucket), rest)
    })
    await this.next.finish()
  }
}
