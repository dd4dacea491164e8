/**
 * Leases: one moment of some logs and stores, kept for worker threads.
 *
 * A lease names segment parts, arenas (shared memory), the slots of each log's tail and the memtables of each store as they were when it was taken. A store
 * needs no snapshot: its runs and memtables are kept whole. Nothing in it is deleted or
 * recycled until the owner released it and every copy that was handed out was released or its worker ended. A copy is one cell of shared
 * memory: a worker releases it by a store, without a message; the owner looks at the cells when it wants to delete something.
 *
 * Owned by the database. Invariant: a segment in a lease is pinned in the manifest, an arena in a lease counts it in `Arena.leases`.
 */
import type { Manifest } from '../catalog/manifest.ts'
import type { Arena, ArenaView } from '../commit-log/arena.ts'
import { assert, VarveError } from '../errors.ts'
import type { DefinedLog, ReadBound } from '../log/log.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { PartRef } from '../log/parts.ts'
import { PART_RUN } from '../segment/format.ts'
import type { StoredIndex } from '../store/index-options.ts'
import type { MemtableDescription } from '../store/memtable.ts'
import type { Snapshot } from '../store/snapshots.ts'
import type { StoredStoreOptions } from '../store/store-options.ts'
import type { LeasableStore, LeasableTable } from '../store/stores.ts'
import type { ValueStructures } from '../store/value-codec.ts'

const copiesMax = 1024

/** What a lease is taken of. */
export interface LeaseOptions {
  /** Names of the logs. Default: all, or none when `stores` is given. */
  readonly logs?: readonly string[]
  /** Names of the stores. Default: all, or none when `logs` is given. */
  readonly stores?: readonly string[]
  /** How far the moment sees of logs. Default 'highWatermark'. Stores are seen as their own reads see them. */
  readonly bound?: ReadBound
  /**
   * An open moment to read stores at, a snapshot or a view (`Store.asOf`), instead of now; the lease keeps it, whatever becomes of the snapshot. Default: this moment. Of stores only:
   * TypeError with `logs`. CLOSED when it was closed.
   */
  readonly snapshot?: Pick<Snapshot, 'sequence' | 'time' | 'isClosed'> | undefined
}

/** One log in a lease. */
export interface LeasedLogDescription {
  readonly definition: DefinedLog
  readonly startOffset: number
  /** Exclusive: what the bound allowed when the lease was taken. */
  readonly endOffset: number
  readonly flushedEnd: number
  readonly parts: readonly LeasedPart[]
  readonly slots: readonly number[]
}

/** A part of a segment in a lease. */
export interface LeasedPart {
  readonly path: string
  readonly segmentId: number
  readonly part: number
}

/** Records of a store or an index in a lease. */
export interface LeasedTableDescription {
  /** In no order. */
  readonly runs: readonly LeasedPart[]
  /** Oldest first, each with the shared memory in which its records lie: an arena's, or its own. */
  readonly memtables: readonly { readonly description: MemtableDescription; readonly bytes: Uint8Array }[]
}

/** One index of a store in a lease. */
export interface LeasedIndexDescription extends LeasedTableDescription {
  readonly name: string
  readonly stored: StoredIndex
  /** Undefined: it was being built. */
  readonly builtSequence: number | undefined
}

/** One store in a lease. */
export interface LeasedStoreDescription extends LeasedTableDescription {
  /** As users know it. */
  readonly name: string
  readonly options: StoredStoreOptions
  readonly indexes: readonly LeasedIndexDescription[]
  /** Lists of keys that its values may refer to, by number. */
  readonly structures: ValueStructures
}

/** A copy of a lease for one thread; structured-clonable. `openLease` reads it. */
export interface LeaseDescription {
  /** Commit sequence of the moment: commits before it are seen. */
  readonly sequence: number
  /** Clock of the moment, ms since 1970. */
  readonly time: number
  /** Logs that the lease was taken of. */
  readonly logs: readonly LeasedLogDescription[]
  /** Stores that the lease was taken of. */
  readonly stores: readonly LeasedStoreDescription[]
  /** Shared memory in which their tails lie. */
  readonly arenas: readonly ArenaView[]
  /** One cell a copy: 1 in use, 0 released. */
  readonly cells: Int32Array
  /** Cell of this copy. */
  readonly copy: number
}

