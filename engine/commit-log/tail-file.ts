/**
 * The commit log's data, as its parts hand it to each other: arenas with their files, frames on their way, what recovery gives to the writer.
 */
import type { VarveError } from '../errors.ts'
import type { Arena } from './arena.ts'
import type { LogFile } from './file-pool.ts'
import type { StagedFile } from './staging.ts'
import type { FrameTicket } from './ticket.ts'

export interface CommitLogOptions {
  /** 'group' never blocks the thread; 'inline' writes blockingly when nothing else is under way. */
  readonly sync: 'group' | 'inline'
  /** Largest frame; a larger commit is staged. */
  readonly frameBytesMax: number
  /** Largest commit, staged or not. */
  readonly commitBytesMax: number
  /** Hard bound of bytes appended and not yet written. */
  readonly pendingBytesMax: number
  /** Hard bound of arenas not yet flushed; from a fifth of it on, acknowledgements are delayed (`pacer.ts`), from half of it they wait for the flush. */
  readonly tailBytesMax: number
}

/** One arena with the file it mirrors. */
export interface TailFile {
  readonly arena: Arena
  /** Resolves when the file can be written. */
  readonly ready: Promise<LogFile>
  file: LogFile | undefined
  /** Arenas of staged commits whose commit records lie in this arena. */
  readonly staged: StagedFile[]
  /** LSN after the last frame; grows while the arena is the newest one. */
  endLsn: number
  /** Checksum of, and commit sequence after, the last frame that was sealed here; what a flush point records. */
  lastChecksum: Uint8Array
  lastSequence: number
  /** When it began to take frames, monotonic ms: how fast it fills. */
  readonly openedMs: number
  sealed: boolean
  /** What of the arena counts towards `tailBytesMax`: all of it until it is sealed, then what it holds. */
  countedBytes: number
}

/** A frame between its first commit and its durability. */
export interface PendingFrame {
  readonly tail: TailFile
  readonly start: number
  end: number
  entryCount: number
  /** Commit sequence after the frame. */
  sequence: number
  sync: boolean
  write: boolean
  flags: number
  readonly staged: StagedFile[]
  readonly ticket: FrameTicket
}

/**
 * Which bounds a commit passes: both for what the database itself writes to free memory (catalog edits, carried batches), 'tail' for what lets an owner
 * move its high watermark, without which a tail full of unconfirmed records could never be flushed.
 */
export type BoundsPassed = 'none' | 'tail' | 'both'

/** Where the caller of `begin` may encode; valid until `end` or `abort`. */
export interface CommitSpace {
  readonly arena: Arena
  /** First free byte: the first entry header goes here. */
  readonly position: number
}

export interface CommitLogStart {
  readonly tails: TailFile[]
  readonly durableLsn: number
  readonly endLsn: number
  readonly sequence: number
  readonly lastChecksum: Uint8Array
  readonly tag: Uint8Array
  readonly nextArenaNumber: number
  readonly nextStagedNumber: number
}

/** What the database wants to hear. Called synchronously; must not throw. */
export interface CommitLogObserver {
  /** `writtenLsn` or `durableLsn` moved. */
  advanced(): void
  /** The arena takes no more frames and wants to be flushed. */
  sealed(tail: TailFile): void
  poisoned(error: VarveError): void
  /** True while a flush is under way: only then is it worth holding acknowledgements back. */
  isFlushing(): boolean
}
