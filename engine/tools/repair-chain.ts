/**
 * Which frames of the commit log `repair` keeps.
 *
 *   1. `chainFrom` follows the chain from a flush point and cuts it before the first frame that cannot be replayed: entries that do not add up,
 *      a batch that does not parse, a staged file that is missing or another
 *   2. `bestChain` finds the chain without a flush point: of all files that begin with a frame, the one from which the log's end is reached
 *   3. `pointByCoverage` finds the flush point in such a chain: behind the last frame with a batch that the segments hold already
 *   4. `describeFrames` names what lies behind the cut: logs, offsets, bytes
 * A frame that a newer version wrote ends the repair.
 */
import { alignFrame, ENTRY_FLAG_CARRIED, ENTRY_STORE_BATCH, ENTRY_TOPIC_BATCH } from '../commit-log/format.ts'
import type { FlushPoint } from '../commit-log/recovery.ts'
import type { Files } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import { batchBase, batchEnd } from '../log/batch-kinds.ts'
import { type Chain, type ChainFrame, cutChain, followChain, type LogFile, lostFrames, proofOfDamage } from './commit-log-files.ts'
import { ChainEntries, checkEntry, plainMessage } from './replay.ts'
import { editsOfChain, type SystemBatch } from './system-log.ts'

export interface FlushState extends FlushPoint {
  readonly sequence: number
}

export interface KeptChain {
  readonly point: FlushState
  readonly chain: Chain
  readonly entries: ChainEntries
  /** Edits of the system log in it. */
  readonly edits: readonly SystemBatch[]
  /** Why it ends where it ends, when that is damage; undefined for a clean end and for a torn tail. */
  readonly damage: { readonly file: string; readonly position: number; readonly message: string } | undefined
  readonly lost: readonly ChainFrame[]
  /** The logs in it, staged commits included. */
  readonly logs: ReadonlyMap<number, FrameRange>
  /** It holds a frame at the flush point, or nothing above it exists. */
  readonly begins: boolean
}

/** Where a replay over all logs failed: the chain is cut before the frame that holds this LSN. */
export interface Cut {
  readonly lsn: number
  readonly file: string
  readonly position: number
  readonly message: string
}

/** Step 1. */
export async function chainFrom(
  files: Files,
  folder: string,
  logFiles: readonly LogFile[],
  point: FlushState,
  cut: Cut | undefined,
): Promise<KeptChain> {
  const whole = followChain(logFiles, point, point.sequence)
  const proof = proofOfDamage(logFiles, whole)
  let chain = whole
  let damage: KeptChain['damage']
  if (proof !== undefined) {
    const place = whole.end ?? { file: proof.file, position: 0 }
    const message = `damaged here: a later frame, at byte ${proof.frame.start} of ${proof.file.path}, proves that these bytes were on the disk`
    damage = { file: place.file.path, position: place.position, message }
  }
  const entries = new ChainEntries(files, folder)
  for (const [index, chainFrame] of whole.frames.entries()) {
    if (cut !== undefined && chainFrame.frame.lsn + (alignFrame(chainFrame.frame.end) - chainFrame.frame.start) > cut.lsn) {
      chain = cutChain(whole, index, point, point.sequence)
      damage = cut
      break
    }
    const problem = await frameProblem(entries, chainFrame)
    if (problem === undefined) continue
    if (problem.code === 'NEWER_FORMAT') throw problem
    chain = cutChain(whole, index, point, point.sequence)
    const file = problem.details.file ?? chainFrame.file.path
    damage = { file, position: problem.details.position ?? chainFrame.frame.start, message: plainMessage(problem, file) }
    break
  }
  const kept = new ChainEntries(files, folder)
  return {
    point,
    chain,
    entries: kept,
    edits: await editsOfChain(chain, kept),
    logs: await describeFrames(chain.frames, kept),
    damage,
    lost: damage === undefined ? [] : lostFrames(logFiles, chain),
    begins: chain.frames.length > 0 || lostFrames(logFiles, chain).length === 0,
  }
}

async function frameProblem(entries: ChainEntries, chainFrame: ChainFrame): Promise<VarveError | undefined> {
  try {
    await entries.visit(chainFrame, entry => checkEntry(entry))
    return undefined
  } catch (error) {
    if (error instanceof VarveError) return error
    throw error
  }
}

