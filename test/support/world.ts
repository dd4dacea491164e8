/**
 * One simulated machine with a database on it, and what the database should hold: the history of model states by commit sequence.
 *
 * The commit sequence of a database that was opened says which commits are in it: those of the history up to that sequence, all of them and
 * nothing else. So a recovered state is compared with exactly one state of the history, whatever was acknowledged; acknowledged writes say
 * how far the history must reach at least.
 *
 * Work runs in virtual time until it settles or the machine dies. A world can be copied at any disk operation (`fork`), to crash the copy.
 */
import { type Database, openDatabase } from '../../engine/database.ts'
import type { CrashOptions } from '../../engine/env/index.ts'
import { createSimEnvironment, SimDisk, type SimEnvironment, SimRandom, type SimScheduler, SimStopped } from '../../engine/env/index.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { LeaseDescription, OwnedLease } from '../../engine/lease/leases.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'
import { check, compareLog, equal } from './compare.ts'
import { emptyState, isOwner, type ModelState, withLog } from './log-model.ts'
import { drawSwarm, type Swarm } from './swarm.ts'

export const folder = '/data/db'
const traceLines = 40

interface HistoryEntry {
  /** Commit sequence after the commit. */
  readonly sequence: number
  readonly state: ModelState
}

export interface HeldLease {
  readonly owned: OwnedLease
  readonly description: LeaseDescription
  readonly state: ModelState
}

/** How a machine ends. */
export type EndKind = 'power' | 'kill'

export class World {
  readonly seed: number
  readonly random: SimRandom
  readonly swarm: Swarm
  readonly disk: SimDisk
  environment: SimEnvironment
  #database: Database | undefined
  history: HistoryEntry[] = [{ sequence: 0, state: emptyState }]
  /** Largest commit sequence that was acknowledged for power loss, and for the end of the process. */
  durableSequence = 0
  writtenSequence = 0
  /** Power was lost since the database was last open: what only the operating system had may be gone. */
  #powerWasLost = false
  /** Promises of operations that go on in the background. */
  background: Set<Promise<void>> = new Set()
  failure: unknown
  /** Work that goes on may end with CLOSED. */
  #isClosing = false
  /** Background work may end with TASK_FAILED. */
  workerWasKilled = false
  leases: HeldLease[] = []
  trace: string[] = []
  /** Counts names, so that they are never used twice. */
  names = 0
  readonly counters: { opens: number; crashes: number; kills: number; closes: number; steps: number } = {
    opens: 0,
    crashes: 0,
    kills: 0,
    closes: 0,
    steps: 0,
  }

  constructor(seed: number, swarm?: Swarm, disk?: SimDisk) {
    this.seed = seed
    this.random = new SimRandom(seed)
    this.swarm = swarm ?? drawSwarm(this.random)
    this.disk = disk ?? new SimDisk({ seed: this.random.uint32() })
    this.environment = this.#newEnvironment()
  }

