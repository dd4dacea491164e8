/**
 * Goal: over flushes, compactions, reopenings, kills and crashes the change feed is the history of a model, told once and in order to a consumer that
 * resumes by position; replayed from the start it gives the store; and every moment of the history reads as the model did then.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import { isVarveError } from '../../../../engine/errors.ts'
import type { Change } from '../../../../engine/store/changes.ts'
import type { Store } from '../../../../engine/store/store.ts'
import { thinningFraction } from '../../../../engine/store/time-map.ts'
import { verify } from '../../../../engine/tools/verify.ts'
import { folder, newEnvironment, openSim } from '../../../probes/support.ts'

type TextStore = Store<string, string>
type Content = Map<string, { readonly value: string; readonly expiresAt: number }>
type Environment = ReturnType<typeof newEnvironment>

/** The model after one commit. */
interface State {
  readonly sequence: number
  readonly time: number
  readonly content: Content
}

const small = {
  commitLogFileBytes: 16 * 1024,
  commitLogFileBytesFirst: 4096,
  frameBytesMax: 4096,
  ownSegmentBytes: 1024,
  memoryBytesMax: 256 * 1024,
  tailBytesMax: 128 * 1024,
}

const none = Number.POSITIVE_INFINITY

function sleep(environment: Environment, ms: number): Promise<void> {
  return new Promise(resolve => {
    environment.timers.after(ms, resolve)
  })
}

function sequenceOf(db: Database): number {
  using snapshot = db.snapshot()
  return snapshot.sequence
}

/** A change as the model can say it. */
function told(change: Change<string, string>): unknown {
  if (change.type === 'put') return ['put', change.key, change.value, change.expiresAt ?? none, change.sequence]
  if (change.type === 'del') return ['del', change.key, change.sequence]
  return ['delRange', change.range, change.sequence]
}

class Program {
  readonly random: SimRandom
  states: State[] = []
  changes: { readonly sequence: number; readonly told: unknown }[] = []
  content: Content = new Map()
  #writes = 0

  constructor(seed: number) {
    this.random = new SimRandom(seed)
  }

  key(): string {
    return `k${String(this.random.below(30)).padStart(2, '0')}`
  }

  /** The first entry that expires defines the queue of what expires, which takes a sequence too: before the model counts them. */
  async begin(db: Database, store: TextStore, environment: Environment): Promise<void> {
    const expiresAt = environment.clock.now() + 1
    const written = store.put('first', 'x', { expiresAt })
    this.content.set('first', { value: 'x', expiresAt })
    this.states.push({ sequence: sequenceOf(db) - 1, time: environment.clock.now(), content: new Map(this.content) })
    await written
  }

  /** One commit of a few writes. Returns its promise. */
  write(db: Database, store: TextStore, environment: Environment, words: readonly ('sync' | 'buffered')[]): Promise<void> {
    const { random } = this
    const durability = words[random.below(words.length)] as 'sync'
    let sequence = sequenceOf(db)
    const operations = Array.from({ length: random.chance(0.3) ? 1 + random.below(12) : 1 }, () => {
      const key = this.key()
      const what = random.below(10)
      if (what === 0) {
        const lt = this.key()
        const gte = [key, lt].sort()[0] as string
        if (gte === lt) return { type: 'del', key } as const
        return { type: 'delRange', range: { gte, lt } } as const
      }
      if (what < 3) return { type: 'del', key } as const
      const value = `${this.#writes++}-`.padEnd(random.below(120), 'v')
      if (!random.chance(0.2)) return { type: 'put', key, value } as const
      return { type: 'put', key, value, expiresAt: environment.clock.now() + 1 + random.below(8000) } as const
    })
    const written = store.batch(operations, { durability })
    for (const operation of operations) {
      if (operation.type === 'put') {
        const expiresAt = 'expiresAt' in operation ? operation.expiresAt : none
        this.content.set(operation.key, { value: operation.value, expiresAt })
        this.changes.push({ sequence, told: ['put', operation.key, operation.value, expiresAt, sequence] })
      } else if (operation.type === 'del') {
        this.content.delete(operation.key)
        this.changes.push({ sequence, told: ['del', operation.key, sequence] })
      } else {
        const { gte, lt } = operation.range
        for (const key of [...this.content.keys()]) if (key >= gte && key < lt) this.content.delete(key)
        this.changes.push({ sequence, told: ['delRange', operation.range, sequence] })
      }
      sequence++
    }
    this.states.push({ sequence, time: environment.clock.now(), content: new Map(this.content) })
    return written
  }

