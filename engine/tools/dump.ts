/**
 * `dump`: any file of ours as a sequence of plain objects, down to the record, for people and for tests.
 *
 * Works on files of a closed or an open database and on files that were carried elsewhere: what a file is, its name says, or else its first
 * bytes. Damage never ends a dump: it becomes an item of type `damage`, and the dump goes on where it finds something that checks. A folder
 * stands for its catalog view.
 */
import { parseSegmentName } from '../catalog/manifest.ts'
import { loadChecksums } from '../codec/xxh64.ts'
import { FRAME_MAGIC, FRAME_MAGIC_AT, parseCommitLogName } from '../commit-log/format.ts'
import type { Environment } from '../env/environment.ts'
import { ioError, VarveError } from '../errors.ts'
import { SEGMENT_MAGIC } from '../segment/format.ts'
import { LogFile, readWhole } from './commit-log-files.ts'
import { type DumpDetails, type DumpItem, damage, hex, readable, rowOf } from './dump-batches.ts'
import { dumpCommitLog } from './dump-commit-log.ts'
import { dumpSegment } from './dump-segment.ts'
import { catalogDataName, catalogFolderName, resolveEnvironment, type ToolOptions } from './folder.ts'

export type { DumpItem }

/** What `dump` shows. */
export interface DumpOptions extends ToolOptions {
  /** At most this many items. Default: all. */
  readonly limit?: number | undefined
  /** Leave out records below this offset (in runs: below this sequence), and batches and parts that hold no others. Default 0. */
  readonly from?: number | undefined
  /** Leave out what lies before this byte of the file. Default 0. */
  readonly position?: number | undefined
  /** Show values and headers of records. Default true. */
  readonly values?: boolean | undefined
}

/** Errors: NOT_FOUND when there is no such file, NOT_A_DATABASE when it is none of ours, IO. */
export async function* dump(path: string, options: DumpOptions = {}): AsyncGenerator<DumpItem> {
  if (typeof path !== 'string' || path.length === 0) throw new TypeError('path must be a non-empty string')
  const limit = count(options.limit, 'limit', Number.POSITIVE_INFINITY)
  const position = count(options.position, 'position', 0)
  const details: DumpDetails = { values: options.values !== false, from: count(options.from, 'from', 0) }
  const environment = resolveEnvironment(options.environment)
  await loadChecksums()
  let items = 0
  for await (const item of open(environment, path, details)) {
    options.signal?.throwIfAborted()
    if (item.position !== undefined && item.position < position) continue
    if (items >= limit) return
    items++
    yield item
  }
}

function count(value: number | undefined, option: string, fallback: number): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number') throw new TypeError(`${option} must be a number, got ${String(value)}`)
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${option} must be a non-negative integer, got ${value}`)
  return value
}

async function* open(environment: Environment, path: string, details: DumpDetails): AsyncGenerator<DumpItem> {
  const { files } = environment
  let stat: Awaited<ReturnType<typeof files.stat>>
  try {
    stat = await files.stat(path)
  } catch (error) {
    throw ioError(error, path, 'looking at the file')
  }
  if (stat === undefined) throw new VarveError('NOT_FOUND', `${path}: no such file`, { details: { file: path } })
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? path
  if (stat.isDirectory) {
    const isCatalog = (await files.stat(`${path}/${catalogDataName}`)) !== undefined
    yield* dumpCatalog(environment, isCatalog ? path : `${path}/${catalogFolderName}`)
    return
  }
  if (name === catalogDataName) {
    yield* dumpCatalog(environment, path.slice(0, -name.length - 1) || '.')
    return
  }
  const bytes = await readWhole(files, path, stat.size)
  const kind = kindOf(name, bytes)
  if (kind === undefined) throw new VarveError('NOT_A_DATABASE', `${path}: not a file of a database`, { details: { file: path } })
  yield { type: 'file', file: path, kind, bytes: stat.size }
  if (kind === 'segment') yield* dumpSegment(files, path, bytes, stat.size, details)
  else yield* dumpCommitLog(new LogFile(0, path, bytes), stat.size, details)
}

function kindOf(name: string, bytes: Uint8Array): 'segment' | 'commit' | 'staged' | 'spare' | undefined {
  const plain = name.replace(/\.tmp$/, '')
  if (parseSegmentName(plain) !== undefined) return 'segment'
  const log = parseCommitLogName(plain)
  if (log !== undefined) return log.kind
  if (SEGMENT_MAGIC.every((byte, i) => bytes[i] === byte)) return 'segment'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return view.getUint32(FRAME_MAGIC_AT, true) === FRAME_MAGIC ? 'commit' : undefined
}

async function* dumpCatalog(environment: Environment, folder: string): AsyncGenerator<DumpItem> {
  const path = `${folder}/${catalogDataName}`
  const stat = await environment.files.stat(path)
  if (stat === undefined) throw new VarveError('NOT_A_DATABASE', `${folder}: holds no catalog`, { details: { file: folder } })
  yield { type: 'file', file: path, kind: 'catalog', bytes: stat.size }
  try {
    const view = await environment.catalogs.open(folder, { readOnly: true })
    try {
      for (const { key, value } of view.rows()) yield { type: 'row', key: readable(key), value: rowOf(key, value), hex: hex(value) }
    } finally {
      await view.close()
    }
  } catch (error) {
    yield damage(error, 0)
  }
}
