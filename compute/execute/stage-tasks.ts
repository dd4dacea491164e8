/**
 * Runs the tasks of one stage, as many at a time as there are slots. With **speculation** (MapReduce's backup tasks, by Spark's rules) a slot that has nothing else to do runs a task a second time
 * that runs for long beside the others; the first attempt that ends is the task's output, the other is cancelled and what it gave dropped.
 *
 * A task fails when all its attempts have; then the stage does.
 */

import { checkOptions, nodeClock, nodeTimers } from '../../engine/index.ts'

/** When a task is run a second time. */
export interface SpeculationOptions {
  /** The share of the stage's tasks that must have ended. Default 0.75. */
  readonly quantile?: number
  /** How many times the median time of those a task must have run for. Default 1.5. */
  readonly multiplier?: number
  /** So long a task must have run at least, ms. Default 1000. */
  readonly taskMsMin?: number
}

export type Speculation = Required<SpeculationOptions>

/** TypeError or RangeError naming what is wrong; undefined: no speculation. */
export function resolveSpeculation(given: boolean | SpeculationOptions | undefined): Speculation | undefined {
  if (given === undefined || given === false) return undefined
  if (given !== true && (typeof given !== 'object' || given === null)) {
    throw new TypeError(`speculation must be true, false or an object, got ${String(given)}`)
  }
  if (given !== true) checkOptions(given, 'speculation', ['quantile', 'multiplier', 'taskMsMin'])
  const { quantile = 0.75, multiplier = 1.5, taskMsMin = 1000 } = given === true ? {} : given
  if (!(quantile > 0 && quantile <= 1)) throw new RangeError(`quantile must be above 0 and at most 1, got ${String(quantile)}`)
  if (!(multiplier >= 1)) throw new RangeError(`multiplier must be at least 1, got ${String(multiplier)}`)
  if (!(taskMsMin >= 0)) throw new RangeError(`taskMsMin must be at least 0, got ${String(taskMsMin)}`)
  return { quantile, multiplier, taskMsMin }
}

export interface StageTasks<Output> {
  readonly count: number
  readonly slots: number
  readonly speculation: Speculation | undefined
  /** One attempt, with what is tried again within it. Rejects soon after `cancel` has fired. */
  run(task: number, cancel: AbortSignal): Promise<Output>
  /** An output that is not the task's, since another attempt was first. */
  drop(output: Output): void
}

/** So often a slot without work looks for a task that runs for long. */
const lookMs = 50

interface Running {
  readonly task: number
  readonly beganMs: number
  readonly attempts: Set<AbortController>
  isSecond: boolean
  isDone: boolean
  /** Of the attempt that failed first. */
  error: unknown
}

/** Resolves with the output of each task. */
export async function runTasks<Output>(tasks: StageTasks<Output>): Promise<Output[]> {
  const stage = new StageRun(tasks)
  await Promise.all(Array.from({ length: Math.min(tasks.slots, tasks.count) }, () => stage.slot()))
  return stage.outputs
}

class StageRun<Output> {
  readonly outputs: Output[]
  readonly #tasks: StageTasks<Output>
  readonly #running = new Set<Running>()
  readonly #times: number[] = []
  readonly #waiting = new Set<() => void>()
  #next = 0
  #failed = false

  constructor(tasks: StageTasks<Output>) {
    this.#tasks = tasks
    this.outputs = new Array<Output>(tasks.count)
  }

  async slot(): Promise<void> {
    while (!this.#failed) {
      if (this.#next < this.#tasks.count) {
        const running: Running = {
          task: this.#next++,
          beganMs: nodeClock.monotonic(),
          attempts: new Set(),
          isSecond: false,
          isDone: false,
          error: undefined,
        }
        this.#running.add(running)
        await this.#attempt(running)
        continue
      }
      if (this.#tasks.speculation === undefined || this.#running.size === 0) return
      const slow = this.#straggler(this.#tasks.speculation)
      if (slow === undefined) await this.#change()
      else {
        slow.isSecond = true
        await this.#attempt(slow)
      }
    }
  }

  async #attempt(running: Running): Promise<void> {
    const cancel = new AbortController()
    running.attempts.add(cancel)
    try {
      const output = await this.#tasks.run(running.task, cancel.signal)
      if (running.isDone) this.#tasks.drop(output)
      else this.#done(running, cancel, output)
    } catch (error) {
      running.error ??= error
      if (running.isDone || running.attempts.size > 1) return
      this.#failed = true
      throw running.error
    } finally {
      running.attempts.delete(cancel)
      for (const wake of [...this.#waiting]) wake()
    }
  }

  #done(running: Running, own: AbortController, output: Output): void {
    running.isDone = true
    this.outputs[running.task] = output
    this.#times.push(nodeClock.monotonic() - running.beganMs)
    this.#running.delete(running)
    for (const attempt of running.attempts) if (attempt !== own) attempt.abort()
  }

  /** The task that has run longest, if that is too long. */
  #straggler({ quantile, multiplier, taskMsMin }: Speculation): Running | undefined {
    const times = this.#times.toSorted((a, b) => a - b)
    if (times.length === 0 || times.length < quantile * this.#tasks.count) return undefined
    const leastMs = Math.max(taskMsMin, multiplier * (times[times.length >> 1] as number))
    const now = nodeClock.monotonic()
    for (const running of this.#running) if (!running.isSecond && now - running.beganMs > leastMs) return running
    return undefined
  }

  /** Resolves when an attempt ends, or after a while. */
  #change(): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        cancelTimer()
        this.#waiting.delete(wake)
        resolve()
      }
      const cancelTimer = nodeTimers.after(lookMs, wake)
      this.#waiting.add(wake)
    })
  }
}
