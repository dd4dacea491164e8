/**
 * Backup of an open database: one moment of all its logs, as a folder that opens like any other, while writing goes on.
 *
 *   1. Tails are moved into segments, so that little of the commit log has to be copied.
 *   2. In one turn the newest frame is ended and the moment taken: all catalog rows, the live segments (pinned), and the arenas above the flush
 *      point (leased). Every commit before this turn is in it, none after.
 *   3. Everything up to the moment is made durable: a backup must not know more than its source would after a crash.
 *   4. The catalog view is written from the rows, segments are linked (or copied where the file system cannot), and the frames between the flush
 *      point and the moment are written from memory into fresh commit-log files, with a closing frame behind the last.
 *   5. `NewFolder` makes all of it durable and gives the folder its name.
 *
 * Called by `Database.backup`. Invariant: the view that is written, the flush point in it and the frames behind it are of the same turn, so what
 * opening finds is what it finds after a clean close: a view that is ahead of the flush point and a log that is ahead of, or level with, the view.
 */
import { type Catalog, toChange } from '../catalog/catalog.ts'
import { type Manifest, segmentFileName } from '../catalog/manifest.ts'
import { type FlushRow, packRow, rowKeys } from '../catalog/rows.ts'
import type { Arena } from '../commit-log/arena.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { alignFrame, commitFileName, FRAME_ALIGNMENT, FRAME_FLAG_CLOSE, FRAME_HEADER_BYTES, stagedFileName } from '../commit-log/format.ts'
import { type Frame, readFrame, sealFrame } from '../commit-log/frame.ts'
import type { StagedFile } from '../commit-log/staging.ts'
import type { CatalogChange, Environment, Executor, File } from '../env/environment.ts'
import { assert, typedError, VarveError } from '../errors.ts'
import { type BytesListener, NewFolder } from './new-folder.ts'

const pieceBytes = 1 << 20

/** How `Database.backup` runs. */
export interface BackupOptions {
  /** Ends the backup between two files or pieces with the signal's reason; nothing stays of it. */
  readonly signal?: AbortSignal | undefined
  /** Told of every file and piece: `done` and `total` are bytes, linked files included. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number; readonly file: string }) => void) | undefined
}

/** What a backup wrote. */
export interface BackupReport {
  /** The folder of the backup. */
  readonly path: string
  /** Commit sequence of the moment: commits before it are in the backup. */
  readonly sequence: number
  /** Of all files of the backup. */
  readonly bytes: number
  /** Segment files in it. */
  readonly segments: number
  /** Segments that share their bytes with the source. */
  readonly linkedSegments: number
  /** Bytes of the commit log that were not in segments yet. */
  readonly tailBytes: number
}

/** What a backup needs of its database. */
export interface BackupHost {
  readonly environment: Environment
  readonly executor: Executor
  readonly folder: string
  readonly commitLog: CommitLog
  readonly catalog: Catalog
  readonly manifest: Manifest
  /** End of the system log. */
  readonly systemEnd: number
  /** Closing has not begun. */
  readonly isOpen: boolean
  /** The manifest is closed: pins are void. */
  readonly isClosed: boolean
  /** Moves all tails into segments. */
  seal(): Promise<void>
  /** Pins were given back: something may be deleted. */
  unpinned(): void
}

interface Moment {
  readonly change: CatalogChange
  readonly flush: FlushRow
  readonly endLsn: number
  readonly sequence: number
  readonly segments: readonly { readonly id: number; readonly path: string; readonly bytes: number }[]
  readonly tails: readonly { readonly arena: Arena; readonly endLsn: number; readonly staged: readonly StagedFile[] }[]
}

/** Errors: EXISTS, CLOSED, POISONED, NO_SPACE, IO, READ_ONLY, LOCKED (another backup works at the same path), the signal's reason. */
export async function backUp(host: BackupHost, path: string, options: BackupOptions): Promise<BackupReport> {
  const target = await NewFolder.create(host.environment, path)
  let moment: Moment | undefined
  try {
    assertGoing(host, options)
    await host.seal()
    assertGoing(host, options)
    moment = takeMoment(host)
    await host.commitLog.syncAll()
    assertGoing(host, options)
    const report = await write(host, target, moment, options)
    await target.finish()
    return { path, ...report }
  } catch (error) {
    await target.abandon()
    throw typedError(error, path, 'backing up')
  } finally {
    if (moment !== undefined) release(host, moment)
  }
}

function assertGoing(host: BackupHost, { signal }: BackupOptions): void {
  signal?.throwIfAborted()
  if (!host.isOpen) throw new VarveError('CLOSED', 'the database was closed during the backup')
}

/** One turn: nothing is committed, flushed or merged within it. */
function takeMoment({ commitLog, catalog, manifest, systemEnd }: BackupHost): Moment {
  // Ends the open frame with it: commits from now on go into the next.
  commitLog.sealArena()
  const rows = new Map(catalog.rows().map(({ key, value }) => [key, value]))
  rows.set(rowKeys.system, packRow({ applied: systemEnd }))
  const segments = [...manifest.live()].map(({ id, reader }) => ({ id, path: reader.path, bytes: reader.bytes }))
  const tails = commitLog.tails
    .filter(tail => tail.endLsn > catalog.flush.lsn && tail.endLsn > tail.arena.baseLsn)
    .map(({ arena, endLsn, staged }) => ({ arena, endLsn, staged: [...staged] }))
  for (const { id } of segments) manifest.pin(id)
  for (const arena of arenasOf(tails)) arena.leases++
  return {
    change: toChange(rows),
    flush: catalog.flush,
    endLsn: commitLog.endLsn,
    sequence: commitLog.sequence,
    segments,
    tails,
  }
}

function release({ manifest, isClosed, unpinned }: BackupHost, { segments, tails }: Moment): void {
  for (const arena of arenasOf(tails)) arena.leases--
  if (isClosed) return
  for (const { id } of segments) manifest.unpin(id)
  unpinned()
}

function arenasOf(tails: Moment['tails']): Arena[] {
  return tails.flatMap(({ arena, staged }) => [arena, ...staged.map(each => each.arena)])
}

async function write(host: BackupHost, target: NewFolder, moment: Moment, options: BackupOptions): Promise<Omit<BackupReport, 'path'>> {
  const { environment, executor } = host
  const { segments, tails, change } = moment
  const tailBytes = tails.reduce((sum, { arena, endLsn, staged }) => sum + endLsn - arena.baseLsn + stagedBytes(staged), 0)
  const total = segments.reduce((sum, { bytes }) => sum + bytes, tailBytes)
  let done = 0
  const added: BytesListener = (bytes, file) => {
    assertGoing(host, options)
    done += bytes
    options.onProgress?.({ done: Math.min(done, total), total, file })
  }
  await executor.run({ kind: 'view', input: { folder: target.catalogFolder, change } })
  assertGoing(host, options)

  let linkedSegments = 0
  for (const { id, path } of segments) if (await target.link(path, segmentFileName(id), added)) linkedSegments++

  let last: Frame | undefined
  let lsn = moment.flush.lsn
  for (const [index, { arena, endLsn, staged }] of tails.entries()) {
    assert(arena.baseLsn === lsn, 'arenas above the flush point follow each other', arena.baseLsn, lsn)
    for (const each of staged) {
      await target.write(stagedFileName(each.number), file => writeWhole(file, each.arena.bytes, each.arena.used, each.path, added))
    }
    const frames = framesOf(arena, endLsn - arena.baseLsn)
    last = frames.at(-1) as Frame
    lsn = endLsn
    const closing = endLsn === moment.endLsn ? closingFrame(environment, last, moment) : undefined
    const name = commitFileName(index + 1)
    await target.write(name, file => writeFrames(file, arena, frames, closing, `${host.folder}/${name}`, added))
  }
  assert(lsn === moment.endLsn, 'the backup ends where its moment does', lsn, moment.endLsn)
  return { sequence: moment.sequence, bytes: total + (await target.catalogBytes()), segments: segments.length, linkedSegments, tailBytes }
}

function stagedBytes(staged: readonly StagedFile[]): number {
  return staged.reduce((sum, { arena }) => sum + arena.used, 0)
}

/** Frames from the arena's beginning to `end`, each checked: what was written to the disk is what is in memory. */
function framesOf(arena: Arena, end: number): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at < end; ) {
    const frame = readFrame(arena, at, arena.capacity)
    assert(frame !== undefined && frame.lsn === arena.baseLsn + at, 'an arena holds one frame after the other', at, frame?.lsn)
    frames.push(frame)
    at = alignFrame(frame.end)
  }
  return frames
}

