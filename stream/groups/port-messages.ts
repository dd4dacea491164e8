/**
 * What crosses a `MessagePort` between a consumer in a worker thread and the thread of the database. One verb a call, answered once by its id; the
 * owner nudges besides. Plain data; slices move without a copy.
 */
import { type AbortedTransaction, isVarveError, type LogSlice, VarveError } from '../../engine/index.ts'
import type { GroupRequest } from './group-messages.ts'
import type { OffsetCommit } from './group-transport.ts'
import type { TopicPartitions } from './partitions.ts'

/** What both sides use of a `MessagePort` of `node:worker_threads`. */
export interface PortLike {
  /** Sends a message; the transferred memory moves. */
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void
  /** 'message' and 'close' are used. */
  on(event: string, listener: (message: unknown) => void): unknown
  /** Closes both ends. */
  close(): void
  /** The port alone does not keep the process alive. */
  unref(): void
}

/** Names a partition's log in calls. */
export interface LogPlace {
  readonly topic: string
  readonly partition: number
  /** Of the topic that was opened: its name may be another's later. Not of 'open'. */
  readonly topicId?: number | undefined
}

/** How far a log goes; comes with each answer about it. */
export interface LogState {
  readonly startOffset: number
  readonly endOffset: number
  readonly highWatermark: number
  readonly lastStableOffset: number
}

export type PortCall =
  | { readonly verb: 'request'; readonly request: GroupRequest }
  | { readonly verb: 'commit'; readonly commit: OffsetCommit }
  | {
      readonly verb: 'committed'
      readonly group: string
      readonly partitions: TopicPartitions
      readonly topicIds: ReadonlyMap<string, number> | undefined
    }
  | { readonly verb: 'matching'; readonly pattern: RegExp }
  | ({ readonly verb: 'open' } & LogPlace)
  | ({ readonly verb: 'read'; readonly offset: number; readonly bytesMax: number | undefined } & LogPlace)
  | ({ readonly verb: 'aborted'; readonly from: number; readonly to: number } & LogPlace)
  | ({ readonly verb: 'offset-for-time'; readonly time: number } & LogPlace)
  /** Ended by `cancel` with the call's id. */
  | ({ readonly verb: 'wait'; readonly offset: number } & LogPlace)

export type ToOwner = (PortCall & { readonly id: number }) | { readonly verb: 'cancel'; readonly id: number }

/** Answer to 'open'. */
export interface OpenedLog {
  readonly state: LogState
  readonly name: string
  readonly topicId: number
  /** Names of the topic's codecs. */
  readonly keyCodec: string
  readonly value: string
}
/** Answers to 'read', 'aborted', 'offset-for-time'. */
export interface ReadAnswer {
  readonly state: LogState
  readonly slice: LogSlice
}
export interface AbortedAnswer {
  readonly state: LogState
  readonly aborted: readonly AbortedTransaction[]
}
export interface TimeAnswer {
  readonly state: LogState
  readonly offset: number | undefined
}

export type ToMember =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: PortError }
  | { readonly nudge: string }

/** An error on its way; arrives as one of the same class. */
export interface PortError {
  readonly name: string
  readonly message: string
  readonly code: string | undefined
  readonly details: { readonly [name: string]: unknown } | undefined
}

export function packError(error: unknown): PortError {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
  return { name, message, code: isVarveError(error) ? error.code : undefined, details: isVarveError(error) ? error.details : undefined }
}

export function unpackError({ name, message, code, details }: PortError): Error {
  if (code !== undefined) return new VarveError(code as VarveError['code'], message, details === undefined ? {} : { details })
  return name === 'TypeError' ? new TypeError(message) : name === 'RangeError' ? new RangeError(message) : new Error(message)
}