/** What a lease wants of a worker: to hear of its end. `Worker` of node:worker_threads is one. */
export interface EndingThread {
  /** -1 once the thread has ended. */
  readonly threadId?: number
  /** Calls the listener when the thread has ended. */
  once(event: 'exit', listener: () => void): unknown
  /** Takes the listener back: a thread may live on when no lease is held in it. */
  off?(event: 'exit', listener: () => void): unknown
}

/** A lease in the thread of the database; see `Database.lease`. */
export interface OwnedLease {
  /** Commit sequence of the moment: commits before it are seen. */
  readonly sequence: number
  /** Clock of the moment, by which entries of stores have expired or not, ms since 1970. */
  readonly time: number
  /** A copy for one thread. With the worker given, its end releases the copy. */
  share(worker?: EndingThread): LeaseDescription
  /** The owner needs it no longer; copies go on. Idempotent. */
  release(): void
  [Symbol.dispose](): void
}

interface LeaseState {
  readonly segments: readonly number[]
  readonly arenas: readonly Arena[]
  readonly cells: Int32Array
  /** Copies of threads whose end was not seen yet; emptied when the lease is given back, so that a long-lived thread keeps no old arena. */
  readonly held: Set<HeldCopy>
  /** Copies ever handed out. Invariant: at most `copiesMax`. */
  copies: number
  ownerReleased: boolean
}

/** A copy that ends with its thread. */
interface HeldCopy {
  readonly cells: Int32Array
  readonly copy: number
  readonly ofThread: ThreadCopies
}

/** All copies of a thread: one listener serves them, as long as there are some. */
interface ThreadCopies {
  readonly thread: EndingThread
  readonly copies: Set<HeldCopy>
  readonly onExit: () => void
}

/** What a lease is taken of, all of it in one turn. */
export interface LeaseMoment {
  readonly sequence: number
  readonly time: number
  readonly logs: readonly LogicalLog[]
  readonly bound: ReadBound
  readonly stores: readonly LeasableStore[]
}

export class Leases {
  readonly #manifest: Manifest
  readonly #onRelease: () => void
  #leases = new Set<LeaseState>()
  #threads = new WeakMap<EndingThread, ThreadCopies>()

  constructor(manifest: Manifest, onRelease: () => void) {
    this.#manifest = manifest
    this.#onRelease = onRelease
  }

  get count(): number {
    return this.#leases.size
  }

  take({ sequence, time, logs, bound, stores }: LeaseMoment): OwnedLease {
    const segments = new Set<number>()
    const arenas = new Map<number, Arena>()
    const described: LeasedLogDescription[] = []
    for (const log of logs) {
      const endOffset = log.boundOffset(bound)
      const slots: number[] = []
      const { tail } = log
      for (let i = 0; i < tail.length && tail.endOffset(i) <= endOffset; i++) {
        slots.push(tail.slot(i))
        const arena = tail.arena(i)
        arenas.set(arena.number, arena)
      }
      for (const part of log.parts) segments.add(part.segmentId)
      described.push({
        definition: log.definition,
        startOffset: log.startOffset,
        endOffset,
        flushedEnd: log.flushedEnd,
        parts: log.parts.map(leasedPart),
        slots,
      })
    }
    const describedStores = stores.map(store => describeStore(store, segments, arenas))
    for (const id of segments) this.#manifest.pin(id)
    for (const arena of arenas.values()) arena.leases++
    const state: LeaseState = {
      segments: [...segments],
      arenas: [...arenas.values()],
      cells: new Int32Array(new SharedArrayBuffer(copiesMax * 4)),
      held: new Set(),
      copies: 0,
      ownerReleased: false,
    }
    this.#leases.add(state)
    const views = state.arenas.map(arena => arena.viewNow())
    const release = (): void => {
      state.ownerReleased = true
      this.collect()
      this.#onRelease()
    }
    return {
      sequence,
      time,
      share: worker => {
        if (state.ownerReleased) throw new VarveError('CLOSED', 'the lease was released')
        if (worker?.threadId === -1) throw new VarveError('CLOSED', 'the worker of this copy has ended')
        if (state.copies >= copiesMax) {
          throw new VarveError('TOO_LARGE', `a lease has at most ${copiesMax} copies`, { details: { limit: 'copies' } })
        }
        const copy = state.copies++
        Atomics.store(state.cells, copy, 1)
        if (worker !== undefined) this.#endsWith(worker, state, copy)
        return { sequence, time, logs: described, stores: describedStores, arenas: views, cells: state.cells, copy }
      },
      release,
      [Symbol.dispose]: release,
    }
  }

