/**
 * Moments that must stay readable: each is a commit sequence and a clock. Compaction asks for them before it drops what is superseded.
 *
 * Owned by the database's stores. Snapshots that users take, open iterators and transactions are all kept here. Invariant: `sequences()` ascends
 * and names each moment that is open once.
 */
import { VarveError } from '../errors.ts'

/** A moment to read; see `Database.snapshot`. */
export interface Snapshot {
  /** Commits before it are seen. */
  readonly sequence: number
  /** Clock for expiry, ms since 1970. */
  readonly time: number
  /** True after `close`. */
  readonly isClosed: boolean
  /** Lets compaction drop what only this moment saw. Idempotent. */
  close(): void
  [Symbol.dispose](): void
}

class Moment implements Snapshot {
  readonly sequence: number
  readonly time: number
  readonly #close: (moment: Moment) => void
  #isClosed = false

  constructor(sequence: number, time: number, close: (moment: Moment) => void) {
    this.sequence = sequence
    this.time = time
    this.#close = close
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#close(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

export class Snapshots {
  /** Open moments by sequence: how many there are of each. */
  readonly #open = new Map<number, number>()
  /** Releases moments that were forgotten. */
  readonly #forgotten = new FinalizationRegistry<number>(sequence => this.#release(sequence))

  get count(): number {
    return this.#open.size
  }

  /** Keeps the moment after the commit `sequence`. */
  take(sequence: number, time: number): Snapshot {
    this.#open.set(sequence, (this.#open.get(sequence) ?? 0) + 1)
    return new Moment(sequence, time, moment => this.#release(moment.sequence))
  }

  /** As `take`; a moment that nobody refers to any more is given back without `close`. */
  takeCollectable(sequence: number, time: number): Snapshot {
    this.#open.set(sequence, (this.#open.get(sequence) ?? 0) + 1)
    const moment = new Moment(sequence, time, closed => {
      this.#forgotten.unregister(closed)
      this.#release(closed.sequence)
    })
    this.#forgotten.register(moment, sequence, moment)
    return moment
  }

  /** Largest record sequence that each open moment sees, ascending. */
  sequences(): number[] {
    return [...this.#open.keys()].sort((left, right) => left - right).map(sequence => sequence - 1)
  }

  #release(sequence: number): void {
    const count = this.#open.get(sequence) ?? 0
    if (count > 1) this.#open.set(sequence, count - 1)
    else this.#open.delete(sequence)
  }
}

export function assertSnapshotOpen(snapshot: Snapshot): void {
  if (!(snapshot instanceof Moment)) throw new TypeError('snapshot must be a snapshot of this database')
  if (snapshot.isClosed) throw new VarveError('CLOSED', 'the snapshot was closed')
}
