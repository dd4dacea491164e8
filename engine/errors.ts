/**
 * The one error class of the project, its closed list of codes, and the assertion.
 *
 * - The world went wrong (disk, file, other process, limits): `VarveError` with a stable `code`; messages are for people and may change.
 * - The caller passed something unusable: `TypeError` or `RangeError` whose message names the option (see `options.ts`).
 * - We broke our own invariant: `assert` throws a `VarveError` with code `INVARIANT`; whoever owns the broken state poisons itself.
 * Absent is `undefined`, never an error.
 */

/** Every code that a `VarveError` can carry, with what it means. Codes are stable; docs/ERRORS.md lists them for users. */
export const errorCodes = {
  /** The database, log, reader or lease was closed before or during the call. */
  CLOSED: 'used after close',
  /** The folder is open in this or another process; `details.owner` names it. */
  LOCKED: 'the folder is in use',
  /** An earlier write or sync failed: nothing more is accepted until the database is opened again. */
  POISONED: 'an earlier write failed; reopen',
  /** A file's bytes are not what was written; `details.file` and `details.position` say where. */
  CORRUPT: 'damaged bytes',
  /** A file was written by a newer format version, or carries a must-understand extension that this version does not know. */
  NEWER_FORMAT: 'written by a newer version',
  /** The path is not a Varve folder, or is a file, or holds foreign files. */
  NOT_A_DATABASE: 'not a varve folder',
  /** The folder or file cannot be written. */
  READ_ONLY: 'read-only',
  /** An operating-system error on a file; `cause` is the original error. */
  IO: 'input/output error',
  /** The disk is full. Acknowledged data is intact and can be read. */
  NO_SPACE: 'disk full',
  /** More bytes wait to be written or flushed than the database may hold; wait for `drain()` and try again. */
  BUSY: 'too much waits to be written',
  /** A commit or record exceeds a limit that has a name (`details.limit`). */
  TOO_LARGE: 'too large',
  /** The read position lies outside what the log holds; `details.startOffset` and `details.endOffset` give the valid range. */
  OFFSET_OUT_OF_RANGE: 'offset out of range',
  /** The moment lies before what the store's history still has; `details.sequence` and `details.time` say where that begins. */
  HISTORY_GONE: 'no longer in the history',
  /** `append` named an expected offset, and the log ends elsewhere. */
  OFFSET_MISMATCH: 'expected offset is not the end of the log',
  /** What a transaction has read was written before it could commit, each time it was tried; `details.store`, `details.key`. */
  CONFLICT: 'a concurrent transaction wrote what this one has read',
  /** The epoch is older than the log's newest one. */
  STALE_EPOCH: 'older epoch',
  /** The producer's epoch is older than the newest one seen for its id. */
  PRODUCER_FENCED: 'a newer producer with this id is active',
  /** The transaction is not in a state that allows the call: it has ended, or a record of it could not be sent; `details.state`. */
  INVALID_TRANSACTION_STATE: 'the transaction does not allow this now',
  /** A producer's batch does not follow its last one. */
  OUT_OF_ORDER_SEQUENCE: 'producer sequence out of order',
  /** A definition with this name exists with another value of an option that cannot change; `details.option`, `expected`, `actual`. */
  DEFINITION_MISMATCH: 'stored definition differs',
  /** A topic does not take the record: no key where one is needed, or a time too far in the future; `details.topic`. */
  INVALID_RECORD: 'the topic does not take this record',
  /** No log, store or topic of this name is defined. */
  NOT_FOUND: 'not defined',
  /** The name is taken. */
  EXISTS: 'already defined',
  /** A unique index of the store has the value for another key; `details.store`, `index`, `key` (that was put) and `holder`. */
  UNIQUE: 'another key has this value',
  /** The index is still being built over existing data, or was built after the moment that is read; `details.store` and `index`. */
  NOT_READY: 'index not built yet',
  /** A codec's package is not installed; the message names it. */
  CODEC_MISSING: 'codec package not installed',
  /** A state machine's `admit` refused the batch; `cause` is its error. */
  REFUSED: 'refused by the state machine',
  /** The consumer group has no such member: it left, or was removed long ago, or its database was opened anew; `details.group`, `memberId`. */
  UNKNOWN_MEMBER: 'not a member of the group',
  /** The consumer group has removed this member and given its partitions to others; `details.reason` says why. */
  FENCED_MEMBER: 'removed from the group',
  /** The member names a generation that its group has left behind, or never had; `details.expected`, `actual`. */
  ILLEGAL_GENERATION: 'not the generation of the group',
  /** The partition is not this member's, or no longer; `details.topic` and `partition`. Nothing was committed. */
  NOT_ASSIGNED: 'not assigned to this consumer',
  /** The group has committed no offset for the partition, and `autoOffsetReset` is 'none'; `details.group`, `topic`, `partition`. */
  NO_OFFSET: 'no committed offset',
  /** The members of the group name no assignor in common. */
  INCONSISTENT_GROUP: 'no assignor in common',
  /** The message of a queue was delivered to another since, or settled; `details.topic`, `partition`, `offset`, `deliveries`. Nothing was written. */
  LOCK_LOST: 'the message is not locked to this consumer any more',
  /** The group has members, and what was asked needs one without. */
  GROUP_NOT_EMPTY: 'the group has members',
  /** A task in a worker thread failed or the worker died; `cause` says more. */
  TASK_FAILED: 'background task failed',
  /** A broken invariant: a bug in Varve. Please report it. */
  INVARIANT: 'broken invariant',
} as const

