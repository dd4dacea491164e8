/** What a history is held to. */
import type { AnomalyKind } from './anomaly.ts'
import type { Partition } from './history.ts'

export interface GroupRule {
  /** What the group's members promise about processing; a processed record is one whose poll is `ok`, and committed if it is in a transaction. */
  readonly promise: 'at-most-once' | 'at-least-once' | 'exactly-once'
  /** Where the group began: 'earliest' owes every record, 'latest' those from its first one on. Members never seek forward. */
  readonly from: 'earliest' | 'latest'
}

export interface HistoryRules {
  /** Anomalies that are reported and fail nothing. Default: `kafkaAllows`. */
  readonly allowed?: ReadonlySet<AnomalyKind>
  /** Partitions in which a newer record of the same key lets the older one go. */
  readonly isCompacted?: (partition: Partition) => boolean
  readonly groups?: Readonly<Record<string, GroupRule>>
}

/**
 * Normal in Kafka's model: transactions do not isolate writes, so that offsets of two open transactions interleave and contradict the order in which
 * they commit, and nobody validates reads.
 */
export const kafkaAllows: ReadonlySet<AnomalyKind> = new Set(['int-send-skip', 'G0', 'G1c-ww', 'G2'])

/** For transactions that commit in one piece: their writes lie together, and only reads may be outrun. */
export const atomicAllows: ReadonlySet<AnomalyKind> = new Set(['G2'])
