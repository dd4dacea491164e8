/**
 * One damaged folder: opened, everything read, closed. What may come of it:
 *
 *   a typed error          never INVARIANT; CORRUPT names a file
 *   the right data         exactly the newest state
 *   a shorter prefix       an older state; for damage of a few bytes only when nothing on the disk proves that the newer one was durable:
 *                          never in a closed folder, else at most the last commit
 * Anything else is a failure: a hang, an error of another kind, wrong data, a state that never was.
 */
import { createSimEnvironment, SimRandom } from '../../engine/env/index.ts'
import { type Database, isVarveError, openDatabase } from '../../engine/index.ts'
import { taskRunners } from '../../engine/maintenance/tasks.ts'
import { folder } from '../fault/program.ts'
import { type Image, imageOptions } from './images.ts'
import { drawMutation, isSmall, mutate } from './mutate.ts'

export interface FuzzOutcome {
  /** What repeats the case. */
  readonly what: string
  readonly kind: 'right data' | 'shorter prefix' | 'typed error' | 'FAILED'
  /** Code of the typed error, or what is wrong. */
  readonly detail: string
  readonly error?: unknown
}

export async function runFuzzCase(images: readonly Image[], seed: number): Promise<FuzzOutcome> {
  const random = new SimRandom(seed)
  const image = images[random.below(images.length)] as Image
  const path = image.paths[random.below(image.paths.length)] as string
  const other = image.paths[random.below(image.paths.length)] as string
  const kind = drawMutation(random)
  const damaged = new Map([[path, mutate(bytesOf(image, path), kind, random, bytesOf(image, other))]])
  if (kind === 'swap') damaged.set(other, bytesOf(image, path))
  const what = `seed ${seed}: ${image.name}, ${kind} of ${path}${kind === 'swap' ? ` with ${other}` : ''}`
  return runDamaged(image, damaged, isSmall(kind), seed, what)
}

/** Opens a copy of the image in which these files have other bytes, or are gone. */
export async function runDamaged(
  image: Image,
  damaged: ReadonlyMap<string, Uint8Array | undefined>,
  small: boolean,
  seed: number,
  what: string,
): Promise<FuzzOutcome> {
  const disk = image.disk.fork(seed)
  const environment = createSimEnvironment({ seed, disk, runners: taskRunners })
  const { files } = environment
  for (const [path, bytes] of damaged) {
    files.changeNow('remove', path)
    if (bytes === undefined) continue
    const file = files.openSync(path, 'create')
    file.writeSync(bytes, 0)
    file.closeSync()
  }
  let database: Database | undefined
  try {
    return await environment.drive(async () => {
      database = await openDatabase(folder, { ...imageOptions, environment })
      return await judge(image, database, small, what)
    })
  } catch (error) {
    return { what, ...outcomeOfError(error) }
  } finally {
    await environment.drive(async () => database?.close()).catch(() => undefined) // a damaged database may fail to close; it was judged before
  }
}

export function bytesOf(image: Image, path: string): Uint8Array {
  const file = image.disk.file(path)
  const bytes = new Uint8Array(file.size)
  file.read(bytes, 0)
  return bytes
}

async function judge(image: Image, database: Database, small: boolean, what: string): Promise<FuzzOutcome> {
  const { model, isClosed } = image
  const least = !small ? 0 : isClosed ? model.newestNumber : model.newestNumber - 1
  const state = model.matchFrom(database, least, 'damage')
  // What was accepted must go on: an append after it is where the log ends.
  if (database.list().some(log => log.name === 'events')) {
    const { endOffset } = database.log('events')
    const appended = database.log('events').appendRecords([{ value: 'more' }])
    await appended.durable
    if (appended.baseOffset !== endOffset) return { what, kind: 'FAILED', detail: 'an append does not go where the log ends' }
  }
  return { what, kind: state === model.newest ? 'right data' : 'shorter prefix', detail: '' }
}

function outcomeOfError(error: unknown): Omit<FuzzOutcome, 'what'> {
  if (isVarveError(error)) {
    const named = error.code !== 'CORRUPT' || typeof error.details.file === 'string'
    const typed = error.code !== 'INVARIANT' && error.code !== 'TASK_FAILED'
    if (named && typed) return { kind: 'typed error', detail: error.code, error }
  }
  return { kind: 'FAILED', detail: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