  /** The process died: what it had not made durable is forgotten. */
  recoverTo(sequence: number): void {
    this.states = this.states.filter(state => state.sequence <= sequence)
    this.changes = this.changes.filter(change => change.sequence < sequence)
    this.content = new Map(this.states.at(-1)?.content)
  }

  /** The state that a moment shows. */
  stateAt(sequence: number): State | undefined {
    return this.states.findLast(state => state.sequence <= sequence)
  }

  entriesOf(content: Content | undefined, clock: number): [string, string][] {
    const entries = [...(content ?? new Map())].filter(([, { expiresAt }]) => expiresAt > clock)
    return entries.map(([key, { value }]): [string, string] => [key, value]).sort(([a], [b]) => (a < b ? -1 : 1))
  }

  checkAsOf(store: TextStore, environment: Environment): void {
    const { random, states } = this
    if (states.length === 0) return
    const now = environment.clock.now()
    if (random.chance(0.5)) {
      const state = states[random.below(states.length)] as State
      using view = store.asOf(state.sequence)
      expect(view.time).toBeGreaterThanOrEqual(state.time)
      expect(view.time).toBeLessThanOrEqual(state.time + 1 + (now - state.time) * thinningFraction)
      this.checkView(view, state.content)
      return
    }
    const first = states[0] as State
    const time = first.time + random.below(now - first.time + 1)
    using view = store.asOf({ time })
    expect(view.time).toBe(time)
    const slack = 1 + (now - time) * thinningFraction * 2
    const earliest = states.findLast(state => state.time <= time - slack)
    expect(view.sequence).toBeGreaterThanOrEqual(earliest?.sequence ?? 0)
    const next = states.find(state => state.time > time)
    if (next !== undefined) expect(view.sequence).toBeLessThan(next.sequence)
    this.checkView(view, this.stateAt(view.sequence)?.content)
  }

  checkView(view: ReturnType<TextStore['asOf']>, content: Content | undefined): void {
    const expected = this.entriesOf(content, view.time)
    expect([...view]).toEqual(expected)
    expect([...view.keys({ reverse: true })]).toEqual(expected.map(([key]) => key).reverse())
    expect(view.count()).toBe(expected.length)
    const key = this.key()
    expect([view.get(key), view.has(key)]).toEqual([new Map(expected).get(key), new Map(expected).has(key)])
    expect(view.getMany([key])).toEqual([new Map(expected).get(key)])
    expect([...view.values({ gte: key })]).toEqual(expected.filter(([at]) => at >= key).map(([, value]) => value))
  }
}

/** Reads a feed in pieces and remembers where it was, as a consumer with a store of its own would. */
class Consumer {
  position = 0
  changes: Change<string, string>[] = []

  read(store: TextStore, limit: number): number {
    const batch = store.readChanges(this.position, { limit })
    expect(batch.changes.length).toBeLessThanOrEqual(limit)
    this.position = batch.position
    this.changes.push(...batch.changes)
    return batch.changes.length
  }

  /** All but the first put and what the sweeper wrote, which the model does not know of. */
  told(): unknown[] {
    return this.changes
      .slice(1)
      .filter(change => change.type !== 'del' || change.expired !== true)
      .map(told)
  }
}

