/**
 * A machine (see machine.ts) with two stores: one with indexes, expiry, a change feed and, by seed, a history, and a plain one, always written by commits over both
 * or one; and stores that come, are renamed and go. A state is what all hold. Reading again after every opening checks names, entries both ways, points, indexes,
 * the whole feed, moments of the history and what backups there are (store-moments.ts).
 */
import type { SimDisk, SimRandom } from '../../engine/env/index.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { CompressionName, Durability } from '../../engine/log/log.ts'
import type { OpenOptions } from '../../engine/options.ts'
import type { StoreKey } from '../../engine/store/key-codec.ts'
import { compareStoreKeys } from '../../engine/store/key-codec.ts'
import type { Snapshot } from '../../engine/store/snapshots.ts'
import { coreOf, type Store } from '../../engine/store/store.ts'
import { check, equal } from './compare.ts'
import { Machine } from './machine.ts'
import {
  type Drawing,
  declared,
  drawKey,
  drawRange,
  emptyStores,
  entriesIn,
  type IndexName,
  indexEntries,
  indexNames,
  type StoreState,
  type Value,
} from './store-content.ts'
import { compareFeed } from './store-feed.ts'
import { compareBackups, compareExtras, comparePast, type HeldStoreLease } from './store-moments.ts'

export interface StoreSwarm extends Drawing {
  readonly options: OpenOptions
  readonly durabilities: readonly Durability[]
  readonly keyCodec: 'string' | 'tuple'
  /** Whether values share the lists of their keys. */
  readonly structures: boolean
  /** How long the first store keeps what was; undefined: it does not. */
  readonly historyMs: number | undefined
  /** Codecs of the first store: another one with each opening. */
  readonly compressions: readonly CompressionName[]
  /** Fields of the first store that segments have as columns: other ones with each opening. What they say is compared in test/crash/columns.test.ts. */
  readonly columns: readonly (readonly string[])[]
  /** Of 1: how often a step is maintenance, and a transaction. */
  readonly upkeep: number
  readonly transactions: number
}

const KiB = 1024

export function drawStoreSwarm(random: SimRandom): StoreSwarm {
  const pick = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T
  return {
    options: {
      commitLogFileBytes: pick(16, 16, 32) * KiB,
      commitLogFileBytesFirst: pick(4, 8) * KiB,
      frameBytesMax: pick(4, 8) * KiB,
      ownSegmentBytes: pick(0.125, 0.125, 1, 4, 16) * KiB, // the smallest cuts the bottom of a store into many pieces
      memoryBytesMax: pick(256, 1024) * KiB,
      closeTailBytesMax: pick(0, 4096) * KiB,
      autoConsolidate: random.chance(0.8),
      sync: random.chance(0.3) ? 'inline' : 'group',
    },
    durabilities: pick<readonly Durability[]>(['sync'], ['sync', 'buffered'], ['sync', 'buffered', 'none'], ['none', 'sync']),
    keyCodec: pick('string', 'tuple'),
    structures: pick(true, true, true, false),
    historyMs: pick(undefined, 500, 20_000, 1e9),
    compressions: pick<readonly CompressionName[]>(['none'], ['snappy'], ['none', 'gzip', 'snappy', 'lz4']),
    columns: pick<readonly (readonly string[])[]>([[]], [['u', 'c', 'pad']], [['u', 'c', 't', 'pad'], ['c'], []]),
    keys: pick(12, 40, 80),
    padMax: pick(10, 120, 400),
    expiring: pick(0, 0.1, 0.4),
    lifeMsMax: pick(20, 15_000),
    upkeep: pick(0.04, 0.12, 0.3),
    transactions: pick(0, 0.1, 0.25),
  }
}

export interface TakenSnapshot {
  readonly snapshot: Snapshot
  readonly state: StoreState
}

/** A commit under way. */
export interface Committing {
  readonly isWritten: boolean
  /** Resolves when it is acknowledged. */
  readonly done: Promise<unknown>
}

