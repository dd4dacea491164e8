/**
 * Errors in the manner of abstract-level: a `code` that begins with LEVEL_. Failures to open get the codes of classic-level as their cause, since
 * programs look for them; every other error of the engine passes as the `VarveError` that it is.
 */
import { type ErrorCode, isVarveError } from '../engine/index.ts'

/** Codes of the engine that have a name in LevelDB's world. */
const openingCodes: Partial<Record<ErrorCode, string>> = {
  LOCKED: 'LEVEL_LOCKED',
  CORRUPT: 'LEVEL_CORRUPTION',
  IO: 'LEVEL_IO_ERROR',
  NO_SPACE: 'LEVEL_IO_ERROR',
}

export function levelError(code: string, message: string, cause?: unknown): Error & { readonly code: string } {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code })
}

/** What `open` rejects with; abstract-level wraps it into LEVEL_DATABASE_NOT_OPEN. */
export function openingError(error: unknown): unknown {
  const code = isVarveError(error) ? openingCodes[error.code] : undefined
  return code === undefined ? error : levelError(code, (error as Error).message, error)
}

/** A read that was given up because its signal was aborted. */
export function abortError(): Error {
  const error = levelError('LEVEL_ABORTED', 'Operation has been aborted')
  error.name = 'AbortError'
  return error
}
