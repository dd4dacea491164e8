/**
 * Errors of background tasks. What a runner throws reaches the caller of `Executor.run` as a `VarveError`: its own one with code, message
 * and details, anything else as TASK_FAILED with the original as cause. Errors cross threads as plain data, since a structured clone
 * loses `code` and `details`; details that cannot be cloned are left out.
 */
import { type ErrorCode, type ErrorDetails, errorCodes, isVarveError, VarveError } from '../errors.ts'

/** A `VarveError` as structured-clonable data. */
export interface TransportedError {
  /** Of the error. */
  readonly code: ErrorCode
  /** Of the error. */
  readonly message: string
  /** What of them can be cloned. */
  readonly details: ErrorDetails
  /** Of where it was thrown. */
  readonly stack: string | undefined
  /** Message and code of the cause; the cause's class does not survive. */
  readonly cause: { readonly message: string; readonly code: string | undefined } | undefined
}

/** What `Executor.run` rejects with for what a runner threw. */
export function toTaskError(thrown: unknown, kind: string): VarveError {
  if (isVarveError(thrown)) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new VarveError('TASK_FAILED', `task ${kind} failed: ${message}`, { cause: thrown, details: { task: kind } })
}

/** An error as plain data, for another thread. */
export function packError(error: VarveError): TransportedError {
  const { cause } = error
  const causeCode = (cause as { code?: unknown } | null | undefined)?.code
  return {
    code: error.code,
    message: error.message,
    details: clonable(error.details),
    stack: error.stack,
    cause:
      cause === undefined
        ? undefined
        : { message: cause instanceof Error ? cause.message : String(cause), code: typeof causeCode === 'string' ? causeCode : undefined },
  }
}

/** The error again, with its code, details and stack. */
export function unpackError(packed: TransportedError): VarveError {
  const { cause } = packed
  const error = new VarveError(packed.code in errorCodes ? packed.code : 'TASK_FAILED', packed.message, {
    details: packed.details,
    ...(cause === undefined
      ? {}
      : { cause: Object.assign(new Error(cause.message), cause.code === undefined ? {} : { code: cause.code }) }),
  })
  if (packed.stack !== undefined) error.stack = packed.stack
  return error
}

function clonable(details: ErrorDetails): ErrorDetails {
  const kept: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(details)) {
    try {
      kept[name] = structuredClone(value)
    } catch {
      // A detail that cannot travel is worth less than the error.
    }
  }
  return kept
}
