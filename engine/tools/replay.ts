/**
 * Replays the commit log over a catalog without touching the folder: the same fold that opening does (`LogTable.replay`), over the frames that
 * `commit-log-files.ts` accepted. What opening would refuse becomes a `Problem` here, and the replay goes on.
 *
 * Also the check of what lies in frames: entries that add up, batches that parse down to the record, staged files that match their commit.
 */
import { batchRecordCount, validateRecordBatch } from '../batch/record-batch.ts'
import { RecordCursor, validateRecords } from '../batch/record-cursor.ts'
import { checkStoreBatch, checkStoreBatchHeader, storeBatchCount } from '../batch/store-batch.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { LogTable } from '../catalog/log-table.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { damagedBytes } from '../codec/damage.ts'
import { Arena } from '../commit-log/arena.ts'
import {
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_RESET,
  ENTRY_STAGED,
  ENTRY_STAGED_BODY_BYTES,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
  ENTRY_TRUNCATE,
} from '../commit-log/format.ts'
import { type EntryVisitor, type Frame, readU64, visitEntries } from '../commit-log/frame.ts'
import { readStagedFile } from '../commit-log/staging.ts'
import type { Files } from '../env/environment.ts'
import { assert, isVarveError, VarveError } from '../errors.ts'
import type { Chain, ChainFrame, LogFile } from './commit-log-files.ts'
import { unreachableHost } from './quiet-host.ts'

export interface Problem {
  readonly file: string
  readonly position: number | undefined
  readonly message: string
  /** Index in the chain's frames; undefined for what shows only at the end. */
  readonly frame: number | undefined
  /** The log that is concerned, where one is. */
  readonly logId: number | undefined
}

/** An entry with the buffer it lies in. */
export interface PlacedEntry {
  readonly kind: number
  readonly flags: number
  readonly logId: number
  readonly arena: Arena
  readonly path: string
  readonly start: number
  readonly end: number
}

/** All entries of a chain in commit order, with those of staged commits in place. */
export class ChainEntries {
  readonly #files: Files
  readonly #folder: string
  readonly #arenas = new Map<LogFile, Arena>()
  readonly #byNumber = new Map<number, { readonly arena: Arena; readonly path: string }>()
  /** Numbers of staged files that a commit record names. */
  readonly stagedSeen: Set<number> = new Set<number>()
  #nextNumber = 1

  constructor(files: Files, folder: string) {
    this.#files = files
    this.#folder = folder
  }

  arena(number: number): Arena {
    const known = this.#byNumber.get(number)
    assert(known !== undefined, 'a slot names an arena of this replay', number)
    return known.arena
  }

  pathOf(arena: Arena): string {
    return this.#byNumber.get(arena.number)?.path ?? this.#folder
  }

