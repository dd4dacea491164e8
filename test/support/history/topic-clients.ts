/**
 * The recorder around the clients of `stream/`: what a topic's producers and consumers do goes into a history. A record is known again by its value, a tombstone
 * by its header `id`.
 */
import { isVarveError } from '../../../engine/errors.ts'
import type {
  ConsumedBatch,
  ConsumedRecord,
  ConsumeFrom,
  Consumer,
  Database,
  GroupConsumeOptions,
  GroupConsumer,
  Outgoing,
  Sent,
  Topic,
  TopicPartition,
} from '../../../index.ts'
import { decodeRecords, type LogRecord } from '../../../index.ts'
import type { Partition, Polled, PollResult, SendCall } from './history.ts'
import type { HistoryRecorder, PendingOperation } from './recorder.ts'

/** A topic of texts, whose keys are texts. */
export type TextTopic = Topic<string, string>

export function partitionName(topic: string, partition: number): Partition {
  return `${topic}/${partition}`
}

export function nameOfRecord(record: ConsumedRecord<string, string>): string {
  return record.value ?? record.header('id') ?? 'nothing'
}

/** The name of a record as it is stored. */
function nameOfStored({ value, headers }: LogRecord): string {
  const bytes = value ?? headers.find(({ key }) => key === 'id')?.value
  return bytes === null || bytes === undefined ? 'nothing' : Buffer.from(bytes).toString()
}

/** What is sent: `value` is its name in the history. */
export interface RecordedSend {
  readonly value: string
  readonly key?: string
  readonly isTombstone?: boolean
  readonly partition?: number
}

export function outgoingOf({ value, key, isTombstone, partition }: RecordedSend): Outgoing<string, string> {
  const common = { ...(key === undefined ? {} : { key }), ...(partition === undefined ? {} : { partition }) }
  return isTombstone === true ? { value: null, headers: { id: value }, ...common } : { value, ...common }
}

export class RecordedProducer {
  readonly #recorder: HistoryRecorder
  readonly #process: string
  readonly #durability: NonNullable<SendCall['durability']>

  /** `durability`: the database's word. */
  constructor(recorder: HistoryRecorder, process: string, durability: NonNullable<SendCall['durability']>) {
    this.#recorder = recorder
    this.#process = process
    this.#durability = durability
  }

  /** The call is recorded; `settle` records the answer. */
  begin(topic: string, { value, key, isTombstone, partition }: RecordedSend, transaction?: string): PendingOperation {
    return this.#recorder.invoke(this.#process, {
      kind: 'send',
      value,
      durability: this.#durability,
      ...(partition === undefined ? {} : { partition: partitionName(topic, partition) }),
      ...(key === undefined ? {} : { key }),
      ...(isTombstone === true ? { isTombstone } : {}),
      ...(transaction === undefined ? {} : { transaction }),
    })
  }

  /** A transaction is to end. */
  end<K extends 'commit' | 'abort'>(transaction: string, kind: K): { readonly kind: K; readonly pending: PendingOperation } {
    return { kind, pending: this.#recorder.invoke(this.#process, { kind, transaction, durability: this.#durability }) }
  }

  async send(topic: TextTopic, sent: RecordedSend): Promise<void> {
    const pending = this.begin(topic.name, sent)
    await settle(pending, topic.send(outgoingOf(sent)), ({ partition, offset }) => ({
      partition: partitionName(topic.name, partition),
      offset,
    }))
  }

  /** All or nothing, so it is a transaction of the history. */
  async sendBatch(topic: TextTopic, all: readonly RecordedSend[], transaction: string): Promise<void> {
    const pendings = all.map(sent => this.begin(topic.name, sent, transaction))
    const commit = this.#recorder.invoke(this.#process, { kind: 'commit', transaction, durability: this.#durability })
    let sent: Sent[]
    try {
      sent = await topic.sendBatch(all.map(outgoingOf))
    } catch (error) {
      if (!isVarveError(error, 'BUSY')) throw error
      commit.fail()
      return
    }
    for (const [i, { partition, offset }] of sent.entries()) pendings[i]!.ok({ partition: partitionName(topic.name, partition), offset })
    commit.ok()
  }

  /** Several topics, and whatever else `body` writes, in one commit; false when it was aborted. */
  async transact(
    database: Database,
    transaction: string,
    sends: readonly (readonly [TextTopic, RecordedSend])[],
    body: (tx: Parameters<Parameters<Database['transaction']>[0]>[0]) => boolean,
  ): Promise<boolean> {
    const pendings = sends.map(([topic, sent]) => this.begin(topic.name, sent, transaction))
    for (const pending of pendings) pending.ok()
    const commit = this.#recorder.invoke(this.#process, { kind: 'commit', transaction, durability: this.#durability })
    let isCommitted = false
    try {
      isCommitted = await database.transaction(tx => {
        for (const [topic, sent] of sends) tx.topic(topic).send(outgoingOf(sent))
        const wanted = body(tx)
        if (!wanted) tx.abort()
        return wanted
      })
    } catch (error) {
      if (!isVarveError(error, 'BUSY') && !isVarveError(error, 'CONFLICT') && !isFenced(error)) throw error
    }
    if (isCommitted) commit.ok()
    else commit.fail()
    return isCommitted
  }
}

