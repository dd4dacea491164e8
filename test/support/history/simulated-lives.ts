/**
 * Lives of one simulated machine whose clients write a history: each life opens the database, lets clients run against it at the same time, and ends by a
 * close, a kill or a loss of power, at rest or at any disk operation. The last one is quiet: nothing but a full read.
 *
 * Completions count only while the process lives that reports them: what a dying process still says nobody hears.
 */
import { createSimEnvironment, SimDisk, type SimEnvironment, SimRandom, SimStopped } from '../../../engine/env/index.ts'
import type { Durability } from '../../../engine/log/log.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'
import type { OpenOptions } from '../../../engine/options.ts'
import { type Database, open } from '../../../index.ts'
import { folder } from '../machine.ts'
import type { HistoryEvent } from './history.ts'
import { HistoryRecorder } from './recorder.ts'

const KiB = 1024

/** A life as its clients see it. */
export interface Life {
  readonly random: SimRandom
  readonly recorder: HistoryRecorder
  readonly environment: SimEnvironment
  /** True when clients shall come to an end. */
  readonly isEnding: boolean
  /** Waits for up to so many virtual milliseconds, drawn. */
  pause(msMax: number): Promise<void>
}

export class SimulatedLives {
  readonly random: SimRandom
  readonly recorder: HistoryRecorder
  readonly options: OpenOptions
  readonly counters: { lives: number; kills: number; powerLosses: number } = { lives: 0, kills: 0, powerLosses: 0 }
  readonly #disk: SimDisk
  readonly #events: HistoryEvent[] = []
  #environment: SimEnvironment

  /** `words`: the databases' durability words, drawn from. */
  constructor(seed: number, words: readonly Durability[] = ['sync']) {
    this.random = new SimRandom(seed)
    this.#disk = new SimDisk({ seed: this.random.uint32() })
    this.options = drawOptions(this.random, words)
    this.#environment = this.#newEnvironment()
    this.recorder = new HistoryRecorder(
      () => this.#environment.scheduler.nowMs,
      event => {
        if (event.type === 'invoke' || this.#environment.isAlive) this.#events.push(event)
      },
    )
  }

  get events(): readonly HistoryEvent[] {
    return this.#events
  }

  #newEnvironment(scheduler?: SimEnvironment['scheduler']): SimEnvironment {
    const shared = scheduler === undefined ? {} : { scheduler }
    return createSimEnvironment({ seed: this.random.uint32(), disk: this.#disk, runners: taskRunners, ...shared })
  }

  /** Runs `work` on the opened database until it ends and the database is closed, or the machine dies at the drawn disk operation. */
  async live(work: (database: Database, life: Life) => Promise<void>, diesAt?: number): Promise<'closed' | 'died'> {
    this.counters.lives++
    const { random, recorder, counters } = this
    const environment = this.#environment
    const isPowerLoss = random.chance(0.5)
    let left = diesAt ?? Number.POSITIVE_INFINITY
    const unhook = this.#disk.onOperation(() => {
      if (left-- > 0) return
      unhook()
      recorder.note('chaos', { kind: 'crash', machine: isPowerLoss })
      if (isPowerLoss) this.#disk.crash({})
      else this.#disk.processKill()
      counters[isPowerLoss ? 'powerLosses' : 'kills']++
    })
    let failure: unknown
    try {
      await environment.drive(async () => {
        const database = await open(folder, { ...this.options, environment })
        const life: Life = {
          random: random.fork(),
          recorder,
          environment,
          get isEnding() {
            return left <= 0
          },
          pause: msMax => new Promise(resolve => environment.timers.after(1 + random.below(msMax), resolve)),
        }
        await work(database, life)
        await database.close()
      })
    } catch (error) {
      // What a dying process throws does not matter.
      if (environment.isAlive && !(error instanceof SimStopped)) failure = error
    }
    unhook()
    const how = environment.isAlive ? 'closed' : 'died'
    // The process is over, however it ended.
    if (how === 'closed') {
      recorder.note('chaos', { kind: 'crash', machine: false })
      environment.files.die()
    }
    this.#environment = this.#newEnvironment(environment.scheduler)
    if (failure !== undefined) throw failure
    return how
  }
}

/** Small files, so that flushes, merges and recycling happen all the time. */
function drawOptions(random: SimRandom, words: readonly Durability[]): OpenOptions {
  const pick = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  return {
    commitLogFileBytes: pick(16, 32) * KiB,
    commitLogFileBytesFirst: pick(4, 8) * KiB,
    frameBytesMax: pick(4, 8) * KiB,
    ownSegmentBytes: pick(1, 4, 16) * KiB,
    closeTailBytesMax: pick(0, 4096) * KiB,
    sync: random.chance(0.3) ? 'inline' : 'group',
    durability: pick(...words),
  }
}
