/**
 * Transactions over stores and topic logs: optimistic, serializable, one commit.
 *
 * 1. The body reads one moment of all stores (a snapshot, taken at its first read) and its own writes, which stay in memory. What it reads is
 *    remembered: keys, and the walked parts of ranges, of stores and of their indexes.
 * 2. At the end, if it has written anything, each read is looked up again: when something newer than the moment is found, another commit came in
 *    between, and the body is run again with a new moment. Otherwise all its writes go into one commit in the same turn, so nothing can come between.
 *    So a transaction that writes stands where its commit stands in the order of commits, and one that only reads stands at its moment.
 *
 * Owned by the database (`Database.transaction`). Invariant: the moment is given back when the transaction ends, however it ends; after that every
 * verb of it throws CLOSED.
 */
import { StoreWrites } from '../batch/store-writes.ts'
import { TopicBatch } from '../batch/topic-batch.ts'
import { VarveError } from '../errors.ts'
import { checkNames, checkObject } from '../log/check-arguments.ts'
import type { AppendOptions, Committed, Durability, Log, TopicRecord } from '../log/log.ts'
import { LogicalLog } from '../log/logical-log.ts'
import { checkOptions, checkRecords, noAppendOptions } from '../log/operations.ts'
import type { StoreKey } from './key-codec.ts'
import type { Snapshot } from './snapshots.ts'
import { coreOf, type Store } from './store.ts'
import type { StoreCore, StoreHost } from './store-core.ts'
import { checkWriteOptions } from './store-options.ts'
import { type PartOwner, TransactionPart } from './transaction-part.ts'
import type { TransactionStore } from './transaction-store.ts'

/** How `Database.transaction` runs. */
export interface TransactionOptions {
  /** Of the commit. Default: the database's. */
  readonly durability?: Durability | undefined
  /** How often a body that returns a promise is run again after a conflict, before CONFLICT. Default 5. */
  readonly retries?: number | undefined
  /** Ends the transaction: the promise rejects with the signal's reason and nothing is written. Without effect once the commit was made. */
  readonly signal?: AbortSignal | undefined
}

/** A topic log within a transaction. */
export interface TransactionLog {
  /** Appends when the transaction commits; the records' offsets are known only then. A batch that is encoded already must not change before. */
  appendRecords(records: readonly TopicRecord[] | TopicBatch, options?: Omit<AppendOptions, 'durability'>): void
  /** As `appendRecords`, for batches that are encoded already: markers of transactions, and what a client sent. */
  appendBatches(bytes: Uint8Array): void
}

/** What the body of a transaction gets; dead after it. */
export interface Transaction {
  /** The store within this transaction; the same object each time. */
  store<V, K extends StoreKey>(store: Store<V, K>): TransactionStore<V, K>
  /** A topic log within this transaction: appends only. TypeError for a store's log. */
  log(log: Log): TransactionLog
  /** Ends the transaction: nothing is written, and the promise resolves with what the body returns. */
  abort(): void
  /**
   * Runs `prepare` in the turn of the commit, before anything is written: it may add writes, and what it throws refuses the transaction. For layers that
   * gather writes of their own, and for fencing. Not called when the transaction is aborted.
   */
  beforeCommit(prepare: () => void): void
  /** Runs `effect` in the turn of the commit, when that is made but perhaps not durable; not called when nothing was written. Must not throw. */
  afterCommit(effect: (committed: Committed) => void): void
}

interface PendingAppend {
  readonly log: LogicalLog
  /** Records to encode, or batches that are. */
  readonly records: readonly TopicRecord[] | TopicBatch | Uint8Array
  readonly options: Omit<AppendOptions, 'durability'>
}

const optionNames: ReadonlySet<string> = new Set(['durability', 'retries', 'signal'])
const retriesDefault = 5

/** A log within a transaction; a class, since a transaction makes one for each partition that it sends to. */
class ActiveLog implements TransactionLog {
  readonly #tx: ActiveTransaction
  readonly #log: LogicalLog

  constructor(tx: ActiveTransaction, log: LogicalLog) {
    this.#tx = tx
    this.#log = log
  }

  appendBatches(bytes: Uint8Array): void {
    this.#tx.assertActive()
    if (!(bytes instanceof Uint8Array)) throw new TypeError('bytes must be a Uint8Array of whole batches')
    this.#tx.append({ log: this.#log, records: bytes, options: noAppendOptions })
  }

