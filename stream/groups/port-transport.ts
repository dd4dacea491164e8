/**
 * The worker's side of a port: `GroupTransport` and the partitions' logs, by calls to the thread of the database. Owned by the consumer that
 * `openConsumer` makes; several may share a port.
 *
 * Invariant: every call is settled: by its answer, or with CLOSED when the port closes.
 */
import { type AbortedTransaction, isVarveError, type LogSlice, type ReadOptions, VarveError, type WaitOptions } from '../../engine/index.ts'
import type { FetchLog } from '../fetch/partition-fetcher.ts'
import type { GroupRequest, MembershipReply } from './group-messages.ts'
import type { CommittedPosition, GroupTransport, OffsetCommit } from './group-transport.ts'
import type { TopicPartitions } from './partitions.ts'
import {
  type AbortedAnswer,
  type LogPlace,
  type LogState,
  type OpenedLog,
  type PortCall,
  type PortLike,
  type ReadAnswer,
  type TimeAnswer,
  type ToMember,
  unpackError,
} from './port-messages.ts'

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}

export class PortTransport implements GroupTransport {
  readonly #port: PortLike
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Map<string, () => void>()
  #nextId = 1
  #isClosed = false

  constructor(port: PortLike) {
    this.#port = port
    port.on('message', message => this.#take(message as ToMember))
    port.on('close', () => this.#end())
  }

  async request(request: GroupRequest): Promise<MembershipReply | undefined> {
    return (await this.call({ verb: 'request', request })) as MembershipReply | undefined
  }

  listen(memberId: string, nudge: () => void): () => void {
    this.#listeners.set(memberId, nudge)
    return () => {
      if (this.#listeners.get(memberId) === nudge) this.#listeners.delete(memberId)
    }
  }

  async commit(commit: OffsetCommit): Promise<void> {
    await this.call({ verb: 'commit', commit })
  }

  async committed(
    group: string,
    partitions: TopicPartitions,
    topicIds?: ReadonlyMap<string, number>,
  ): Promise<readonly CommittedPosition[]> {
    return (await this.call({ verb: 'committed', group, partitions, topicIds })) as readonly CommittedPosition[]
  }

  async matching(pattern: RegExp): Promise<readonly string[]> {
    return (await this.call({ verb: 'matching', pattern })) as readonly string[]
  }

  /** The log of a partition, with the names of its topic's codecs. NOT_FOUND. */
  async open(place: LogPlace): Promise<Omit<OpenedLog, 'state' | 'name'> & { readonly log: PortLog }> {
    const opened = (await this.call({ verb: 'open', ...place })) as OpenedLog
    const { topicId, keyCodec, value } = opened
    return { log: new PortLog(this, { ...place, topicId }, opened), topicId, keyCodec, value }
  }

  /** Sends a call and resolves with its answer; a signal cancels it there too. */
  call(call: PortCall, signal?: AbortSignal): Promise<unknown> {
    if (this.#isClosed) return Promise.reject(closed())
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(id)
        this.#port.postMessage({ verb: 'cancel', id })
        reject(signal?.reason)
      }
      const settle = (run: () => void): void => {
        signal?.removeEventListener('abort', onAbort)
        run()
      }
      this.#waiting.set(id, {
        resolve: value => settle(() => resolve(value)),
        reject: error => settle(() => reject(error)),
      })
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#port.postMessage({ ...call, id })
    })
  }

  /** Lets the port go; the owner takes members that are still there as having left. */
  close(): void {
    this.#port.close()
    this.#end()
  }

  #take(message: ToMember): void {
    if ('nudge' in message) {
      this.#listeners.get(message.nudge)?.()
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if ('error' in message) waiting?.reject(unpackError(message.error))
    else waiting?.resolve(message.value)
  }

  #end(): void {
    this.#isClosed = true
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(closed())
    // Members that wait for nothing but a nudge, as those without partitions do, hear of it now and not with their next heartbeat.
    for (const nudge of [...this.#listeners.values()]) nudge()
  }
}

function closed(): VarveError {
  return new VarveError('CLOSED', 'the port to the thread of the database is closed')
}

/** A partition's log behind a port. Its offsets are as of the newest answer about it. */
export class PortLog implements FetchLog {
  readonly name: string
  readonly #transport: PortTransport
  readonly #place: LogPlace
  #state: LogState
  #isDropped = false

  constructor(transport: PortTransport, place: LogPlace, { name, state }: OpenedLog) {
    this.#transport = transport
    this.#place = place
    this.name = name
    this.#state = state
  }

  get startOffset(): number {
    return this.#state.startOffset
  }
  get endOffset(): number {
    return this.#state.endOffset
  }
  get highWatermark(): number {
    return this.#state.highWatermark
  }
  get lastStableOffset(): number {
    return this.#state.lastStableOffset
  }

  get dropped(): boolean {
    return this.#isDropped
  }

  async read(offset: number, { bytesMax }: ReadOptions = {}): Promise<LogSlice> {
    return (await this.#ask<ReadAnswer>({ verb: 'read', ...this.#place, offset, bytesMax })).slice
  }

  async abortedTransactions(from: number, to: number): Promise<AbortedTransaction[]> {
    return [...(await this.#ask<AbortedAnswer>({ verb: 'aborted', ...this.#place, from, to })).aborted]
  }

  async offsetForTime(time: number): Promise<number | undefined> {
    return (await this.#ask<TimeAnswer>({ verb: 'offset-for-time', ...this.#place, time })).offset
  }

  async waitFor(offset: number, { signal }: WaitOptions = {}): Promise<void> {
    await this.#ask({ verb: 'wait', ...this.#place, offset }, signal)
  }

  async #ask<T extends { readonly state: LogState }>(call: PortCall, signal?: AbortSignal): Promise<T> {
    try {
      const answer = (await this.#transport.call(call, signal)) as T
      this.#state = answer.state
      return answer
    } catch (error) {
      if (isVarveError(error, 'NOT_FOUND')) this.#isDropped = true
      throw error
    }
  }
}
