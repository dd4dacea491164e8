/**
 * Runs workloads on engines, in lanes (`../lanes.ts`): each run in a fresh process and a fresh folder. What is in the database before is prepared once per engine by a
 * process of its own and copied for each run: memory and caches of the filling take no part.
 */

import { closeSync, constants, cpSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type LaneFailure, type Ran, runLanes } from '../lanes.ts'
import { runScript } from '../scripts.ts'
import type { StoreChildMessage, StoreTask } from './child.ts'
import { diskUse } from './disk.ts'
import type { StoreEngine } from './engine.ts'
import { asNumbers, type StoreParameters } from './parameters.ts'
import type { StoreSample, StoreWorkload, StoreWorkloadResults } from './workload.ts'

/** A process that takes longer hangs: it is killed, and is an error. */
const runMsMax = 60 * 60_000
const diskPollMs = 50

export interface StoreRunOptions {
  readonly workloads: readonly StoreWorkload[]
  readonly engines: readonly StoreEngine[]
  readonly parameters: StoreParameters
  readonly rounds: number
  /** Where each run gets a folder, which is removed after it. */
  readonly folder: string
  /** Called before each run with what begins and how many runs are done. */
  readonly onProgress?: (what: string, done: number) => void
}

export async function runAllStores(options: StoreRunOptions): Promise<{ results: StoreWorkloadResults[]; failures: LaneFailure[] }> {
  const { workloads, parameters, rounds, folder, onProgress } = options
  const images = new Images(join(folder, 'images'))
  const { ran, failures } = await runLanes(
    workloads.map(workload => ({
      name: workload.name,
      rounds: roundsOf(workload, rounds),
      lanes: enginesOf(workload, options).map(engine => ({
        engine: engine.name,
        run: async round => {
          const own = join(folder, `${workload.name}-${engine.name.replaceAll(/\W/g, '-')}-${round}`)
          try {
            await images.lay(workload, engine, parameters, own)
            return await runOnce(workload, engine, parameters, own)
          } finally {
            rmSync(own, { recursive: true, force: true })
          }
        },
      })),
    })),
    onProgress,
  )
  return { results: ran.map((one, i) => asResults(workloads[i] as StoreWorkload, one, options)), failures }
}

/** Number of runs that `runAllStores` reports progress of. */
export function countRuns(options: Pick<StoreRunOptions, 'workloads' | 'engines' | 'rounds'>): number {
  return options.workloads.reduce((sum, workload) => sum + roundsOf(workload, options.rounds) * enginesOf(workload, options).length, 0)
}

/** Those that can do it. */
function enginesOf({ writes }: StoreWorkload, { engines }: Pick<StoreRunOptions, 'engines'>): StoreEngine[] {
  return engines.filter(engine => engine.durability(writes ?? 'asItComes') !== undefined)
}

function roundsOf({ roundsMax }: StoreWorkload, rounds: number): number {
  return Math.min(rounds, roundsMax ?? rounds)
}

function asResults(
  workload: StoreWorkload,
  { date, rounds, lanes }: Ran<StoreSample>,
  { engines, parameters }: StoreRunOptions,
): StoreWorkloadResults {
  const { name, what, unit, latencyOf, targets, writes, resize } = workload
  return {
    name,
    what,
    unit,
    latencyOf,
    targets,
    date,
    rounds,
    used: asNumbers(resize?.(parameters) ?? parameters),
    runs: lanes.map(({ engine, samples }) => ({
      engine,
      durability: writes === undefined ? '–' : (engines.find(({ name: one }) => one === engine)?.durability(writes) ?? '–'),
      samples,
    })),
  }
}

async function runOnce(workload: StoreWorkload, engine: StoreEngine, parameters: StoreParameters, folder: string): Promise<StoreSample> {
  let diskPeakBytes = 0
  let diskPeakAllBytes = 0
  const look = (): void => {
    const { dataBytes, logBytes } = diskUse(folder, engine.isLog)
    diskPeakBytes = Math.max(diskPeakBytes, dataBytes)
    diskPeakAllBytes = Math.max(diskPeakAllBytes, dataBytes + logBytes)
  }
  const poll = setInterval(look, diskPollMs)
  try {
    const message = await runTask({ kind: 'run', workload: workload.name, engine: engine.name, parameters, folder })
    if (message === undefined) throw new Error('the process sent no sample')
    look()
    return { ...message, diskPeakBytes, diskPeakAllBytes }
  } finally {
    clearInterval(poll)
  }
}

async function runTask(task: StoreTask): Promise<StoreSample | undefined> {
  const { sample } = await runScript<StoreChildMessage>('store/child', [JSON.stringify(task)], runMsMax)
  return sample
}

/** Prepared databases: made when first wanted, copied for each run. */
class Images {
  readonly #folder: string
  readonly #made = new Map<string, string>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Makes `to` an empty folder, or one with the workload's image. */
  async lay(workload: StoreWorkload, engine: StoreEngine, parameters: StoreParameters, to: string): Promise<void> {
    if (workload.image === 'empty') {
      mkdirSync(to, { recursive: true })
      return
    }
    const resized = workload.resize?.(parameters) ?? parameters
    const key = JSON.stringify([workload.image, engine.name, resized])
    let image = this.#made.get(key)
    if (image === undefined) {
      image = join(this.#folder, String(this.#made.size))
      mkdirSync(image, { recursive: true })
      await runTask({ kind: 'prepare', image: workload.image, engine: engine.name, parameters: resized, folder: image })
      this.#made.set(key, image)
    }
    cpSync(image, to, { recursive: true, mode: constants.COPYFILE_FICLONE })
    syncFiles(to)
  }
}

/** So that the disk is not still busy with the copy while something is measured. */
function syncFiles(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) syncFiles(path)
    else if (entry.isFile()) {
      const file = openSync(path, 'r+')
      try {
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
    }
  }
}
