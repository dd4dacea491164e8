/**
 * Runs workloads on engines: each run in a fresh process and a fresh folder, all engines of a workload one right after the other and in another
 * order each round, so that a slow minute of the machine hits all of them. What is in the database before is prepared once per engine by a
 * process of its own and copied for each run: memory and caches of the filling take no part.
 *
 * A run that fails is reported and the others go on: one crash must not cost the hours of the rest.
 */

import { closeSync, constants, cpSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ended, firstMessage, startScript } from '../scripts.ts'
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

export interface Failure {
  readonly workload: string
  readonly engine: string
  readonly round: number
  readonly error: string
}

interface Lane {
  readonly engine: StoreEngine
  readonly samples: (StoreSample | null)[]
}

export async function runAllStores(options: StoreRunOptions): Promise<{ results: StoreWorkloadResults[]; failures: Failure[] }> {
  const { workloads, engines, parameters, rounds, folder, onProgress } = options
  const failures: Failure[] = []
  const images = new Images(join(folder, 'images'))
  const table = workloads.map(workload => ({
    workload,
    date: new Date().toISOString(),
    lanes: engines
      .filter(engine => engine.durability(workload.writes ?? 'asItComes') !== undefined)
      .map((engine): Lane => ({ engine, samples: [] })),
  }))
  let done = 0
  for (let round = 1; round <= rounds; round++) {
    for (const { workload, lanes } of table) {
      if (round > roundsOf(workload, rounds)) continue
      for (let i = 0; i < lanes.length; i++) {
        const { engine, samples } = lanes[(i + round - 1) % lanes.length] as Lane
        onProgress?.(`round ${round}: ${workload.name} on ${engine.name}`, done++)
        const own = join(folder, `${workload.name}-${engine.name.replaceAll(/\W/g, '-')}-${round}`)
        try {
          await images.lay(workload, engine, parameters, own)
          samples.push(await runOnce(workload, engine, parameters, own))
        } catch (error) {
          samples.push(null)
          failures.push({
            workload: workload.name,
            engine: engine.name,
            round,
            error: error instanceof Error ? error.message : String(error),
          })
        } finally {
          rmSync(own, { recursive: true, force: true })
        }
      }
    }
  }
  return {
    results: table.map(({ workload, date, lanes }) => asResults(workload, date, roundsOf(workload, rounds), parameters, lanes)),
    failures,
  }
}

/** Number of runs that `runAllStores` reports progress of. */
export function countRuns({ workloads, engines, rounds }: Pick<StoreRunOptions, 'workloads' | 'engines' | 'rounds'>): number {
  const able = (workload: StoreWorkload): number =>
    engines.filter(engine => engine.durability(workload.writes ?? 'asItComes') !== undefined).length
  return workloads.reduce((sum, workload) => sum + roundsOf(workload, rounds) * able(workload), 0)
}

function roundsOf({ roundsMax }: StoreWorkload, rounds: number): number {
  return Math.min(rounds, roundsMax ?? rounds)
}

function asResults(
  workload: StoreWorkload,
  date: string,
  rounds: number,
  parameters: StoreParameters,
  lanes: readonly Lane[],
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
      engine: engine.name,
      durability: writes === undefined ? '–' : (engine.durability(writes) ?? '–'),
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
  const child = startScript('store/child', [JSON.stringify(task)])
  const timer = setTimeout(() => child.kill('SIGKILL'), runMsMax)
  try {
    const message = await firstMessage<StoreChildMessage>(child)
    await ended(child)
    if ('error' in message) throw new Error(message.error)
    return message.sample
  } finally {
    clearTimeout(timer)
  }
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
