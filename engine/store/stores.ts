/**
 * The stores of a database: handles by name, over store logs named `store/<name>` whose definitions carry the store's options.
 *
 * A handle is there at once: a new store is defined in the turn of the call (its edit is one commit like any other), an existing one is compared with
 * what was asked for; a conflict is told by `ready()` and by every verb. Owned by the database.
 *
 * Invariant: one `StoreCore` and one table a log, however many handles there are.
 */
import { assertCodecInstalled, type CompressionName, codecIdOf } from '../codec/compression.ts'
import { isVarveError, VarveError } from '../errors.ts'
import { checkString } from '../log/check-arguments.ts'
import { checkColumns, columnsOption } from '../log/column-options.ts'
import type { DefinedLog, LogDefinition } from '../log/log.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { ColumnOptions } from '../segment/column-writer.ts'
import { PART_RUN } from '../segment/format.ts'
import { BlockCache } from './block-cache.ts'
import { checkSameChanges, type StoredChanges, storedChanges } from './change-options.ts'
import { ChangeRetention } from './change-retention.ts'
import { Histories } from './history.ts'
import type { StoredIndex } from './index-options.ts'
import { IndexRegistry } from './index-registry.ts'
import { keyCodecOf, type StoreKey } from './key-codec.ts'
import type { Memtable } from './memtable.ts'
import { Store } from './store.ts'
import { StoreCore, type StoreHost } from './store-core.ts'
import { checkSameStore, checkStoreOptions, type StoredStoreOptions, type StoreOptions } from './store-options.ts'
import { type FilterStats, filtersOf } from './store-stats.ts'
import { StoreTable } from './store-table.ts'
import { MsgpackValues, openCodec, sharingCodecName, type ValueStructures, valueCodecOf } from './value-codec.ts'
import { StructureKeeper, storedStructures } from './value-structures.ts'

/** Names of store logs begin with it. */
export const storeLogPrefix: string = 'store/'
const nameBytesMax = 300

/** What the stores need of their database. */
export interface StoresHost extends StoreHost {
  readonly cacheBytesMax: number
  /** How often expired entries are looked for, ms. */
  readonly expirySweepMs: number
  definition(logName: string): DefinedLog | undefined
  definitions(): DefinedLog[]
  /** Defines a log in this turn; throws when the commit is refused. Resolves when durable. */
  define(definition: LogDefinition): Promise<void>
  redefine(logName: string, options: { readonly [name: string]: unknown }): Promise<unknown>
  rename(from: string, to: string): Promise<unknown>
  drop(logNames: readonly string[]): Promise<void>
  log(logName: string): LogicalLog
  /** Parts became invisible: the consolidator should look. */
  wakeUpkeep(): void
  /** Somebody reads and writes the store of this log from now on. */
  storeOpened(log: LogicalLog): void
}

/** A log of a store or of an index as a lease takes it: its memtables are those of this turn, whether or not anybody has opened it. */
export interface LeasableTable {
  readonly log: LogicalLog
  /** Oldest first. */
  readonly memtables: readonly Memtable[]
}

/** An index as a lease takes it. */
export interface LeasableIndex extends LeasableTable {
  readonly name: string
  readonly stored: StoredIndex
  /** See `Index.builtSequence`. */
  readonly builtSequence: number | undefined
}

/** A store as a lease takes it. */
export interface LeasableStore extends LeasableTable {
  /** As users know it. */
  readonly name: string
  readonly indexes: readonly LeasableIndex[]
  /** Those that its values may refer to. */
  readonly structures: ValueStructures
}

export class Stores {
  readonly cache: BlockCache
  readonly #host: StoresHost
  /** By log id. */
  readonly #cores = new Map<number, StoreCore>()
  readonly #indexes: IndexRegistry
  /** What of superseded versions is kept. */
  readonly histories: Histories
  readonly #retention: ChangeRetention

