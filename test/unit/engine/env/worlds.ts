/** The environments behind one face, so that one suite runs over both: a folder to work in, and a way to wait for work. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createMemoryEnvironment,
  createNodeEnvironment,
  createSimEnvironment,
  type Environment,
  type TaskRunner,
} from '../../../../engine/env/index.ts'

export interface World {
  readonly env: Environment
  readonly folder: string
  /** Runs `work` to its end, in real or virtual time. */
  drive<T>(work: () => Promise<T>): Promise<T>
  dispose(): Promise<void>
}

export const testWorker: URL = new URL('./test-worker.mjs', import.meta.url)

export async function nodeWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-env-'))
  return {
    env: createNodeEnvironment({ worker: testWorker }),
    folder,
    drive: work => work(),
    dispose: () => rm(folder, { recursive: true, force: true }),
  }
}

export async function simWorld(runners: Readonly<Record<string, TaskRunner>> = {}): Promise<World> {
  const env = createSimEnvironment({ seed: 7, runners })
  await env.drive(() => env.files.makeDirectory('/data'))
  return { env, folder: '/data', drive: work => env.drive(work), dispose: async () => undefined }
}

export async function memoryWorld(runners: Readonly<Record<string, TaskRunner>> = {}): Promise<World> {
  const env = createMemoryEnvironment({ runners })
  await env.files.makeDirectory('/data')
  return { env, folder: '/data', drive: work => work(), dispose: async () => undefined }
}

export const worlds: readonly (readonly [name: string, make: (runners?: Readonly<Record<string, TaskRunner>>) => Promise<World>])[] = [
  ['node', nodeWorld],
  ['sim', simWorld],
  ['memory', memoryWorld],
]

export function bytesOf(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values)
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** The `code` of what `work` throws or rejects with; undefined when it succeeds. */
export async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    await work()
    return undefined
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
}