/** Says that everything before it is on the disk, as after `close()`: opening has nothing to make durable again. */
function closingFrame({ clock }: Environment, last: Frame, { endLsn, sequence }: Moment): Uint8Array {
  const bytes = new Uint8Array(FRAME_ALIGNMENT)
  sealFrame({ bytes, view: new DataView(bytes.buffer) }, 0, FRAME_HEADER_BYTES, {
    flags: FRAME_FLAG_CLOSE,
    entryCount: 0,
    tag: last.tag,
    lsn: endLsn,
    durableLsn: endLsn,
    previousChecksum: last.checksum,
    sequence,
    time: clock.now(),
  })
  return bytes
}

/** The frames at the positions they have in the arena, gathered into pieces; what lies between them in memory is old and stays out. */
async function writeFrames(
  file: File,
  arena: Arena,
  frames: readonly Frame[],
  closing: Uint8Array | undefined,
  path: string,
  added: BytesListener,
): Promise<void> {
  let at = 0
  for (let i = 0; i < frames.length; ) {
    let next = i
    let end = at
    while (next < frames.length) {
      const frameEnd = alignFrame((frames[next] as Frame).end)
      if (next > i && frameEnd - at > pieceBytes) break
      end = frameEnd
      next++
    }
    const piece = new Uint8Array(end - at)
    for (const { start, end: frameEnd } of frames.slice(i, next)) piece.set(arena.bytes.subarray(start, frameEnd), start - at)
    await file.write(piece, at)
    added(piece.byteLength, path)
    at = end
    i = next
  }
  if (closing !== undefined) await file.write(closing, at)
}

async function writeWhole(file: File, bytes: Uint8Array, size: number, path: string, added: BytesListener): Promise<void> {
  for (let at = 0; at < size; ) {
    const end = Math.min(size, at + pieceBytes)
    await file.write(bytes.subarray(at, end), at)
    added(end - at, path)
    at = end
  }
}
