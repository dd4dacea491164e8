/**
 * Runs one workload on one engine in this process. `child.ts` does it with an image that another process prepared and a folder that somebody else
 * measures and removes; a test calls `runStoreWorkload(name, engine, parameters)` and gets all of it done.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findEngine } from './engines.ts'
import { checkParameters, type StoreParameters } from './parameters.ts'
import { StoreRun } from './store-run.ts'
import type { Image, StoreSample } from './workload.ts'
import { findStoreWorkload } from './workloads.ts'

const orderPurpose = 20
const overwritePurpose = 21

export interface PreparedFolder {
  readonly folder: string
  /** The folder has the workload's image already. */
  readonly prepared: boolean
}

/** Without a folder: prepares, runs and removes one of its own. */
export async function runStoreWorkload(
  name: string,
  engineName: string,
  parameters: StoreParameters,
  at?: PreparedFolder,
): Promise<StoreSample> {
  if (at !== undefined) return await runIn(at.folder, at.prepared, name, engineName, parameters)
  const folder = mkdtempSync(join(tmpdir(), 'varve-bench-store-'))
  try {
    return await runIn(folder, false, name, engineName, parameters)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runIn(
  folder: string,
  prepared: boolean,
  name: string,
  engineName: string,
  parameters: StoreParameters,
): Promise<StoreSample> {
  checkParameters(parameters)
  const workload = findStoreWorkload(name)
  const engine = findEngine(engineName)
  const writes = workload.writes ?? 'asItComes'
  if (engine.durability(writes) === undefined) throw new Error(`${engineName} cannot do ${name}`)
  const resized = workload.resize?.(parameters) ?? parameters
  if (!prepared && workload.image !== 'empty') await prepareImage(workload.image, engineName, resized, folder)
  const run = new StoreRun(engine, resized, folder, writes)
  replay(run, workload.image)
  await workload.body(run)
  return run.sample()
}

/** `parameters` are those of the workload: resized. */
export async function prepareImage(image: Image, engineName: string, parameters: StoreParameters, folder: string): Promise<void> {
  const run = new StoreRun(findEngine(engineName), parameters, folder, 'asItComes')
  const { n } = parameters
  const store = await run.open()
  if (image === 'sequence') await run.writeAll(store, n, 'put', i => i)
  else {
    const shuffled = run.data.shuffled(orderPurpose)
    await run.writeAll(store, n, 'put', i => shuffled[i] as number)
  }
  if (image === 'overwritten') {
    const random = run.data.random(overwritePurpose)
    await run.writeAll(store, n, 'overwrite', () => random.below(n))
  }
  await run.settle(store)
  await store.close()
}

/** Brings the expected data to what `prepareImage` left. */
function replay({ data, parameters: { n } }: StoreRun, image: Image): void {
  if (image !== 'overwritten') return
  const random = data.random(overwritePurpose)
  for (let i = 0; i < n; i++) data.nextValue(random.below(n))
}
