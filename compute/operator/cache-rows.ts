/** Lets rows pass and keeps them as values; when all have passed they are the cell's, for later runs. */
import type { Chunk } from '../vector/chunk.ts'
import { type Receiver, Stage } from './receiver.ts'

/** Rows of a flow that was cached; undefined until a run has read all of them. */
export interface CacheCell {
  rows: readonly unknown[] | undefined
}

export class CacheRows extends Stage {
  readonly #cell: CacheCell
  readonly #rows: unknown[] = []
  /** Whether someone behind had enough, so that rows may be missing. */
  #isCut = false

  constructor(cell: CacheCell, next: Receiver) {
    super(next)
    this.#cell = cell
  }

  override get isSated(): boolean {
    const isSated = this.next.isSated
    this.#isCut ||= isSated
    return isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { data, rows, count } = chunk
    for (let k = 0; k < count; k++) this.#rows.push(data.value(rows[k] as number))
    return this.next.receive(chunk)
  }

  override finish(): void | Promise<void> {
    if (!this.#isCut) this.#cell.rows ??= this.#rows
    return this.next.finish()
  }
}
