/** The table of background tasks: what a worker thread, or the simulation's inline executor, can be asked to run. */
import type { TaskRunner } from '../env/environment.ts'
import { type FlushInput, flush } from './flush.ts'
import { type MergeInput, merge } from './merge-task.ts'
import { changeView, type ViewInput } from './view.ts'

export const taskRunners: Readonly<Record<string, TaskRunner>> = {
  flush: (input, place) => flush(input as FlushInput, place),
  merge: (input, place) => merge(input as MergeInput, place),
  view: (input, place) => changeView(input as ViewInput, place),
}
