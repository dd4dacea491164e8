/** Exit codes of the `varve` command; documented in docs/CLI.md, which a test compares. Stable. */
import type { ErrorCode } from '../index.ts'
import { isVarveError } from '../index.ts'
import { InputError } from './input-error.ts'

export const exitCodes = {
  /** Done, nothing wrong. */
  ok: 0,
  /** `verify` found errors. */
  findings: 1,
  /** The command line was not understood. */
  usage: 2,
  /** The database is in use. */
  locked: 3,
  /** The path is not a database, or cannot be read or written. */
  io: 4,
  /** `repair` did its work, and something is lost. */
  losses: 5,
  /** The files are damaged, or of a newer version; see `verify`. */
  damaged: 6,
  /** What was to be read (a line of an import, a value) is not what it should be. */
  badInput: 7,
  /** `get` found nothing under the key. */
  absent: 8,
  /** An error in Varve itself. */
  internal: 70,
  /** Ended by Ctrl-C. */
  interrupted: 130,
} as const

const byCode: { readonly [code in ErrorCode]?: number } = {
  LOCKED: exitCodes.locked,
  NOT_A_DATABASE: exitCodes.io,
  NOT_FOUND: exitCodes.io,
  EXISTS: exitCodes.io,
  READ_ONLY: exitCodes.io,
  IO: exitCodes.io,
  NO_SPACE: exitCodes.io,
  CODEC_MISSING: exitCodes.io,
  TASK_FAILED: exitCodes.io,
  POISONED: exitCodes.io,
  TOO_LARGE: exitCodes.badInput,
  UNIQUE: exitCodes.badInput,
  CONFLICT: exitCodes.badInput,
  INVALID_RECORD: exitCodes.badInput,
  OFFSET_OUT_OF_RANGE: exitCodes.badInput,
  CORRUPT: exitCodes.damaged,
  NEWER_FORMAT: exitCodes.damaged,
}

export function exitCodeOf(error: unknown): number {
  if (isVarveError(error)) return byCode[error.code] ?? exitCodes.internal
  if (error instanceof InputError) return exitCodes.badInput
  if (error instanceof Error && error.name === 'AbortError') return exitCodes.interrupted
  return error instanceof RangeError || error instanceof TypeError ? exitCodes.usage : exitCodes.internal
}
