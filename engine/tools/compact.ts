/**
 * `compact`: opens a database, moves its tails into segments, merges small and mostly dead segments, compacts topics by key and stores' runs,
 * and closes it again. Everything is done by the engine as it does it in the background; this only waits for it and measures.
 */
import { openDatabase } from '../database.ts'
import { VarveError } from '../errors.ts'
import { type Folder, listFolder, resolveEnvironment, type ToolOptions, withFolder } from './folder.ts'

/** How `compact` runs. */
export interface CompactOptions extends ToolOptions {
  /** Names of the logs to compact. Default: every store, and every topic defined with `cleanup: 'compact'`. */
  readonly logs?: readonly string[] | undefined
  /** Called before each step. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number; readonly step: string }) => void) | undefined
}

/** What `compact` gave back. */
export interface CompactReport {
  /** Folder of the database. */
  readonly path: string
  /** Names of the logs that were compacted. */
  readonly logs: readonly string[]
  /** Of all files. */
  readonly bytesBefore: number
  /** The same after it. */
  readonly bytesAfter: number
  /** Segment files before. */
  readonly segmentsBefore: number
  /** Segment files after. */
  readonly segmentsAfter: number
  /** Of segments alone; the commit log keeps its files for reuse. */
  readonly segmentBytesBefore: number
  /** The same after it. */
  readonly segmentBytesAfter: number
}

/** Errors: those of `open`; NOT_FOUND for a name that is not defined. The signal is heard between two steps. */
export async function compact(path: string, options: CompactOptions = {}): Promise<CompactReport> {
  const environment = resolveEnvironment(options.environment)
  const before = await withFolder(path, { ...options, environment }, async folder => sizes(folder))
  const database = await openDatabase(path, { environment, createIfMissing: false, autoConsolidate: false })
  let logs: string[]
  try {
    const defined = database.list()
    for (const name of options.logs ?? []) {
      if (!defined.some(definition => definition.name === name)) {
        throw new VarveError('NOT_FOUND', `no log is named ${name}`, { details: { log: name } })
      }
    }
    logs = defined
      .filter(({ name, kind, cleanup }) => options.logs?.includes(name) ?? (kind === 'store' || cleanup === 'compact'))
      .map(({ name }) => name)
    const steps: [string, () => Promise<void>][] = [
      ['sealing', () => database.seal()],
      ['merging segments', () => database.consolidate()],
      ...logs.map((name): [string, () => Promise<void>] => [`compacting ${name}`, () => database.compactLog(name)]),
      // The edits of the steps before are the new tail.
      ['merging segments', () => database.consolidate()],
    ]
    for (const [done, [step, run]] of steps.entries()) {
      options.signal?.throwIfAborted()
      options.onProgress?.({ done, total: steps.length, step })
      await run()
    }
    options.onProgress?.({ done: steps.length, total: steps.length, step: 'closing' })
  } finally {
    await database.close()
  }
  const after = sizes(await listFolder(environment, path))
  return {
    path,
    logs,
    bytesBefore: before.bytes,
    bytesAfter: after.bytes,
    segmentsBefore: before.segments,
    segmentsAfter: after.segments,
    segmentBytesBefore: before.segmentBytes,
    segmentBytesAfter: after.segmentBytes,
  }
}

function sizes(folder: Folder): { bytes: number; segments: number; segmentBytes: number } {
  const { bytes, segments } = folder
  return { bytes, segments: segments.length, segmentBytes: segments.reduce((sum, segment) => sum + segment.bytes, 0) }
}