  constructor(host: StoresHost) {
    this.#host = host
    this.cache = new BlockCache(host.cacheBytesMax)
    this.#indexes = new IndexRegistry(host, this.cache, () => this.#cores.values(), host.expirySweepMs)
    this.histories = new Histories(host)
    this.#retention = new ChangeRetention(host, () => [...this.#cores.values()].map(core => core.log))
  }

  /** See `Database.store`. */
  store<V, K extends StoreKey>(name: string, options: StoreOptions<V> | undefined): Store<V, K> {
    checkStoreName(name)
    if (options !== undefined) checkStoreOptions(options as StoreOptions<never>)
    this.#host.assertOpen()
    try {
      const { core, ready } = this.#open(name, options as StoreOptions<never> | undefined)
      return new Store<V, K>(name, core, ready)
    } catch (error) {
      if (!isVarveError(error)) throw error
      return new Store<V, K>(name, error, rejected(error))
    }
  }

  /** Names of all stores, sorted. */
  names(): string[] {
    return this.#host
      .definitions()
      .map(({ name }) => name)
      .filter(name => name.startsWith(storeLogPrefix))
      .map(name => name.slice(storeLogPrefix.length))
      .sort()
  }

  async rename(from: string, to: string): Promise<void> {
    checkString(from, 'from')
    checkStoreName(to, 'to')
    await this.#host.rename(storeLogPrefix + from, storeLogPrefix + to)
  }

  async drop(name: string): Promise<void> {
    checkString(name, 'name')
    const definition = this.#host.definition(storeLogPrefix + name)
    const others = definition === undefined ? [] : this.#indexes.logsOf(definition.id)
    await this.#host.drop([storeLogPrefix + name, ...others])
  }