/** A code of the closed list that docs/ERRORS.md explains; codes stay, messages may change. */
export type ErrorCode = keyof typeof errorCodes

/** Facts about one error; which are present depends on the code. */
export interface ErrorDetails {
  /** The file that is damaged or failed. */
  readonly file?: string
  /** Byte position in `file`. */
  readonly position?: number
  /** What had to be there, or was asked for. */
  readonly expected?: unknown
  /** What was there instead. */
  readonly actual?: unknown
  /** The option that is wrong. */
  readonly option?: string
  /** The bound that was reached, by its name. */
  readonly limit?: string
  /** Name of the log. */
  readonly log?: string
  /** First offset that the log has. */
  readonly startOffset?: number
  /** Offset behind the last one that the log has. */
  readonly endOffset?: number
  /** Who holds the folder, as the lock says. */
  readonly owner?: unknown
  readonly [name: string]: unknown
}

/** What an error carries beside code and message. */
export interface VarveErrorOptions {
  /** What led to it. */
  readonly cause?: unknown
  /** What callers may branch on. */
  readonly details?: ErrorDetails
}

/** The error that every part of Varve throws when the world, not the caller, is at fault. */
export class VarveError extends Error {
  override readonly name = 'VarveError'
  /** Stable; compare this, never the message. */
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, options: VarveErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }
}

/** Whether it is an error of Varve, with this code if one is given. */
export function isVarveError(error: unknown, code?: ErrorCode): error is VarveError {
  return error instanceof VarveError && (code === undefined || error.code === code)
}

/** `CORRUPT` with the place; used by every reader of our formats. */
export function corrupt(message: string, file: string, position: number, details: ErrorDetails = {}): VarveError {
  return new VarveError('CORRUPT', `${file}: ${message} (at byte ${position})`, { details: { ...details, file, position } })
}

/** Wraps an operating-system error: ENOSPC and EDQUOT become `NO_SPACE`, EROFS and EACCES `READ_ONLY`, everything else `IO`. */
export function ioError(cause: unknown, file: string, doing: string): VarveError {
  if (cause instanceof VarveError) return cause
  const code = (cause as { code?: unknown } | null)?.code
  const kind: ErrorCode =
    code === 'ENOSPC' || code === 'EDQUOT' ? 'NO_SPACE' : code === 'EROFS' || code === 'EACCES' || code === 'EPERM' ? 'READ_ONLY' : 'IO'
  return new VarveError(kind, `${file}: ${doing} failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
    details: { file },
  })
}

/**
 * For a catch at a boundary: an operating-system error (it has a string code) becomes a `VarveError`, everything else is passed on as it is,
 * since it is either typed already or a bug that must keep its face.
 */
export function typedError(error: unknown, file: string, doing: string): unknown {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? ioError(error, file, doing) : error
}

/** Always on. `message` is constant; the values that broke it go into `details`. */
export function assert(condition: boolean, message: string, left?: unknown, right?: unknown): asserts condition {
  if (!condition) failAssertion(message, left, right)
}

function failAssertion(message: string, left: unknown, right: unknown): never {
  throw new VarveError('INVARIANT', `${message} (${String(left)}, ${String(right)})`, { details: { actual: left, expected: right } })
}