async function settle(
  pending: PendingOperation,
  promise: Promise<Sent>,
  resultOf: (sent: Sent) => { partition: Partition; offset: number },
): Promise<void> {
  try {
    pending.ok(resultOf(await promise))
  } catch (error) {
    if (!isVarveError(error, 'BUSY')) throw error
    pending.fail()
  }
}

/** One answer of a consumer, not yet processed. */
export interface RecordedBatch {
  readonly pending: PendingOperation
  readonly result: PollResult
  /** Offset to read on from. */
  readonly nextOffset: number
  readonly partition: number
}

export interface RecordedConsumerOptions {
  readonly isolation: 'committed' | 'uncommitted'
  readonly from: ConsumeFrom
  readonly partitions: readonly number[]
  readonly maxRecords: number
  readonly group?: string
  readonly until?: 'end'
  /** How it is read. Default 'batches'. */
  readonly by?: ReadBy
}

/** Batch by batch, record by record, or as stored bytes. */
export type ReadBy = 'batches' | 'records' | 'raw'

/** What one turn of a consumer's loop gives. */
interface Taken {
  readonly partition: number
  readonly nextOffset: number
  readonly records: readonly Polled[]
}

async function* takenFrom(consumer: Consumer<string, string>, by: ReadBy): AsyncGenerator<Taken, void, undefined> {
  if (by === 'records') {
    for await (const record of consumer.records()) {
      const { partition, offset } = record
      yield { partition, nextOffset: offset + 1, records: [[offset, nameOfRecord(record)]] }
    }
  } else if (by === 'raw') {
    for await (const { partition, bytes, positions, nextOffset } of consumer.raw()) {
      const records = positions.flatMap(start => decodeRecords(bytes, start))
      yield { partition, nextOffset, records: records.map((record): Polled => [record.offset, nameOfStored(record)]) }
    }
  } else
    for await (const { partition, nextOffset, records } of consumer)
      yield { partition, nextOffset, records: records.map((record): Polled => [record.offset, nameOfRecord(record)]) }
}

type Batch = ConsumedBatch<string, string>

/** A consumer without a group, of one topic, read batch by batch. */
export class RecordedConsumer {
  readonly consumer: Consumer<string, string>
  readonly #topic: TextTopic
  readonly #recorder: HistoryRecorder
  readonly #process: string
  readonly #options: RecordedConsumerOptions
  readonly #iterator: AsyncIterator<Taken>
  /** By partition: where reading goes on. */
  readonly #positions = new Map<number, number>()
  isClosed = false

  constructor(topic: TextTopic, recorder: HistoryRecorder, process: string, options: RecordedConsumerOptions) {
    const { isolation, from, partitions, maxRecords, until } = options
    this.#topic = topic
    this.#recorder = recorder
    this.#process = process
    this.#options = options
    this.consumer = topic.consume({
      isolation: isolation === 'committed' ? 'read_committed' : 'read_uncommitted',
      from,
      partitions,
      maxRecords,
      ...(until === undefined ? {} : { until }),
    })
    const starts = partitions.map(partition => [partitionName(topic.name, partition), this.consumer.position(partition)] as const)
    recorder.note(process, { kind: 'assign', partitions: starts.map(([name]) => name), from: Object.fromEntries(starts) })
    for (const partition of partitions) this.#positions.set(partition, this.consumer.position(partition))
    this.#iterator = takenFrom(this.consumer, options.by ?? 'batches')
  }

