/**
 * A program of operations on a simulated database that knows what it did: every verb tells the model and awaits what the database promised.
 *
 * Failures are data: a verb that throws or rejects leaves its error in `errors`, and the program goes on, reopening where the writer is poisoned,
 * as a user would. What no failure may do is checked by `problems`: an error that is not a VarveError, a promise that never settles, an
 * observation that is no possible state.
 */
import { createSimEnvironment, type SimDisk, type SimEnvironment } from '../../engine/env/index.ts'
import {
  type BatchOperation,
  type Committed,
  type Database,
  type Durability,
  isVarveError,
  type LogDefinition,
  type OpenOptions,
  type OwnedLease,
  openDatabase,
  openLease,
  type Store,
  type StoreRecord,
  type TopicRecord,
  type Transaction,
} from '../../engine/index.ts'
import type { LocalLog } from '../../engine/log/log.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'
import { isIn, type Range } from '../support/store-content.ts'
import { emptyLog, type LogState, Model, metadataSlot, type State, type Survives } from './model.ts'
import type { ObservedRecord } from './observe.ts'
import { type Item, storeLog, storeName, storeOptions, storePrefix, textOfContent } from './observe-store.ts'

export const folder = '/data'

export const definitions: readonly LogDefinition[] = [
  { name: 'events', kind: 'topic' },
  { name: 'table', kind: 'store' },
  { name: 'feed', kind: 'store', body: true },
  { name: 'raft', kind: 'topic', highWatermark: 'owner' },
  { name: 'latest', kind: 'topic', cleanup: 'compact' },
]

/** Small files and frames, so that a short program meets every mechanism. */
export const smallOptions: OpenOptions = {
  commitLogFileBytesFirst: 16 * 1024,
  commitLogFileBytes: 16 * 1024,
  frameBytesMax: 4096,
  ownSegmentBytes: 2048,
  tailBytesMax: 1024 * 1024,
  autoConsolidate: false,
}

export interface Part {
  readonly log: string
  readonly count: number
  /** Bytes added to each value. */
  readonly padding?: number
}

const encoder = new TextEncoder()

/** A write of the store. Keys are `i<number>`; a range is of keys from the first number up to the second, exclusive. */
export type StoreWrite =
  | { readonly type: 'put'; readonly key: number; readonly padding?: number; readonly expires?: true }
  | { readonly type: 'del'; readonly key: number }
  | { readonly type: 'delRange'; readonly from: number; readonly to: number }

type Operation = BatchOperation<Item, string>

const keyOf = (number: number): string => `i${String(number).padStart(3, '0')}`
/** Far behind the end of any run. */
const expiresAt = 4e12

function operationOf(write: StoreWrite, n: number): Operation {
  if (write.type === 'delRange') return { type: 'delRange', range: { gte: keyOf(write.from), lt: keyOf(write.to) } }
  if (write.type === 'del') return { type: 'del', key: keyOf(write.key) }
  const value = { n, pad: 'p'.repeat(write.padding ?? 0) }
  return { type: 'put', key: keyOf(write.key), value, ...(write.expires === true ? { expiresAt } : {}) }
}

function apply(content: Map<string, Item>, operation: Operation): void {
  if (operation.type === 'put') content.set(operation.key, operation.value)
  else if (operation.type === 'del') content.delete(operation.key)
  else for (const key of content.keys()) if (isIn(key, operation.range as Range)) content.delete(key)
}

function writeAll(
  tx: Transaction,
  store: Store<Item, string>,
  operations: readonly Operation[],
  log: LocalLog,
  records: readonly TopicRecord[],
): void {
  tx.log(log).appendRecords(records)
  const part = tx.store(store)
  for (const operation of operations) {
    if (operation.type === 'put') part.put(operation.key, operation.value)
    else if (operation.type === 'del') part.del(operation.key)
    else part.delRange(operation.range)
  }
}

export class Program {
  readonly disk: SimDisk
  readonly model: Model
  readonly errors: unknown[] = []
  readonly problems: string[] = []
  /** Folders that backups were begun into. */
  readonly backups: string[] = []
  readonly #seed: number
  readonly #options: OpenOptions
  #opened = 0
  /** Databases whose store is defined, with its index built. */
  readonly #ready = new WeakSet<Database>()
  environment: SimEnvironment
  database: Database | undefined