describe('a feed and a history against a model', () => {
  test.each(Array.from({ length: 4 }, (_, i) => i + 1))('seed %i', async seed => {
    const program = new Program(seed)
    const { random } = program
    const consumer = new Consumer()
    let environment = newEnvironment(seed)
    for (let life = 0; life < 4; life++) {
      const end = ['close', 'kill', 'crash'][random.below(3)]
      const words = end === 'crash' ? (['sync'] as const) : (['sync', 'buffered'] as const)
      await environment.drive(async () => {
        const db = await openSim(environment, small)
        const store: TextStore = db.store('s', { keys: 'string', value: 'string', changes: true, history: { retentionMs: 1e12 } })
        await store.ready()
        if (life === 0) await program.begin(db, store, environment)
        else program.recoverTo(sequenceOf(db))
        expect([...store]).toEqual(program.entriesOf(program.content, environment.clock.now()))
        for (let step = 0; step < 70; step++) {
          const what = random.below(20)
          if (what < 12) {
            const written = program.write(db, store, environment, words)
            if (random.chance(0.4)) await written
            else written.catch(() => undefined)
          } else if (what === 12) await db.seal()
          else if (what === 13) await db.compactLog('store/s')
          else if (what === 14) await sleep(environment, random.below(4000))
          else if (what < 17) consumer.read(store, 1 + random.below(40))
          else program.checkAsOf(store, environment)
        }
        if (life === 3) {
          await db.flush()
          while (consumer.read(store, 100) > 0);
          expect(consumer.told()).toEqual(program.changes.map(change => change.told))
          await checkReplay(db, store, consumer.changes)
        }
        if (end !== 'close' && life < 3) return
        await db.close()
        expect((await verify(folder, { environment })).findings).toEqual([])
      })
      if (end === 'crash') environment.disk.crash()
      else if (end === 'kill') environment.disk.processKill()
      environment = newEnvironment(seed * 100 + life, environment.disk)
      environment.clock.jump(100_000 * (life + 1)) // a simulated machine begins at one time
    }
  })
})

/** The feed from the start, written into another store, makes the same content. */
async function checkReplay(db: Database, store: TextStore, seen: readonly Change<string, string>[]): Promise<void> {
  const copy: TextStore = db.store('copy', { keys: 'string', value: 'string' })
  const ending = new AbortController()
  const all: Change<string, string>[] = []
  for await (const { changes } of store.changes({ from: 'start', signal: ending.signal, batchRecordsMax: 7 })) {
    for (const change of changes) {
      if (change.type === 'put') void copy.put(change.key, change.value, { expiresAt: change.expiresAt, durability: 'none' })
      else if (change.type === 'del') void copy.del(change.key, { durability: 'none' })
      else void copy.delRange(change.range, { durability: 'none' })
    }
    all.push(...changes)
    if (all.length >= seen.length) break
  }
  expect(all).toEqual(seen)
  expect([...copy]).toEqual([...store])
}

describe('a history that ends', () => {
  test.each([1, 2])('every moment within the retention reads as it was; others do, or are gone, seed %i', async seed => {
    const retentionMs = 4000
    const program = new Program(seed)
    const { random } = program
    let environment = newEnvironment(seed)
    let gone = 0
    const checkAll = (store: TextStore): void => {
      const now = environment.clock.now()
      for (const [i, state] of program.states.entries()) {
        if (!random.chance(0.3)) continue
        try {
          using view = store.asOf(state.sequence)
          program.checkView(view, state.content)
        } catch (error) {
          if (!isVarveError(error, 'HISTORY_GONE')) throw error
          gone++
          // It is shown by no moment of the last `retentionMs`.
          const until = program.states[i + 1]?.time ?? now
          expect(until).toBeLessThanOrEqual(now - retentionMs)
        }
      }
      const time = now - random.below(retentionMs)
      if ((program.states[0]?.time ?? now) > time) return
      using view = store.asOf({ time })
      program.checkView(view, program.stateAt(view.sequence)?.content)
    }
    for (let life = 0; life < 3; life++) {
      await environment.drive(async () => {
        const db = await openSim(environment, small)
        const store: TextStore = db.store('s', { keys: 'string', value: 'string', history: { retentionMs } })
        await store.ready()
        if (life === 0) await program.begin(db, store, environment)
        else program.recoverTo(sequenceOf(db))
        checkAll(store)
        for (let step = 0; step < 90; step++) {
          const what = random.below(20)
          if (what < 14) await program.write(db, store, environment, ['sync'])
          else if (what === 14) await db.seal()
          else if (what === 15) await db.compactLog('store/s')
          else if (what < 18) await sleep(environment, random.below(1500))
          else checkAll(store)
        }
        if (life === 1) await db.close()
      })
      if (life !== 1) environment.disk.crash()
      environment = newEnvironment(seed * 100 + life, environment.disk)
      environment.clock.jump(60_000 * (life + 1))
    }
    expect(gone).toBeGreaterThan(0)
  })
})
