/**
 * The change feed of a store as rows, from a position up to what is acknowledged when the run begins: a feed has no end, a job's input has one. The thread of the database reads it;
 * batches of the feed are the records of a log that leases do not have.
 */

import { type Change, type ChangesFrom, checkOptions, Store, type StoreKey } from '../../engine/index.ts'
import type { TypedSource } from '../flow/input.ts'
import { ValueRows } from '../rows/chunk-data.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import type { Split, SplitReader, SplitSet } from './source.ts'

/** Which changes of a store a flow takes. */
export interface ChangesInputOptions {
  /** A position, the first change that is kept ('start'), or the first at or after a time. Default 'start'. */
  readonly from?: Exclude<ChangesFrom, 'end'> | undefined
  /** The position behind the last one that is wanted. Default: up to the last that is acknowledged when the run begins. */
  readonly to?: number | undefined
}

/** Positions, the end exclusive. */
interface ChangeRange {
  readonly from: number
  readonly to: number
}

/**
 * Changes of a store that has a change feed, as rows, in commit order; see `Store.changes`. TypeError for a store without the option `changes`; runs reject with OFFSET_OUT_OF_RANGE
 * when changes at `from` were trimmed.
 */
export function changesOf<V, K extends StoreKey>(store: Store<V, K>, options: ChangesInputOptions = {}): TypedSource<Change<V, K>> {
  if (!(store instanceof Store)) throw new TypeError(`changesOf must be given a store, got ${String(store)}`)
  checkOptions(options, 'changesOf', ['from', 'to'])
  const { from = 'start', to } = options
  if ((from as unknown) === 'end') throw new TypeError("from must not be 'end': behind it there is nothing yet")
  if (to !== undefined && (!Number.isSafeInteger(to) || to < 0)) throw new RangeError(`to must be a position, got ${String(to)}`)
  // The store's own check of where to begin, and of itself.
  if (typeof from !== 'number') store.changes({ from })
  else store.changePositions()
  return new ChangesSource<V, K>(store, from, to)
}

class ChangesSource<V, K extends StoreKey> implements TypedSource<Change<V, K>> {
  readonly kind = 'changes'
  readonly isPortable = false
  readonly bytes = undefined
  readonly #store: Store<V, K>
  readonly #from: Exclude<ChangesFrom, 'end'>
  readonly #to: number | undefined

  constructor(store: Store<V, K>, from: Exclude<ChangesFrom, 'end'>, to: number | undefined) {
    this.#store = store
    this.#from = from
    this.#to = to
  }

  get name(): string {
    return `of store ${this.#store.name}`
  }

  split(): Promise<SplitSet> {
    const { position } = this.#store.changes({ from: this.#from })
    const { latest } = this.#store.changePositions()
    const input: ChangeRange = { from: position, to: Math.min(latest, this.#to ?? latest) }
    return Promise.resolve({ splits: [{ name: `changes ${this.name}`, bytes: 0, input }], release: () => undefined })
  }

  open({ input }: Split): SplitReader {
    return new ChangesReader(this.#store as unknown as Store, input as ChangeRange)
  }
}

class ChangesReader implements SplitReader {
  readonly bytesRead = 0
  readonly #store: Store
  readonly #to: number
  #position: number

  constructor(store: Store, { from, to }: ChangeRange) {
    this.#store = store
    this.#position = from
    this.#to = to
  }

  next(): Chunk | undefined {
    const left = this.#to - this.#position
    if (left <= 0) return undefined
    const { changes, position } = this.#store.readChanges(this.#position, { limit: Math.min(left, CHUNK_ROWS) })
    if (changes.length === 0) return undefined
    this.#position = position
    return new Chunk(new ValueRows(changes))
  }

  close(): void {
    this.#position = this.#to
  }
}
