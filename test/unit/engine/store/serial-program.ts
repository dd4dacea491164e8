/**
 * The frame of the tests that transactions are serializable: random transactions, with and without awaits, run interleaved, with flushes and merges in
 * between; each notes what it read and wrote. A committed one appends its number to a topic log in the same commit, which gives the order; one that only
 * reads notes where the log ended at its first read. What a transaction does, and the model it is replayed on, is the test's.
 */
import { expect } from 'vitest'
import { decodeRecords } from '../../../../engine/batch/record-batch-codec.ts'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import { isVarveError } from '../../../../engine/errors.ts'
import type { LocalLog } from '../../../../engine/log/log.ts'
import type { Transaction } from '../../../../engine/store/transaction.ts'
import { newEnvironment, openSim, textOf } from '../../../probes/support.ts'

/** One transaction. */
export interface SerialRun<Step> {
  readonly number: number
  steps: Step[]
  /** Transactions in the log at the first read. */
  position: number
  writes: boolean
}

export interface SerialShape {
  /** Steps at most; a body has 1 to so many. */
  readonly steps: number
  /** Share of steps that read. */
  readonly reads: number
  /** Share of transactions that are given up. */
  readonly aborts: number
  /** Log that is compacted now and then. */
  readonly compacted: string
}

export abstract class SerialProgram<Step> {
  readonly random: SimRandom
  readonly runs: SerialRun<Step>[] = []
  readonly #environment: ReturnType<typeof newEnvironment>
  readonly #db: Database
  readonly #log: LocalLog
  readonly #shape: SerialShape
  #bodies = 0

  constructor(seed: number, environment: ReturnType<typeof newEnvironment>, db: Database, shape: SerialShape) {
    this.random = new SimRandom(seed)
    this.#environment = environment
    this.#db = db
    this.#log = db.log('order')
    this.#shape = shape
  }

  /** The two verbs of one body. */
  protected abstract begin(tx: Transaction, run: SerialRun<Step>): { read(): void; write(): void }

  /** Does the steps of a run on the model; throws when a read gives another answer. */
  protected abstract replay(run: SerialRun<Step>): void

  /** The model is as the database. */
  protected abstract compare(): void

  /** A step that reads takes the moment, if none did before. */
  protected takeMoment(run: SerialRun<Step>): void {
    if (run.position < 0) run.position = this.#log.endOffset
  }

  /** Runs everything, several transactions at once, and judges it. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: 6 }, () => this.#worker(20)))
    const committed = this.#order()
    // Readers stand where their moment is.
    const readers = this.runs.filter(run => !run.writes && run.steps.length > 0)
    for (let position = 0; position <= committed.length; position++) {
      for (const reader of readers) if (reader.position === position) this.replay(reader)
      const number = committed[position]
      if (number !== undefined) this.replay(this.runs[number] as SerialRun<Step>)
    }
    this.compare()
    // The test means nothing without transactions that met.
    expect(this.#bodies).toBeGreaterThan(this.runs.length + 2)
    expect(committed.length).toBeGreaterThan(40)
  }

  async #worker(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.#transaction()
      if (this.random.chance(0.1)) await this.#db.seal()
      else if (this.random.chance(0.05)) await this.#db.compactLog(this.#shape.compacted)
    }
  }

  async #transaction(): Promise<void> {
    const { random } = this
    const run: SerialRun<Step> = { number: this.runs.length, steps: [], position: -1, writes: false }
    this.runs.push(run)
    const shape = {
      steps: 1 + random.below(this.#shape.steps),
      isReader: random.chance(0.2),
      aborts: this.#shape.aborts > 0 && random.chance(this.#shape.aborts),
    }
    const restart = (): void => {
      this.#bodies++
      Object.assign(run, { steps: [], position: -1, writes: false })
    }
    const durability = random.chance(0.3) ? 'sync' : 'none'
    try {
      if (random.below(10) < 3) {
        await this.#db.transaction(
          tx => {
            restart()
            for (const _ of this.#body(tx, run, shape));
          },
          { durability },
        )
      } else {
        await this.#db.transaction(
          async tx => {
            restart()
            for (const _ of this.#body(tx, run, shape)) await this.#pause()
          },
          { durability, retries: random.below(6) },
        )
      }
      if (shape.aborts) run.steps = []
    } catch (error) {
      if (!isVarveError(error, 'CONFLICT')) throw error
      Object.assign(run, { steps: [], writes: false })
    }
  }

  async #pause(): Promise<void> {
    const { random } = this
    if (random.chance(0.4)) await null
    else if (random.chance(0.9)) await new Promise<void>(resolve => this.#environment.timers.after(random.below(3), resolve))
    else await this.#db.seal()
  }

  /** Yields where an asynchronous body may wait. */
  *#body(
    tx: Transaction,
    run: SerialRun<Step>,
    shape: { readonly steps: number; readonly isReader: boolean; readonly aborts: boolean },
  ): Generator<void, void> {
    const { random } = this
    const verbs = this.begin(tx, run)
    for (let i = 0; i < shape.steps; i++) {
      if (random.chance(0.5)) yield
      if (shape.isReader || random.chance(this.#shape.reads)) {
        this.takeMoment(run)
        verbs.read()
      } else {
        run.writes = true
        verbs.write()
      }
    }
    if (random.chance(0.5)) yield
    if (run.writes) tx.log(this.#log).appendRecords([{ value: String(run.number) }])
    if (shape.aborts) tx.abort()
  }

  /** Numbers of the committed transactions in the order of their commits. */
  #order(): number[] {
    const numbers: number[] = []
    for (let next = 0; next < this.#log.endOffset; ) {
      const slice = this.#log.read(next, { bound: 'end' })
      for (const position of slice.positions) {
        for (const record of decodeRecords(slice.bytes, position)) if (record.offset >= next) numbers.push(Number(textOf(record.value)))
      }
      next = slice.nextOffset
    }
    return numbers
  }
}

/** Opens a database for a seed, and runs what `make` makes there. */
export async function runSerial<Step>(
  seed: number,
  make: (environment: ReturnType<typeof newEnvironment>, db: Database) => Promise<SerialProgram<Step>> | SerialProgram<Step>,
): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await db.define([{ name: 'order', kind: 'topic' }])
    const program = await make(environment, db)
    await program.run()
    await db.close()
  })
}
