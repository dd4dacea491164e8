/**
 * What tests of indexes share: a naive index over a map, and a program of random writes and queries that holds a store's indexes against it.
 */
import { expect } from 'vitest'
import { type Database, openDatabase } from '../../../../engine/database.ts'
import { type SimEnvironment, SimRandom } from '../../../../engine/env/index.ts'
import { compareStoreKeys, type StoreKey } from '../../../../engine/store/key-codec.ts'
import type { Snapshot } from '../../../../engine/store/snapshots.ts'
import { type BatchOperation, coreOf, type Store } from '../../../../engine/store/store.ts'
import { folder } from '../../../probes/support.ts'

export interface Value {
  readonly u?: number
  readonly c?: string
  readonly t?: readonly number[] | number
  readonly pad?: string
}

interface Item {
  readonly value: Value
  /** Absolute ms; 0: never. */
  readonly expiry: number
}

type Content = Map<string, Item>

const small = {
  commitLogFileBytes: 16 * 1024,
  commitLogFileBytesFirst: 4096,
  frameBytesMax: 4096,
  ownSegmentBytes: 1024,
  memoryBytesMax: 256 * 1024,
}

export const open = (environment: SimEnvironment): Promise<Database> => openDatabase(folder, { ...small, environment })

export const declared = {
  u: { path: 'u', unique: true },
  c: 'c',
  t: { path: 't', multi: true },
  cu: ['c', 'u'],
} as const

/** The naive index: all entries, in order. */
function entriesOf(content: Content, name: keyof typeof declared, now: number): [StoreKey, string, Value][] {
  const entries: [StoreKey, string, Value][] = []
  for (const [key, { value, expiry }] of content) {
    if (expiry > 0 && expiry <= now) continue
    const { u, c, t } = value
    if (name === 'u' && u !== undefined) entries.push([u, key, value])
    if (name === 'c' && c !== undefined) entries.push([c, key, value])
    if (name === 't') for (const each of new Set(typeof t === 'number' ? [t] : (t ?? []))) entries.push([each, key, value])
    if (name === 'cu' && c !== undefined && u !== undefined) entries.push([[c, u], key, value])
  }
  return entries.sort(([a, k], [b, l]) => compareStoreKeys(a, b) || compareStoreKeys(k, l))
}

export class Program {
  readonly random: SimRandom
  content: Content = new Map()
  snapshots: { readonly snapshot: Snapshot; readonly content: Content }[] = []

  constructor(seed: number) {
    this.random = new SimRandom(seed)
  }

  key(): string {
    return `k${this.random.below(40)}`
  }

  value(): Value {
    const { random } = this
    return {
      ...(random.chance(0.7) ? { u: random.below(60) } : {}),
      ...(random.chance(0.8) ? { c: 'abc'.slice(0, random.below(4)) } : {}),
      ...(random.chance(0.5)
        ? { t: random.chance(0.2) ? random.below(5) : Array.from({ length: random.below(4) }, () => random.below(5)) }
        : {}),
      ...(random.chance(0.2) ? { pad: 'p'.repeat(random.below(300)) } : {}),
    }
  }

  expiry(now: number): number {
    return this.random.chance(0.25) ? now + 1 + this.random.below(15_000) : 0
  }

  /** What the operations would leave; undefined when a unique value would be there twice. */
  after(operations: readonly BatchOperation<Value, string>[], now: number): Content | undefined {
    const content = new Map(this.content)
    const touched = new Set<string>()
    for (const operation of operations) {
      if (operation.type === 'put') {
        content.set(operation.key, { value: operation.value, expiry: operation.expiresAt ?? 0 })
        touched.add(operation.key)
      } else if (operation.type === 'del') content.delete(operation.key)
      else {
        const { gte = '', lt = '\uffff' } = operation.range
        for (const key of [...content.keys()]) if (key >= gte && key < lt) content.delete(key)
      }
    }
    const holders = new Map<number, string>()
    for (const [value, key] of entriesOf(content, 'u', now)) {
      if (holders.has(value as number)) return undefined
      holders.set(value as number, key)
    }
    return content
  }

