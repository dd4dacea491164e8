/**
 * Virtual time: a queue of events, run one after the other by whoever drives the simulation. Nothing waits for real time.
 *
 * Algorithm of a run: 1. take the earliest event; among those of one time the order is drawn from the seed ('seeded') or that of their
 * making ('fifo'); 2. set the time to the event's; 3. call it; 4. let all promise reactions run to their end, then go to 1. Step 4 is a
 * `process.nextTick` made from a promise reaction: Node runs it when the microtask queue is empty and not before.
 *
 * Invariants: time never goes back; an event runs at most once; code under simulation waits only for events (or for work that is
 * already done), so an empty queue with an unsettled promise is a deadlock and reported as one.
 */
import { assert } from '../../errors.ts'
import type { SimRandom } from './random.ts'

/** Events of one run, unless told otherwise; more means that something re-arms itself for ever. */
const eventsMaxDefault = 10_000_000
/** After so many events the real event loop gets a turn, so that a test's time limit works. */
const eventsPerTurn = 2000
/** How long an empty queue may last in real time before `drive` gives up: modules and WebAssembly load in real time, on a busy machine slowly. */
const patienceMs = 3000

interface Event {
  readonly timeMs: number
  readonly tie: number
  readonly number: number
  /** undefined once cancelled or run. */
  run: (() => void) | undefined
}

export interface SimSchedulerOptions {
  /** Order of events of the same time. Default 'seeded'. */
  readonly ties?: 'seeded' | 'fifo'
}

export interface RunLimits {
  /** Stop before the first event after this virtual time, and move time there. */
  readonly untilMs?: number
  /** Stop as soon as this holds; asked before each event. */
  readonly until?: () => boolean
  readonly eventsMax?: number
}

/** `drive` stopped before its work was done, because its stop condition held. */
export class SimStopped extends Error {
  override readonly name = 'SimStopped'
}

export class SimScheduler {
  readonly #random: SimRandom
  readonly #seeded: boolean
  /** Binary heap by (time, tie, number). */
  readonly #heap: Event[] = []
  #nowMs = 0
  /** Events ever made. */
  #made = 0
  /** Events ever run. */
  #ran = 0

  constructor(random: SimRandom, options: SimSchedulerOptions = {}) {
    this.#random = random
    this.#seeded = options.ties !== 'fifo'
  }

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events run so far. */
  get eventCount(): number {
    return this.#ran
  }

  /** Calls `run` after `delayMs` of virtual time; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void {
    assert(delayMs >= 0, 'an event lies in the future', delayMs)
    const tie = this.#seeded ? this.#random.uint32() : 0
    const event: Event = { timeMs: this.#nowMs + delayMs, tie, number: this.#made++, run }
    this.#push(event)
    return () => {
      event.run = undefined
    }
  }

  /** Runs events until none is left or a limit is reached. */
  async run(limits: RunLimits = {}): Promise<void> {
    const { untilMs = Number.POSITIVE_INFINITY, until, eventsMax = eventsMaxDefault } = limits
    await drainMicrotasks()
    for (let count = 0; !(until?.() ?? false); count++) {
      const next = this.#next()
      if (next === undefined || next.timeMs > untilMs) break
      assert(count < eventsMax, 'a simulation ends within its bound of events', count)
      this.#runFirst()
      await drainMicrotasks()
      if (count % eventsPerTurn === eventsPerTurn - 1) await realTurn()
    }
    if (untilMs !== Number.POSITIVE_INFINITY && !(until?.() ?? false)) this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  /** Runs everything that happens in the next `durationMs` of virtual time. */
  async runFor(durationMs: number): Promise<void> {
    await this.run({ untilMs: this.#nowMs + durationMs })
  }

  /**
   * Runs events until `work` settles, and answers as it does. Throws `SimStopped` when `stop` holds first, and an Error when nothing is
   * left to run while `work` still waits.
   */
  async drive<T>(work: Promise<T> | (() => Promise<T>), stop?: () => boolean): Promise<T> {
    const outcome: { settled: boolean } = { settled: false }
    const settle = (): void => {
      outcome.settled = true
    }
    const promise = typeof work === 'function' ? work() : work
    promise.then(settle, settle)
    const startedAt = performance.now()
    for (let emptyTurns = 0; ; emptyTurns++) {
      await this.run({ until: () => outcome.settled || (stop?.() ?? false) })
      if (outcome.settled) return promise
      if (stop?.()) throw new SimStopped('the simulation was stopped before the work was done')
      if (this.#next() !== undefined) continue
      if (emptyTurns > 10 && performance.now() - startedAt > patienceMs)
        throw new Error(`the work waits for ever: no event is left at ${this.#nowMs} ms of virtual time`)
      await realTurn()
    }
  }

  /** The earliest event that was not cancelled. */
  #next(): Event | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) this.#pop()
    return this.#heap[0]
  }

  #runFirst(): void {
    const event = this.#pop()
    const run = event.run
    assert(run !== undefined && event.timeMs >= this.#nowMs, 'time goes forward', event.timeMs, this.#nowMs)
    event.run = undefined
    this.#nowMs = event.timeMs
    this.#ran++
    run()
  }

  #push(event: Event): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = event
  }

  #pop(): Event {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore(left: Event, right: Event): boolean {
  if (left.timeMs !== right.timeMs) return left.timeMs < right.timeMs
  return left.tie !== right.tie ? left.tie < right.tie : left.number < right.number
}

async function drainMicrotasks(): Promise<void> {
  await undefined
  await new Promise<void>(resolve => process.nextTick(resolve))
}

function realTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
