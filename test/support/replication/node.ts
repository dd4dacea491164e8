/**
 * One machine of the cluster: its disk, and the process on it while there is one: database, state machine and replica. Starts, dies by power loss,
 * signal or poison, and starts again on the same disk.
 */
import { type Database, openDatabase } from '../../../engine/database.ts'
import { createSimEnvironment, SimDisk, type SimEnvironment, type SimRandom, type SimScheduler } from '../../../engine/env/index.ts'
import { isVarveError } from '../../../engine/errors.ts'
import type { LocalLog } from '../../../engine/log/log.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'
import { Accounts, encodeCommands } from './accounts.ts'
import type { Judge } from './judge.ts'
import { describeMessage, type Message } from './messages.ts'
import type { Plan } from './plan.ts'
import { Replica } from './replica.ts'

export interface NodeOptions {
  readonly id: number
  readonly plan: Plan
  readonly scheduler: SimScheduler
  readonly random: SimRandom
  readonly judge: Judge
  send(from: number, to: number, message: Message): void
  trace(line: string): void
  /** Something happened that must not: ends the run. */
  fail(error: unknown): void
  /** The process ended by itself or by its own poison; the machine goes on. */
  died(node: ClusterNode): void
}

interface Process {
  readonly environment: SimEnvironment
  db: Database | undefined
  replica: Replica | undefined
  machine: Accounts | undefined
}

export class ClusterNode {
  readonly id: number
  readonly disk: SimDisk
  readonly #options: NodeOptions
  #process: Process | undefined
  readonly counters = { starts: 0, busy: 0, poisoned: 0, refused: 0, flushes: 0, carried: 0, staged: 0 }

  constructor(options: NodeOptions) {
    this.id = options.id
    this.#options = options
    this.disk = new SimDisk({ seed: options.random.uint32() })
  }

  get isUp(): boolean {
    return this.#process?.replica !== undefined
  }
  get isDown(): boolean {
    return this.#process === undefined
  }
  get replica(): Replica | undefined {
    return this.#process?.replica
  }
  get db(): Database | undefined {
    return this.#process?.db
  }
  get machine(): Accounts | undefined {
    return this.#process?.machine
  }
  get log(): LocalLog | undefined {
    return this.isUp ? this.db?.log('data') : undefined
  }

  start(): void {
    const { scheduler, random } = this.#options
    const environment = createSimEnvironment({ seed: random.uint32(), disk: this.disk, scheduler, runners: taskRunners })
    const process: Process = { environment, db: undefined, replica: undefined, machine: undefined }
    this.#process = process
    this.counters.starts++
    this.#boot(process).catch(error => this.#meet(process, error))
  }

  async #boot(process: Process): Promise<void> {
    const { id, plan, judge, random, send, trace } = this.#options
    const { environment } = process
    const db = await openDatabase('/data/db', { ...plan.options, environment })
    await db.define([
      { name: 'data', kind: plan.kind, highWatermark: 'owner', ...(plan.kind === 'store' ? { body: true } : {}) },
      { name: 'noise', kind: 'topic' },
    ])
    const log = db.log('data')
    const machine = new Accounts(plan.kind, judge)
    log.attach(machine)
    process.db = db
    process.machine = machine
    process.replica = new Replica({
      id,
      peers: plan.nodes.filter(peer => peer !== id),
      environment,
      random: random.fork(),
      committer: db,
      log,
      bound: plan.bound,
      bytesMax: plan.bytesMax,
      waitsByBound: plan.waitsByBound,
      opening: encodeCommands(plan.kind, [{ account: '', id: 0, delta: 0 }], 8),
      send: (to, message) => send(id, to, message),
      guard: run => this.#guard(process, run),
      trace,
      elected: term => judge.elected(id, term),
    })
    trace(`${id} is up t${process.replica.term} ${log.flushedEnd}/${log.endOffset} applied ${machine.appliedEnd}`)
  }

  receive(from: number, message: Message): void {
    const process = this.#process
    if (process?.replica === undefined) return
    this.#options.trace(`${from}>${this.id} ${describeMessage(message)}`)
    this.#guard(process, () => process.replica?.receive(from, message))
  }

  /** Runs something on the node's process, as it is now. */
  run(work: (db: Database, replica: Replica) => void): void {
    const process = this.#process
    if (process === undefined) return
    const { db, replica } = process
    if (db !== undefined && replica !== undefined) this.#guard(process, () => work(db, replica))
  }

  /** For promises of work on the process: its errors count while it lives. */
  meet(error: unknown): void {
    if (this.#process !== undefined) this.#meet(this.#process, error)
  }

  #guard(process: Process, run: () => void): void {
    try {
      if (this.#process === process) run()
    } catch (error) {
      this.#meet(process, error)
    }
  }

  #meet(process: Process, error: unknown): void {
    if (this.#process !== process || !process.environment.isAlive) return
    if (process.db?.poison !== undefined) {
      this.counters.poisoned++
      this.#options.trace(`${this.id} is poisoned`)
      this.kill('process')
      this.#options.died(this)
    } else if (isVarveError(error, 'BUSY')) {
      this.counters.busy++
      // What waits may be words that nobody asked to write: draining writes them.
      process.db?.drain().catch(() => undefined) // poisoned meanwhile, which the next write says
    } else if (isVarveError(error, 'REFUSED')) {
      this.counters.refused++
    } else if (isVarveError(error, 'IO')) {
      // Opening failed.
      this.kill('process')
      this.#options.died(this)
    } else if (!isVarveError(error, 'CLOSED')) {
      this.#options.fail(error)
    }
  }

  kill(how: 'power' | 'process'): void {
    this.#retire()
    this.#options.trace(`${this.id} loses its ${how}`)
    if (how === 'power') this.disk.crash()
    else this.disk.processKill()
  }

  async close(): Promise<void> {
    const db = this.db
    this.#retire()
    try {
      await db?.close()
    } catch (error) {
      // A file that could not be prepared while writes failed: the closing frame has no place then, everything else is durable.
      if (!isVarveError(error, 'IO')) throw error
      this.#options.trace(`${this.id} closed without its closing frame`)
    }
  }

  #retire(): void {
    const process = this.#process
    this.#process = undefined
    process?.replica?.stop()
    if (process?.db === undefined) return
    const { flush, commitLog } = process.db.stats()
    this.counters.flushes += flush.flushes
    this.counters.carried += flush.carriedBatches
    this.counters.staged += commitLog.stagedCommits
  }
}
