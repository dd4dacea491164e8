/**
 * Staged commits: a commit larger than a frame is written to a file of its own first; a small commit record in the log names that file with
 * its checksum and thereby makes it part of the log. Without the record recovery deletes the file.
 *
 * A staging file holds one frame with FRAME_FLAG_STAGED at position 0. The frame with the record waits for `ready`, so when the record is
 * on the disk, so is the file, with its name.
 */
import type { Environment, Files } from '../env/environment.ts'
import { corrupt, ioError } from '../errors.ts'
import { Arena } from './arena.ts'
import { FRAME_CHECKSUM, FRAME_FLAG_STAGED, stagedFileName } from './format.ts'
import { equalBytes, type Frame, readFrame, sealFrame } from './frame.ts'

const pieceBytes = 1 << 20

export interface StagedFile {
  readonly number: number
  readonly path: string
  readonly arena: Arena
  /** Resolves when file and name are on the disk. */
  readonly ready: Promise<void>
}

/** Seals the staged frame in `arena` at once and starts to write it. */
export function writeStagedFile(
  environment: Environment,
  folder: string,
  path: string,
  number: number,
  arena: Arena,
  entryCount: number,
  facts: { readonly tag: Uint8Array; readonly sequence: number; readonly time: number },
): StagedFile {
  sealFrame(arena, 0, arena.used, {
    flags: FRAME_FLAG_STAGED,
    entryCount,
    tag: facts.tag,
    lsn: 0,
    durableLsn: 0,
    previousChecksum: new Uint8Array(8),
    sequence: facts.sequence,
    time: facts.time,
  })
  const ready = writeWhole(environment.files, folder, path, arena.bytes.subarray(0, arena.used))
  ready.catch(() => undefined) // reported by the frame that waits for it
  return { number, path, arena, ready }
}

async function writeWhole(files: Files, folder: string, path: string, bytes: Uint8Array): Promise<void> {
  try {
    const file = await files.open(path, 'create')
    try {
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) await file.write(bytes.subarray(at, at + pieceBytes), at)
      await file.sync()
    } finally {
      await file.close()
    }
    await files.syncDirectory(folder)
  } catch (error) {
    throw ioError(error, path, 'writing a staging file')
  }
}

/** Reads the staging file that a commit record names. Its commit is part of the log, so anything wrong is damage. */
export async function readStagedFile(
  files: Files,
  folder: string,
  number: number,
  frameBytes: number,
  checksum: Uint8Array,
  arenaNumber: number,
  lsn: number,
): Promise<{ readonly staged: StagedFile; readonly frame: Frame }> {
  const path = `${folder}/${stagedFileName(number)}`
  const stat = await files.stat(path)
  if (stat === undefined) throw corrupt('the staging file of a commit is missing', path, 0)
  if (stat.size < frameBytes)
    throw corrupt('the staging file of a commit is cut off', path, stat.size, { expected: frameBytes, actual: stat.size })
  const arena = new Arena(arenaNumber, new Uint8Array(new SharedArrayBuffer(frameBytes)), lsn, true)
  const file = await files.open(path, 'read')
  try {
    await file.read(arena.bytes, 0)
  } catch (error) {
    throw ioError(error, path, 'reading a staging file')
  } finally {
    await file.close()
  }
  arena.used = frameBytes
  const frame = readFrame(arena, 0, frameBytes)
  const agrees =
    frame !== undefined &&
    frame.end === frameBytes &&
    (frame.flags & FRAME_FLAG_STAGED) !== 0 &&
    equalBytes(arena.bytes.subarray(FRAME_CHECKSUM, FRAME_CHECKSUM + 8), checksum)
  if (!agrees) throw corrupt('the staging file of a commit does not match its commit record', path, 0)
  return { staged: { number, path, arena, ready: Promise.resolve() }, frame }
}

/** Removes the staging file of a flushed commit. */
export async function discardStagedFile(files: Files, staged: StagedFile): Promise<void> {
  await staged.ready
  await files.remove(staged.path)
}
