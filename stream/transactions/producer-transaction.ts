/**
 * A transaction of a producer, Kafka's form: records lie in their partitions from the start, and readers with 'read_committed' see them when it commits. For
 * transactions that are long or large; short ones are `db.transaction`. Made by `Producer.begin`.
 */
import { isVarveError, type Transaction, VarveError } from '../../engine/index.ts'
import type { CommitOptions } from '../consume/consumed-batch.ts'
import type { OffsetToCommit } from '../groups/group-transport.ts'
import { StickyPartition } from '../partition/partitioner.ts'
import type { Outgoing, Sent } from '../produce/outgoing.ts'
import type { ResolvedProducerOptions } from '../produce/producer-options.ts'
import { bytesOf, ProducerQueue } from '../produce/producer-queue.ts'
import type { ProducerEpoch } from '../produce/producer-registry.ts'
import { type SequencedProducer, writeBatches } from '../produce/write-batches.ts'
import { coreOfTopic, type Topic } from '../topic/topic.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { TopicProducers } from '../topic/topic-producers.ts'
import type { OffsetSource } from '../topic/topic-transaction.ts'
import type { OpenTransaction, TransactionOutcome } from './coordinator.ts'

/** A transaction of a producer over several sends. */
export class ProducerTransaction {
  readonly #producers: TopicProducers
  readonly #open: OpenTransaction
  readonly #queue: ProducerQueue
  readonly #sticky: StickyPartition
  readonly #offsets: ((tx: Transaction) => void)[] = []
  /** Why a record could not be sent: the transaction cannot commit. */
  #failure: unknown
  /** The end that was asked for; kept once it was decided. */
  #end: { readonly outcome: TransactionOutcome; readonly done: Promise<void> } | undefined

