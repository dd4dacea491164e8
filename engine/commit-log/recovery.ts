/**
 * Recovery: finds out which frames of the commit log count, and makes sure that they are on the disk before anybody sees them.
 *
 *   1. The flush point (LSN, checksum of the frame before it) comes from the catalog; everything below lies in segments.
 *   2. From there frames are accepted one after the other: each must check, carry the next LSN, and name the checksum of the one before. A file
 *      ends where the first frame of a later file continues the chain (the later file wins: it was made by a recovery, see 4).
 *   3. Where the chain breaks, the log ends: a torn tail, if no frame behind the break proves that the broken place was on the disk
 *      (durable LSN above it). If one does, the break is damage: CORRUPT with file and position, and nothing is changed.
 *   4. Accepted frames above the highest durable LSN seen were written by a process that may not have synced them; the page cache may show
 *      what the disk has not. They are copied into a fresh file under a temporary name, synced, and renamed into place. After a clean close there
 *      are none, and writing goes on in the last file, over the closing frame.
 *   5. Files of which nothing counts are removed.
 * Entries are then visited in order; the caller rebuilds its logs from them.
 *
 * A crash during recovery leaves either the old files, or the old files and the complete new one: both recover to the same frames.
 */
import { Breath } from '../env/breath.ts'
import type { Environment, Files } from '../env/environment.ts'
import { corrupt, ioError, VarveError } from '../errors.ts'
import { Arena } from './arena.ts'
import { classifyFiles, closeLogFile, type LogFile, openLogFile } from './file-pool.ts'
import {
  alignFrame,
  commitFileName,
  ENTRY_STAGED,
  ENTRY_STAGED_BODY_BYTES,
  FRAME_ALIGNMENT,
  FRAME_FLAG_CLOSE,
  FRAME_FLAG_STAGED,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_MAGIC_AT,
  FRAME_SIZE,
  spareFileName,
  stagedFileName,
  temporaryFileName,
} from './format.ts'
import { equalBytes, type Frame, readFrame, readU64, visitEntries } from './frame.ts'
import { readStagedFile, type StagedFile } from './staging.ts'
import type { CommitLogStart, TailFile } from './tail-file.ts'

const pieceBytes = 4 << 20
/** An opening leaves the rest of the process a turn so often, ms. */
const breathMs = 5
/** A file that takes over unproven frames is no larger than it must be: opening waits until all of it is on the disk. */
const freshBytesMin = 256 * 1024

/** Where segments end and the commit log begins. */
export interface FlushPoint {
  readonly lsn: number
  /** Checksum of the last frame below `lsn`; zeros at 0. */
  readonly checksum: Uint8Array
}

export interface RecoveryVisitor {
  /** A frame that counts begins; its entries follow. */
  frame(frame: Frame, arena: Arena): void
  /** One batch or log operation, in commit order. Commit records of staged commits are not shown; their entries are. */
  entry(kind: number, flags: number, logId: number, arena: Arena, bodyStart: number, bodyEnd: number): void
  /** All entries were shown, nothing is removed yet. A throw leaves every file that was there. */
  finish(): void
}

export interface RecoveredCommitLog {
  readonly start: CommitLogStart
  /** For the file pool. */
  readonly nextFileNumber: number
  readonly spares: { number: number; size: number }[]
  /** What was found, for `stats()` and the recovery event. */
  readonly report: RecoveryReport
}

export interface RecoveryReport {
  readonly frames: number
  readonly bytes: number
  /** The last opening ended with `close()`. */
  readonly cleanClose: boolean
  /** Bytes of accepted frames that had to be made durable again. */
  readonly copiedBytes: number
  /** File and position of the torn tail; undefined when the log ended at unwritten or stale bytes after a clean close. */
  readonly end: { readonly file: string; readonly position: number } | undefined
}

/** A file read piece by piece into its arena. */
class ScannedFile {
  readonly number: number
  readonly path: string
  readonly size: number
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #files: Files
  #loaded = 0
  /** First frame, when there is a valid one at position 0. */
  first: Frame | undefined
  /** Accepted frames of this file. */
  readonly frames: Frame[] = []

  constructor(files: Files, number: number, path: string, size: number) {
    this.#files = files
    this.number = number
    this.path = path
    this.size = size
    const buffer = new SharedArrayBuffer(Math.max(FRAME_ALIGNMENT, size))
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
  }

