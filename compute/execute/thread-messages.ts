/** What the owner of a job and a thread say to each other. */
import { isVarveError, packError, type TransportedError, unpackError } from '../../engine/index.ts'
import type { ExchangeOutput } from '../shuffle/exchange.ts'
import type { JobData } from './job-data.ts'
import type { Task } from './task.ts'
import { TaskFailure } from './task-failure.ts'

export type ToThread =
  | {
      readonly type: 'job'
      readonly job: number
      readonly data: JobData
      /** Shared with the owner: see `CELL_KIB`, `CELL_STOP`. */
      readonly cells: Int32Array
    }
  | { readonly type: 'task'; readonly job: number; readonly task: Task }
  | { readonly type: 'forget'; readonly job: number }
  /** As `ExecutorSession.reuse`. */
  | { readonly type: 'reuse'; readonly pieces: readonly SharedArrayBuffer[] }

export type FromThread =
  | { readonly type: 'done'; readonly output: ExchangeOutput }
  | { readonly type: 'failed'; readonly place: string; readonly error: PackedError }

/** KiB of input that tasks of the job have read, in all threads. */
export const CELL_KIB = 0
/** Not 0: tasks should end. */
export const CELL_STOP = 1

/** An error on its way: our own with its details, others as far as they can be cloned. */
export type PackedError = { readonly varve: TransportedError } | { readonly other: unknown }

export function packFailure(failure: TaskFailure): PackedError {
  const { cause } = failure
  if (isVarveError(cause)) return { varve: packError(cause) }
  try {
    return { other: structuredClone(cause) }
  } catch {
    return { other: new Error(cause instanceof Error ? cause.message : String(cause)) }
  }
}

export function unpackFailure(place: string, packed: PackedError): TaskFailure {
  return new TaskFailure('varve' in packed ? unpackError(packed.varve) : packed.other, place)
}