  arenaOf(chainFrame: ChainFrame): Arena {
    const { file, frame } = chainFrame
    const known = this.#arenas.get(file)
    if (known !== undefined) return known
    const arena = new Arena(this.#nextNumber++, file.bytes, frame.lsn - frame.start, false)
    this.#arenas.set(file, arena)
    this.#byNumber.set(arena.number, { arena, path: file.path })
    return arena
  }

  /** Visits a frame's entries. Throws CORRUPT with file and position for entries that do not add up and staged files that do not match. */
  async visit(chainFrame: ChainFrame, visit: (entry: PlacedEntry) => void): Promise<void> {
    const { file, frame } = chainFrame
    const arena = this.arenaOf(chainFrame)
    const staged = await this.#stagedOf(arena, frame)
    walk(arena, file.path, frame, (kind, flags, logId, start, end) => {
      if (kind !== ENTRY_STAGED) {
        visit({ kind, flags, logId, arena, path: file.path, start, end })
        return
      }
      const commit = staged.get(start)
      if (commit === undefined) throw placed(file.path, start, 'commit record of an impossible size')
      walk(commit.arena, commit.path, commit.frame, (innerKind, innerFlags, innerLog, innerStart, innerEnd) => {
        visit({
          kind: innerKind,
          flags: innerFlags,
          logId: innerLog,
          arena: commit.arena,
          path: commit.path,
          start: innerStart,
          end: innerEnd,
        })
      })
    })
  }

  async #stagedOf(arena: Arena, frame: Frame): Promise<Map<number, { arena: Arena; path: string; frame: Frame }>> {
    const places: number[] = []
    visitEntries(arena, frame, (kind, _flags, _logId, start, end) => {
      if (kind === ENTRY_STAGED && end - start === ENTRY_STAGED_BODY_BYTES) places.push(start)
    })
    const found = new Map<number, { arena: Arena; path: string; frame: Frame }>()
    for (const at of places) {
      const number = arena.view.getUint32(at, true)
      const size = readU64(arena.view, at + 8)
      const checksum = arena.bytes.slice(at + 16, at + 24)
      const read = await readStagedFile(this.#files, this.#folder, number, size, checksum, this.#nextNumber++, frame.lsn)
      this.stagedSeen.add(number)
      this.#byNumber.set(read.staged.arena.number, { arena: read.staged.arena, path: read.staged.path })
      found.set(at, { arena: read.staged.arena, path: read.staged.path, frame: read.frame })
    }
    return found
  }
}

function walk(arena: Arena, path: string, frame: Frame, visit: EntryVisitor): void {
  const problem = visitEntries(arena, frame, visit)
  if (problem !== undefined) throw placed(path, frame.start, problem)
}

function placed(file: string, position: number, message: string): VarveError {
  return new VarveError('CORRUPT', `${file}: ${message} (at byte ${position})`, { details: { file, position } })
}

const cursor = new RecordCursor()

/** Checks one entry down to its records and returns how many there are. Throws CORRUPT or NEWER_FORMAT with the position in the buffer. */
export function checkEntry(entry: PlacedEntry): number {
  const { kind, flags, start, end } = entry
  const { bytes } = entry.arena
  const open = (flags & ENTRY_FLAG_CHECKSUM_OPEN) !== 0
  if (kind === ENTRY_TRUNCATE || kind === ENTRY_RESET) {
    if (end - start !== 8 || readU64(entry.arena.view, start) < 0) throw damagedBytes('entry without an offset', start)
    return 0
  }
  if (kind !== ENTRY_TOPIC_BATCH && kind !== ENTRY_STORE_BATCH) {
    throw new VarveError('NEWER_FORMAT', `entry kind ${kind} is not known to this version`, { details: { position: start } })
  }
  const topic = kind === ENTRY_TOPIC_BATCH
  const size = topic ? validateRecordBatch(bytes, start, end, !open) : checkStoreBatchHeader(bytes, start, end) - start
  if (size !== end - start) throw damagedBytes('batch does not fill its entry', start)
  try {
    if (topic) validateRecords(cursor, bytes, start, end)
    else checkStoreBatch(bytes, start, end)
  } catch (error) {
    if (!isVarveError(error, 'CODEC_MISSING')) throw error
  } finally {
    cursor.close()
  }
  return topic ? batchRecordCount(bytes, start) : storeBatchCount(bytes, start)
}

export interface Replayed {
  readonly chain: Chain
  readonly logs: LogTable
  readonly problems: readonly Problem[]
  readonly entries: ChainEntries
}

/**
 * Folds the chain into `catalog` and into logs over `manifest`, which holds the catalog's segments as far as they are readable. Afterwards
 * `catalog` is the state at the end of the chain, and tails that an edit flushed are taken off as opening does it.
 */
export async function replayChain(
  files: Files,
  folder: string,
  chain: Chain,
  catalog: Catalog,
  manifest: Manifest,
  syncManifest: () => void,
): Promise<Replayed> {
  const entries = new ChainEntries(files, folder)
  const problems: Problem[] = []
  const logs = new LogTable(
    unreachableHost(
      number => entries.arena(number),
      catalog,
      logId => manifest.partsOf(logId),
    ),
    catalog,
    manifest,
  )
  const visitor = logs.replay(arena => entries.pathOf(arena))
  const report = (error: unknown, file: string, position: number, frame: number, logId: number | undefined): void => {
    if (!(error instanceof VarveError)) throw error
    const { details } = error
    problems.push({
      file: details.file ?? file,
      position: typeof details.position === 'number' ? details.position : position,
      message: plainMessage(error, details.file ?? file),
      frame,
      logId,
    })
  }
  for (const [index, chainFrame] of chain.frames.entries()) {
    const { file, frame } = chainFrame
    visitor.frame(frame, entries.arenaOf(chainFrame))
    try {
      await entries.visit(chainFrame, entry => {
        try {
          visitor.entry(entry.kind, entry.flags, entry.logId, entry.arena, entry.start, entry.end)
        } catch (error) {
          report(error, entry.path, entry.start, index, entry.logId)
        }
      })
    } catch (error) {
      report(error, file.path, frame.start, index, undefined)
    }
  }
  syncManifest()
  const flushed = catalog.flush.lsn
  for (const log of logs.values()) {
    const hole = log.findHole()
    if (hole !== undefined) {
      const message = `log ${log.name}: no batch for offset ${hole}, where its segments end or a batch before it`
      problems.push({ file: folder, position: undefined, message, frame: undefined, logId: log.id })
    }
    let count = 0
    while (count < log.tail.length && log.tail.lsn(count) < flushed) count++
    log.flushed(count, undefined)
  }
  return { chain, logs, problems, entries }
}

/** An error's message without the file name and the place, which a finding has beside it. */
export function plainMessage(error: VarveError, file: string): string {
  const message = error.message.startsWith(`${file}: `) ? error.message.slice(file.length + 2) : error.message
  return message.replace(/( \(at byte \d+\))?(, at byte \d+ of the file)?$/, '')
}
