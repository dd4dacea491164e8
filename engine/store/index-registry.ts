/**
 * Which indexes the stores of a database have: opens them with their stores, defines and builds what is declared anew, and says which logs belong to a
 * store. Owned by `Stores`.
 *
 * Invariant: a store's core knows all its indexes from the moment it is made, whoever opened it and with which options; otherwise a write would miss one.
 */
import type { Timers } from '../env/environment.ts'
import { assert } from '../errors.ts'
import type { DefinedLog, LogDefinition } from '../log/log.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { BlockCache } from './block-cache.ts'
import { ExpiryQueue, ExpirySweeper, expiryLogName, type OpenedQueue } from './expiry.ts'
import { buildIndex } from './index-build.ts'
import {
  checkIndexable,
  checkSameIndex,
  type IndexOptions,
  indexDefinition,
  indexLogName,
  parseIndexLogName,
  resolveIndexes,
  type StoredIndex,
} from './index-options.ts'
import { Index, StoreIndexes } from './indexes.ts'
import type { StoreCore } from './store-core.ts'
import { StoreTable } from './store-table.ts'

export interface IndexRegistryHost {
  readonly timers: Timers
  definition(logName: string): DefinedLog | undefined
  definitions(): DefinedLog[]
  /** Defines a log in this turn; throws when the commit is refused. Resolves when durable. */
  define(definition: LogDefinition): Promise<void>
  drop(logNames: readonly string[]): Promise<void>
  log(logName: string): LogicalLog
}

export class IndexRegistry {
  readonly sweeper: ExpirySweeper
  readonly #host: IndexRegistryHost
  readonly #cache: BlockCache
  /** Names of indexes by the id of their store's log; some may have been dropped. Undefined: to be looked up. */
  #names: Map<number, Set<string>> | undefined
  readonly #builds = new Map<Index, Promise<void>>()
  /** One build at a time, so that a turn has one step. */
  #queue: Promise<void> = Promise.resolve()

  constructor(host: IndexRegistryHost, cache: BlockCache, cores: () => Iterable<StoreCore>, sweepIntervalMs: number) {
    this.#host = host
    this.#cache = cache
    this.sweeper = new ExpirySweeper(host.timers, cores, sweepIntervalMs)
  }

  /** Gives a core that was just made its indexes; unfinished builds go on. */
  open(core: StoreCore): void {
    const { id } = core.log
    const indexes = new StoreIndexes(core, this.#queueOf(id), logName => this.#host.drop([logName]))
    core.indexes = indexes
    for (const name of this.#namesOf(id)) {
      const index = this.#open(id, name)
      indexes.add(index)
      if (index.builtSequence === undefined) this.#build(core, index)
    }
    if (indexes.expiry.next !== Number.POSITIVE_INFINITY) this.sweeper.wake()
  }

  /** The indexes of a store that nobody has opened, for this turn: they do not hear of changes. */
  look(storeLogId: number): Index[] {
    return [...this.#namesOf(storeLogId)].map(name => {
      const index = this.#open(storeLogId, name)
      index.log.listener = undefined
      return index
    })
  }

  /**
   * Defines the indexes that the store does not have yet, in this turn, and begins to build them. DEFINITION_MISMATCH for one that is there and was declared
   * otherwise; nothing is defined then. Resolves when all are durable. TypeError for values without fields.
   */
  declare(core: StoreCore, valueCodec: string, options: { readonly [name: string]: IndexOptions }): Promise<void> {
    const declared = resolveIndexes(options)
    if (declared.size > 0) checkIndexable(valueCodec)
    const { indexes } = core
    assert(indexes !== undefined, 'a core has its indexes')
    for (const [name, wanted] of declared) {
      const known = indexes.find(name)
      if (known !== undefined) checkSameIndex(core.name, name, known.stored, wanted)
    }
    const { id, endOffset } = core.log
    const defined: Promise<void>[] = []
    for (const [name, wanted] of declared) {
      const known = indexes.find(name)
      if (known !== undefined) {
        if (known.failure !== undefined) this.#build(core, known)
        continue
      }
      const definition = indexDefinition(id, name, { ...wanted, complete: endOffset === 0 })
      const durable = this.#host.define(definition)
      durable.catch(() => undefined) // told by the promise of all, and by every write
      defined.push(durable)
      this.#namesOf(id).add(name)
      const index = this.#open(id, name)
      indexes.add(index)
      if (!index.stored.complete) this.#build(core, index)
    }
    return Promise.all(defined).then(() => undefined)
  }

  /** Resolves when the builds of the store's indexes that are under way have ended; rejects with the first failure. */
  async whenBuilt(core: StoreCore): Promise<void> {
    await Promise.all((core.indexes?.live() ?? []).map(index => this.#builds.get(index)))
  }

  /** Names of all logs that exist for a store beside its own. */
  logsOf(storeLogId: number): string[] {
    const names = [...this.#namesOf(storeLogId)].map(name => indexLogName(storeLogId, name))
    return [...names, expiryLogName(storeLogId)].filter(name => this.#host.definition(name) !== undefined)
  }

  /** False for the log of a store with indexes: a record that expired must stay until the sweeper has removed its entries. */
  mayDropExpired(logId: number): boolean {
    return this.#namesOf(logId).size === 0
  }

  #build(core: StoreCore, index: Index): void {
    const build = this.#queue.then(() => buildIndex(core, index, this.#host.timers))
    this.#queue = build.catch(() => undefined) // as below
    this.#builds.set(index, build)
    build.then(
      () => this.#builds.delete(index),
      () => undefined, // kept for `whenBuilt`; queries name it
    )
  }

  #open(storeLogId: number, name: string): Index {
    const log = this.#host.log(indexLogName(storeLogId, name))
    const stored = log.definition.options?.index as StoredIndex
    return new Index(name, log, new StoreTable(log, this.#cache), stored)
  }

  /** Names of the indexes that exist. */
  #namesOf(storeLogId: number): Set<string> {
    this.#names ??= this.#lookUpNames()
    let names = this.#names.get(storeLogId)
    if (names === undefined) this.#names.set(storeLogId, (names = new Set()))
    for (const name of names) if (this.#host.definition(indexLogName(storeLogId, name)) === undefined) names.delete(name)
    return names
  }

  #lookUpNames(): Map<number, Set<string>> {
    const byStore = new Map<number, Set<string>>()
    for (const { name } of this.#host.definitions()) {
      const parsed = parseIndexLogName(name)
      if (parsed === undefined) continue
      const names = byStore.get(parsed.storeLogId)
      if (names === undefined) byStore.set(parsed.storeLogId, new Set([parsed.name]))
      else names.add(parsed.name)
    }
    return byStore
  }

  #queueOf(storeLogId: number): ExpiryQueue {
    const name = expiryLogName(storeLogId)
    const open = (): OpenedQueue => {
      const log = this.#host.log(name)
      return { log, table: new StoreTable(log, this.#cache) }
    }
    return new ExpiryQueue({
      find: () => (this.#host.definition(name) === undefined ? undefined : open()),
      define: () => {
        this.#host.define({ name, kind: 'store' }).catch(() => undefined) // every write fails then
        return open()
      },
      wake: () => this.sweeper.wake(),
    })
  }
}
