/** What replicas say to each other: Raft's four messages, with offsets for indices and epochs for terms of entries. Plain data. */
import type { EpochEnd } from '../../../engine/log/log.ts'

/** "Elect me": granted at most once a term, to a log that is at least as new as one's own. */
export interface VoteRequest {
  readonly kind: 'vote-request'
  readonly term: number
  /** Epoch of the candidate's last record, and the offset after it. */
  readonly lastEpoch: number
  readonly endOffset: number
}

export interface VoteAnswer {
  readonly kind: 'vote-answer'
  readonly term: number
  readonly granted: boolean
}

/** Whole batches, byte for byte as the leader stores them; empty as a heartbeat. */
export interface AppendRequest {
  readonly kind: 'append-request'
  readonly term: number
  /** Where `bytes` begin. */
  readonly offset: number
  /** Epoch of the record before `offset`; 0 at the start. */
  readonly previousEpoch: number
  readonly bytes: Uint8Array
  readonly highWatermark: number
}

export interface AppendAnswer {
  readonly kind: 'append-answer'
  readonly term: number
  /** All below agrees with the leader's log and is on the follower's disk. */
  readonly matchOffset: number
  /** Set when the log before `offset` does not agree: where the follower's largest epoch <= `previousEpoch` ends; null when it has none. */
  readonly conflict: EpochEnd | null | undefined
}

export type Message = VoteRequest | VoteAnswer | AppendRequest | AppendAnswer

export function describeMessage(message: Message): string {
  switch (message.kind) {
    case 'vote-request':
      return `vote? t${message.term} last ${message.lastEpoch}@${message.endOffset}`
    case 'vote-answer':
      return `vote ${message.granted} t${message.term}`
    case 'append-request':
      return `append t${message.term} ${message.previousEpoch}@${message.offset}+${message.bytes.length}b hw ${message.highWatermark}`
    case 'append-answer':
      return `match t${message.term} ${message.matchOffset}${message.conflict === undefined ? '' : ` conflict ${JSON.stringify(message.conflict)}`}`
  }
}
