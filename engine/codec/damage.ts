/**
 * Damage found by a codec that knows bytes but no file.
 *
 * Decoders here take (bytes, position) and throw `CORRUPT` with `details.position` counted from the start of the bytes they were given. Whoever
 * read those bytes from a file catches it once per batch or block and passes it through `placeDamage`, which adds the file and moves the position.
 * Nothing on a hot path pays for this: an exception is made only when bytes are bad.
 */

import { type ErrorDetails, VarveError } from '../errors.ts'

/** `CORRUPT` at a position of the given bytes. */
export function damagedBytes(reason: string, position: number, details: ErrorDetails = {}, cause?: unknown): VarveError {
  return new VarveError('CORRUPT', `${reason} (at byte ${position})`, { cause, details: { ...details, position } })
}

/** Adds the file to a `CORRUPT` or `NEWER_FORMAT` of a codec; `start` is where the decoded bytes begin in the file. Every other error is returned as it is. */
export function placeDamage(error: unknown, file: string, start: number): unknown {
  if (!(error instanceof VarveError) || error.details.file !== undefined) return error
  if (error.code !== 'CORRUPT' && error.code !== 'NEWER_FORMAT') return error
  const position = start + (error.details.position ?? 0)
  return new VarveError(error.code, `${file}: ${error.message}, at byte ${position} of the file`, {
    cause: error,
    details: { ...error.details, file, position },
  })
}
