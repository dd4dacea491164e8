/**
 * The coordinator of transactions in Kafka's form: who holds which transactional id, at which epoch, and which partitions its open transaction has touched.
 *
 * One for the database, made at the first use. Kept in the compacted internal topic `__transaction_state`, JSON by transactional id: `TransactionRow`.
 *
 *   1. `begin` is in memory only. The first batch to a partition and the row that names the partition are one commit.
 *   2. The end is decided by one commit: the row, the committed offsets of groups, and a marker in each partition. With very many partitions the markers go on
 *      in further commits behind it, and the last of these says that it is complete.
 *   3. Every end raises the epoch, and its markers carry the new one: a batch or an end that is late meets a newer epoch and is refused (KIP-890).
 *   4. At opening (`recover`) what was decided is completed, and what was not is aborted: its process is dead.
 *
 * Invariant: a partition has an open transaction of an id only while its row names the partition, or says that markers are still to come.
 */
import {
  type Commit,
  type LocalLog,
  producerChannel,
  TRANSACTION_MARKER_BYTES,
  type Transaction,
  VarveError,
  writeTransactionMarker,
} from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { InternalTopic } from '../internal/internal-topic.ts'
import { producerEpochMax, producerFenced } from '../produce/producer-registry.ts'
import { whenThereIsRoom } from '../when-there-is-room.ts'

/** Name of the internal topic. */
export const transactionStateTopic = '__transaction_state'
/** Markers of one commit, unless the place says otherwise. */
const markersPerCommitDefault = 1000
/** A transactional id that was not used for this long is forgotten, ms: Kafka's `transactional.id.expiration.ms`. */
const idExpiryMs = 7 * 24 * 60 * 60 * 1000
/** How often that is looked after, when ids are opened, ms. */
const expiryCheckMs = 60 * 60 * 1000

export type TransactionOutcome = 'commit' | 'abort'

/** A value of the topic. */
export interface TransactionRow {
  readonly producerId: number
  /** Of the open transaction; once it is decided, of the next. */
  readonly epoch: number
  readonly state: 'empty' | 'ongoing' | `prepare-${TransactionOutcome}` | `complete-${TransactionOutcome}`
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of 'ongoing' and 'prepare-…': topic id and partition of each that was touched. */
  readonly partitions?: readonly (readonly [topicId: number, partition: number])[]
}

interface TouchedPartition {
  readonly topicId: number
  readonly partition: number
}

/** A transactional id. */
interface Entry {
  readonly id: string
  producerId: number
  /** Of the open transaction, or of the next. */
  epoch: number
  /** By topic id and partition. */
  partitions: Map<string, TouchedPartition>
  owner: TransactionOwner | undefined
  /** The open transaction of this process. */
  current: OpenTransaction | undefined
  /** An end that is under way; does not reject. */
  ending: Promise<void> | undefined
}

/** Who has opened a transactional id. */
export interface TransactionOwner {
  readonly entry: Entry
  readonly timeoutMs: number
}

/** A transaction from its beginning to its end, as the coordinator knows it. */
export interface OpenTransaction {
  readonly owner: TransactionOwner
  readonly producerId: number
  readonly epoch: number
  state: 'open' | 'ending' | TransactionOutcome
  /** Why it ended without its owner's will. */
  shutOut: 'timeout' | 'replaced' | undefined
  /** Called when it ended that way. */
  onShutOut: ((error: VarveError) => void) | undefined
  cancelTimeout: () => void
}

export interface CoordinatorPlace {
  readonly host: StreamHost
  readonly state: InternalTopic<TransactionRow>
  /** An id that no producer had before. */
  newId(): number
  /** The log of a partition; undefined once the topic was deleted. */
  partition(topicId: number, partition: number): LocalLog | undefined
  /** Markers of one commit. Default 1,000; fewer make ends of several commits common, for tests. */
  readonly markersPerCommit?: number | undefined
}

export class TransactionCoordinator {
  readonly #place: CoordinatorPlace
  readonly #entries = new Map<string, Entry>()
  readonly #markersPerCommit: number
  #expiryCheckedMs = 0

  constructor(place: CoordinatorPlace) {
    this.#place = place
    this.#markersPerCommit = place.markersPerCommit ?? markersPerCommitDefault
  }

