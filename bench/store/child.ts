/** One task in a fresh process: `child.js <task as JSON>`. Prepares an image, or runs a workload and sends the sample, or the error, to its parent. */

import type { StoreParameters } from './parameters.ts'
import { prepareImage, runStoreWorkload } from './run-workload.ts'
import type { Image, StoreSample } from './workload.ts'

export type StoreTask =
  | {
      readonly kind: 'prepare'
      readonly image: Image
      readonly engine: string
      /** Resized. */
      readonly parameters: StoreParameters
      readonly folder: string
    }
  | {
      readonly kind: 'run'
      readonly workload: string
      readonly engine: string
      readonly parameters: StoreParameters
      readonly folder: string
    }

/** What `run.ts` receives. */
export type StoreChildMessage = { readonly sample?: StoreSample } | { readonly error: string }

async function main(task: StoreTask): Promise<StoreChildMessage> {
  try {
    if (task.kind === 'run') {
      return { sample: await runStoreWorkload(task.workload, task.engine, task.parameters, { folder: task.folder, prepared: true }) }
    }
    await prepareImage(task.image, task.engine, task.parameters, task.folder)
    return {}
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

const message = await main(JSON.parse(process.argv[2] ?? '') as StoreTask)
process.send?.(message, () => process.disconnect())
if ('error' in message) process.exitCode = 1