  appendRecords(records: readonly TopicRecord[] | TopicBatch, options: Omit<AppendOptions, 'durability'> = noAppendOptions): void {
    this.#tx.assertActive()
    checkRecords(records)
    checkOptions(options)
    if ((options as AppendOptions).durability !== undefined)
      throw new TypeError('durability is an option of the transaction, not of its writes')
    this.#tx.append({
      log: this.#log,
      records: records instanceof TopicBatch ? records : [...records],
      options: options === noAppendOptions ? options : { ...options },
    })
  }
}

/** The transaction of one run of a body. */
class ActiveTransaction implements Transaction, PartOwner {
  readonly #host: StoreHost
  /** Of the stores that the body has asked for: a few, so looked through. */
  readonly #parts: TransactionPart[] = []
  readonly #appends: PendingAppend[] = []
  readonly #preparations: (() => void)[] = []
  readonly #effects: ((committed: Committed) => void)[] = []
  #moment: Snapshot | undefined
  #ended: 'committed' | 'aborted' | undefined

  constructor(host: StoreHost) {
    this.#host = host
  }

  get moment(): Snapshot {
    this.#moment ??= this.#host.snapshots.take(this.#host.visibleSequence, this.#host.now())
    return this.#moment
  }

  get hasWrites(): boolean {
    if (this.#appends.length > 0) return true
    for (const part of this.#parts) if (!part.overlay.isEmpty) return true
    return false
  }

  get isAborted(): boolean {
    return this.#ended === 'aborted'
  }

  assertActive(): void {
    if (this.#ended !== undefined) throw new VarveError('CLOSED', 'the transaction has ended')
  }

  store<V, K extends StoreKey>(store: Store<V, K>): TransactionStore<V, K> {
    this.assertActive()
    const core = coreOf(store)
    if (core.host !== this.#host) throw new TypeError('store must be a store of this database')
    core.assertUsable()
    for (const { core: known, store: verbs } of this.#parts) if (known === core) return verbs as unknown as TransactionStore<V, K>
    const part = new TransactionPart(core, this, store.name)
    this.#parts.push(part)
    return part.store as unknown as TransactionStore<V, K>
  }

  log(log: Log): TransactionLog {
    this.assertActive()
    if (!(log instanceof LogicalLog)) throw new TypeError('log must be a log of this database')
    if (log.kind !== 'topic') throw new TypeError('log must be a topic log: write to a store through tx.store')
    return new ActiveLog(this, log)
  }

  /** For the logs that it has handed out. */
  append(append: PendingAppend): void {
    this.#host.assertOpen()
    const { name, dropped } = append.log
    if (dropped) throw new VarveError('NOT_FOUND', `log ${name} was dropped`, { details: { log: name } })
    this.#appends.push(append)
  }

  abort(): void {
    this.assertActive()
    this.end('aborted')
  }

  beforeCommit(prepare: () => void): void {
    this.assertActive()
    if (typeof prepare !== 'function') throw new TypeError(`prepare must be a function, got ${String(prepare)}`)
    this.#preparations.push(prepare)
  }

  afterCommit(effect: (committed: Committed) => void): void {
    this.assertActive()
    if (typeof effect !== 'function') throw new TypeError(`effect must be a function, got ${String(effect)}`)
    this.#effects.push(effect)
  }

  /** What is to happen before the commit; a preparation may add another. */
  prepare(): void {
    for (const prepare of this.#preparations) prepare()
  }

  /** Gives the moment back. Idempotent. */
  end(how: 'committed' | 'aborted'): void {
    this.#ended ??= how
    this.#moment?.close()
  }

  /** The error of the first read that does not hold any more; undefined when all do. */
  conflict(): VarveError | undefined {
    const moment = this.#moment
    if (moment === undefined || moment.sequence === this.#host.visibleSequence) return undefined
    for (const part of this.#parts) {
      const conflict = part.conflict(moment.sequence - 1)
      if (conflict === undefined) continue
      const { name } = part.store
      const { key, index } = conflict
      return new VarveError('CONFLICT', `store ${name}: what the transaction has read was written meanwhile`, {
        details: { store: name, ...(index === undefined ? {} : { index }), ...(key === undefined ? {} : { key }) },
      })
    }
    return undefined
  }

  /** Resolves when the durability word holds. Throws in this turn when the commit is refused: nothing was written then. */
  commit(durability: Durability | undefined, free: StoreWrites[]): Promise<void> {
    const used: { readonly core: StoreCore; readonly writes: StoreWrites }[] = []
    try {
      for (const part of this.#parts) {
        if (part.overlay.isEmpty) continue
        part.core.assertUsable()
        const writes = free.pop() ?? new StoreWrites()
        used.push({ core: part.core, writes })
        part.collect(writes)
      }
      // A range delete over nothing makes no row.
      if (this.#appends.length === 0 && used.every(({ writes }) => writes.count === 0)) return Promise.resolve()
      const committed = this.#host.commit(commit => {
        for (const { core, writes } of used) if (writes.count > 0) core.append(commit, writes)
        for (const { log, records, options } of this.#appends) {
          if (records instanceof TopicBatch) commit.appendTopicBatch(log, records, options)
          else if (records instanceof Uint8Array) commit.appendBatches(log, records)
          else commit.appendRecords(log, records, options)
        }
      }, durability)
      for (const effect of this.#effects) effect(committed)
      return committed.acknowledged
    } finally {
      for (const { writes } of used) {
        writes.clear()
        free.push(writes)
      }
    }
  }
}

/** Runs the transactions of a database. */
export class Transactions {
  readonly #host: StoreHost
  /** Rows of commits that were made, to be filled again. */
  readonly #free: StoreWrites[] = []
  /** The part of a body before its first `await` is under way. */
  #isInBody = false

  constructor(host: StoreHost) {
    this.#host = host
  }

  /** See `Database.transaction`. */
  run<T>(body: (tx: Transaction) => T | PromiseLike<T>, options: TransactionOptions = {}): Promise<T> {
    try {
      checkTransactionOptions(options)
      if (typeof body !== 'function') throw new TypeError(`body must be a function, got ${String(body)}`)
      if (this.#isInBody) throw new TypeError('body must not begin a transaction: transactions do not nest')
      this.#host.assertOpen()
      options.signal?.throwIfAborted()
      const tx = new ActiveTransaction(this.#host)
      const returned = this.#call(body, tx)
      return isThenable(returned) ? this.#runAsync(body, options, tx, returned) : this.#finish(tx, returned, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #call<T>(body: (tx: Transaction) => T | PromiseLike<T>, tx: ActiveTransaction): T | PromiseLike<T> {
    this.#isInBody = true
    try {
      return body(tx)
    } catch (error) {
      tx.end('aborted')
      throw error
    } finally {
      this.#isInBody = false
    }
  }

  /** Of a synchronous body: nobody else can have committed, so a conflict is one with what the body itself has written beside its transaction. */
  #finish<T>(tx: ActiveTransaction, result: T, { durability, signal }: TransactionOptions): Promise<T> {
    try {
      signal?.throwIfAborted()
      if (tx.isAborted) return Promise.resolve(result)
      tx.prepare()
      if (!tx.hasWrites) return Promise.resolve(result)
      const conflict = tx.conflict()
      if (conflict !== undefined) throw conflict
      return tx.commit(durability, this.#free).then(() => result)
    } finally {
      tx.end('committed')
    }
  }

  async #runAsync<T>(
    body: (tx: Transaction) => T | PromiseLike<T>,
    { durability, signal, retries = retriesDefault }: TransactionOptions,
    first: ActiveTransaction,
    firstReturned: T | PromiseLike<T>,
  ): Promise<T> {
    let tx = first
    let returned = firstReturned
    for (let attempt = 0; ; attempt++) {
      try {
        const result = signal === undefined ? await returned : await unlessAborted(returned, signal)
        if (tx.isAborted) return result
        tx.prepare()
        if (!tx.hasWrites) return result
        const conflict = tx.conflict()
        if (conflict === undefined) {
          const acknowledged = tx.commit(durability, this.#free)
          tx.end('committed')
          await acknowledged
          return result
        }
        if (attempt >= retries) throw conflict
      } finally {
        tx.end('aborted')
      }
      this.#host.assertOpen()
      tx = new ActiveTransaction(this.#host)
      returned = this.#call(body, tx)
    }
  }
}

function checkTransactionOptions(options: TransactionOptions): void {
  checkObject(options, 'options')
  checkNames(options, optionNames)
  const { durability, retries, signal } = options
  checkWriteOptions({ durability })
  if (retries !== undefined && !(Number.isSafeInteger(retries) && retries >= 0)) {
    throw new RangeError(`retries must be a non-negative integer, got ${String(retries)}`)
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
}

/** As the promise, or rejects with the signal's reason, whichever comes first. */
function unlessAborted<T>(returned: T | PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    Promise.resolve(returned)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