  /** Takes a transactional id over, in this turn: whoever held it is fenced, its open transaction is aborted. BUSY, POISONED and the like are thrown. */
  open(id: string, timeoutMs: number): TransactionOwner {
    const { state, newId } = this.#place
    this.#expire()
    let entry = this.#entries.get(id)
    if (entry === undefined) {
      const row = state.get(id)
      const goesOn = row !== undefined && row.epoch < producerEpochMax
      entry = newEntry(id, goesOn ? row.producerId : newId(), goesOn ? row.epoch : 0)
    }
    const { current } = entry
    if (current === undefined && entry.ending === undefined && entry.partitions.size === 0) {
      // Where something is still open its end raises the epoch.
      const epoch = entry.epoch + 1
      void state.commit([rowChange(entry, 'empty', epoch, this.#now(), [])])
      entry.epoch = epoch
    }
    this.#entries.set(id, entry)
    if (entry.owner !== undefined && producerChannel.hasSubscribers) {
      const { producerId, epoch } = entry
      producerChannel.publish({ database: this.#place.host.path, type: 'fenced', id, producerId, epoch: current?.epoch ?? epoch - 1 })
    }
    const owner: TransactionOwner = { entry, timeoutMs }
    entry.owner = owner
    if (current?.state === 'open') this.#shutOut(entry, current, 'replaced')
    return owner
  }

  /** The owner goes; the id may be opened again. */
  release(owner: TransactionOwner): void {
    const { entry } = owner
    if (entry.owner !== owner) return
    entry.owner = undefined
    // The row says all that the next owner needs.
    if (entry.current === undefined && entry.ending === undefined && entry.partitions.size === 0) this.#entries.delete(entry.id)
  }

  /** Begins a transaction when the one before has ended. PRODUCER_FENCED, INVALID_TRANSACTION_STATE. */
  async begin(owner: TransactionOwner): Promise<OpenTransaction> {
    const { entry } = owner
    for (;;) {
      this.#assertOwner(owner, entry.epoch)
      if (entry.ending !== undefined) await entry.ending
      else if (entry.current !== undefined && entry.current.owner !== owner) this.#shutOut(entry, entry.current, 'replaced')
      else break
    }
    // An abort that has failed is tried again.
    if (entry.current === undefined && entry.partitions.size > 0) await this.#end(entry, 'abort', undefined, () => undefined)
    if (entry.current !== undefined)
      throw new VarveError('INVALID_TRANSACTION_STATE', `${entry.id}: the transaction before is still open`, {
        details: { id: entry.id, state: entry.current.state },
      })
    if (entry.epoch >= producerEpochMax) {
      entry.producerId = this.#place.newId()
      entry.epoch = 0
    }
    const { producerId, epoch } = entry
    const transaction: OpenTransaction = {
      owner,
      producerId,
      epoch,
      state: 'open',
      shutOut: undefined,
      onShutOut: undefined,
      cancelTimeout: () => undefined,
    }
    this.#armTimeout(transaction)
    entry.current = transaction
    return transaction
  }

  #armTimeout(transaction: OpenTransaction): void {
    const { owner, producerId, epoch } = transaction
    const { host } = this.#place
    transaction.cancelTimeout = host.environment.timers.after(owner.timeoutMs, () => {
      if (transaction.state !== 'open' || !host.isOpen) return
      const { entry } = owner
      if (producerChannel.hasSubscribers) producerChannel.publish({ database: host.path, type: 'timeout', id: entry.id, producerId, epoch })
      this.#shutOut(entry, transaction, 'timeout')
    })
  }

  /** Throws unless the transaction may send: PRODUCER_FENCED, INVALID_TRANSACTION_STATE. */
  assertOpen(transaction: OpenTransaction): void {
    const { owner, state, shutOut, epoch } = transaction
    const { entry } = owner
    if (shutOut !== undefined) throw producerFenced(entry.id, entry.epoch, epoch, shutOut)
    if (state !== 'open')
      throw new VarveError('INVALID_TRANSACTION_STATE', `${entry.id}: the transaction has ended: ${state}`, {
        details: { id: entry.id, state },
      })
    this.#assertOwner(owner, epoch)
  }

  /**
   * Before batches are committed: returns what the same commit must write, so that the partitions are known to belong to the transaction, and what to call
   * when it was made.
   */
  touch(
    transaction: OpenTransaction,
    partitions: readonly TouchedPartition[],
  ): { readonly write: ((commit: Commit) => void) | undefined; readonly written: () => void } {
    const { entry } = transaction.owner
    const fresh = new Map<string, TouchedPartition>()
    for (const each of partitions) {
      const key = `${each.topicId}/${each.partition}`
      if (!entry.partitions.has(key)) fresh.set(key, each)
    }
    if (fresh.size === 0) return { write: undefined, written: () => undefined }
    const { state } = this.#place
    void state.log // defined before the commit begins
    const all = new Map([...entry.partitions, ...fresh])
    const changes = [rowChange(entry, 'ongoing', entry.epoch, this.#now(), [...all.values()])]
    return {
      write: commit => state.write(commit, changes),
      written: () => {
        state.apply(changes)
        entry.partitions = all
      },
    }
  }

  /**
   * Ends the transaction; the same end again is answered with the first. `add` adds the offsets of groups to the commit that decides. Resolves when durable. What
   * `add` throws refuses the end, and the transaction stays open. PRODUCER_FENCED, INVALID_TRANSACTION_STATE.
   */
  async end(transaction: OpenTransaction, outcome: TransactionOutcome, add?: (tx: Transaction) => void): Promise<void> {
    const { owner } = transaction
    this.assertOpen(transaction)
    transaction.state = 'ending'
    transaction.cancelTimeout()
    let decided = false
    const ending = this.#end(owner.entry, outcome, add, () => {
      decided = true
      transaction.state = outcome
      owner.entry.current = undefined
    })
    this.#ends(owner.entry, ending)
    try {
      await ending
    } catch (error) {
      if (!decided) {
        transaction.state = 'open'
        this.#armTimeout(transaction)
      }
      throw error
    }
  }

  /** Completes what was decided and aborts what was not, of the process before. Resolves when durable. */
  async recover(): Promise<void> {
    const ends: Promise<void>[] = []
    for (const [id, row] of this.#place.state.entries()) {
      if (row.state === 'ongoing' || row.state === 'prepare-commit' || row.state === 'prepare-abort') {
        const entry = newEntry(id, row.producerId, row.epoch)
        for (const [topicId, partition] of row.partitions ?? []) entry.partitions.set(`${topicId}/${partition}`, { topicId, partition })
        this.#entries.set(id, entry)
        const outcome = row.state === 'prepare-commit' ? 'commit' : 'abort'
        ends.push(
          row.state === 'ongoing'
            ? this.#end(entry, outcome, undefined, () => undefined)
            : this.#complete(entry, outcome, this.#openLogs(entry)),
        )
      }
    }
    ends.push(this.#expire())
    await Promise.all(ends)
  }

  // --- inside --------------------------------------------------------------------------------------------------------------------------

  #now(): number {
    return this.#place.host.environment.clock.now()
  }

  /** Forgets ids that nobody has open and that were not used for long. Resolves when durable. */
  #expire(): Promise<void> {
    const now = this.#now()
    if (now < this.#expiryCheckedMs + expiryCheckMs) return Promise.resolve()
    this.#expiryCheckedMs = now
    const expired = [...this.#place.state.entries()].filter(([id, { at }]) => at < now - idExpiryMs && !this.#entries.has(id))
    return expired.length === 0 ? Promise.resolve() : this.#place.state.commit(expired.map(([key]) => ({ key, value: undefined })))
  }

  #assertOwner(owner: TransactionOwner, epoch: number): void {
    const { entry } = owner
    if (entry.owner !== owner) throw producerFenced(entry.id, entry.epoch, epoch, 'replaced')
  }

  /** Aborts a transaction against its owner's will. */
  #shutOut(entry: Entry, transaction: OpenTransaction, why: 'timeout' | 'replaced'): void {
    transaction.shutOut = why
    transaction.state = 'abort'
    transaction.cancelTimeout()
    entry.current = undefined
    transaction.onShutOut?.(producerFenced(entry.id, entry.epoch + 1, transaction.epoch, why))
    this.#ends(
      entry,
      this.#end(entry, 'abort', undefined, () => undefined),
    )
  }

  /** An end is under way: whoever begins waits for it. One that fails is tried again by `begin`, or finished at the next opening. */
  #ends(entry: Entry, end: Promise<void>): void {
    const ending = end
      .catch(() => undefined)
      .then(() => {
        if (entry.ending === ending) entry.ending = undefined
      })
    entry.ending = ending
  }

  async #end(entry: Entry, outcome: TransactionOutcome, add: ((tx: Transaction) => void) | undefined, decided: () => void): Promise<void> {
    const { host, state } = this.#place
    if (entry.partitions.size === 0 && add === undefined) {
      // Nothing of it is anywhere.
      entry.epoch++
      decided()
      return
    }
    void state.log
    const rest = await whenThereIsRoom(host, async () => {
      const logs = this.#openLogs(entry)
      const now = logs.slice(0, this.#markersPerCommit)
      const isWhole = now.length === logs.length
      const epoch = entry.epoch + 1
      const changes = [
        rowChange(
          entry,
          isWhole ? `complete-${outcome}` : `prepare-${outcome}`,
          epoch,
          this.#now(),
          isWhole ? [] : [...entry.partitions.values()],
        ),
      ]
      await host.transaction(tx => {
        tx.log(state.log).appendRecords(state.records(changes))
        for (const log of now) tx.log(log).appendBatches(this.#marker(entry.producerId, epoch, outcome))
        add?.(tx)
        tx.afterCommit(() => {
          state.apply(changes)
          entry.epoch = epoch
          if (isWhole) entry.partitions = new Map()
          decided()
        })
      })
      return logs.slice(this.#markersPerCommit)
    })
    if (rest.length > 0) await this.#complete(entry, outcome, rest)
  }

  /** The markers that are missing, and the row that says so. */
  async #complete(entry: Entry, outcome: TransactionOutcome, logs: readonly LocalLog[]): Promise<void> {
    const { host, state } = this.#place
    let acknowledged: Promise<void> = Promise.resolve()
    for (let i = 0; i === 0 || i < logs.length; i += this.#markersPerCommit) {
      const now = logs.slice(i, i + this.#markersPerCommit)
      const changes =
        i + this.#markersPerCommit < logs.length ? [] : [rowChange(entry, `complete-${outcome}`, entry.epoch, this.#now(), [])]
      const committed = await whenThereIsRoom(host, () =>
        host.commit(commit => {
          for (const log of now) if (!log.dropped) commit.appendBatches(log, this.#marker(entry.producerId, entry.epoch, outcome))
          state.write(commit, changes)
        }),
      )
      state.apply(changes)
      acknowledged = committed.acknowledged
    }
    entry.partitions = new Map()
    await acknowledged
  }

  /** Logs of the touched partitions that wait for a marker. */
  #openLogs(entry: Entry): LocalLog[] {
    const logs: LocalLog[] = []
    for (const { topicId, partition } of entry.partitions.values()) {
      const log = this.#place.partition(topicId, partition)
      if (log?.openTransaction(entry.producerId) !== undefined) logs.push(log)
    }
    return logs
  }

  #marker(producerId: number, producerEpoch: number, type: TransactionOutcome): Uint8Array {
    const bytes = new Uint8Array(TRANSACTION_MARKER_BYTES)
    writeTransactionMarker(bytes, 0, 0, 0, { type, producerId, producerEpoch, coordinatorEpoch: 0, timestamp: this.#now() })
    return bytes
  }
}

function newEntry(id: string, producerId: number, epoch: number): Entry {
  return { id, producerId, epoch, partitions: new Map(), owner: undefined, current: undefined, ending: undefined }
}

function rowChange(
  { id, producerId }: Entry,
  state: TransactionRow['state'],
  epoch: number,
  at: number,
  partitions: readonly TouchedPartition[],
): { readonly key: string; readonly value: TransactionRow } {
  const touched = partitions.map(({ topicId, partition }) => [topicId, partition] as const)
  return { key: id, value: { producerId, epoch, state, at, ...(touched.length === 0 ? {} : { partitions: touched }) } }
}
