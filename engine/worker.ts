/** Entry file of the engine's worker thread. */
import { serveTasks } from './env/index.ts'
import { taskRunners } from './maintenance/tasks.ts'

serveTasks(taskRunners)
