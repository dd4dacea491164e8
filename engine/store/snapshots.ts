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
  readonly #owner: Snapshots
  #isClosed = false

  constructor(sequence: number, time: number, owner: Snapshots) {
    this.sequence = sequence
    this.time = time
    this.#owner = owner
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#owner.closed(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

export class Snapshots {
  /** Open moments by sequence, but for the newest: how many there are of each. */
  readonly #open = new Map<number, number>()
  /** The sequence that was taken last, and how many moments of it are open: short ranges come and go with it. */
  #newest = -1
  #newestCount = 0
  /** Releases moments that were forgotten. */
  readonly #forgotten = new FinalizationRegistry<number>(sequence => this.#release(sequence))
  /** Those of them that are to be told of. */
  readonly #collectable = new WeakSet<Snapshot>()

  get count(): number {
    return this.#open.size + (this.#newestCount > 0 ? 1 : 0)
  }

  /** Keeps the moment after the commit `sequence`. */
  take(sequence: number, time: number): Snapshot {
    this.#keep(sequence)
    return new Moment(sequence, time, this)
  }

  /** As `take`; a moment that nobody refers to any more is given back without `close`. */
  takeCollectable(sequence: number, time: number): Snapshot {
    this.#keep(sequence)
    const moment = new Moment(sequence, time, this)
    this.#collectable.add(moment)
    this.#forgotten.register(moment, sequence, moment)
    return moment
  }

  /** Largest record sequence that each open moment sees, ascending. */
  sequences(): number[] {
    const open = [...this.#open.keys()]
    if (this.#newestCount > 0) open.push(this.#newest)
    return open.sort((left, right) => left - right).map(sequence => sequence - 1)
  }

  /** For a moment that closes itself. */
  closed(moment: Snapshot): void {
    if (this.#collectable.delete(moment)) this.#forgotten.unregister(moment)
    this.#release(moment.sequence)
  }

  #keep(sequence: number): void {
    if (sequence === this.#newest) {
      this.#newestCount++
      return
    }
    if (this.#newestCount > 0) this.#open.set(this.#newest, this.#newestCount)
    // It may be one that was taken before: commits that went wrong are not seen any more.
    this.#newestCount = 1 + (this.#open.get(sequence) ?? 0)
    this.#open.delete(sequence)
    this.#newest = sequence
  }

  #release(sequence: number): void {
    if (sequence === this.#newest) {
      this.#newestCount--
      return
    }
    const count = this.#open.get(sequence) ?? 0
    if (count > 1) this.#open.set(sequence, count - 1)
    else this.#open.delete(sequence)
  }
}

export function assertSnapshotOpen(snapshot: Snapshot): void {
  if (!(snapshot instanceof Moment)) throw new TypeError('snapshot must be a snapshot of this database')
  if (snapshot.isClosed) throw new VarveError('CLOSED', 'the snapshot was closed')
}
