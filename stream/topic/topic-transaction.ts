/**
 * Topics within `db.transaction`: what is sent there becomes durable with the transaction's writes to stores, or not at all, and leaves no trace when the
 * transaction is aborted.
 *
 * `extendTransaction` gives the engine's transaction the verb `topic`. Records gather by partition and are appended in the turn of the commit, behind what
 * was sent outside before it.
 */
import { type Transaction, VarveError } from '../../engine/index.ts'
import type { CommitOptions } from '../consume/consumed-batch.ts'
import { type AppendCondition, type VersionCheck, versionCheck } from '../keys/expected-version.ts'
import { StickyPartition } from '../partition/partitioner.ts'
import type { Outgoing } from '../produce/outgoing.ts'
import { gatherByPartition, type PartitionBatch } from '../produce/send-batch.ts'
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

class ExtendedTransaction implements TopicTransaction {
  readonly #tx: Transaction
  readonly #topics: Topics
  readonly #batches: { readonly core: TopicCore; readonly batch: PartitionBatch }[] = []
  readonly #checks: VersionCheck[] = []
  readonly #sticky: StickyPartition

  constructor(tx: Transaction, topics: Topics) {
    this.#tx = tx
    this.#topics = topics
    this.#sticky = new StickyPartition(topics.host.environment.random)
    tx.beforeCommit(() => this.#append())
  }

  topic<V, K>(topic: Topic<V, K>): TransactionTopic<V, K> {
    const core = coreOfTopic(topic)
    core.assertUsable()
    const sendBatch = (records: readonly (V | Outgoing<V, K>)[], condition?: AppendCondition): void => {
      const batches = gatherByPartition(core, records, this.#sticky, this.#topics.host.environment.clock.now())
      const check = versionCheck(core, batches, condition)
      if (check !== undefined) this.#checks.push(check)
      for (const batch of batches) this.#batches.push({ core: core as unknown as TopicCore, batch })
    }
    return { send: (record, condition) => sendBatch([record], condition), sendBatch }
  }

  /** In the turn of the commit. */
  #append(): void {
    if (this.#batches.length === 0) return
    const { accumulator } = this.#topics
    accumulator.flush()
    if (accumulator.isBlocked) {
      // What was sent before waits for room, and these records must not overtake it.
      throw new VarveError('BUSY', 'records sent before the transaction wait for room in the commit log: await them, or drain()', {
        details: { limit: 'tailBytesMax' },
      })
    }
    for (const { check } of this.#checks) check()
    const byLog = new Map<PartitionBatch['log'], { readonly core: TopicCore; readonly batch: PartitionBatch }>()
    for (const { core, batch } of this.#batches) {
      const known = byLog.get(batch.log)
      if (known === undefined) byLog.set(batch.log, { core, batch })
      else known.batch.records.push(...batch.records)
    }
    for (const [log, { core, batch }] of byLog) {
      const { compression } = core.options
      this.#tx.log(log).appendRecords(batch.records, compression === undefined ? {} : { compression })
    }
    this.#batches.length = 0
  }

  offsets(consumed: OffsetSource, options: CommitOptions = {}): void {
    if (typeof consumed?.commitWith !== 'function') throw new TypeError('offsets takes a batch, or a consumer, of a group')
    consumed.commitWith(this.#tx, options)
  }

  store: Transaction['store'] = store => this.#tx.store(store)
  log: Transaction['log'] = log => this.#tx.log(log)
  abort(): void {
    this.#tx.abort()
  }
  beforeCommit: Transaction['beforeCommit'] = prepare => this.#tx.beforeCommit(prepare)
  afterCommit: Transaction['afterCommit'] = effect => this.#tx.afterCommit(effect)
}

/** The transaction with topics. */
export function extendTransaction(tx: Transaction, topics: Topics): TopicTransaction {
  return new ExtendedTransaction(tx, topics)
}