  #endsWith(thread: EndingThread, state: LeaseState, copy: number): void {
    let ofThread = this.#threads.get(thread)
    if (ofThread === undefined) {
      const copies = new Set<HeldCopy>()
      const onExit = (): void => {
        for (const held of copies) Atomics.store(held.cells, held.copy, 0)
        copies.clear()
        this.collect()
        this.#onRelease()
      }
      ofThread = { thread, copies, onExit }
      this.#threads.set(thread, ofThread)
      thread.once('exit', onExit)
    }
    const held = { cells: state.cells, copy, ofThread }
    ofThread.copies.add(held)
    state.held.add(held)
  }

  #letGo(held: HeldCopy): void {
    const { thread, copies, onExit } = held.ofThread
    copies.delete(held)
    if (copies.size > 0 || this.#threads.get(thread) !== held.ofThread) return
    this.#threads.delete(thread)
    thread.off?.('exit', onExit)
  }

  /** Gives back what released leases pinned. */
  collect(): void {
    for (const state of this.#leases) {
      if (!state.ownerReleased || !allReleased(state)) continue
      this.#leases.delete(state)
      for (const held of state.held) this.#letGo(held)
      for (const id of state.segments) this.#manifest.unpin(id)
      for (const arena of state.arenas) arena.leases--
    }
  }

  /**
   * The database closes: leases end with it for the owner; files that copies may still read stay until the next opening. What is released later
   * finds nothing to give back.
   */
  close(): void {
    for (const state of this.#leases) state.ownerReleased = true
    this.collect()
    for (const { held } of this.#leases) for (const copy of held) this.#letGo(copy)
    this.#leases.clear()
  }
}

/** Adds to `segments` and `arenas` what the store's moment needs. */
function describeStore(store: LeasableStore, segments: Set<number>, arenas: Map<number, Arena>): LeasedStoreDescription {
  return {
    ...describeTable(store, segments, arenas),
    name: store.name,
    options: store.log.definition.options?.store as StoredStoreOptions,
    indexes: store.indexes.map(index => ({
      ...describeTable(index, segments, arenas),
      name: index.name,
      stored: index.stored,
      builtSequence: index.builtSequence,
    })),
    structures: store.structures,
  }
}

/** Memory of a batch that was unpacked is never reused, so it needs no pin. */
function describeTable({ log, memtables }: LeasableTable, segments: Set<number>, arenas: Map<number, Arena>): LeasedTableDescription {
  const ofTail = new Map<number, Arena>()
  const { tail } = log
  for (let i = 0; i < tail.length; i++) {
    const arena = tail.arena(i)
    ofTail.set(arena.number, arena)
  }
  const held = memtables.filter(memtable => memtable.count > 0)
  for (const { arenaNumber } of held) {
    const arena = ofTail.get(arenaNumber)
    assert(arena !== undefined, 'a memtable is of an arena of the tail', arenaNumber)
    arenas.set(arenaNumber, arena)
  }
  const runs = log.parts.filter(part => part.type === PART_RUN && part.recordCount > 0)
  for (const { segmentId } of runs) segments.add(segmentId)
  return {
    runs: runs.map(leasedPart),
    memtables: held.map(memtable => ({ description: memtable.describe(), bytes: memtable.bytes })),
  }
}

function leasedPart({ reader, segmentId, part }: PartRef): LeasedPart {
  return { path: reader.path, segmentId, part }
}

function allReleased(state: LeaseState): boolean {
  for (let copy = 0; copy < state.copies; copy++) if (Atomics.load(state.cells, copy) !== 0) return false
  return true
}
