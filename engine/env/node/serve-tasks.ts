/**
 * The worker thread's side of the executor: takes one request at a time from the parent, runs the runner of its kind, answers.
 *
 * Protocol (structured clones over the worker's port): request `TaskRequest`, any number of `TaskProgress`, one `TaskAnswer`; `null`
 * instead of a request asks the worker to end, which it does by closing the port once nothing runs.
 */
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

/** Makes the current worker thread serve an executor. Call it once, from the worker's entry file. */
export function serveTasks(runners: Readonly<Record<string, TaskRunner>>): void {
  const port = parentPort
  assert(port !== null, 'tasks are served in a worker thread')
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