export class StoreWorld extends Machine<StoreState, StoreSwarm> {
  main!: Store<Value, string>
  other!: Store<string, string>
  snapshots: TakenSnapshot[] = []
  /** Index that is dropped and built again at the moment. */
  rebuilding: IndexName | undefined
  /** Positions below which the feed was trimmed, each the end of a commit; whether they hold is not acknowledged. */
  trims: number[] = [0]
  /** Leases of this process with what they show. */
  leases: HeldStoreLease[] = []
  /** Folders that backups were begun into. */
  backups: string[] = []

  constructor(seed: number, swarm?: StoreSwarm, disk?: SimDisk) {
    super(seed, emptyStores, random => swarm ?? drawStoreSwarm(random), disk)
  }

  override fork(seed: number): StoreWorld {
    const copy = new StoreWorld(seed, this.swarm, this.disk.fork(seed))
    this.copyTo(copy)
    copy.trims = this.trims.slice()
    copy.backups = this.backups.slice()
    return copy
  }

  protected override forget(): void {
    this.snapshots = []
    this.leases = []
    this.rebuilding = undefined
  }

  override record(state: StoreState, sequence?: number): number {
    return super.record({ ...state, at: this.now }, sequence)
  }

  drawDurability(): Durability {
    const { durabilities } = this.swarm
    return durabilities[this.random.below(durabilities.length)] as Durability
  }

  /** The state that a moment before this commit sequence shows. */
  stateAt(sequence: number): StoreState {
    const entry = this.history.findLast(({ sequence: after }) => after <= sequence)
    check(entry !== undefined, 'a moment is of the history', sequence)
    return entry.state
  }

  /** Commit sequence now. */
  get sequence(): number {
    return coreOf(this.main).host.visibleSequence
  }
  get now(): number {
    return this.environment.clock.now()
  }

  /** Defines the stores, or finds them with their definitions; their indexes are built before anything is compared. */
  protected override async adopt(): Promise<void> {
    this.openStores()
    // The machine died in the turn of a transaction's commit, which was the last.
    if (this.state.feedEnd < 0) this.#recoverCommit()
    await Promise.all([this.main.ready(), this.other.ready()])
    this.compareAll()
    compareFeed(this)
    for (let i = 0; i < 3; i++) comparePast(this)
    await compareBackups(this)
  }

