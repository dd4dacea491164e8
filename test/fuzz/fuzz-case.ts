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
}

export async function runFuzzCase(images: readonly Image[], seed: number): Promise<FuzzOutcome> {
  const random = new SimRandom(seed)
  const image = images[random.below(images.length)] as Image
  const disk = image.disk.fork(seed)
  const environment = createSimEnvironment({ seed, disk, runners: taskRunners })
  const { files } = environment
  const path = image.paths[random.below(image.paths.length)] as string
  const other = image.paths[random.below(image.paths.length)] as string
  const kind = drawMutation(random)
  const read = (from: string): Uint8Array => {
    const bytes = new Uint8Array(disk.file(from).size)
    disk.file(from).read(bytes, 0)
    return bytes
  }
  const damaged = mutate(read(path), kind, random, read(other))
  const what = `seed ${seed}: ${image.name}, ${kind} of ${path}${kind === 'swap' ? ` with ${other}` : ''}`
  files.changeNow('remove', path)
  if (damaged !== undefined) {
    const file = files.openSync(path, 'create')
    file.writeSync(damaged, 0)
    file.closeSync()
  }
  if (kind === 'swap' && other !== path) {
    const bytes = mutate(read(other), 'swap', random, image.disk.file(path).size > 0 ? original(image, path) : new Uint8Array(0))
    files.changeNow('remove', other)
    const file = files.openSync(other, 'create')
    file.writeSync(bytes as Uint8Array, 0)
    file.closeSync()
  }
  let database: Database | undefined
  try {
    return await environment.drive(async () => {
      database = await openDatabase(folder, { ...imageOptions, environment })
      return await judge(image, database, isSmall(kind), what)
    })
  } catch (error) {
    return { what, ...outcomeOfError(error) }
  } finally {
    await environment.drive(async () => database?.close()).catch(() => undefined) // a damaged database may fail to close; it was judged before
  }
}

function original(image: Image, path: string): Uint8Array {
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

function outcomeOfError(error: unknown): Pick<FuzzOutcome, 'kind' | 'detail'> {
  if (isVarveError(error)) {
    const named = error.code !== 'CORRUPT' || typeof error.details.file === 'string'
    const typed = error.code !== 'INVARIANT' && error.code !== 'TASK_FAILED'
    if (named && typed) return { kind: 'typed error', detail: error.code }
  }
  return { kind: 'FAILED', detail: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
