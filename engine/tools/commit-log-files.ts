/**
 * The commit log as the tools read it: whole files in memory, frames on demand, and the chain of frames that counts.
 *
 * The rules are those of `commit-log/recovery.ts`, written a second time on purpose: recovery changes the folder as it goes and stops at the
 * first trouble, tools change nothing and want to know all of it; and two readings of one format check each other.
 */

import { alignFrame, FRAME_ALIGNMENT, FRAME_FLAG_CLOSE, FRAME_HEADER_BYTES } from '../commit-log/format.ts'
import { equalBytes, type Frame, type FrameBuffer, readFrame } from '../commit-log/frame.ts'
import type { FlushPoint } from '../commit-log/recovery.ts'
import type { Files } from '../env/environment.ts'
import { corrupt, ioError, VarveError } from '../errors.ts'
import type { NumberedFile, Progress } from './folder.ts'

const pieceBytes = 4 << 20

/** One file of the commit log, read whole. */
export class LogFile implements FrameBuffer {
  readonly number: number
  readonly path: string
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #known = new Map<number, Frame | undefined>()
  #all: readonly Frame[] | undefined

  constructor(number: number, path: string, bytes: Uint8Array) {
    this.number = number
    this.path = path
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** The frame at `position`, undefined when none checks there. A frame of a newer version counts as none; see `newerAt`. */
  frameAt(position: number): Frame | undefined {
    if (this.#known.has(position)) return this.#known.get(position)
    let frame: Frame | undefined
    try {
      frame = readFrame(this, position, this.bytes.byteLength)
    } catch (error) {
      if (!(error instanceof VarveError)) throw error
    }
    this.#known.set(position, frame)
    return frame
  }

  /** Why the frame at `position`, whose checksum is right, cannot be used by this version; undefined when that is not so. */
  newerAt(position: number): VarveError | undefined {
    try {
      readFrame(this, position, this.bytes.byteLength)
      return undefined
    } catch (error) {
      return error instanceof VarveError ? error : undefined
    }
  }

  /** Every frame that checks, wherever it lies, whether it counts or not. */
  get all(): readonly Frame[] {
    if (this.#all !== undefined) return this.#all
    const found: Frame[] = []
    for (let position = 0; position + FRAME_HEADER_BYTES <= this.bytes.byteLength; ) {
      const frame = this.frameAt(position)
      if (frame !== undefined) found.push(frame)
      position = frame === undefined ? position + FRAME_ALIGNMENT : alignFrame(frame.end)
    }
    this.#all = found
    return found
  }
}

/** Reads the files. Errors: IO. A file that is shorter than its size is taken as it is. */
export async function loadLogFiles(files: Files, list: readonly NumberedFile[], progress?: Progress): Promise<LogFile[]> {
  const loaded: LogFile[] = []
  for (const { number, path, bytes: size } of list) loaded.push(new LogFile(number, path, await readWhole(files, path, size, progress)))
  return loaded
}

/** The file's bytes, in memory that a worker could share. */
export async function readWhole(files: Files, path: string, size: number, progress?: Progress): Promise<Uint8Array> {
  const bytes = new Uint8Array(new SharedArrayBuffer(Math.max(size, FRAME_HEADER_BYTES)))
  try {
    const file = await files.open(path, 'read')
    try {
      for (let at = 0; at < size; at += pieceBytes) {
        const end = Math.min(size, at + pieceBytes)
        await file.read(bytes.subarray(at, end), at)
        progress?.add(end - at, path)
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error
    throw ioError(error, path, 'reading')
  }
  return bytes
}

export interface ChainFrame {
  readonly file: LogFile
  readonly frame: Frame
}

/** The frames that count from a flush point on. */
export interface Chain {
  readonly frames: readonly ChainFrame[]
  readonly startLsn: number
  readonly endLsn: number
  /** Everything below was known to be on the disk by some frame of the chain. */
  readonly durableLsn: number
  readonly sequence: number
  /** Of the last frame; what the next one must name. */
  readonly checksum: Uint8Array
  /** It ends with a closing frame. */
  readonly closed: boolean
  /** Where the next frame would stand; undefined when no file continues the chain at all. */
  readonly end: { readonly file: LogFile; readonly position: number } | undefined
}

export function followChain(files: readonly LogFile[], point: FlushPoint, sequenceAtPoint: number): Chain {
  const frames: ChainFrame[] = []
  let { lsn, checksum } = point
  let durableLsn = point.lsn
  let sequence = sequenceAtPoint
  let current: LogFile | undefined
  let position = 0
  const done = (closed: boolean): Chain => ({
    frames,
    startLsn: point.lsn,
    endLsn: lsn,
    durableLsn: closed ? lsn : durableLsn,
    sequence,
    checksum,
    closed,
    end: current === undefined ? undefined : { file: current, position },
  })
  const continues = (frame: Frame | undefined): frame is Frame =>
    frame !== undefined && frame.lsn === lsn && equalBytes(frame.previousChecksum, checksum)
  for (;;) {
    const after = current?.number ?? -1
    const next = files.findLast(file => file.number > after && continues(file.frameAt(0)))
    if (next !== undefined) {
      current = next
      position = 0
    }
    const frame = current?.frameAt(position)
    if (current === undefined || !continues(frame) || frame.durableLsn > frame.lsn) return done(false)
    durableLsn = Math.max(durableLsn, frame.durableLsn)
    sequence = Math.max(sequence, frame.sequence)
    if ((frame.flags & FRAME_FLAG_CLOSE) !== 0) return done(true)
    frames.push({ file: current, frame })
    lsn += alignFrame(frame.end) - frame.start
    checksum = frame.checksum
    position = alignFrame(frame.end)
  }
}

/** The chain without its frames from `count` on: what is left when one of them turned out to be unusable. */
export function cutChain(chain: Chain, count: number, point: FlushPoint, sequenceAtPoint: number): Chain {
  const frames = chain.frames.slice(0, count)
  const cut = chain.frames[count]
  const last = frames.at(-1)?.frame
  return {
    frames,
    startLsn: chain.startLsn,
    endLsn: cut?.frame.lsn ?? chain.endLsn,
    durableLsn: cut?.frame.lsn ?? chain.durableLsn,
    sequence: last?.sequence ?? sequenceAtPoint,
    checksum: last?.checksum ?? point.checksum,
    closed: cut === undefined && chain.closed,
    end: cut === undefined ? chain.end : { file: cut.file, position: cut.frame.start },
  }
}

/**
 * A frame behind the end of the chain that knows the broken place as durable: the chain does not end in a torn tail then, it is damaged. The
 * frame need not be part of the chain; files before the one with the break hold the past and say nothing.
 */
export function proofOfDamage(files: readonly LogFile[], chain: Chain): ChainFrame | undefined {
  for (const file of files) {
    const from = file === chain.end?.file ? chain.end.position : 0
    if (chain.end !== undefined && file.number < chain.end.file.number) continue
    const frame = file.all.find(found => found.start >= from && found.lsn > chain.endLsn && found.durableLsn > chain.endLsn)
    if (frame !== undefined) return { file, frame }
  }
  return undefined
}

/** Frames that lie behind the break and above it: what cannot be reached any more. */
export function lostFrames(files: readonly LogFile[], chain: Chain): ChainFrame[] {
  const lost: ChainFrame[] = []
  const taken = new Set<number>()
  const counted = new Set(chain.frames.map(({ file, frame }) => `${file.number}:${frame.start}`))
  for (const file of files.toReversed()) {
    if (chain.end !== undefined && file.number < chain.end.file.number) continue
    for (const frame of file.all) {
      if (frame.lsn < chain.endLsn || taken.has(frame.lsn) || counted.has(`${file.number}:${frame.start}`)) continue
      if ((frame.flags & FRAME_FLAG_CLOSE) !== 0) continue
      taken.add(frame.lsn)
      lost.push({ file, frame })
    }
  }
  return lost.sort((a, b) => a.frame.lsn - b.frame.lsn)
}

/** The damage as an error: the place of the break and the frame that proves it. */
export function damageError(chain: Chain, proof: ChainFrame): VarveError {
  return corrupt(
    'the commit log is damaged: later frames prove that the bytes here were on the disk',
    chain.end?.file.path ?? proof.file.path,
    chain.end?.position ?? 0,
    { lsn: chain.endLsn, provenBy: proof.frame.lsn },
  )
}