/** Step 2. Undefined when no file begins with a frame above `lsnMin`. */
export async function bestChain(
  files: Files,
  folder: string,
  logFiles: readonly LogFile[],
  lsnMin: number,
  cut: Cut | undefined,
): Promise<KeptChain | undefined> {
  let best: { point: FlushState; end: number } | undefined
  for (const file of logFiles) {
    const first = file.frameAt(0)
    if (first === undefined) continue
    const point = { lsn: first.lsn, checksum: first.previousChecksum, sequence: 0 }
    const { endLsn } = followChain(logFiles, point, 0)
    if (endLsn <= lsnMin) continue
    if (best === undefined || endLsn > best.end || (endLsn === best.end && point.lsn < best.point.lsn)) best = { point, end: endLsn }
  }
  return best === undefined ? undefined : await chainFrom(files, folder, logFiles, best.point, cut)
}

/** Where the point lies in the chain: index of the frame that begins there, the number of frames when it is the end; undefined elsewhere. */
export function indexOfPoint(chain: Chain, point: FlushPoint): number | undefined {
  const same = (left: Uint8Array, right: Uint8Array): boolean => left.every((byte, i) => byte === right[i])
  const index = chain.frames.findIndex(({ frame }) => frame.lsn === point.lsn && same(frame.previousChecksum, point.checksum))
  if (index >= 0) return index
  return chain.endLsn === point.lsn && same(chain.checksum, point.checksum) ? chain.frames.length : undefined
}

/** Step 3. `flushedEnd`: up to which offset segments hold a log. */
export async function pointByCoverage(kept: KeptChain, flushedEnd: (logId: number) => number, sequence: number): Promise<FlushState> {
  const { chain, entries } = kept
  let after = 0
  for (const [index, chainFrame] of chain.frames.entries()) {
    await entries.visit(chainFrame, ({ kind, flags, logId, arena, start }) => {
      const batchKind = kind === ENTRY_TOPIC_BATCH ? 'topic' : kind === ENTRY_STORE_BATCH ? 'store' : undefined
      if (batchKind === undefined || (flags & ENTRY_FLAG_CARRIED) !== 0) return
      if (batchEnd(batchKind, arena.bytes, start) <= flushedEnd(logId)) after = index + 1
    })
  }
  const next = chain.frames[after]?.frame
  const last = chain.frames[after - 1]?.frame
  return {
    lsn: next?.lsn ?? chain.endLsn,
    checksum: next?.previousChecksum ?? chain.checksum,
    sequence: Math.max(sequence, last?.sequence ?? 0),
  }
}

/** What frames hold of one log. */
export interface FrameRange {
  readonly kind: 'topic' | 'store'
  readonly from: number
  /** Exclusive. */
  readonly to: number
  readonly bytes: number
}

/** Step 4, what can still be read of it: offsets of each log in these frames and in the staged commits that they name, by log id. */
export async function describeFrames(frames: readonly ChainFrame[], entries: ChainEntries): Promise<Map<number, FrameRange>> {
  const ranges = new Map<number, FrameRange>()
  for (const chainFrame of frames) {
    try {
      await entries.visit(chainFrame, ({ kind: entryKind, logId, arena, start, end }) => {
        const kind = entryKind === ENTRY_TOPIC_BATCH ? 'topic' : entryKind === ENTRY_STORE_BATCH ? 'store' : undefined
        if (kind === undefined) return
        const from = batchBase(kind, arena.bytes, start)
        const to = batchEnd(kind, arena.bytes, start)
        const known = ranges.get(logId) ?? { kind, from, to, bytes: 0 }
        ranges.set(logId, {
          kind,
          from: Math.min(known.from, from),
          to: Math.max(known.to, to),
          bytes: known.bytes + end - start,
        })
      })
    } catch (error) {
      if (!(error instanceof VarveError)) throw error
    }
  }
  return ranges
}

/** Pieces of files that hold the lost frames, and what is between them: `[position, position + bytes)` of each file. */
export function lostPieces(kept: KeptChain): { readonly file: string; readonly position: number; readonly bytes: number }[] {
  const ends = new Map<LogFile, number>()
  for (const { file, frame } of kept.lost) ends.set(file, Math.max(ends.get(file) ?? 0, alignFrame(frame.end)))
  const end = kept.chain.end
  if (end !== undefined && !ends.has(end.file)) ends.set(end.file, end.position + 512)
  return [...ends].map(([file, to]) => {
    const position = file === end?.file ? end.position : 0
    return { file: file.path, position, bytes: Math.max(0, Math.min(to, file.bytes.byteLength) - position) }
  })
}
