/**
 * What observers of a process may listen to: channels of `node:diagnostics_channel`, so that metrics and traces need no handle of the database.
 *
 * Published where it happens (flusher, consolidator, commit log, opening), synchronously, and only when somebody listens: callers ask
 * `hasSubscribers` before they build a message. What a listener throws does not reach the database; Node reports it as an uncaught exception.
 * Nothing in the engine depends on these messages. docs/API.md lists them for users; messages may gain fields, never lose them.
 */
import { channel } from 'node:diagnostics_channel'
import type { RecoveryReport } from './commit-log/recovery.ts'
import type { VarveError } from './errors.ts'

/** A flush: tails on their way into segments. One 'start', then one 'end' or 'failed'; a failed flush is tried again later. */
export interface FlushMessage {
  /** Path of the database. */
  readonly database: string
  /** Begun, ended well, or failed. */
  readonly phase: 'start' | 'end' | 'failed'
  /** Bytes of commit log that the flush takes. */
  readonly tailBytes: number
  /** Segments written, and their bytes; 0 before the end. */
  readonly segments: number
  /** Bytes of these segments; 0 before the end. */
  readonly segmentBytes: number
  /** Since the start. */
  readonly ms: number
  /** Why it failed. */
  readonly error: VarveError | undefined
}

/** A merge that has ended and is live. Merges that fail are not told; `stats()` counts them. */
export interface CompactionMessage {
  /** Path of the database. */
  readonly database: string
  /** 'runs': runs of stores; 'segments': small or mostly dead segments; 'topic': one topic by key. */
  readonly kind: 'runs' | 'segments' | 'topic'
  /** Names of the logs whose parts were merged; a store's is `store/<name>`. */
  readonly logs: readonly string[]
  /** Of 'runs': the highest level that the merge writes. */
  readonly level: number | undefined
  /** Bytes read, and bytes of the segments written. */
  readonly bytesIn: number
  /** Of the segments written. */
  readonly bytesOut: number
  /** From the choice of the parts until the result is live. */
  readonly ms: number
}

/** Back-pressure: the first of a series of acknowledgements is held back until a flush ends, or a write was refused with BUSY. */
export interface StallMessage {
  /** Path of the database. */
  readonly database: string
  /** 'held': an acknowledgement waits; 'refused': BUSY. */
  readonly kind: 'held' | 'refused'
  /** The option that bounds. Acknowledgements are held from half of `tailBytesMax` on. */
  readonly limit: 'tailBytesMax' | 'pendingBytesMax'
  /** Bytes that wait now. */
  readonly bytes: number
  /** Value of the option. */
  readonly limitBytes: number
}

/** A database was opened. */
export interface RecoveryMessage {
  /** Path of the database. */
  readonly database: string
  /** What the opening found in the commit log. */
  readonly report: RecoveryReport
}

/** The first write or sync failed: nothing more is accepted until the database is opened again. */
export interface PoisonMessage {
  /** Path of the database. */
  readonly database: string
  /** What went wrong; later calls are refused with POISONED and this as cause. */
  readonly error: VarveError
}

/**
 * A consumer group changed. Of its coordinator: a member 'joined', 'left' or was 'fenced'; a 'rebalance' made a new generation; the group is 'stable' when all
 * hold what they shall, 'empty' without members. Of a consumer in this process: partitions were 'assigned' to it, 'revoked', or 'lost'.
 */
export interface GroupMessage {
  /** Path of the database. */
  readonly database: string
  /** What happened; see above. */
  readonly type: 'joined' | 'left' | 'fenced' | 'rebalance' | 'stable' | 'empty' | 'assigned' | 'revoked' | 'lost'
  /** Name of the group. */
  readonly group: string
  /** Of 'joined', 'left', 'fenced', 'assigned', 'revoked', 'lost'. */
  readonly memberId?: string | undefined
  /** Of 'joined': the static member whose place it takes. */
  readonly replaced?: string | undefined
  /** Of 'fenced': 'session-timeout', 'max-poll-interval', 'rebalance-timeout' or 'replaced'; of 'rebalance': what caused it. */
  readonly reason?: string | undefined
  /** Of 'rebalance', 'stable' and 'empty'. */
  readonly generation?: number | undefined
  /** Of 'rebalance': how many members and partitions, and how many of these go from one member to another. */
  readonly members?: number | undefined
  /** Of 'rebalance', 'assigned', 'revoked' and 'lost': how many. */
  readonly partitions?: number | undefined
  /** Of 'rebalance': partitions that go to another member than before. */
  readonly moved?: number | undefined
  /** Of 'stable': since the rebalance began. */
  readonly ms?: number | undefined
  /** Of 'assigned', 'revoked' and 'lost': which ones. */
  readonly places?: readonly { readonly topic: string; readonly partition: number }[] | undefined
}

