/**
 * Topics within `db.transaction`: what is sent there becomes durable with the transaction's writes to stores, or not at all, and leaves no trace when the
 * transaction is aborted.
 *
 * `extendTransaction` gives the engine's transaction the verb `topic`. Records gather by partition and are appended in the turn of the commit, behind what
 * was sent outside before it.
 */
import {
  type Committed,
  type Environment,
  type Log,
  type Store,
  type StoreKey,
  type Transaction,
  type TransactionLog,
  type TransactionStore,
  VarveError,
} from '../../engine/index.ts'
import type { CommitOptions } from '../consume/consumed-batch.ts'
import { type AppendCondition, type VersionCheck, versionCheck } from '../keys/expected-version.ts'
import { StickyPartition } from '../partition/partitioner.ts'
import { GatheredRecords } from '../produce/gathered-records.ts'
import type { Outgoing } from '../produce/outgoing.ts'
import { coreOfTopic, type Topic } from './topic.ts'
import type { TopicCore } from './topic-core.ts'
import type { Topics } from './topics.ts'

/** A topic within a transaction. */
export interface TransactionTopic<V = unknown, K = unknown> {
  /**
   * Sends when the transaction commits; the offset is known only then. `expectedVersion` is compared with what is there before the transaction, in the turn of its
   * commit: CONFLICT, and nothing is written. TypeError, RangeError, TOO_LARGE, INVALID_RECORD.
   */
  send(record: V | Outgoing<V, K>, condition?: AppendCondition): void
  /** Sends several records when the transaction commits. */
  sendBatch(records: readonly (V | Outgoing<V, K>)[], condition?: AppendCondition): void
}

/** What the body of a transaction gets: the engine's verbs, and topics. */
export interface TopicTransaction extends Transaction {
  /** The topic within this transaction. */
  topic<V, K>(topic: Topic<V, K>): TransactionTopic<V, K>
  /**
   * Commits a batch's offset, or of a consumer all that it has handed out, for its group with the transaction: exactly-once. Fenced in the turn of the commit:
   * FENCED_MEMBER, UNKNOWN_MEMBER, NOT_ASSIGNED, and then nothing is written.
   */
  offsets(consumed: OffsetSource, options?: CommitOptions): void
}

/** A batch of a consumer with a group, or the consumer. */
export interface OffsetSource {
  /** Stores the offset when the transaction commits. */
  commitWith(tx: Transaction, options?: CommitOptions): void
}

/** A topic within one run of a body: what was sent to it, and the verbs that the body has. */
class TopicSends implements TransactionTopic {
  readonly core: TopicCore
  readonly gathered: GatheredRecords
  readonly #clock: Environment['clock']
  /** Of the transaction. */
  readonly #checks: VersionCheck[]

  constructor(core: TopicCore, { random, clock }: Pick<Environment, 'clock' | 'random'>, checks: VersionCheck[]) {
    this.core = core
    this.gathered = new GatheredRecords(core, new StickyPartition(random), clock.now())
    this.#clock = clock
    this.#checks = checks
  }

  send(record: unknown, condition?: AppendCondition): void {
    const check = versionCheck(this.core, condition)
    this.gathered.add(record, check, this.#clock.now())
    if (check !== undefined) this.#checks.push(check)
  }

  sendBatch(records: readonly unknown[], condition?: AppendCondition): void {
    if (!Array.isArray(records)) throw new TypeError(`records must be an array, got ${String(records)}`)
    const check = versionCheck(this.core, condition)
    const now = this.#clock.now()
    for (const record of records) this.gathered.add(record, check, now)
    if (check !== undefined && records.length > 0) this.#checks.push(check)
  }
}

class ExtendedTransaction implements TopicTransaction {
  readonly #tx: Transaction
  readonly #topics: Topics
  readonly #checks: VersionCheck[] = []
  /** What was sent to each topic: a few, so looked through. */
  readonly #sends: TopicSends[] = []

  constructor(tx: Transaction, topics: Topics) {
    this.#tx = tx
    this.#topics = topics
  }

  topic<V, K>(topic: Topic<V, K>): TransactionTopic<V, K> {
    const core = coreOfTopic(topic) as unknown as TopicCore
    core.assertUsable()
    const sends = this.#sends
    for (const known of sends) if (known.core === core) return known as TransactionTopic<V, K>
    if (sends.length === 0) this.#tx.beforeCommit(() => this.#append())
    const begun = new TopicSends(core, this.#topics.host.environment, this.#checks)
    sends.push(begun)
    return begun as TransactionTopic<V, K>
  }

  /** In the turn of the commit. */
  #append(): void {
    const sends = this.#sends
    if (sends.every(({ gathered }) => gathered.isEmpty)) return
    const { accumulator } = this.#topics
    accumulator.flush()
    if (accumulator.isBlocked) {
      // What was sent before waits for room, and these records must not overtake it.
      throw new VarveError('BUSY', 'records sent before the transaction wait for room in the commit log: await them, or drain()', {
        details: { limit: 'tailBytesMax' },
      })
    }
    for (const check of this.#checks) check.check()
    for (const { gathered } of sends) gathered.appendWithin(this.#tx)
    this.#tx.afterCommit(() => {
      for (const { gathered } of sends) gathered.release()
    })
  }

  offsets(consumed: OffsetSource, options: CommitOptions = {}): void {
    if (typeof consumed?.commitWith !== 'function') throw new TypeError('offsets takes a batch, or a consumer, of a group')
    consumed.commitWith(this.#tx, options)
  }

  store<V, K extends StoreKey>(store: Store<V, K>): TransactionStore<V, K> {
    return this.#tx.store(store)
  }
  log(log: Log): TransactionLog {
    return this.#tx.log(log)
  }
  abort(): void {
    this.#tx.abort()
  }
  beforeCommit(prepare: () => void): void {
    this.#tx.beforeCommit(prepare)
  }
  afterCommit(effect: (committed: Committed) => void): void {
    this.#tx.afterCommit(effect)
  }
}

/** The transaction with topics. */
export function extendTransaction(tx: Transaction, topics: Topics): TopicTransaction {
  return new ExtendedTransaction(tx, topics)
}
