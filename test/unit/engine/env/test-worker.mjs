/** A worker thread for tests. It runs the compiled environment, since Node 20 cannot run TypeScript in a worker. */
import { setTimeout as sleep } from 'node:timers/promises'
import { serveTasks } from '../../../../dist/engine/env/index.js'
import { VarveError } from '../../../../dist/engine/errors.js'
import { testRunners } from './test-runners.mjs'

serveTasks({
  ...testRunners(VarveError),
  exit: async () => process.exit(3),
  crash: () =>
    new Promise(() => {
      setImmediate(() => {
        throw new Error('thrown outside the task')
      })
    }),
  sleep: async ({ ms }) => {
    await sleep(ms)
    return 'slept'
  },
})
