/** What the probes share: a simulated database with small files, so that recycling, carrying and staging happen within a few kilobytes. */
import { type Database, openDatabase } from '../../engine/database.ts'
import { createSimEnvironment, type SimDisk, type SimEnvironment, SimStopped } from '../../engine/env/index.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'
import type { OpenOptions } from '../../engine/options.ts'

export const smallOptions: OpenOptions = {
  commitLogFileBytes: 32 * 1024,
  commitLogFileBytesFirst: 8 * 1024,
  frameBytesMax: 4 * 1024,
  ownSegmentBytes: 8 * 1024,
  closeTailBytesMax: 4 * 1024,
}

export const folder = '/data/db'

export function newEnvironment(seed: number, disk?: SimDisk): SimEnvironment {
  return createSimEnvironment({ seed, runners: taskRunners, ...(disk === undefined ? {} : { disk }) })
}

export function openSim(environment: SimEnvironment, options: OpenOptions = {}): Promise<Database> {
  return openDatabase(folder, { ...smallOptions, ...options, environment })
}

/** Runs `program` until it ends or the machine dies at the `point`-th disk operation (counted from its start). */
export async function runUntilCrash(
  environment: SimEnvironment,
  point: number,
  program: () => Promise<void>,
): Promise<{ readonly crashed: boolean; readonly operations: number }> {
  let operations = 0
  const unhook = environment.disk.onOperation(() => {
    if (operations++ === point) environment.disk.crash()
  })
  try {
    await environment.drive(program)
    return { crashed: false, operations }
  } catch (error) {
    // What the dying process threw does not matter: it is dead.
    if (error instanceof SimStopped || !environment.isAlive) return { crashed: true, operations }
    throw error
  } finally {
    unhook()
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array | null | undefined): string | undefined {
  return bytes === null || bytes === undefined ? undefined : new TextDecoder().decode(bytes.slice())
}