  #recoverCommit(): void {
    this.amend({ ...this.state, feedEnd: coreOf(this.main).log.endOffset }, this.database.stats().sequence)
  }

  openStores(): void {
    const { database, swarm, random } = this
    const compression = swarm.compressions[random.below(swarm.compressions.length)]
    const { historyMs } = swarm
    const columns = swarm.columns[random.below(swarm.columns.length)]
    this.main = database.store(this.state.mainName, {
      keys: swarm.keyCodec,
      structures: swarm.structures,
      indexes: declared,
      changes: true,
      ...(historyMs === undefined ? {} : { history: { retentionMs: historyMs } }),
      compression,
      columns,
    })
    this.other = database.store('other', { keys: 'string', value: 'string' })
  }

  override compareAll(): void {
    this.compare(this.state)
    const all = [...this.main.entries()]
    equal(JSON.stringify(all), JSON.stringify(entriesIn(this.state.main, {}, this.now)), 'all entries')
    const reverse = [...this.main.entries({ reverse: true })]
    equal(JSON.stringify(reverse.reverse()), JSON.stringify(all), 'all entries backwards')
    for (const [key, value] of all) equal(JSON.stringify(this.main.get(key)), JSON.stringify(value), `get ${key}`)
    compareExtras(this.database, this.state)
  }

  /** Both stores and all indexes at the newest moment, or at a snapshot. */
  compare(state: StoreState, snapshot?: Snapshot): void {
    const { random, swarm, main, other } = this
    const moment = snapshot === undefined ? {} : { snapshot }
    const now = snapshot?.time ?? this.now
    const range = drawRange(random, swarm)
    const expected = entriesIn(state.main, range, now)
    const isReverse = random.chance(0.5)
    const ordered = isReverse ? expected.toReversed() : expected
    const options = { ...range, ...moment, reverse: isReverse }
    const what = JSON.stringify({ ...range, reverse: isReverse, snapshot: snapshot?.sequence })
    equal(JSON.stringify([...main.entries(options)]), JSON.stringify(ordered), `entries ${what}`)
    equal(main.count({ ...range, ...moment }), expected.length, `count ${what}`)
    const limit = random.below(10)
    const keys = ordered.slice(0, limit).map(([key]) => key)
    equal(JSON.stringify([...main.keys({ ...options, limit })]), JSON.stringify(keys), `keys ${what}, limit ${limit}`)
    const target = drawKey(random, swarm)
    let iterator = main.iterator(options)
    // One that was read to its end has given its moment back, unless that is a snapshot of ours: it seeks no more.
    if (random.chance(0.5) && iterator.nextBatch(3).length < 3 && snapshot === undefined) iterator = main.iterator(options)
    iterator.seek(target)
    const behind = ordered.filter(([key]) => (isReverse ? key <= target : key >= target))
    equal(JSON.stringify(iterator.nextBatch(10_000)), JSON.stringify(behind), `entries ${what} from ${target}`)
    iterator.close()
    for (let i = 0; i < 5; i++) {
      const key = drawKey(random, swarm)
      const item = state.main.get(key)
      const value = item !== undefined && (item.expiresAt === 0 || item.expiresAt > now) ? item.value : undefined
      equal(JSON.stringify(main.get(key, moment)), JSON.stringify(value), `get ${key} of ${what}`)
      equal(main.has(key, moment), value !== undefined, `has ${key} of ${what}`)
    }
    const others = [...state.other].sort(([a], [b]) => (a < b ? -1 : 1))
    equal(JSON.stringify([...other.entries(moment)]), JSON.stringify(others), 'entries of the other store')
    for (const name of indexNames) this.#compareIndex(name, state, now, snapshot)
  }

  #compareIndex(name: IndexName, state: StoreState, now: number, snapshot: Snapshot | undefined): void {
    const { random } = this
    if (this.rebuilding === name) return
    const moment = snapshot === undefined ? {} : { snapshot }
    const index = this.main.index(name)
    const all = indexEntries(state.main, name, now)
    try {
      equal(JSON.stringify([...index.entries(moment)]), JSON.stringify(all), `index ${name}`)
    } catch (error) {
      // Built again after the snapshot was taken.
      if (snapshot !== undefined && isVarveError(error, 'NOT_READY')) return
      throw error
    }
    equal(index.count(moment), all.length, `count of index ${name}`)
    const value: StoreKey = name === 'cu' ? ['ab', random.below(400)] : name === 'c' ? 'ab' : random.below(name === 't' ? 6 : 400)
    const exact = all.filter(([found]) => compareStoreKeys(found, value) === 0)
    equal(JSON.stringify(index.getAll(value, moment)), JSON.stringify(exact.map(([, , found]) => found)), `index ${name}: getAll ${value}`)
    const below = all.filter(([found]) => compareStoreKeys(found, value) <= 0).map(([, key]) => key)
    const keys = [...index.keys({ lte: value, reverse: true, ...moment })]
    equal(JSON.stringify(keys), JSON.stringify(below.reverse()), `index ${name}: keys up to ${value}`)
  }

  /**
   * Calls the database in this turn and tells the history. `isWritten`: false for a refused compare-and-set, a range delete over nothing, and for an
   * error, with which `done` rejects then.
   */
  commit(state: StoreState, durability: Durability, run: () => Promise<unknown>): Committing {
    const before = this.sequence
    const done = run()
    const after = this.sequence
    if (after === before) return { isWritten: false, done }
    const { endOffset } = coreOf(this.main).log
    check(endOffset >= this.state.feedEnd, 'the feed grows', endOffset, this.state.feedEnd)
    this.record({ ...state, feedEnd: endOffset }, after)
    this.acknowledgeWith(done, after, durability)
    return { isWritten: true, done }
  }

  acknowledgeWith(promise: Promise<unknown>, sequence: number, durability: Durability): void {
    this.watch(
      promise.then(() => {
        if (durability === 'none') return
        this.writtenSequence = Math.max(this.writtenSequence, sequence)
        if (durability === 'sync') this.durableSequence = Math.max(this.durableSequence, sequence)
      }),
    )
  }
}