  async load(end: number): Promise<void> {
    const to = Math.min(this.size, end)
    if (to <= this.#loaded) return
    const file = await this.#files.open(this.path, 'read')
    try {
      while (this.#loaded < to) {
        const until = Math.min(this.size, this.#loaded + pieceBytes)
        const got = await file.read(this.bytes.subarray(this.#loaded, until), this.#loaded)
        if (got !== until - this.#loaded) throw corrupt('file is shorter than its size', this.path, this.#loaded + got)
        this.#loaded = until
      }
    } catch (error) {
      throw ioError(error, this.path, 'reading the commit log')
    } finally {
      await file.close()
    }
  }

  /** The frame at `position`, loading what it needs. */
  async frameAt(position: number): Promise<Frame | undefined> {
    if (position + FRAME_HEADER_BYTES > this.size) return undefined
    await this.load(position + FRAME_HEADER_BYTES)
    if (this.view.getUint32(position + FRAME_MAGIC_AT, true) !== FRAME_MAGIC) return undefined
    await this.load(position + Math.min(this.size, this.view.getUint32(position + FRAME_SIZE, true)))
    return this.loadedFrameAt(position)
  }

  /** As `frameAt`, when all of the frame was loaded. */
  loadedFrameAt(position: number): Frame | undefined {
    try {
      return readFrame(this, position, this.size)
    } catch (error) {
      if (error instanceof VarveError)
        throw new VarveError(error.code, `${this.path}: ${error.message}`, { cause: error, details: { ...error.details, file: this.path } })
      throw error
    }
  }
}

interface Chain {
  readonly accepted: ScannedFile[]
  readonly endLsn: number
  readonly durableLsn: number
  readonly sequence: number
  readonly checksum: Uint8Array
  readonly closed: boolean
  readonly end: { readonly file: ScannedFile; readonly position: number } | undefined
}

export async function recoverCommitLog(
  environment: Environment,
  folder: string,
  point: FlushPoint,
  sequence: number,
  fileBytesFirst: number,
  visitor: RecoveryVisitor,
): Promise<RecoveredCommitLog> {
  const tails: TailFile[] = []
  try {
    return await recover(environment, folder, point, sequence, fileBytesFirst, visitor, tails)
  } catch (error) {
    for (const { file } of tails) if (file !== undefined) await closeLogFile(file).catch(() => undefined) // recovery's own error is the one to report
    throw error
  }
}

/** `tails` gets what is opened, so that it can be closed after a failure. */
async function recover(
  environment: Environment,
  folder: string,
  point: FlushPoint,
  sequence: number,
  fileBytesFirst: number,
  visitor: RecoveryVisitor,
  tails: TailFile[],
): Promise<RecoveredCommitLog> {
  const { files } = environment
  const found = classifyFiles(await files.list(folder))
  const scanned: ScannedFile[] = []
  for (const number of found.commits) {
    const path = `${folder}/${commitFileName(number)}`
    const stat = await files.stat(path)
    const file = new ScannedFile(files, number, path, stat?.size ?? 0)
    file.first = await file.frameAt(0)
    scanned.push(file)
  }
  const chain = await followChain(scanned, point, sequence)
  await refuseDamage(scanned, chain)
  for (const name of found.temporary) if (name.includes('.log')) await files.remove(`${folder}/${name}`)

  // What counts above the durable LSN goes into a fresh file; the arenas of the old files end at it.
  const unproven = chain.accepted.flatMap(file =>
    file.frames.filter(frame => frame.lsn >= chain.durableLsn).map(frame => ({ file, frame })),
  )
  let nextFileNumber = Math.max(0, ...found.commits, ...found.spares) + 1
  let arenaNumber = 1
  // Arenas are numbered in the order of the log: a file's staged commits come before the next file. The flusher relies on it.
  const sources: { arena: Arena; path: string; frames: Frame[]; nextStagedArena: number }[] = []
  const addSource = (arena: Arena, path: string, frames: Frame[]): void => {
    sources.push({ arena, path, frames, nextStagedArena: arenaNumber })
    for (const frame of frames) arenaNumber += commitRecordsOf(arena, frame).length
  }
  for (const file of chain.accepted) {
    const kept = file.frames.filter(frame => frame.lsn < chain.durableLsn)
    const last = kept.at(-1)
    const base = kept[0]?.lsn
    if (base === undefined || last === undefined) continue
    const arena = new Arena(arenaNumber++, file.bytes, base, false)
    arena.used = last.end
    const endLsn = base + alignFrame(last.end)
    addSource(arena, file.path, kept)
    tails.push(await openTail(environment, arena, file.path, file.number, file.size, endLsn, last))
  }
  let copiedBytes = 0
  if (unproven.length > 0) {
    copiedBytes = unproven.reduce((sum, { frame }) => sum + alignFrame(frame.end) - frame.start, 0)
    const number = nextFileNumber++
    const size = Math.max(Math.min(fileBytesFirst, freshBytesMin), alignFrame(copiedBytes + FRAME_ALIGNMENT))
    const arena = new Arena(arenaNumber++, new Uint8Array(new SharedArrayBuffer(size)), chain.durableLsn, false)
    const frames: Frame[] = []
    for (const { file, frame } of unproven) {
      const start = frame.lsn - chain.durableLsn
      arena.bytes.set(file.bytes.subarray(frame.start, frame.end), start)
      frames.push({ ...frame, start, end: start + (frame.end - frame.start) })
      arena.used = start + (frame.end - frame.start)
    }
    const path = `${folder}/${commitFileName(number)}`
    await writeFresh(files, folder, path, arena.bytes)
    addSource(arena, path, frames)
    tails.push(await openTail(environment, arena, path, number, size, chain.endLsn, frames.at(-1) as Frame))
  }

  // Entries, in order; staged commits are read in where their records stand.
  const stagedSeen = new Set<number>()
  const breath = new Breath(environment, breathMs)
  for (const [index, source] of sources.entries()) {
    for (const frame of source.frames) {
      await breath.due()
      const staged = new Map<number, { readonly file: StagedFile; readonly frame: Frame }>()
      for (const record of commitRecordsOf(source.arena, frame)) {
        const read = await readStagedFile(files, folder, record.number, record.bytes, record.checksum, source.nextStagedArena++, frame.lsn)
        staged.set(record.number, { file: read.staged, frame: read.frame })
        stagedSeen.add(record.number)
        tails[index]?.staged.push(read.staged)
      }
      visitor.frame(frame, source.arena)
      const problem = visitEntries(source.arena, frame, (kind, flags, logId, bodyStart, bodyEnd) => {
        if (kind !== ENTRY_STAGED) {
          visitor.entry(kind, flags, logId, source.arena, bodyStart, bodyEnd)
          return
        }
        const commit = staged.get(source.arena.view.getUint32(bodyStart, true))
        if (commit === undefined) throw corrupt('a commit record has another size than its kind', source.path, frame.start)
        const { arena, path } = commit.file
        const stagedProblem = visitEntries(arena, commit.frame, (innerKind, innerFlags, innerLog, start, end) =>
          visitor.entry(innerKind, innerFlags, innerLog, arena, start, end),
        )
        if (stagedProblem !== undefined) throw corrupt(stagedProblem, path, 0)
      })
      if (problem !== undefined) throw corrupt(problem, source.path, frame.start)
    }
  }

  visitor.finish()
  const kept = new Set(tails.map(tail => tail.file?.path))
  const spares = await sweep(
    files,
    folder,
    found,
    scanned.filter(file => !kept.has(file.path)),
    stagedSeen,
  )
  for (const tail of tails.slice(0, -1)) tail.sealed = true
  const newest = tails.at(-1)
  if (newest !== undefined && newest.file !== undefined && newest.file.size !== newest.arena.capacity) newest.sealed = true
  const tag = new Uint8Array(8)
  new DataView(tag.buffer).setUint32(0, environment.random.uint32(), true)
  new DataView(tag.buffer).setUint32(4, environment.random.uint32(), true)
  return {
    start: {
      tails,
      durableLsn: chain.endLsn,
      endLsn: chain.endLsn,
      sequence: chain.sequence,
      lastChecksum: chain.checksum,
      tag,
      nextArenaNumber: arenaNumber,
      nextStagedNumber: Math.max(0, ...found.staged) + 1,
    },
    nextFileNumber,
    spares,
    report: {
      frames: sources.reduce((sum, source) => sum + source.frames.length, 0),
      bytes: chain.endLsn - point.lsn,
      cleanClose: chain.closed,
      copiedBytes,
      end: chain.end === undefined ? undefined : { file: chain.end.file.path, position: chain.end.position },
    },
  }
}

/** The commit records of staged commits in a frame. */
function commitRecordsOf(arena: Arena, frame: Frame): { number: number; bytes: number; checksum: Uint8Array }[] {
  const records: { number: number; bytes: number; checksum: Uint8Array }[] = []
  const { view, bytes } = arena
  visitEntries(arena, frame, (kind, _flags, _logId, bodyStart, bodyEnd) => {
    if (kind !== ENTRY_STAGED || bodyEnd - bodyStart !== ENTRY_STAGED_BODY_BYTES) return
    records.push({
      number: view.getUint32(bodyStart, true),
      bytes: readU64(view, bodyStart + 8),
      checksum: bytes.slice(bodyStart + 16, bodyStart + 24),
    })
  })
  return records
}

/** Step 2: the frames that count, file by file. A closing frame is not counted; it says that everything before it is durable. */
async function followChain(scanned: readonly ScannedFile[], point: FlushPoint, sequenceAtPoint: number): Promise<Chain> {
  let lsn = point.lsn
  let checksum = point.checksum
  let durableLsn = point.lsn
  let sequence = sequenceAtPoint
  let current: ScannedFile | undefined
  let position = 0
  const accepted: ScannedFile[] = []
  for (;;) {
    const next: ScannedFile | undefined = scanned.findLast(
      file =>
        file.first !== undefined &&
        file.first.lsn === lsn &&
        (current === undefined || file.number > current.number) &&
        equalBytes(file.first.previousChecksum, checksum),
    )
    if (next !== undefined) {
      current = next
      position = 0
      accepted.push(next)
    }
    if (current === undefined) return { accepted, endLsn: lsn, durableLsn, sequence, checksum, closed: false, end: undefined }
    const frame: Frame | undefined = await current.frameAt(position)
    const isStaged = frame !== undefined && (frame.flags & FRAME_FLAG_STAGED) !== 0
    if (frame === undefined || isStaged || frame.lsn !== lsn || !equalBytes(frame.previousChecksum, checksum)) {
      return { accepted, endLsn: lsn, durableLsn, sequence, checksum, closed: false, end: { file: current, position } }
    }
    if (frame.durableLsn > frame.lsn) throw corrupt('a frame knows itself as durable before it was written', current.path, position)
    durableLsn = Math.max(durableLsn, frame.durableLsn)
    sequence = Math.max(sequence, frame.sequence)
    if ((frame.flags & FRAME_FLAG_CLOSE) !== 0)
      return { accepted, endLsn: lsn, durableLsn: lsn, sequence, checksum, closed: true, end: undefined }
    current.frames.push(frame)
    lsn += alignFrame(frame.end) - frame.start
    checksum = frame.checksum
    position = alignFrame(frame.end)
  }
}

/** Step 3: a frame behind the break that knows the broken place as durable makes the break damage. */
async function refuseDamage(scanned: readonly ScannedFile[], chain: Chain): Promise<void> {
  const breakFile = chain.end?.file
  for (const file of scanned) {
    if (file !== breakFile && chain.accepted.includes(file)) continue
    let position = file === breakFile ? (chain.end?.position ?? 0) : 0
    await file.load(file.size)
    while (position + FRAME_HEADER_BYTES <= file.size) {
      const frame = file.loadedFrameAt(position)
      if (frame !== undefined && frame.lsn > chain.endLsn && frame.durableLsn > chain.endLsn) {
        throw corrupt(
          'the commit log is damaged: later frames prove that the bytes here were on the disk',
          breakFile?.path ?? file.path,
          chain.end?.position ?? 0,
          {
            lsn: chain.endLsn,
            provenBy: frame.lsn,
          },
        )
      }
      position += frame === undefined ? FRAME_ALIGNMENT : alignFrame(frame.end) - frame.start
    }
  }
}

async function openTail(
  environment: Environment,
  arena: Arena,
  path: string,
  number: number,
  size: number,
  endLsn: number,
  last: Frame,
): Promise<TailFile> {
  const file: LogFile = await openLogFile(environment, path, number, size)
  return {
    arena,
    ready: Promise.resolve(file),
    file,
    staged: [],
    endLsn,
    lastChecksum: last.checksum,
    lastSequence: last.sequence,
    openedMs: environment.clock.monotonic(),
    sealed: false,
    countedBytes: arena.capacity,
  }
}

async function writeFresh(files: Files, folder: string, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryFileName(path)
  try {
    const file = await files.open(temporary, 'create')
    try {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) await file.write(bytes.subarray(at, at + pieceBytes), at)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.rename(temporary, path)
    await files.syncDirectory(folder)
  } catch (error) {
    throw ioError(error, path, 'copying the tail of the commit log')
  }
}

/** Step 5. Returns the spare files that may be used again. */
async function sweep(
  files: Files,
  folder: string,
  found: ReturnType<typeof classifyFiles>,
  dead: readonly ScannedFile[],
  stagedSeen: ReadonlySet<number>,
): Promise<{ number: number; size: number }[]> {
  const gone = [
    ...dead.map(file => commitFileName(file.number)),
    ...found.staged.filter(number => !stagedSeen.has(number)).map(stagedFileName),
  ]
  for (const name of gone) await files.remove(`${folder}/${name}`)
  if (gone.length > 0) await files.syncDirectory(folder)
  const spares: { number: number; size: number }[] = []
  for (const number of found.spares) {
    const stat = await files.stat(`${folder}/${spareFileName(number)}`)
    if (stat !== undefined) spares.push({ number, size: stat.size })
  }
  return spares
}
