/**
 * One simulated machine with a database on it, and what the database should hold: the history of model states by commit sequence. What a state is and
 * how it is compared is said by the kinds of machines: `World` (logs), `StoreWorld` (stores).
 *
 * The commit sequence of a database that was opened says which commits are in it: those of the history up to that sequence, all of them and
 * nothing else. So a recovered state is compared with exactly one state of the history, whatever was acknowledged; acknowledged writes say
 * how far the history must reach at least.
 *
 * Work runs in virtual time until it settles or the machine dies. A machine can be copied at any disk operation (`fork`), to crash the copy.
 */
import { type Database, openDatabase } from '../../engine/database.ts'
import type { CrashOptions } from '../../engine/env/index.ts'
import { createSimEnvironment, SimDisk, type SimEnvironment, SimRandom, type SimScheduler, SimStopped } from '../../engine/env/index.ts'
import { isVarveError } from '../../engine/errors.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'
import type { OpenOptions } from '../../engine/options.ts'
import { check } from './compare.ts'

export const folder = '/data/db'
const traceLines = 40

interface HistoryEntry<S> {
  /** Commit sequence after the commit. */
  readonly sequence: number
  readonly state: S
}

/** How a machine ends. */
export type EndKind = 'power' | 'kill'

/** `S`: a state of the model. `W`: what the seed tries, with the options of opening. */
export abstract class Machine<S, W extends { readonly options: OpenOptions }> {
  readonly seed: number
  readonly random: SimRandom
  readonly swarm: W
  readonly disk: SimDisk
  environment: SimEnvironment
  #database: Database | undefined
  history: HistoryEntry<S>[]
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
  /** A copy goes on at the time of what it was copied from. */
  #skewMs = 0
  /** Background work may end with TASK_FAILED. */
  workerWasKilled = false
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

  constructor(seed: number, empty: S, draw: (random: SimRandom) => W, disk?: SimDisk) {
    this.seed = seed
    this.history = [{ sequence: 0, state: empty }]
    this.random = new SimRandom(seed)
    this.swarm = draw(this.random)
    this.disk = disk ?? new SimDisk({ seed: this.random.uint32() })
    this.environment = this.#newEnvironment()
  }

  #newEnvironment(scheduler?: SimScheduler): SimEnvironment {
    const shared = scheduler === undefined ? {} : { scheduler }
    return createSimEnvironment({ seed: this.random.uint32(), disk: this.disk, runners: taskRunners, skewMs: this.#skewMs, ...shared })
  }

  get database(): Database {
    check(this.#database !== undefined, 'the database is open')
    return this.#database
  }
  get isAlive(): boolean {
    return this.environment.isAlive
  }
  get state(): S {
    return (this.history.at(-1) as HistoryEntry<S>).state
  }

  /** The same commits and the same crash-free past on a copy of the disk as it is now, as another machine. */
  abstract fork(seed: number): Machine<S, W>

  /** Compares everything readable with the newest state. */
  abstract compareAll(): void

  /** The database was opened and holds the newest state of the history: a machine adds what opening changes and compares. */
  protected abstract adopt(): Promise<void> | void

  /** The process ends: what only it had is forgotten. */
  protected abstract forget(): void

  /** Makes a new machine on a copy of the disk go on with this one's past. */
  protected copyTo(copy: Machine<S, W>): void {
    // The history only grows while this machine lives, so a copy of the list is enough.
    copy.history = this.history.slice()
    copy.durableSequence = this.durableSequence
    copy.writtenSequence = this.writtenSequence
    copy.names = this.names
    copy.trace = this.trace.slice()
    copy.#skewMs = this.environment.clock.now() - copy.environment.clock.now()
    copy.environment.clock.skewMs = copy.#skewMs
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
  record(state: S, sequence: number = this.database.stats().sequence): number {
    const last = this.history.at(-1) as HistoryEntry<S>
    check(sequence > last.sequence, 'commit sequences grow', sequence, last.sequence)
    this.history.push({ sequence, state })
    return sequence
  }

  /** Changes the newest state without a commit (what is not stored, or is known only later). */
  amend(state: S, sequence?: number): void {
    const last = this.history.at(-1) as HistoryEntry<S>
    this.history[this.history.length - 1] = { sequence: sequence ?? last.sequence, state }
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
    this.#settle()
    return (await this.run(async () => this.adopt())) && this.isAlive
  }

  /** Finds the state of the history that was recovered, and forgets what came after it. */
  #settle(): void {
    const { sequence } = this.database.stats()
    const floor = this.#powerWasLost ? this.durableSequence : Math.max(this.durableSequence, this.writtenSequence)
    check(sequence >= floor, 'acknowledged commits are there', sequence, floor)
    this.#powerWasLost = false
    while ((this.history.at(-1) as HistoryEntry<S>).sequence > sequence) this.history.pop()
    this.note(`opened at sequence ${sequence}: ${JSON.stringify(this.database.recovery)}`)
    this.durableSequence = sequence
    this.writtenSequence = sequence
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
    this.forget()
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
    this.forget()
    this.#isClosing = true
    const alive = await this.run(async () => {
      await this.database.close()
      await Promise.allSettled(background)
    })
    if (!alive) return false
    this.durableSequence = (this.history.at(-1) as HistoryEntry<S>).sequence
    this.writtenSequence = this.durableSequence
    this.#database = undefined
    this.environment.files.die()
    return true
  }
}