  /** Over a new disk, or one that holds `state`. */
  constructor(seed: number, options: OpenOptions = smallOptions, disk?: SimDisk, state?: State) {
    this.model = new Model(state)
    this.#seed = seed
    this.#options = options
    this.environment = createSimEnvironment({ seed, runners: taskRunners, ...(disk === undefined ? {} : { disk }) })
    this.disk = this.environment.disk
  }

  /** Opens with a new process over the same disk; the observation must be a possible state, and is the only one from then on. */
  async open(survived: Survives = 'process end'): Promise<boolean> {
    if (this.#opened++ > 0) {
      this.environment = createSimEnvironment({ seed: this.#seed + this.#opened, runners: taskRunners, disk: this.disk })
    }
    const { environment } = this
    let opened: Database | undefined
    await this.attempt('open', async () => {
      opened = await openDatabase(folder, { ...this.#options, environment })
    })
    this.database = opened
    if (opened === undefined) return false
    const database = opened
    await this.attempt('read after open', async () => this.model.settle(this.model.match(database, survived)), true)
    return true
  }

  /** Runs and records what goes wrong. With `isJudge` an Error that is no VarveError is a judgement about the database, not its error. */
  async attempt(what: string, run: () => Promise<unknown> | unknown, isJudge: boolean = false): Promise<boolean> {
    try {
      const work = this.environment.drive(async () => run())
      await work
      return true
    } catch (error) {
      if (isVarveError(error) && error.code !== 'INVARIANT') this.errors.push(error)
      else {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        this.problems.push(isJudge ? `${what}: ${text}` : `${what}: not a typed error: ${text}`)
      }
      return false
    }
  }

  log(name: string): LocalLog {
    return (this.database as Database).log(name)
  }

  /** One commit over these logs, acknowledged or failed when the returned promise resolves. */
  async append(durability: Durability, ...parts: Part[]): Promise<void> {
    const { model } = this
    await this.attempt(`append ${parts.map(part => part.log).join(' ')}`, async () => {
      const changes = new Map<string, LogState>()
      const batches = parts.map(part => this.#records(part, changes))
      const committed = (this.database as Database).commit(
        commit => {
          for (const [index, part] of parts.entries()) commit.appendRecords(this.log(part.log), batches[index] as TopicRecord[])
        },
        { durability },
      )
      await this.#acknowledged(committed, model.push(changes), durability)
    })
  }

  #records({ log, count, padding = 0 }: Part, changes: Map<string, LogState>): readonly TopicRecord[] | readonly StoreRecord[] {
    const { model } = this
    const definition = definitions.find(each => each.name === log) as LogDefinition
    const before = changes.get(log) ?? model.log(log)
    const observed: ObservedRecord[] = Array.from({ length: count }, (_, index) => {
      const number = model.nextNumber()
      const key = definition.cleanup === 'compact' ? `k${number % 3}` : `k${String(number).padStart(6, '0')}`
      return { offset: before.endOffset + index, key, value: `v${number}.${'x'.repeat(padding)}` }
    })
    changes.set(log, { ...before, endOffset: before.endOffset + count, records: [...before.records, ...observed] })
    if (definition.kind === 'topic') return observed.map(({ key, value }) => ({ key, value }))
    return observed.map(({ key, value }) => ({ kind: 'put', key: encoder.encode(key), value: encoder.encode(value) }))
  }

  async #acknowledged(committed: Pick<Committed, 'acknowledged'>, state: number, durability: Durability): Promise<void> {
    await committed.acknowledged
    if (durability !== 'none') this.model.acknowledge(state, durability === 'sync' ? 'power loss' : 'process end')
  }

  /** One commit of a store, acknowledged or failed when the returned promise resolves; with `topic` a transaction that appends to `events` too. */
  async store(durability: Durability, writes: readonly StoreWrite[], topic: boolean = false): Promise<void> {
    const { model } = this
    await this.attempt(`store ${writes.map(({ type }) => type).join(' ')}`, async () => {
      const database = this.database as Database
      const store = database.store<Item, string>(storeName, storeOptions)
      await store.ready()
      this.#ready.add(database)
      const content = new Map(model.content)
      const operations = writes.map(write => operationOf(write, model.nextNumber()))
      for (const operation of operations) apply(content, operation)
      const changes = new Map<string, LogState>([[storeLog, { ...model.log(storeLog), content }]])
      const batch = topic ? (this.#records({ log: 'events', count: 1 }, changes) as readonly TopicRecord[]) : []
      const { endOffset } = this.log(storeLog)
      const written = topic
        ? database.transaction(tx => writeAll(tx, store, operations, this.log('events'), batch), { durability })
        : store.batch(operations, { durability })
      // A refusal comes as a rejection, so what was accepted is told by the log.
      const state = this.log(storeLog).endOffset > endOffset ? model.push(changes) : undefined
      await written
      if (state !== undefined && durability !== 'none') model.acknowledge(state, durability === 'sync' ? 'power loss' : 'process end')
    })
  }

  /** Merges all runs of the store, or of its index. */
  async compactStore(what: 'store' | 'index'): Promise<void> {
    await this.attempt(`compact the ${what}`, async () => {
      const database = this.database as Database
      const name = what === 'store' ? storeLog : `index/${database.get(storeLog)?.id}/n`
      if (database.get(name) !== undefined) await database.compactLog(name)
    })
  }

  async define(): Promise<void> {
    await this.attempt('define', () => this.database?.define(definitions))
  }

  async setMetadata(name: string, value: string): Promise<void> {
    await this.attempt('metadata', async () => {
      const appended = this.log(name).metadata.set(metadataSlot, encoder.encode(value))
      await this.#acknowledged(appended, this.model.push(new Map([[name, { metadata: value }]])), 'sync')
    })
  }

  async trim(name: string, offset: number): Promise<void> {
    await this.attempt('trim', async () => {
      const appended = this.log(name).trimPrefix(offset)
      const state = this.model.log(name)
      const records = state.records.filter(record => record.offset >= offset)
      await this.#acknowledged(appended, this.model.push(new Map([[name, { startOffset: offset, records }]])), 'sync')
    })
  }

  async truncate(name: string, offset: number): Promise<void> {
    await this.attempt('truncate', async () => {
      const appended = this.log(name).truncateSuffix(offset)
      const records = this.model.log(name).records.filter(record => record.offset < offset)
      await this.#acknowledged(appended, this.model.push(new Map([[name, { endOffset: offset, records }]])), 'sync')
    })
  }

  async reset(name: string, offset: number): Promise<void> {
    await this.attempt('reset', async () => {
      const appended = this.log(name).resetTo(offset)
      const change = { startOffset: offset, endOffset: offset, records: [] }
      await this.#acknowledged(appended, this.model.push(new Map([[name, change]])), 'sync')
    })
  }

  async compact(name: string): Promise<void> {
    await this.attempt('compact', () => this.database?.compactLog(name, { deleteRetentionMs: 0 }))
  }

  /** A lease is taken before `run`, read after it, and released. It shows what was there before. */
  async withLease(run: () => Promise<void>): Promise<void> {
    const content = textOfContent(this.model.content)
    await this.attempt('lease', async () => {
      const taken = this.database?.lease()
      try {
        await run()
        if (taken !== undefined) await this.attempt('read the lease', () => this.#readLease(taken, content), true)
      } finally {
        taken?.release()
      }
    })
  }

  async #readLease(taken: OwnedLease, content: string): Promise<void> {
    const lease = await openLease(structuredClone(taken.share()), this.environment.files)
    try {
      if (!lease.storeNames.includes(storeName)) {
        if (content !== '') throw new Error('the lease lacks the store')
        return
      }
      const store = lease.store<Item, string>(storeName)
      if (textOfContent(new Map(store.entries())) !== content) throw new Error('the lease does not show the store as it was')
      for (const [key, { n }] of store.entries()) if (store.get(key)?.n !== n) throw new Error(`the lease does not find ${key}`)
    } finally {
      lease.release()
    }
  }

  /** One commit of another store, which is defined when it is not there. */
  async extra(name: string, durability: Durability, keys: readonly number[]): Promise<void> {
    const { model } = this
    const log = storePrefix + name
    await this.attempt(`write ${name}`, async () => {
      const database = this.database as Database
      const isNew = database.get(log) === undefined
      const store = database.store<Item, string>(name)
      if (isNew && database.get(log) !== undefined) {
        const defined = model.push(new Map([[log, { ...emptyLog, content: new Map() }]]))
        await store.ready()
        model.acknowledge(defined, 'power loss')
      }
      await store.ready()
      const content = new Map(model.log(log).content)
      const operations = keys.map(key => operationOf({ type: 'put', key, padding: 80 }, model.nextNumber()))
      for (const operation of operations) apply(content, operation)
      const { endOffset } = this.log(log)
      const written = store.batch(operations, { durability })
      const state = this.log(log).endOffset > endOffset ? model.push(new Map([[log, { content }]])) : undefined
      await written
      if (state !== undefined && durability !== 'none') model.acknowledge(state, durability === 'sync' ? 'power loss' : 'process end')
    })
  }

  async renameStore(from: string, to: string): Promise<void> {
    await this.attempt(`rename ${from}`, () => {
      const changes = new Map([[storePrefix + to, this.model.log(storePrefix + from)]])
      return this.#edit(() => (this.database as Database).renameStore(from, to), storePrefix + from, changes)
    })
  }

  async dropStore(name: string): Promise<void> {
    await this.attempt(`drop ${name}`, () => this.#edit(() => (this.database as Database).dropStore(name), storePrefix + name, new Map()))
  }

  /** The log of this name goes, in the turn of the call if it is accepted. */
  async #edit(run: () => Promise<void>, name: string, changes: ReadonlyMap<string, LogState>): Promise<void> {
    const database = this.database as Database
    if (database.get(name) === undefined) return // an earlier step has failed
    const done = run()
    const state = database.get(name) === undefined ? this.model.push(changes, [name]) : undefined
    await done
    if (state !== undefined) this.model.acknowledge(state, 'power loss')
  }

  /** Nothing is written meanwhile, so it must be exactly the newest state. */
  async backUp(path: string): Promise<void> {
    this.backups.push(path)
    const isThere = await this.attempt('backup', () => (this.database as Database).backup(path))
    if (isThere) await this.readBackup(path, this.model.newestNumber)
  }

  /** Which state the backup of this name is, from number `least` on; undefined: there is none. Whatever has the name is whole. */
  async readBackup(path: string, least: number = 0): Promise<number | undefined> {
    let found: number | undefined
    const { environment } = this
    const isRead = await this.attempt(
      'read the backup',
      async () => {
        if (least === 0 && (await environment.files.stat(path)) === undefined) return
        const copy = await openDatabase(path, { ...this.#options, environment, createIfMissing: false })
        try {
          found = this.model.numberOf(this.model.matchFrom(copy, least, 'a backup'))
        } finally {
          await copy.close()
        }
      },
      true,
    )
    return isRead ? found : undefined
  }

  /** flush, seal, consolidate, …: what changes no state. `isDurable`: success makes everything so far durable. */
  async maintain(
    what: 'flush' | 'seal' | 'consolidate' | 'drain',
    isDurable: boolean = what === 'flush' || what === 'seal',
  ): Promise<void> {
    await this.attempt(what, async () => {
      await (this.database as Database)[what]()
      if (isDurable) this.model.acknowledgeAll()
    })
  }

  /** What is read now must be exactly the newest state, unless the writer is poisoned. */
  async check(): Promise<void> {
    const { database } = this
    if (database === undefined) return
    await this.attempt(
      'read',
      () => {
        if (database.poison !== undefined) return
        const state = this.model.match(database, 'process end', this.#ready.has(database))
        if (state !== this.model.newest) throw new Error('a read does not see the newest append')
      },
      true,
    )
  }

  /** Always ends without a database; success means that everything is durable. */
  async close(): Promise<void> {
    const { database } = this
    if (database === undefined) return
    const isClean = await this.attempt('close', () => database.close())
    if (isClean && database.poison === undefined) this.model.acknowledgeAll()
    this.database = undefined
  }

  /** Goes on after a failure as a user would: closes and opens again when the writer is poisoned or the opening failed. */
  async revive(): Promise<boolean> {
    if (this.database !== undefined && this.database.poison === undefined && this.database.isOpen) return true
    await this.close()
    if (!(await this.open())) return false
    await this.define()
    return this.database?.poison === undefined
  }
}