  #newEnvironment(scheduler?: SimScheduler): SimEnvironment {
    const shared = scheduler === undefined ? {} : { scheduler }
    return createSimEnvironment({ seed: this.random.uint32(), disk: this.disk, runners: taskRunners, ...shared })
  }

  get database(): Database {
    check(this.#database !== undefined, 'the database is open')
    return this.#database
  }
  get isAlive(): boolean {
    return this.environment.isAlive
  }
  get state(): ModelState {
    return this.history.at(-1)?.state ?? emptyState
  }

  /** The same commits and the same crash-free past on a copy of the disk as it is now, as another machine. */
  fork(seed: number): World {
    const copy = new World(seed, this.swarm, this.disk.fork(seed))
    // The history only grows while this machine lives, so a copy of the list is enough.
    copy.history = this.history.slice()
    copy.durableSequence = this.durableSequence
    copy.writtenSequence = this.writtenSequence
    copy.names = this.names
    copy.trace = this.trace.slice()
    return copy
  }

  note(text: string): void {
    this.trace.push(`${this.environment.scheduler.nowMs.toFixed(2)} ${text}`)
    if (this.trace.length > traceLines) this.trace.shift()
  }

  /** Runs work until it settles (true) or the machine dies (false). Throws what the work threw, or what failed in the background. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    const { environment } = this
    try {
      await environment.drive(work)
    } catch (error) {
      // What a dying process throws does not matter.
      if (environment.isAlive && !(error instanceof SimStopped)) throw error
    }
    if (this.failure !== undefined) throw this.failure
    return environment.isAlive
  }

  /** A commit that is in the log now. */
  record(state: ModelState, sequence: number = this.database.stats().sequence): number {
    const last = this.history.at(-1) as HistoryEntry
    check(sequence > last.sequence, 'commit sequences grow', sequence, last.sequence)
    this.history.push({ sequence, state })
    return sequence
  }

  /** Changes the newest state without a commit (an owner's high watermark, which is not stored). */
  amend(state: ModelState): void {
    const last = this.history.at(-1) as HistoryEntry
    this.history[this.history.length - 1] = { ...last, state }
  }

  /** Follows the promises of a commit. */
  follow(sequence: number, promises: { readonly written: Promise<void>; readonly durable: Promise<void> }): void {
    this.watch(
      promises.written.then(() => {
        this.writtenSequence = Math.max(this.writtenSequence, sequence)
      }),
    )
    this.watch(
      promises.durable.then(() => {
        this.durableSequence = Math.max(this.durableSequence, sequence)
        this.writtenSequence = Math.max(this.writtenSequence, sequence)
      }),
    )
  }

  /** Keeps the first failure of something that nobody awaits. Failures of a dead machine do not count. */
  watch(promise: Promise<unknown>): void {
    const { environment } = this
    promise.catch(error => {
      const isEnded = (this.#isClosing && isVarveError(error, 'CLOSED')) || (this.workerWasKilled && isVarveError(error, 'TASK_FAILED'))
      if (environment.isAlive && environment === this.environment && !isEnded) this.failure ??= error
    })
  }

  /** Starts something that goes on while later steps run. */
  start(work: () => Promise<void>): void {
    const promise = work()
    this.background.add(promise)
    this.watch(promise.finally(() => this.background.delete(promise)))
  }

  // --- ends and beginnings -----------------------------------------------------------------------------------------------------------

  /** Opens the database and compares it with the history. False when the machine died while it opened. */
  async open(): Promise<boolean> {
    this.counters.opens++
    const alive = await this.run(async () => {
      this.#database = await openDatabase(folder, { ...this.swarm.options, environment: this.environment })
    })
    if (!alive) return false
    this.#adopt()
    return true
  }

  /** Finds the state of the history that was recovered, forgets what came after it, and compares everything. */
  #adopt(): void {
    const { sequence } = this.database.stats()
    const floor = this.#powerWasLost ? this.durableSequence : Math.max(this.durableSequence, this.writtenSequence)
    check(sequence >= floor, 'acknowledged commits are there', sequence, floor)
    this.#powerWasLost = false
    while ((this.history.at(-1) as HistoryEntry).sequence > sequence) this.history.pop()
    this.note(`opened at sequence ${sequence}: ${JSON.stringify(this.database.recovery)}`)
    let state = this.state
    for (const model of state.values()) {
      if (!isOwner(model)) continue
      const { flushedEnd } = this.database.log(model.definition.name)
      check(
        flushedEnd <= Math.max(model.highWatermark, model.start),
        `log ${model.definition.name}: only what was released is flushed`,
        flushedEnd,
        model.highWatermark,
      )
      state = withLog(state, { ...model, highWatermark: Math.max(flushedEnd, model.start) })
    }
    this.amend(state)
    this.durableSequence = sequence
    this.writtenSequence = sequence
    this.compareAll()
    for (const model of this.state.values()) {
      const log = this.database.log(model.definition.name)
      equal(log.durableOffset, model.end, `log ${log.name}: all that was recovered is durable`)
    }
  }

  /** Compares every log with the newest state. */
  compareAll(random: SimRandom | undefined = this.random): void {
    const { state } = this
    const names = this.database.list().map(definition => `${definition.id} ${definition.name} ${definition.kind}`)
    const expected = [...state.values()]
      .map(({ definition }) => definition)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(definition => `${definition.id} ${definition.name} ${definition.kind}`)
    equal(names.join(), expected.join(), 'defined logs')
    for (const model of state.values()) compareLog(this.database.log(model.definition.name), model, random)
  }

  /** The machine ends now. */
  end(kind: EndKind, options?: CrashOptions): void {
    this.note(`the end: ${kind}`)
    if (kind === 'power') {
      this.counters.crashes++
      this.#powerWasLost = true
      this.disk.crash(options ?? this.#drawCrash())
    } else {
      this.counters.kills++
      this.disk.processKill()
    }
  }

  #drawCrash(): CrashOptions {
    const pick = <T>(...values: readonly T[]): T => values[this.random.below(values.length)] as T
    return {
      inFlight: pick('seeded', 'seeded', 'none', 'all'),
      writes: pick('seeded', 'seeded', 'none', 'all'),
      sizes: pick('seeded', 'none', 'all'),
      names: pick('prefix', 'prefix', 'subset', 'none', 'all'),
    }
  }

  /** The machine ends at the `index`-th mutating disk operation from now; the returned function takes that back. */
  endAt(index: number, kind: EndKind): () => void {
    let left = index
    const unhook = this.disk.onOperation(operation => {
      if (left-- > 0) return
      unhook()
      this.note(`at operation ${operation.kind} ${operation.path}`)
      this.end(kind)
    })
    return unhook
  }

  /** A new process on the same disk. */
  restart(): void {
    check(!this.isAlive || this.#database === undefined, 'the old process has ended')
    this.background = new Set()
    this.leases = []
    this.#database = undefined
    this.failure = undefined
    this.#isClosing = false
    this.environment = this.#newEnvironment(this.environment.scheduler)
  }

  /** Closes the database; everything must be there at the next opening. False when the machine died. */
  async close(): Promise<boolean> {
    this.note('close')
    this.counters.closes++
    const { background } = this
    this.background = new Set()
    this.leases = []
    this.#isClosing = true
    const alive = await this.run(async () => {
      await this.database.close()
      await Promise.allSettled(background)
    })
    if (!alive) return false
    this.durableSequence = (this.history.at(-1) as HistoryEntry).sequence
    this.writtenSequence = this.durableSequence
    this.#database = undefined
    this.environment.files.die()
    return true
  }
}