  /** For `Producer`. */
  constructor(producers: TopicProducers, options: ResolvedProducerOptions, open: OpenTransaction) {
    this.#producers = producers
    this.#open = open
    this.#sticky = new StickyPartition(producers.host.environment.random)
    const { coordinator, host, acknowledgements } = producers
    const producer: SequencedProducer = { id: open.producerId, epoch: open.epoch, next: new Map() }
    this.#queue = new ProducerQueue(host, acknowledgements, options, batches => {
      coordinator.assertOpen(open)
      const touched = coordinator.touch(
        open,
        batches.map(({ core, partition }) => ({ topicId: core.id, partition })),
      )
      const written = writeBatches(host, batches, { producer, transactional: true, also: touched.write })
      touched.written()
      return written
    })
    open.onShutOut = error => this.#queue.discard(error)
  }

  /** Producer id and epoch of this transaction; the next one has another. */
  get identity(): ProducerEpoch {
    return { id: this.#open.producerId, epoch: this.#open.epoch }
  }
  /** False once its end was asked for, or it was shut out. */
  get isOpen(): boolean {
    return this.#open.state === 'open' && this.#end === undefined
  }

  /**
   * Sends a record within the transaction. Resolves when it is durable, which says nothing of the transaction's end; a record that is refused makes `commit` reject, so this
   * need not be awaited. Errors as `Topic.send`; PRODUCER_FENCED, INVALID_TRANSACTION_STATE.
   */
  send<V, K>(topic: Topic<V, K>, record: V | Outgoing<V, K>): Promise<Sent> {
    let sent: Promise<Sent>
    try {
      this.#assertOpen()
      const core = coreOfTopic(topic) as unknown as TopicCore
      const prepared = core.prepare(record, this.#sticky, this.#producers.host.environment.clock.now())
      this.#queue.assertRoom(bytesOf(prepared))
      sent = this.#queue.add(core, prepared, undefined)
    } catch (error) {
      sent = Promise.reject(error)
    }
    sent.catch(error => {
      if (this.#open.state === 'open') this.#failure ??= error
    })
    return sent
  }

  /** Sends records in order. */
  sendBatch<V, K>(topic: Topic<V, K>, records: readonly (V | Outgoing<V, K>)[]): Promise<Sent[]> {
    if (!Array.isArray(records)) return Promise.reject(new TypeError(`records must be an array, got ${String(records)}`))
    const sent = Promise.all(records.map(record => this.send(topic, record)))
    sent.catch(() => undefined) // as `send`: told by `commit`
    return sent
  }

  /**
   * Commits offsets for a group when the transaction commits: of a consumed batch, or of all that a consumer has handed out, fenced at that moment; or of a group without
   * members by its name (GROUP_NOT_EMPTY).
   */
  addOffsets(consumed: OffsetSource, options?: CommitOptions): void
  addOffsets(group: string, offsets: readonly OffsetToCommit[]): void
  addOffsets(consumed: OffsetSource | string, given: CommitOptions | readonly OffsetToCommit[] = {}): void {
    this.#assertOpen()
    if (typeof consumed === 'string') {
      if (!Array.isArray(given)) throw new TypeError(`offsets must be an array, got ${String(given)}`)
      const commit = { group: consumed, memberId: undefined, generation: -1, offsets: given as readonly OffsetToCommit[] }
      this.#offsets.push(tx => this.#producers.commitOffsets(tx, commit))
      return
    }
    if (typeof consumed?.commitWith !== 'function') throw new TypeError('addOffsets takes a batch, or a consumer, of a group')
    this.#offsets.push(tx => consumed.commitWith(tx, given as CommitOptions))
  }

  /**
   * Commits: all that was sent, and the offsets. Resolves when durable; again is answered alike. Rejects, and the transaction stays open to be aborted, when a record was
   * refused (INVALID_TRANSACTION_STATE with the cause) or a consumer's group has fenced it. PRODUCER_FENCED after its time or when another producer was opened.
   */
  commit(): Promise<void> {
    return this.#ended('commit', async () => {
      await this.#queue.appended()
      const { coordinator } = this.#producers
      coordinator.assertOpen(this.#open)
      if (this.#failure !== undefined) {
        const { id } = this.#open.owner.entry
        throw new VarveError('INVALID_TRANSACTION_STATE', `${id}: a record of the transaction could not be sent: abort it`, {
          cause: this.#failure,
          details: { id, state: 'failed' },
        })
      }
      const offsets = this.#offsets
      const add = (tx: Transaction): void => {
        for (const commitWith of offsets) commitWith(tx)
      }
      await coordinator.end(this.#open, 'commit', offsets.length === 0 ? undefined : add)
    })
  }

  /** Aborts: nothing of it will be seen by 'read_committed'. What was not appended yet rejects. Resolves when durable; again, or after its time, is answered alike. */
  abort(): Promise<void> {
    return this.#ended('abort', async () => {
      if (this.#open.shutOut === 'timeout') return
      const { coordinator } = this.#producers
      const { id } = this.#open.owner.entry
      this.#queue.discard(
        new VarveError('INVALID_TRANSACTION_STATE', `${id}: the transaction was aborted`, { details: { id, state: 'abort' } }),
      )
      await coordinator.end(this.#open, 'abort')
    })
  }

  /** Ends once; an end that was refused may be asked for again. */
  #ended(outcome: TransactionOutcome, run: () => Promise<void>): Promise<void> {
    const before = this.#end
    if (before?.outcome === outcome) return before.done
    if (before !== undefined) {
      const { id } = this.#open.owner.entry
      const state = before.outcome
      return Promise.reject(
        new VarveError('INVALID_TRANSACTION_STATE', `${id}: the transaction has ended: ${state}`, { details: { id, state } }),
      )
    }
    const done = run().catch(error => {
      if (this.#open.state === 'open' || this.#open.shutOut !== undefined || isVarveError(error, 'PRODUCER_FENCED')) this.#end = undefined
      throw error
    })
    this.#end = { outcome, done }
    return done
  }

  #assertOpen(): void {
    if (this.#end !== undefined) {
      const { id } = this.#open.owner.entry
      const state = this.#end.outcome
      throw new VarveError('INVALID_TRANSACTION_STATE', `${id}: the transaction has ended: ${state}`, { details: { id, state } })
    }
    this.#producers.coordinator.assertOpen(this.#open)
  }
}
