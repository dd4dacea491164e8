/**
 * A leader's half of replication, for one term: what each follower is sent next, what it has on its disk, and how far the high watermark may go.
 *
 * Rule (Raft's): the high watermark is the largest offset that a majority has on the disk, and only once a record of the leader's own term lies below
 * it; so a new leader begins with a record of its own.
 */
import { setMaxListeners } from 'node:events'
import { batchBase } from '../../../engine/log/batch-kinds.ts'
import type { LocalLog, ReadBound } from '../../../engine/log/log.ts'
import { epochBefore } from './epochs.ts'
import type { AppendAnswer, AppendRequest } from './messages.ts'

interface Progress {
  /** Offset of the next batch to send; beyond `match` by what is under way. */
  next: number
  /** All below is agreed and durable there. Never falls. */
  match: number
  /** `match` at the last heartbeat: without progress since then, sending starts there again. */
  matchAtBeat: number
  /** Where sending began again after a conflict; until the next heartbeat only an earlier place counts, or doubled messages would multiply. */
  restartedAt: number
}

export class Leadership {
  readonly term: number
  readonly #log: LocalLog
  readonly #progress = new Map<number, Progress>()
  readonly #bound: ReadBound
  readonly #bytesMax: number
  /** Offset of the first record of the term. */
  readonly #firstOffset: number
  /** Ends whatever waits for commands of this leader. */
  readonly ended: AbortController = new AbortController()

  constructor(log: LocalLog, term: number, peers: readonly number[], options: { readonly bound: ReadBound; readonly bytesMax: number }) {
    this.term = term
    this.#log = log
    this.#bound = options.bound
    this.#bytesMax = options.bytesMax
    this.#firstOffset = log.endOffset
    setMaxListeners(0, this.ended.signal) // every command that waits listens to it
    for (const peer of peers)
      this.#progress.set(peer, { next: log.endOffset, match: 0, matchAtBeat: 0, restartedAt: Number.POSITIVE_INFINITY })
  }

  /** The next message for a follower; undefined when there is nothing new and it is no heartbeat. */
  requestFor(peer: number, beat: boolean): AppendRequest | undefined {
    const progress = this.#progress.get(peer) as Progress
    if (beat) {
      if (progress.match === progress.matchAtBeat && progress.match > 0) progress.next = progress.match
      progress.matchAtBeat = progress.match
      progress.restartedAt = Number.POSITIVE_INFINITY
    }
    const log = this.#log
    const slice = log.read(progress.next, { bound: this.#bound, bytesMax: this.#bytesMax, fillChecksums: true })
    if (slice.positions.length === 0 && !beat) return undefined
    const offset = slice.positions.length === 0 ? progress.next : batchBase(log.kind, slice.bytes, 0)
    progress.next = slice.nextOffset
    return {
      kind: 'append-request',
      term: this.term,
      offset,
      previousEpoch: epochBefore(log, offset),
      bytes: slice.bytes,
      highWatermark: log.highWatermark,
    }
  }

  /** A follower answered. Returns true when the high watermark moved. */
  answered(peer: number, answer: AppendAnswer): boolean {
    const progress = this.#progress.get(peer) as Progress
    progress.match = Math.max(progress.match, answer.matchOffset)
    progress.next = Math.max(progress.next, progress.match)
    if (answer.conflict !== undefined) {
      const agreed = Math.max(progress.match, this.#agreedWith(answer.conflict))
      if (agreed < progress.restartedAt) {
        progress.next = agreed
        progress.restartedAt = agreed
      }
    }
    return this.advance()
  }

  /** How far the follower's log may agree, by where its largest epoch <= ours ends. Falls by an epoch a round at least, or agrees. */
  #agreedWith(end: AppendAnswer['conflict']): number {
    const own = end == null ? undefined : this.#log.endOffsetForEpoch(end.epoch)
    if (end == null || own === undefined) return 0
    return own.epoch === end.epoch ? Math.min(own.endOffset, end.endOffset) : own.endOffset
  }

  /** Moves the high watermark to what a majority has on the disk. */
  advance(): boolean {
    const log = this.#log
    const durable = [log.durableOffset, ...[...this.#progress.values()].map(progress => progress.match)].sort((a, b) => b - a)
    const majority = Math.min(durable[durable.length >> 1] as number, log.durableOffset)
    if (majority <= log.highWatermark || majority <= this.#firstOffset) return false
    log.advanceHighWatermark(majority)
    return true
  }
}
