/**
 * Goal: every verb of a store answers as a sorted array would, at the newest moment and at snapshots, over flushes, compactions, reopenings and crashes.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { Snapshot } from '../../../../engine/store/snapshots.ts'
import type { Store } from '../../../../engine/store/store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

type Content = Map<string, string>

const sorted = (content: Content): [string, string][] => [...content].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))

class Program {
  readonly random: SimRandom
  content: Content = new Map()
  snapshots: { snapshot: Snapshot; content: Content }[] = []
  #writes = 0

  constructor(seed: number) {
    this.random = new SimRandom(seed)
  }

  key(): string {
    return `k${String(this.random.below(60)).padStart(this.random.chance(0.1) ? 3 : 2, '0')}`
  }

  value(): string {
    return `${this.#writes++}-`.padEnd(this.random.below(120), 'v')
  }

  range(): { gt?: string; gte?: string; lt?: string; lte?: string } {
    const [from, to] = [this.key(), this.key()].sort() as [string, string]
    const lower = [{}, { gt: from }, { gte: from }][this.random.below(3)] ?? {}
    const upper = [{}, { lt: to }, { lte: to }][this.random.below(3)] ?? {}
    return { ...lower, ...upper }
  }

  static inRange(key: string, range: ReturnType<Program['range']>): boolean {
    return (
      (range.gt === undefined || key > range.gt) &&
      (range.gte === undefined || key >= range.gte) &&
      (range.lt === undefined || key < range.lt) &&
      (range.lte === undefined || key <= range.lte)
    )
  }

  async step(db: Database, store: Store<string, string>): Promise<void> {
    const { random } = this
    const durability = (['sync', 'buffered', 'none'] as const)[random.below(3)] as 'sync'
    const what = random.below(20)
    if (what < 7) {
      const [key, value] = [this.key(), this.value()]
      const written = store.put(key, value, { durability })
      this.content.set(key, value)
      expect(store.get(key)).toBe(value)
      if (random.chance(0.3)) await written
    } else if (what < 9) {
      const key = this.key()
      void store.del(key, { durability })
      this.content.delete(key)
      expect(store.has(key)).toBe(false)
    } else if (what === 9) {
      const range = this.range()
      void store.delRange(range, { durability })
      for (const key of [...this.content.keys()]) if (Program.inRange(key, range)) this.content.delete(key)
    } else if (what < 12) {
      const operations = Array.from({ length: 1 + random.below(20) }, () => {
        const key = this.key()
        if (random.chance(0.2)) {
          this.content.delete(key)
          return { type: 'del', key } as const
        }
        const value = this.value()
        this.content.set(key, value)
        return { type: 'put', key, value } as const
      })
      await store.batch(operations, { durability })
    } else if (what === 12) {
      const key = this.key()
      const expected = random.chance(0.5) ? this.content.get(key) : 'something else'
      const value = random.chance(0.3) ? undefined : this.value()
      const isSame = this.content.get(key) === expected
      const answer = store.compareAndSet(key, expected, value)
      if (isSame && value === undefined) this.content.delete(key)
      else if (isSame) this.content.set(key, value as string)
      expect(await answer).toBe(isSame)
    } else if (what === 13) await db.seal()
    else if (what === 14) void db.compactLog('store/s').catch(() => undefined)
    else if (what === 15 && this.snapshots.length < 4) this.snapshots.push({ snapshot: db.snapshot(), content: new Map(this.content) })
    else if (what === 16 && this.snapshots.length > 0) {
      const [taken] = this.snapshots.splice(random.below(this.snapshots.length), 1)
      if (taken !== undefined) this.compare(store, taken.content, taken.snapshot)
      taken?.snapshot.close()
    } else this.compare(store, this.content)
  }

  compare(store: Store<string, string>, content: Content, snapshot?: Snapshot): void {
    const moment = snapshot === undefined ? {} : { snapshot }
    const range = this.range()
    const expected = sorted(content).filter(([key]) => Program.inRange(key, range))
    expect([...store.entries({ ...range, ...moment })]).toEqual(expected)
    expect([...store.entries({ ...range, ...moment, reverse: true })]).toEqual([...expected].reverse())
    expect(store.count({ ...range, ...moment })).toBe(expected.length)
    const limit = this.random.below(10)
    expect([...store.keys({ ...range, ...moment, limit })]).toEqual(expected.slice(0, limit).map(([key]) => key))
    for (let i = 0; i < 5; i++) {
      const key = this.key()
      expect(store.get(key, moment)).toBe(content.get(key))
    }
    const reverse = this.random.chance(0.5)
    const target = this.key()
    const iterator = store.iterator({ ...range, ...moment, reverse })
    if (this.random.chance(0.5)) iterator.nextBatch(3)
    iterator.seek(target)
    const behind = reverse ? [...expected].reverse().filter(([key]) => key <= target) : expected.filter(([key]) => key >= target)
    expect(iterator.nextBatch(1000)).toEqual(behind)
    iterator.close()
  }
}

const small = {
  commitLogFileBytes: 16 * 1024,
  commitLogFileBytesFirst: 4096,
  frameBytesMax: 4096,
  ownSegmentBytes: 1024,
  memoryBytesMax: 256 * 1024,
}

describe('a store against a sorted array', () => {
  test.each(Array.from({ length: 12 }, (_, i) => i + 1))('seed %i', async seed => {
    const program = new Program(seed)
    let environment = newEnvironment(seed)
    let durable: Content = new Map()
    for (let life = 0; life < 3; life++) {
      await environment.drive(async () => {
        const db = await openSim(environment, small)
        const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
        await store.ready()
        program.snapshots = []
        program.content = new Map(durable)
        program.compare(store, program.content)
        for (let step = 0; step < 120; step++) await program.step(db, store)
        for (const { snapshot, content } of program.snapshots) program.compare(store, content, snapshot)
        await db.flush()
        durable = new Map(program.content)
        if (life === 1) await db.close()
      })
      if (life !== 1) environment.disk.crash()
      environment = newEnvironment(seed * 100 + life, environment.disk)
    }
  })
})
