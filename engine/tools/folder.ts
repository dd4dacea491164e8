/**
 * A database's folder as the tools see it: which files of ours lie in it, and the lock that keeps everybody else out while a tool looks.
 *
 * Tools never create a folder and never open the database: they read files as they lie. `withFolder` is their common beginning and end.
 * The subfolder `damaged/` belongs to `repair`, which moves aside what cannot be kept; no tool looks into it.
 */
import { parseSegmentName } from '../catalog/manifest.ts'
import { loadChecksums } from '../codec/xxh64.ts'
import { parseCommitLogName } from '../commit-log/format.ts'
import type { Environment } from '../env/environment.ts'
import { createNodeEnvironment, resolveWorkerUrl } from '../env/index.ts'
import { ioError, VarveError } from '../errors.ts'

export const catalogFolderName = 'catalog'
/** Inside the catalog folder. */
export const catalogDataName = 'data.mdb'
export const damagedFolderName = 'damaged'
const lockFileName = 'lock'

export interface NumberedFile {
  readonly number: number
  readonly path: string
  readonly bytes: number
}

export interface Folder {
  readonly path: string
  /** Each list ascending by number. */
  readonly segments: readonly NumberedFile[]
  readonly commits: readonly NumberedFile[]
  readonly staged: readonly NumberedFile[]
  readonly spares: readonly NumberedFile[]
  /** Paths of files that were not finished, and of files that are not ours. */
  readonly temporary: readonly string[]
  readonly foreign: readonly string[]
  readonly catalogPath: string
  /** Undefined when there is no catalog file. */
  readonly catalogBytes: number | undefined
  /** Of all files of ours. */
  readonly bytes: number
  readonly fileCount: number
}

/** What all tools take. */
export interface ToolOptions {
  /** Where files, time and locks come from. Default: Node. */
  readonly environment?: Environment | undefined
  /** Ends the work between two files or blocks with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** `done` and `total` are bytes; `file` is what is read now. */
export type ProgressListener = (progress: { readonly done: number; readonly total: number; readonly file: string }) => void

export function resolveEnvironment(environment: Environment | undefined): Environment {
  return environment ?? createNodeEnvironment({ worker: resolveWorkerUrl(import.meta.url, 'engine/worker') })
}

/** Locks the folder, lists it, runs `work`, frees the lock. Errors: NOT_A_DATABASE, LOCKED, IO, READ_ONLY. */
export async function withFolder<T>(
  path: string,
  options: ToolOptions,
  work: (folder: Folder, environment: Environment) => Promise<T>,
): Promise<T> {
  if (typeof path !== 'string' || path.length === 0) throw new TypeError('path must be a non-empty string')
  const environment = resolveEnvironment(options.environment)
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path
  await assertDatabase(environment, clean)
  options.signal?.throwIfAborted()
  let lock: Awaited<ReturnType<Environment['locks']['acquire']>>
  try {
    lock = await environment.locks.acquire(`${clean}/${lockFileName}`)
  } catch (error) {
    throw ioError(error, clean, 'locking the folder')
  }
  try {
    await loadChecksums()
    return await work(await listFolder(environment, clean), environment)
  } finally {
    await lock.release()
  }
}

async function assertDatabase(environment: Environment, path: string): Promise<void> {
  const { files } = environment
  let names: readonly string[]
  try {
    const stat = await files.stat(path)
    if (stat === undefined) throw notOurs(path, 'no such folder')
    if (!stat.isDirectory) throw notOurs(path, 'is a file, not a folder')
    names = await files.list(path)
  } catch (error) {
    throw ioError(error, path, 'reading the folder')
  }
  const ours = (name: string): boolean =>
    name === catalogFolderName || parseSegmentName(name) !== undefined || parseCommitLogName(name) !== undefined
  if (!names.some(ours)) throw notOurs(path, 'holds no files of a database')
}

function notOurs(path: string, reason: string): VarveError {
  return new VarveError('NOT_A_DATABASE', `${path}: ${reason}`, { details: { file: path } })
}

export async function listFolder(environment: Environment, path: string): Promise<Folder> {
  const { files } = environment
  const found = {
    segments: [] as NumberedFile[],
    commits: [] as NumberedFile[],
    staged: [] as NumberedFile[],
    spares: [] as NumberedFile[],
  }
  const temporary: string[] = []
  const foreign: string[] = []
  const catalogPath = `${path}/${catalogFolderName}`
  let bytes = 0
  try {
    for (const name of await files.list(path)) {
      if (name.startsWith(lockFileName) || name === catalogFolderName || name === damagedFolderName) continue
      const full = `${path}/${name}`
      const segment = parseSegmentName(name)
      const log = parseCommitLogName(name)
      if (segment === undefined && log === undefined) {
        if (/^(commit|staged|spare|segment)-\d+\.(log|seg)\.tmp$/.test(name)) temporary.push(full)
        else foreign.push(full)
        continue
      }
      const size = (await files.stat(full))?.size ?? 0
      bytes += size
      const file: NumberedFile = { number: segment ?? log?.number ?? 0, path: full, bytes: size }
      if (segment !== undefined) found.segments.push(file)
      else if (log?.kind === 'commit') found.commits.push(file)
      else if (log?.kind === 'staged') found.staged.push(file)
      else found.spares.push(file)
    }
    const catalogBytes = (await files.stat(`${catalogPath}/${catalogDataName}`))?.size
    for (const list of Object.values(found)) list.sort((a, b) => a.number - b.number)
    const fileCount = Object.values(found).reduce((sum, list) => sum + list.length, 0) + (catalogBytes === undefined ? 0 : 1)
    return { path, ...found, temporary, foreign, catalogPath, catalogBytes, bytes: bytes + (catalogBytes ?? 0), fileCount }
  } catch (error) {
    throw ioError(error, path, 'listing the folder')
  }
}

/** Counts bytes and tells the listener. */
export class Progress {
  readonly #total: number
  readonly #listener: ProgressListener | undefined
  readonly #signal: AbortSignal | undefined
  #done = 0

  constructor(total: number, listener: ProgressListener | undefined, signal: AbortSignal | undefined) {
    this.#total = total
    this.#listener = listener
    this.#signal = signal
  }

  /** `bytes` of `file` were read. Throws the signal's reason when the caller gave up. */
  add(bytes: number, file: string): void {
    this.#signal?.throwIfAborted()
    this.#done += bytes
    this.#listener?.({ done: Math.min(this.#done, this.#total), total: this.#total, file })
  }
}

/** Lets the process hear signals and draw between two long blocking steps. */
export function breathe(environment: Environment): Promise<void> {
  return new Promise(resolve => environment.timers.soon(resolve))
}
