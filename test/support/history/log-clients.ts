/**
 * Clients of topics as they can be made of the engine's logs alone: idempotent and transactional producers, readers of both isolations, and consumers that
 * keep their offsets in a store. Each does one thing and records it. They are what stands below `stream/`, held to the same checker.
 */
import { TRANSACTION_MARKER_BYTES, writeTransactionMarker } from '../../../engine/batch/control-batch.ts'
import { batchProducerId, isControlBatch, isTransactionalBatch } from '../../../engine/batch/record-batch.ts'
import { isVarveError } from '../../../engine/errors.ts'
import { type Appended, type Database, decodeRecords, type LocalLog, type ProducerIdentity, type Store } from '../../../engine/index.ts'
import type { Partition, Polled, PollResult, SendCall } from './history.ts'
import type { HistoryRecorder, PendingOperation } from './recorder.ts'

/** Ways to do it wrong, to see that the checker tells. */
export interface Faults {
  /** Sends without a producer are acknowledged when they are handed over, whatever word they were to keep. */
  readonly lies?: boolean
  /** A producer forgets who it was, so that nothing recognises what it sends again. */
  readonly forgetsIdentity?: boolean
  /** Committed readers are shown aborted records. */
  readonly showsAborted?: boolean
  /** Committed readers read up to the high watermark. */
  readonly ignoresLastStable?: boolean
  /** Committed readers read one batch beyond the last stable offset. */
  readonly lastStableOffByOne?: boolean
  /** Readers go on one record too far. */
  readonly skipsRecord?: boolean
  /** Readers go on one record too early. */
  readonly rereads?: boolean
  /** Consumers of at-least-once store their offset before they process. */
  readonly commitsFirst?: boolean
  /** Consumers of exactly-once store their offset apart from what they send. */
  readonly splitsTransaction?: boolean
  /** Records of a producer that are under way at once are handed over in reverse. */
  readonly reorders?: boolean
  /** Transactions end in one partition by commit and in the next by abort. */
  readonly tears?: boolean
}

/** The log of a partition: of a topic, or defined under that very name. */
export function partitionLog(database: Database, partition: Partition): LocalLog {
  return database.log(database.get(partition) === undefined ? `topic/${partition}` : partition)
}

export interface LogSend {
  readonly call: Omit<SendCall, 'kind' | 'partition'>
  readonly partition: Partition
  readonly producer?: ProducerIdentity
}

/** Appends a record and records the answer when it comes. False: it was refused with BUSY, nothing was written. */
export function sendTo(
  database: Database,
  { call, partition, producer }: LogSend,
  pending: PendingOperation,
  faults: Faults,
): Appended | undefined {
  const durability = faults.lies === true && producer === undefined ? 'none' : (call.durability ?? 'sync')
  try {
    const appended = partitionLog(database, partition).appendRecords([{ key: call.key ?? null, value: call.value }], {
      durability,
      ...(producer === undefined ? {} : { producer }),
      ...(call.transaction === undefined ? {} : { transactional: true }),
    })
    appended.acknowledged.then(
      () => pending.ok({ partition, offset: appended.baseOffset }),
      () => pending.info(),
    )
    return appended
  } catch (error) {
    if (!isVarveError(error, 'BUSY')) throw error
    pending.fail()
    return undefined
  }
}

/** Ends a producer's transaction in all partitions it may have touched, by one commit. */
export async function endTransaction(
  database: Database,
  partitions: readonly Partition[],
  producer: { readonly id: number; readonly epoch: number },
  type: 'commit' | 'abort',
  faults: Faults,
): Promise<void> {
  const committed = database.commit(commit => {
    for (const [i, partition] of partitions.entries()) {
      const bytes = new Uint8Array(TRANSACTION_MARKER_BYTES)
      writeTransactionMarker(bytes, 0, 0, 0, {
        type: faults.tears === true && i > 0 ? (type === 'commit' ? 'abort' : 'commit') : type,
        producerId: producer.id,
        producerEpoch: producer.epoch,
        coordinatorEpoch: 0,
        timestamp: 0,
      })
      commit.appendBatches(partitionLog(database, partition), bytes)
    }
  })
  await committed.acknowledged
}

