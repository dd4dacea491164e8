/**
 * Probe: leases on a simulated machine, from seeds. While the owner appends, seals, consolidates, compacts, truncates, trims, resets and drops, every
 * open lease is read again and again and is always the moment at which it was taken. What no lease holds is deleted; nothing else is.
 */
import { expect, test } from 'vitest'
import type { Database } from '../../engine/database.ts'
import type { SimEnvironment } from '../../engine/env/index.ts'
import { SimRandom } from '../../engine/env/index.ts'
import type { OwnedLease } from '../../engine/lease/leases.ts'
import { type OpenedLease, openLease } from '../../engine/lease/open-lease.ts'
import type { ReadBound } from '../../engine/log/log.ts'
import { momentOf } from '../unit/engine/lease/moment.ts'
import { bytesOf, newEnvironment, openSim } from './support.ts'

interface Held {
  owned: OwnedLease | undefined
  readonly copies: OpenedLease[]
  /** Per log: what the first copy saw at once. */
  readonly moments: ReadonlyMap<string, string>
  readonly files: readonly string[]
}

const definitions = [
  { name: 'plain', kind: 'topic' },
  { name: 'compacted', kind: 'topic', cleanup: 'compact' },
  { name: 'owned', kind: 'topic', highWatermark: 'owner' },
  { name: 'store', kind: 'store' },
  { name: 'body', kind: 'store', body: true },
] as const

class LeaseRun {
  readonly random: SimRandom
  readonly environment: SimEnvironment
  db!: Database
  readonly held: Held[] = []
  counter = 0
  reads = 0
  epoch = 1

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    this.environment = newEnvironment(seed)
  }

  async run(steps: number): Promise<void> {
    this.db = await openSim(this.environment, {
      ownSegmentBytes: this.random.chance(0.5) ? 2048 : 1 << 20,
      commitLogFileBytes: 16 * 1024,
      closeTailBytesMax: 1 << 20,
    })
    await this.db.define(definitions)
    for (let step = 0; step < steps; step++) {
      await this.#step()
      this.#judge()
    }
    await this.#end()
  }

  async #step(): Promise<void> {
    const { db, random } = this
    const drawn = random.below(100)
    if (drawn < 50) await this.#append()
    else if (drawn < 60) await this.#take()
    else if (drawn < 72) this.#release()
    else if (drawn < 79) await db.seal()
    else if (drawn < 83) await db.consolidate()
    else if (drawn < 86) await db.compactLog('compacted', { deleteRetentionMs: 0 })
    else if (drawn < 88) await db.compactLog('store')
    else if (drawn < 92) await this.#moveOwned()
    else if (drawn < 95) await this.#trim()
    else if (drawn < 97) await db.log('owned').resetTo(db.log('owned').endOffset + random.below(5)).durable
    else await this.#redefine()
  }

  async #append(): Promise<void> {
    const { db, random } = this
    for (const { name, kind } of definitions) {
      if (random.chance(0.4)) continue
      const value = `${this.counter++}:`.padEnd(random.below(1200) + 8, 'x')
      const key = `k${random.below(6)}`
      if (kind === 'store') db.log(name).appendRecords([{ kind: 'put', key: bytesOf(key), value: bytesOf(value) }])
      else db.log(name).appendRecords([{ key, value: random.chance(0.1) && name === 'compacted' ? null : value }], { epoch: this.epoch })
    }
    // A staged commit: larger than a frame.
    if (random.chance(0.06)) db.commit(commit => commit.appendRecords(db.log('plain'), [{ value: 'y'.repeat(9000) }, { value: 'z' }]))
    if (random.chance(0.5)) await db.flush()
  }

  async #take(): Promise<void> {
    if (this.held.length >= 6) return
    const { db, random } = this
    const logs = definitions.map(({ name }) => name).filter(() => random.chance(0.7))
    const bound: ReadBound = (['highWatermark', 'durable', 'end'] as const)[random.below(3)] ?? 'end'
    const owned = db.lease(random.chance(0.3) ? { bound } : { logs, bound })
    const copies: OpenedLease[] = []
    const files: string[] = []
    for (let i = random.below(3); i >= 0; i--) {
      const description = owned.share()
      for (const log of description.logs) for (const { path } of log.parts) files.push(path)
      copies.push(await openLease(description, this.environment.files))
    }
    const moments = new Map(copies[0]?.logs.map(log => [log.definition.name, momentOf(log)]))
    this.held.push({ owned, copies, moments, files })
  }

  /** Owner first or copies first, in any order. */
  #release(): void {
    const { random } = this
    const index = random.below(Math.max(1, this.held.length))
    const held = this.held[index]
    if (held === undefined) return
    if (held.owned !== undefined && (held.copies.length === 0 || random.chance(0.4))) {
      held.owned.release()
      held.owned = undefined
    } else {
      held.copies.pop()?.release()
    }
    if (held.owned === undefined && held.copies.length === 0) this.held.splice(index, 1)
  }

  async #moveOwned(): Promise<void> {
    const { db, random } = this
    const log = db.log('owned')
    await db.flush()
    if (random.chance(0.5)) {
      log.advanceHighWatermark(log.highWatermark + random.below(log.durableOffset - log.highWatermark + 1))
    } else if (log.endOffset > log.highWatermark) {
      this.epoch++
      log.truncateSuffix(log.highWatermark + random.below(log.endOffset - log.highWatermark))
    }
  }

  async #trim(): Promise<void> {
    const { db, random } = this
    await db.flush()
    for (const name of ['plain', 'body']) {
      const log = db.log(name)
      log.trimPrefix(log.startOffset + random.below(log.highWatermark - log.startOffset + 1))
    }
  }

  async #redefine(): Promise<void> {
    const { name } = definitions[this.random.below(definitions.length)] as (typeof definitions)[number]
    await this.db.drop([name])
    await this.db.define(definitions)
  }

  #judge(): void {
    for (const { copies, moments, files } of this.held) {
      const copy = copies.at(-1)
      if (copy === undefined) continue
      for (const path of files) if (this.environment.files.statSync(path) === undefined) throw new Error(`${path} is gone`)
      for (const log of copy.logs) {
        const bytesMax = this.random.chance(0.5) ? 1 << 20 : 300 + this.random.below(4000)
        const seen = momentOf(log, log.endOffset, bytesMax)
        const expected = moments.get(log.definition.name)
        if (seen !== expected) throw new Error(`log ${log.definition.name}: ${seen}, leased ${expected}`)
        this.reads++
      }
    }
  }

  /** All is released: exactly the live segments are left. */
  async #end(): Promise<void> {
    while (this.held.length > 0) this.#release()
    const { db, environment } = this
    db.lease({ logs: [] }).release()
    await db.seal()
    await db.consolidate()
    const live = db.stats().segments.count
    const leases = db.stats().leases
    await db.close()
    const left = environment.files.listSync('/data/db').filter(name => name.startsWith('segment-'))
    expect([leases, left.length]).toEqual([0, live])
  }
}

test.each(Array.from({ length: 8 }, (_, i) => 104 + i))('seed %i', async seed => {
  const run = new LeaseRun(seed)
  await run.environment.drive(() => run.run(160))
  expect(run.reads).toBeGreaterThan(50)
})