  /** What a lease takes of the stores with these names, each once; of all without names. NOT_FOUND. */
  leased(names: readonly string[] | undefined): LeasableStore[] {
    if (names !== undefined) return [...new Set(names)].map(name => this.#leasable(name))
    const isStore = (name: string): boolean => this.#host.definition(storeLogPrefix + name)?.options?.store !== undefined
    return this.names()
      .filter(isStore)
      .map(name => this.#leasable(name))
  }

  #leasable(name: string): LeasableStore {
    checkString(name, 'each of stores')
    const definition = this.#host.definition(storeLogPrefix + name)
    if (definition?.options?.store === undefined)
      throw new VarveError('NOT_FOUND', `no store is named ${name}`, { details: { store: name } })
    const log = this.#host.log(definition.name)
    const opened = this.#cores.get(definition.id)
    const indexes = opened?.indexes?.live() ?? this.#indexes.look(definition.id)
    return {
      name,
      log,
      memtables: opened?.table.memtables ?? lookAt(log, this.cache),
      indexes: indexes.map(({ name: indexName, log: indexLog, table, stored, builtSequence }) => {
        return { name: indexName, log: indexLog, memtables: table.memtables, stored, builtSequence }
      }),
      structures: storedStructures(log),
    }
  }

  /** Cores that are open. */
  values(): IterableIterator<StoreCore> {
    return this.#cores.values()
  }

  /** Lookups in the runs of all stores that are open and of their indexes. */
  filterStats(): FilterStats {
    return filtersOf(this.#tables())
  }

  *#tables(): Iterable<StoreTable> {
    for (const core of this.#cores.values()) {
      yield core.table
      for (const index of core.indexes?.live() ?? []) yield index.table
    }
  }

  /** The core over a log, if it was opened and lives. */
  coreOfLog(logId: number): StoreCore | undefined {
    return this.#cores.get(logId)
  }

  /** Whether compaction may drop what has expired in this log before anybody wrote a delete for it. */
  mayDropExpired(logId: number): boolean {
    return this.#indexes.mayDropExpired(logId)
  }

  /** Ends background steps: the database is closing. */
  stop(): void {
    this.#indexes.sweeper.stop()
    this.#retention.stop()
  }

  /** A log was dropped: its core goes with the next look. */
  forgetDropped(): void {
    for (const [id, core] of this.#cores) if (core.log.dropped) this.#cores.delete(id)
  }

  #open(name: string, options: StoreOptions<never> | undefined): { core: StoreCore; ready: Promise<void> } {
    const logName = storeLogPrefix + name
    let definition = this.#host.definition(logName)
    let ready: Promise<void> = Promise.resolve()
    if (definition === undefined) {
      const stored = storedOptions(options ?? {})
      const compression = options?.compression ?? 'none'
      assertInstalled(name, codecIdOf(compression))
      checkColumns(options?.columns ?? [], stored.value)
      ready = this.#host.define({
        name: logName,
        kind: 'store',
        ...(stored.changes === undefined ? {} : { body: true }),
        options: { store: stored, ...compressionOption(compression), ...columnsOption(options?.columns, stored.value) },
      })
      ready.catch(() => undefined) // told by `ready()`, and by every write
      definition = this.#host.definition(logName) as DefinedLog
    }
    const stored = definition.options?.store as StoredStoreOptions | undefined
    if (stored === undefined) {
      const details = { option: 'name', log: logName }
      throw new VarveError('DEFINITION_MISMATCH', `log ${logName} was defined by hand, not as a store`, { details })
    }
    if (options !== undefined) {
      checkSameStore(name, stored, { ...stored, ...explicitOptions(options, stored.value) })
      checkSameChanges(name, definition.body === true, options.changes)
    }
    const { compression: oldCompression = 'none', columns: oldColumns, ...otherOptions } = definition.options as StoredBeside
    if (options?.columns !== undefined) checkColumns(options.columns, stored.value)
    const { columns } = options?.columns === undefined ? { columns: oldColumns } : columnsOption(options.columns, stored.value)
    const compression = options?.compression ?? oldCompression
    assertInstalled(name, codecIdOf(compression))
    const core = this.#coreOf(definition, stored, options)
    const changed = options === undefined ? undefined : changedOptions(stored, options)
    if (changed !== undefined || compression !== oldCompression || JSON.stringify(columns) !== JSON.stringify(oldColumns)) {
      const beside = { ...compressionOption(compression), ...(columns === undefined ? {} : { columns }) }
      const all = { ...otherOptions, store: changed ?? stored, ...beside }
      ready = this.#host.redefine(logName, all).then(() => undefined)
      ready.catch(() => undefined) // as above
      // In force in this turn, unless it was refused.
      const inForce = this.#host.definition(logName)?.options?.store as StoredStoreOptions | undefined
      if (inForce !== undefined) core.ttlMs = inForce.ttlMs
      if (inForce?.history !== undefined && stored.history === undefined) this.histories.begin(core.log)
    }
    if (definition.body === true) this.#retention.wake()
    const indexed = options?.indexes === undefined ? undefined : this.#indexes.declare(core, stored.value, options.indexes)
    const built = this.#indexes.whenBuilt(core)
    const all = Promise.all([ready, indexed, built]).then(() => undefined)
    all.catch(() => undefined) // as above
    return { core, ready: all }
  }

  #coreOf(definition: DefinedLog, stored: StoredStoreOptions, options: StoreOptions<never> | undefined): StoreCore {
    const known = this.#cores.get(definition.id)
    if (known !== undefined && !known.log.dropped) return known
    const log = this.#host.log(definition.name)
    const values = openCodec<unknown>(stored.value, options?.value, () => storedStructures(log))
    const codecs = {
      keys: keyCodecOf(stored.keys),
      values,
      structures: values instanceof MsgpackValues && values.plain !== undefined ? new StructureKeeper(log, values) : undefined,
    }
    for (const { type, reader, part } of log.parts) {
      // Blocks from before the option was changed may have other codecs.
      if (type !== PART_RUN) continue
      for (const id of reader.summary(part).codecs) assertInstalled(definition.name.slice(storeLogPrefix.length), id)
    }
    const core = new StoreCore(this.#host, log, new StoreTable(log, this.cache), codecs, stored.ttlMs, this.histories)
    this.#indexes.open(core)
    this.#cores.set(definition.id, core)
    this.#host.storeOpened(log)
    return core
  }
}

