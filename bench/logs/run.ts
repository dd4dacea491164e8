/**
 * Runs workloads: each run in a fresh process and an empty folder, all workloads once per round, so that a slow minute of the machine hits
 * everything and not one row. Ratios are formed within a round for the same reason.
 */

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runScript } from '../scripts.ts'
import type { Sample, Size } from '../workload.ts'
import type { ChildMessage } from './child.ts'
import type { Workload } from './workload.ts'

/** A run that takes longer hangs: it is killed, and is an error. */
const runMsMax = 10 * 60_000

/** Workload name -> one sample a round, in the order of rounds. */
export type Samples = { [workload: string]: Sample[] }

export interface RunOptions {
  readonly workloads: readonly Workload[]
  readonly rounds: number
  readonly size: Size
  /** Where each run gets a folder, which is removed after it. */
  readonly folder: string
  /** Called before each run with what begins and how many runs are done. */
  readonly onProgress?: (name: string, round: number, done: number) => void
}

/** Rejects with the first workload that fails. */
export async function runAll({ workloads, rounds, size, folder, onProgress }: RunOptions): Promise<Samples> {
  const samples: Samples = Object.fromEntries(workloads.map(({ name }) => [name, []]))
  let done = 0
  for (let round = 1; round <= rounds; round++) {
    for (const { name } of workloads) {
      onProgress?.(name, round, done++)
      samples[name]?.push(await runOnce(name, size, join(folder, `${name}-${round}`)))
    }
  }
  return samples
}

export async function runOnce(name: string, size: Size, folder: string): Promise<Sample> {
  mkdirSync(folder, { recursive: true })
  try {
    const { sample } = await runScript<ChildMessage>('logs/child', [name, size, folder], runMsMax)
    return sample
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The workloads named, with those that their targets and ratios compare them with, in the order of the table. */
export function selectWorkloads(all: readonly Workload[], names: readonly string[]): Workload[] {
  if (names.length === 0) return all.filter(workload => workload.onlyByName !== true)
  const wanted = new Set<string>()
  const want = (name: string): void => {
    if (wanted.has(name)) return
    const found = all.find(workload => workload.name === name)
    if (found === undefined)
      throw new RangeError(`no workload is called '${name}'; there are ${all.map(workload => workload.name).join(', ')}`)
    wanted.add(name)
    for (const { of } of [...found.targets, ...(found.raw === undefined ? [] : [found.raw])]) if (of !== undefined) want(of)
  }
  for (const name of names) want(name)
  return all.filter(workload => wanted.has(workload.name))
}