/** A producer was shut out: another was opened with its name, or its transaction took too long and was aborted. */
export interface ProducerMessage {
  /** Path of the database. */
  readonly database: string
  /** 'fenced': a newer producer has the name; 'timeout': its transaction took too long and was aborted. */
  readonly type: 'fenced' | 'timeout'
  /** The option `id` or `transactionalId`. */
  readonly id: string
  /** Number of the producer. */
  readonly producerId: number
  /** Of the one that was shut out. */
  readonly epoch: number
}

/**
 * A record of a queue did not go its way: its lock was over before it was settled ('lock-over'), whoever had it settled it too late ('lock-lost'), or it was
 * given up ('dead').
 */
export interface QueueEventMessage {
  /** Path of the database. */
  readonly database: string
  /** What happened; see above. */
  readonly type: 'lock-over' | 'lock-lost' | 'dead'
  /** Name of the group. */
  readonly group: string
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition. */
  readonly partition: number
  /** Of the record. */
  readonly offset: number
  /** How often it was delivered; of 'lock-lost': the delivery that was refused. */
  readonly deliveries: number
  /** Of 'dead': why its last delivery failed, as the dead-letter record says. */
  readonly error?: string | undefined
  /** Of 'dead': the topic that it went to; undefined: it was dropped. */
  readonly deadLetter?: string | undefined
}

/** Retention has hidden the oldest records of a partition; their space is freed after it. */
export interface RetentionMessage {
  /** Path of the database. */
  readonly database: string
  /** Name of the topic. */
  readonly topic: string
  /** Number of the partition. */
  readonly partition: number
  /** First offset that could be read before. */
  readonly from: number
  /** First offset that can be read now. */
  readonly to: number
  /** Of the sealed parts that were hidden. */
  readonly bytes: number
  /** Which limit. */
  readonly reason: 'time' | 'bytes'
}

/** Names of the channels, with what is published there. */
export interface DiagnosticMessages {
  readonly 'varve:flush': FlushMessage
  readonly 'varve:compaction': CompactionMessage
  readonly 'varve:stall': StallMessage
  readonly 'varve:recovery': RecoveryMessage
  readonly 'varve:poison': PoisonMessage
  readonly 'varve:group': GroupMessage
  readonly 'varve:producer': ProducerMessage
  readonly 'varve:queue': QueueEventMessage
  readonly 'varve:retention': RetentionMessage
}

/** One channel. */
export interface DiagnosticChannel<M> {
  /** Cheap: ask before building a message. */
  readonly hasSubscribers: boolean
  publish(message: M): void
}

function channelOf<Name extends keyof DiagnosticMessages>(name: Name): DiagnosticChannel<DiagnosticMessages[Name]> {
  return channel(name)
}

export const flushChannel: DiagnosticChannel<FlushMessage> = channelOf('varve:flush')
export const compactionChannel: DiagnosticChannel<CompactionMessage> = channelOf('varve:compaction')
export const stallChannel: DiagnosticChannel<StallMessage> = channelOf('varve:stall')
export const recoveryChannel: DiagnosticChannel<RecoveryMessage> = channelOf('varve:recovery')
export const poisonChannel: DiagnosticChannel<PoisonMessage> = channelOf('varve:poison')
/** Where rebalances of consumer groups are told. */
export const groupChannel: DiagnosticChannel<GroupMessage> = channelOf('varve:group')
/** Where producers are told of. */
export const producerChannel: DiagnosticChannel<ProducerMessage> = channelOf('varve:producer')
/** Where queues tell of records that did not go their way. */
export const queueChannel: DiagnosticChannel<QueueEventMessage> = channelOf('varve:queue')
/** Where retention of topics is told of. */
export const retentionChannel: DiagnosticChannel<RetentionMessage> = channelOf('varve:retention')