/** Memtables of a log that nobody has opened; nobody reads them further, so they need not hear of changes. */
function lookAt(log: LogicalLog, cache: BlockCache): readonly Memtable[] {
  const { memtables } = new StoreTable(log, cache)
  log.listener = undefined
  return memtables
}

/** CODEC_MISSING that names the package and the store, before a write or a read needs the codec. */
function assertInstalled(name: string, codec: number): void {
  try {
    assertCodecInstalled(codec)
  } catch (cause) {
    if (!isVarveError(cause, 'CODEC_MISSING')) throw cause
    throw new VarveError('CODEC_MISSING', `store ${name}: ${cause.message}`, { cause, details: { ...cause.details, store: name } })
  }
}

/** Options of a store's log that are beside those of the store. */
interface StoredBeside {
  readonly compression?: CompressionName
  readonly columns?: ColumnOptions
}

function compressionOption(compression: CompressionName): { readonly compression?: CompressionName } {
  return compression === 'none' ? {} : { compression }
}

function checkStoreName(name: unknown, option: string = 'name'): void {
  checkString(name, option)
  if (name === '') throw new TypeError(`${option} must not be empty`)
  if (Buffer.byteLength(name as string) > nameBytesMax) throw new RangeError(`${option} must have at most ${nameBytesMax} bytes of UTF-8`)
}

function storedOptions(options: StoreOptions<never>): StoredStoreOptions {
  return { keys: 'tuple', value: sharingCodecName, ...explicitOptions(options, sharingCodecName) }
}

/** What a caller says, as it would be stored; of how msgpack is written, what he does not say is as in `storedValue`. */
function explicitOptions(
  { keys, value, structures, ttlMs, changes, history }: StoreOptions<never>,
  storedValue: string,
): Partial<StoredStoreOptions> {
  return {
    ...(keys === undefined ? {} : { keys }),
    ...(value === undefined && !(structures === true || (structures === false && storedValue === sharingCodecName))
      ? {}
      : { value: storedNameOf(value, structures, storedValue) }),
    ...(ttlMs === undefined || ttlMs === false ? {} : { ttlMs }),
    ...(changes === undefined || changes === false ? {} : { changes: storedChanges(changes) as StoredChanges }),
    ...(history === undefined || history === false ? {} : { history: { retentionMs: history.retentionMs } }),
  }
}

function storedNameOf(value: StoreOptions<never>['value'], structures: boolean | undefined, storedValue: string): string {
  if (typeof value === 'object') return valueCodecOf(value).name
  if (value !== undefined && value !== 'msgpack') return value
  const sharing = structures ?? storedValue === sharingCodecName
  return sharing ? sharingCodecName : 'msgpack'
}

/** The stored options with what the caller changes of those that may change; undefined when that is nothing. */
function changedOptions(stored: StoredStoreOptions, options: StoreOptions<never>): StoredStoreOptions | undefined {
  const { ttlMs: oldTtl, history: oldHistory, ...rest } = stored
  const { changes, history = oldHistory, ttlMs: keptTtl = oldTtl } = explicitOptions(options, stored.value)
  const ttlMs = options.ttlMs === false ? undefined : keptTtl
  const keptHistory = options.history === false ? undefined : history
  const isSame =
    ttlMs === oldTtl &&
    keptHistory?.retentionMs === oldHistory?.retentionMs &&
    (changes === undefined ||
      (changes.retentionMs === stored.changes?.retentionMs && changes.retentionBytes === stored.changes?.retentionBytes))
  if (isSame) return undefined
  return {
    ...rest,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(changes === undefined ? {} : { changes }),
    ...(keptHistory === undefined ? {} : { history: keptHistory }),
  }
}

function rejected(error: VarveError): Promise<void> {
  const ready = Promise.reject(error)
  ready.catch(() => undefined) // whoever asks is told
  return ready
}