  operations(now: number): BatchOperation<Value, string>[] {
    const { random } = this
    const count = random.chance(0.5) ? 1 : 1 + random.below(6)
    return Array.from({ length: count }, () => {
      const what = random.below(12)
      if (what < 8) {
        const expiresAt = this.expiry(now)
        return { type: 'put', key: this.key(), value: this.value(), ...(expiresAt > 0 ? { expiresAt } : {}) } as const
      }
      if (what < 11) return { type: 'del', key: this.key() } as const
      const [gte, lt] = [this.key(), this.key()].sort() as [string, string]
      return { type: 'delRange', range: random.chance(0.1) ? {} : { gte, lt } } as const
    })
  }

  async write(environment: SimEnvironment, store: Store<Value, string>): Promise<void> {
    const now = environment.clock.now()
    const operations = this.operations(now)
    const after = this.after(operations, now)
    const durability = (['sync', 'buffered', 'none'] as const)[this.random.below(3)] as 'sync'
    const written = store.batch(operations, { durability })
    if (after === undefined) {
      await expect(written).rejects.toMatchObject({ code: 'UNIQUE' })
      return
    }
    this.content = after
    if (this.random.chance(0.3)) await written
    else written.catch(() => undefined) // a crash may come first
  }

  async step(environment: SimEnvironment, db: Database, store: Store<Value, string>): Promise<void> {
    const { random } = this
    const what = random.below(24)
    if (what < 14) await this.write(environment, store)
    else if (what === 14) await db.seal()
    else if (what === 15) void db.compactLog('store/s').catch(() => undefined)
    else if (what === 16) await new Promise<void>(resolve => environment.timers.after(random.below(6000), resolve))
    else if (what === 17 && this.snapshots.length < 3) this.snapshots.push({ snapshot: db.snapshot(), content: this.content })
    else if (what === 18 && this.snapshots.length > 0) {
      const [taken] = this.snapshots.splice(random.below(this.snapshots.length), 1)
      if (taken !== undefined) this.compare(store, taken.content, taken.snapshot.time, taken.snapshot)
      taken?.snapshot.close()
    } else this.compare(store, this.content, environment.clock.now())
  }

  compare(store: Store<Value, string>, content: Content, now: number, snapshot?: Snapshot): void {
    const { random } = this
    const moment = snapshot === undefined ? {} : { snapshot }
    for (const name of store.indexNames() as (keyof typeof declared)[]) {
      const index = store.index(name)
      const all = entriesOf(content, name, now)
      expect([...index.entries(moment)], name).toEqual(all)
      expect(index.count(moment), name).toBe(all.length)
      const value: StoreKey = name === 'cu' ? ['ab', random.below(60)] : name === 'c' ? 'ab' : random.below(60)
      const exact = all.filter(([found]) => compareStoreKeys(found, value) === 0)
      expect(index.get(value, moment), name).toEqual(exact[0]?.[2])
      expect(index.getAll(value, moment), name).toEqual(exact.map(([, , found]) => found))
      const limit = random.below(8)
      const above = all.filter(([found]) => compareStoreKeys(found, value) > 0)
      const below = all.filter(([found]) => compareStoreKeys(found, value) <= 0)
      expect([...index.keys({ gt: value, limit, ...moment })], name).toEqual(above.slice(0, limit).map(([, key]) => key))
      expect([...index.keys({ lte: value, reverse: true, ...moment })], name).toEqual(below.reverse().map(([, key]) => key))
    }
  }
}

/** The store's content as it is, to compare its indexes with. */
export function contentOf(store: Store<Value, string>): Content {
  return new Map([...store.entries()].map(([key, value]) => [key, { value, expiry: 0 }]))
}

/** No index has an entry for anything but a stored record, hidden ones included. */
export function expectNoStrayEntries(store: Store<Value, string>): void {
  const core = coreOf(store)
  for (const { table, name, rule } of core.indexes?.live() ?? []) {
    const raw = core.cursor({ sequenceMax: core.sequenceMax(undefined), now: 0 })
    const content: Content = new Map()
    while (raw.next()) {
      const { buffer, keyStart, keyBytes } = raw.record
      content.set(core.keys.decode(buffer, keyStart, keyStart + keyBytes) as string, { value: core.decode(raw.record) as Value, expiry: 0 })
    }
    expect(rule.paths.length).toBeGreaterThan(0)
    const known = new Set(entriesOf(content, name as keyof typeof declared, 0).map(([value, key]) => JSON.stringify([value, key])))
    for (const entry of store.index(name).entries()) expect(known.has(JSON.stringify(entry.slice(0, 2))), name).toBe(true)
    expect(table.log.dropped).toBe(false)
  }
}
