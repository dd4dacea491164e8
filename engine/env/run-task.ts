/** Finds and runs the runner of a task; both executors go through here, so that an unknown kind and a synchronous throw end alike. */
import { VarveError } from '../errors.ts'
import type { TaskPlace, TaskRunner } from './environment.ts'

export async function runTask(
  runners: Readonly<Record<string, TaskRunner>>,
  kind: string,
  input: unknown,
  place: TaskPlace,
): Promise<unknown> {
  const runner = Object.hasOwn(runners, kind) ? runners[kind] : undefined
  if (runner === undefined) throw new VarveError('TASK_FAILED', `no runner for tasks of kind ${kind}`, { details: { task: kind } })
  return await runner(input, place)
}