/** Records from a position on, as one fetch sees them, and the position behind them. */
export function fetchFrom(
  log: LocalLog,
  position: number,
  isolation: 'committed' | 'uncommitted',
  recordsMax: number,
  faults: Faults,
): { readonly records: Polled[]; readonly next: number } {
  const isCommitted = isolation === 'committed'
  const start = Math.max(position, log.startOffset)
  const stable = log.lastStableOffset + (faults.lastStableOffByOne === true ? 1 : 0)
  const bound = isCommitted && faults.ignoresLastStable !== true ? Math.min(stable, log.highWatermark) : log.highWatermark
  const records: Polled[] = []
  if (start >= bound) return { records, next: start }
  const { bytes, positions, nextOffset } = log.read(start)
  const aborted = isCommitted && faults.showsAborted !== true ? log.abortedTransactions(start, nextOffset) : []
  for (const at of positions) {
    if (isControlBatch(bytes, at)) continue
    const producerId = isTransactionalBatch(bytes, at) ? batchProducerId(bytes, at) : -1
    for (const { offset, value } of decodeRecords(bytes, at)) {
      if (offset < start || aborted.some(it => it.producerId === producerId && offset >= it.firstOffset && offset <= it.lastOffset))
        continue
      if (offset >= bound) return { records, next: offset }
      if (records.length === recordsMax) return { records, next: offset }
      records.push([offset, new TextDecoder().decode(value ?? new Uint8Array(0))])
    }
  }
  return { records, next: Math.min(nextOffset, Math.max(bound, start)) }
}

/** A reader of some partitions that says what it saw. */
export class LogReader {
  readonly positions: Map<Partition, number> = new Map()
  readonly #database: Database
  readonly #recorder: HistoryRecorder
  readonly #process: string
  readonly #isolation: 'committed' | 'uncommitted'
  readonly #faults: Faults

  constructor(database: Database, recorder: HistoryRecorder, process: string, isolation: 'committed' | 'uncommitted', faults: Faults) {
    this.#database = database
    this.#recorder = recorder
    this.#process = process
    this.#isolation = isolation
    this.#faults = faults
  }

  assign(from: Readonly<Record<Partition, number>>): void {
    this.positions.clear()
    for (const [partition, offset] of Object.entries(from)) this.positions.set(partition, offset)
    this.#recorder.note(this.#process, { kind: 'assign', partitions: Object.keys(from), from })
  }

  seek(partition: Partition, offset: number): void {
    this.positions.set(partition, offset)
    this.#recorder.note(this.#process, { kind: 'seek', partition, offset })
  }

  /** The call is under way until its answer is given to `pending`. */
  begin(group?: string): PendingOperation {
    return this.#recorder.invoke(this.#process, { kind: 'poll', isolation: this.#isolation, ...(group === undefined ? {} : { group }) })
  }

  fetch(recordsMax: number): PollResult {
    const records: Record<Partition, readonly Polled[]> = {}
    const reachedEnd: Partition[] = []
    for (const [partition, position] of this.positions) {
      const log = partitionLog(this.#database, partition)
      const fetched = fetchFrom(log, position, this.#isolation, recordsMax, this.#faults)
      if (fetched.records.length > 0) records[partition] = fetched.records
      const move = (this.#faults.skipsRecord === true ? 1 : 0) - (this.#faults.rereads === true ? 1 : 0)
      this.positions.set(partition, fetched.records.length > 0 ? Math.max(0, fetched.next + move) : fetched.next)
      if (fetched.next >= log.highWatermark) reachedEnd.push(partition)
    }
    return { records, reachedEnd }
  }
}

/** Offsets of groups by `group partition`. */
export type Offsets = Store<number, string>

export function offsetKey(group: string, partition: Partition): string {
  return `${group} ${partition}`
}