  /** The next batch; undefined when the consumer has ended. What was trimmed ends it too. */
  async next(): Promise<RecordedBatch | undefined> {
    const { isolation, group } = this.#options
    const pending = this.#recorder.invoke(this.#process, { kind: 'poll', isolation, ...(group === undefined ? {} : { group }) })
    let next: IteratorResult<Taken>
    try {
      next = await this.#iterator.next()
    } catch (error) {
      if (!isVarveError(error, 'OFFSET_OUT_OF_RANGE')) throw error
      pending.fail()
      return undefined
    }
    if (next.done === true) {
      pending.fail()
      return undefined
    }
    const { partition, nextOffset, records } = next.value
    const name = partitionName(this.#topic.name, partition)
    const isAtEnd = nextOffset >= this.#topic.partition(partition).highWatermark
    // A stored batch comes whole, also to who reads on within it.
    const from = this.#options.by === 'raw' ? (this.#positions.get(partition) ?? 0) : 0
    this.#positions.set(partition, nextOffset)
    const polled = from === 0 ? records : records.filter(([offset]) => offset >= from)
    return { pending, partition, nextOffset, result: { records: { [name]: polled }, ...(isAtEnd ? { reachedEnd: [name] } : {}) } }
  }

  seek(partition: number, offset: number): void {
    this.consumer.seek(partition, offset)
    this.#positions.set(partition, offset)
    this.#recorder.note(this.#process, { kind: 'seek', partition: partitionName(this.#topic.name, partition), offset })
  }

  close(): Promise<void> {
    this.isClosed = true
    return this.consumer.close()
  }
}

/** Reads a quiet topic from the beginning to its end, as one reader. */
export async function readWhole(
  topic: TextTopic,
  recorder: HistoryRecorder,
  process: string,
  isolation: 'committed' | 'uncommitted',
): Promise<void> {
  const partitions = Array.from({ length: topic.partitionCount }, (_, partition) => partition)
  const names = partitions.map(partition => partitionName(topic.name, partition))
  recorder.note(process, { kind: 'assign', partitions: names, from: Object.fromEntries(names.map(name => [name, 0])) })
  const consumer = topic.consume({ isolation: isolation === 'committed' ? 'read_committed' : 'read_uncommitted', until: 'end' })
  for await (const { partition, records } of consumer) {
    const name = partitionName(topic.name, partition)
    recorder
      .invoke(process, { kind: 'poll', isolation })
      .ok({ records: { [name]: records.map((record): Polled => [record.offset, nameOfRecord(record)]) } })
  }
  // It ended, so it stood at the end of each: what open transactions held back would be behind it.
  const reachedEnd = partitions.filter(partition => {
    const { lastStableOffset, highWatermark } = topic.partition(partition)
    return lastStableOffset === highWatermark
  })
  recorder.invoke(process, { kind: 'poll', isolation }).ok({
    records: {},
    reachedEnd: reachedEnd.map(partition => partitionName(topic.name, partition)),
  })
}

/** The group goes on without this member, or the member without this partition. */
export function isFenced(error: unknown): boolean {
  return (['FENCED_MEMBER', 'UNKNOWN_MEMBER', 'ILLEGAL_GENERATION', 'NOT_ASSIGNED', 'CLOSED'] as const).some(code =>
    isVarveError(error, code),
  )
}

/** A batch of a group's member, not yet processed. */
export interface RecordedGroupBatch extends RecordedBatch {
  readonly batch: Batch
}

export type RecordedMemberOptions = Omit<GroupConsumeOptions, 'onAssigned' | 'onRevoked' | 'onLost'>

/** A member of a group: each `poll` is an operation, and what the group gives and takes is noted with the offsets at which reading goes on. */
export class RecordedMember {
  readonly consumer: GroupConsumer<string, string>
  readonly #topic: TextTopic
  readonly #recorder: HistoryRecorder
  readonly #process: string
  readonly #group: string

  constructor(topic: TextTopic, recorder: HistoryRecorder, process: string, options: RecordedMemberOptions) {
    this.#topic = topic
    this.#recorder = recorder
    this.#process = process
    this.#group = options.group
    recorder.note(process, { kind: 'subscribe', topics: [topic.name] })
    const rebalance = (revoked: readonly TopicPartition[], assigned: readonly TopicPartition[]): void => {
      const names = [revoked, assigned].map(places => places.map(place => partitionName(place.topic, place.partition)))
      recorder.note(process, { kind: 'rebalance', revoked: names[0]!, assigned: names[1]! })
    }
    this.consumer = topic.consume({
      ...options,
      onAssigned: places => {
        rebalance([], places)
        for (const place of places) this.#noteSeek(place, this.consumer.position(place))
      },
      onRevoked: places => rebalance(places, []),
      onLost: places => rebalance(places, []),
    })
  }

  #noteSeek({ topic, partition }: TopicPartition, offset: number): void {
    this.#recorder.note(this.#process, { kind: 'seek', partition: partitionName(topic, partition), offset })
  }

  /** The next batch; 'nothing' when none came in time, 'over' when this member is out for good. */
  async poll(maxWaitMs: number): Promise<RecordedGroupBatch | 'nothing' | 'over'> {
    const pending = this.#recorder.invoke(this.#process, { kind: 'poll', isolation: 'committed', group: this.#group })
    let batch: Batch | undefined
    try {
      batch = await this.consumer.poll({ maxWaitMs })
    } catch (error) {
      if (!isFenced(error)) throw error
      pending.fail()
      return 'over'
    }
    if (batch === undefined) {
      pending.fail()
      return 'nothing'
    }
    const { partition, nextOffset, records } = batch
    const name = partitionName(this.#topic.name, partition)
    const isAtEnd = nextOffset >= this.#topic.partition(partition).highWatermark
    const polled = records.map((record): Polled => [record.offset, nameOfRecord(record)])
    return { pending, batch, partition, nextOffset, result: { records: { [name]: polled }, ...(isAtEnd ? { reachedEnd: [name] } : {}) } }
  }

  /** Goes back to the first record of a batch whose processing was given up, unless the partition has gone. */
  goBack({ batch: { topic, partition, records } }: RecordedGroupBatch): void {
    const place = { topic, partition }
    if (!this.consumer.assignment.some(held => held.topic === topic && held.partition === partition)) return
    const { offset } = records[0]!
    this.consumer.seek(place, offset)
    this.#noteSeek(place, offset)
  }

  /** Leaves the group. */
  async close(): Promise<void> {
    try {
      await this.consumer.close()
    } catch (error) {
      if (!isFenced(error)) throw error
    }
  }
}
