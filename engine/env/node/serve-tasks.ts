/**
 * The worker thread's side of the executor: takes one request at a time from the parent, runs the runner of its kind, answers.
 *
 * Protocol (structured clones over the worker's port): request `TaskRequest`, any number of `TaskProgress`, one `TaskAnswer`; `null`
 * instead of a request asks the worker to end, which it does by closing the port once nothing runs.
 */
import { readlinkSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { assert } from '../../errors.ts'
import type { TaskPlace, TaskRunner } from '../environment.ts'
import { runTask } from '../run-task.ts'
import { packError, type TransportedError, toTaskError } from '../task-error.ts'
import { nodeCatalogs } from './catalog.ts'
import { nodeClock } from './clock.ts'
import { nodeFiles } from './files.ts'

export interface TaskRequest {
  readonly id: number
  readonly kind: string
  readonly input: unknown
}

export interface TaskProgress {
  readonly id: number
  readonly done: number
  readonly total: number
}

export type TaskAnswer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: TransportedError }

/**
 * How much nicer than the process the thread is (Linux; elsewhere threads have none of their own). Where processors are few, a flush would otherwise take the turn of the owner's thread, or of
 * the one that writes to the disk for it, for milliseconds at a time: with two, the 99th percentile of durable sends halves. Higher ones would starve flushes beside busy
 * processes.
 */
const niceness = 5

/** The thread gives way to those that answer somebody. */
function giveWay(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/')[2])
    if (Number.isSafeInteger(thread)) setPriority(thread, Math.min(19, getPriority(thread) + niceness))
  } catch {
    // Not Linux, or not allowed: it runs as all others.
  }
}

/** Makes the current worker thread serve an executor. Call it once, from the worker's entry file. */
export function serveTasks(runners: Readonly<Record<string, TaskRunner>>): void {
  const port = parentPort
  assert(port !== null, 'tasks are served in a worker thread')
  giveWay()
  port.on('message', (request: TaskRequest | null) => {
    if (request === null) return port.close()
    const { id, kind, input } = request
    const place: TaskPlace = {
      files: nodeFiles,
      catalogs: nodeCatalogs,
      clock: nodeClock,
      report: (done, total) => port.postMessage({ id, done, total } satisfies TaskProgress),
    }
    runTask(runners, kind, input, place)
      .then(value => port.postMessage({ id, value } satisfies TaskAnswer))
      .catch(error => port.postMessage({ id, error: packError(toTaskError(error, kind)) } satisfies TaskAnswer))
  })
}
