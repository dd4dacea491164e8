/**
 * The merge task: writes parts of old segments into new ones. One task serves consolidation (fewer, larger segments; dead parts left out), the
 * compaction of a topic by key, and the merging of runs; they differ only in how the records of a group are joined. Runs in the worker.
 *
 * A group is the parts of one log and type that become one part, or pieces of a store's bottom level; groups arrive sorted by (log, type, offset).
 * Small groups share an output, large ones get their own, and each further piece its own.
 */
import { CODEC_NONE } from '../codec/compression.ts'
import { loadChecksums } from '../codec/xxh64.ts'
import type { TaskPlace } from '../env/environment.ts'
import { assert } from '../errors.ts'
import type { ColumnOptions } from '../segment/column-writer.ts'
import { PART_RUN } from '../segment/format.ts'
import type { KeyRange } from '../segment/key-range.ts'
import type { AbortedTransactionEntry, PartStart } from '../segment/part.ts'
import { SegmentReader } from '../segment/reader.ts'
import type { SegmentSummary } from '../segment/writer.ts'
import { TopicCompaction } from './compact-topic.ts'
import { mergeOffsets, type OffsetSource } from './merge-offsets.ts'
import { sourcesInRange } from './merge-range.ts'
import { RunMerge, type RunMergeOptions } from './merge-runs.ts'
import { SegmentOutputs, writePieces } from './segment-outputs.ts'

export interface MergePart {
  readonly segmentId: number
  readonly part: number
}

export interface MergeGroup {
  readonly logId: number
  readonly name: string
  /** 1 topic, 2 store. */
  readonly kind: number
  readonly type: number
  readonly versioned: boolean
  readonly firstOffset: number
  readonly endOffset: number
  /** What is read; runs of the bottom level among them in key order, all others in offset order. */
  readonly parts: readonly MergePart[]
  /** Which of them the result replaces. Default: all. Runs that are merged piece by piece stay until their last piece. */
  readonly replaced?: readonly MergePart[]
  /** Batches wholly below it are left out. */
  readonly startOffset: number
  /** Bytes that are read: decides about a segment of its own. */
  readonly bytes: number
  readonly compact?: {
    readonly dirtyStart: number
    readonly end: number
    readonly deleteRetentionMs: number
    readonly mapBytes: number
    /** Aborted transactions whose markers are not in the parts. */
    readonly aborted: readonly AbortedTransactionEntry[]
  }
  /** Runs: what the merge may leave out. */
  readonly runs?: RunMergeOptions
  /** Runs: level of the result. */
  readonly level?: number
  /** Runs: id of the codec that the result's blocks are written with. Default: none. */
  readonly codec?: number
  /** Fields that become columns of the result. Default: none. */
  readonly columns?: ColumnOptions | undefined
  /** Pieces of the bottom level: the keys that are merged; the result says so. */
  readonly range?: KeyRange
  /** Pieces of the bottom level: a piece of this size is cut, and the next one goes into a file of its own. Default: never. */
  readonly pieceBytes?: number
  /** The same: bytes of the runs above the bottom in it. */
  readonly newsBytes?: number
  /** Runs: the parts are not read, an empty run takes their place. */
  readonly isEmpty?: boolean
  /** Chosen by run compaction, which counts it. */
  readonly isCompaction?: boolean
}

export interface MergeInput {
  readonly folder: string
  readonly databaseId: Uint8Array
  readonly editId: number
  readonly segmentIds: readonly number[]
  readonly paths: readonly string[]
  /** Source segments: id and path. */
  readonly sources: readonly { readonly id: number; readonly path: string }[]
  readonly groups: readonly MergeGroup[]
  readonly ownSegmentBytes: number
  readonly seed: number
}

export interface MergeOutput {
  readonly segments: readonly SegmentSummary[]
  readonly bytesIn: number
  /** For compactions: up to where each log was cleaned. */
  readonly cleaned: readonly { readonly logId: number; readonly end: number }[]
}

/** Most files that one group makes. */
export function filesMax({ bytes, pieceBytes }: MergeGroup): number {
  return pieceBytes === undefined ? 1 : Math.ceil(bytes / pieceBytes) + 1
}

/** Whether the group gets files of its own. */
export function isOwn(group: MergeGroup, ownSegmentBytes: number): boolean {
  return group.bytes >= ownSegmentBytes
}

export async function merge(input: MergeInput, place: TaskPlace): Promise<MergeOutput> {
  await loadChecksums()
  const readers = new Map<number, SegmentReader>()
  const cleaned: { logId: number; end: number }[] = []
  const planned = planOutputs(input.groups, input.ownSegmentBytes)
  // How many pieces a group makes is known when the last one is cut.
  const countsPieces = input.groups.some(({ pieceBytes }) => pieceBytes !== undefined)
  const outputs = new SegmentOutputs(place, input, countsPieces ? undefined : planned.length)
  const total = input.groups.reduce((sum, group) => sum + group.bytes, 0)
  let segments: SegmentSummary[]
  let done = 0
  try {
    for (const { id, path } of input.sources) readers.set(id, SegmentReader.open(place.files, path, { isBrief: true }))
    for (const groups of planned) {
      outputs.next(replacedBy(groups))
      for (const group of groups) {
        writeGroup(outputs, group, readers, input.seed, place.clock.now(), cleaned)
        done += group.bytes
        place.report(done, total)
      }
    }
    segments = outputs.finish()
    await place.files.syncDirectory(input.folder)
  } catch (error) {
    await outputs.remove() // half an edit is no edit; what stays is swept at opening
    throw error
  } finally {
    outputs.close()
    for (const reader of readers.values()) reader.close()
  }
  return { segments, bytesIn: total, cleaned }
}

function planOutputs(groups: readonly MergeGroup[], ownSegmentBytes: number): MergeGroup[][] {
  const own = groups.filter(group => isOwn(group, ownSegmentBytes)).map(group => [group])
  const shared = groups.filter(group => !isOwn(group, ownSegmentBytes))
  return shared.length > 0 ? [...own, shared] : own
}

function replacedBy(groups: readonly MergeGroup[]): MergePart[] {
  return groups.flatMap(group => group.replaced ?? group.parts)
}

function writeGroup(
  outputs: SegmentOutputs,
  group: MergeGroup,
  readers: ReadonlyMap<number, SegmentReader>,
  seed: number,
  now: number,
  cleaned: { logId: number; end: number }[],
): void {
  const { writer } = outputs
  const read = group.isEmpty === true ? [] : group.parts
  const sources: OffsetSource[] = read.map(({ segmentId, part }) => {
    const reader = readers.get(segmentId)
    assert(reader !== undefined, 'a source segment is open', segmentId)
    return { reader, part }
  })
  const { logId, name, kind, type, versioned, endOffset } = group
  const start = {
    logId,
    name,
    kind,
    type,
    versioned,
    columns: group.columns,
    firstOffset: Math.max(group.firstOffset, Math.min(group.startOffset, endOffset)),
    endOffset,
  }
  if (type === PART_RUN) {
    writeRun(outputs, group, sources, { ...start, level: group.level ?? 0, codec: group.codec ?? CODEC_NONE })
    return
  }
  if (group.compact === undefined) {
    writer.beginPart({ ...start, firstOffset: firstKeptOffset(sources, group) })
    mergeOffsets(sources, writer, { startOffset: group.startOffset })
  } else {
    const compaction = new TopicCompaction({ ...group.compact, now, seed })
    const { end } = compaction.scan(sources)
    writer.beginPart({ ...start, firstOffset: group.firstOffset })
    compaction.clean(sources, writer)
    cleaned.push({ logId, end })
  }
  writer.endPart()
}

/** One run, or pieces of the bottom level in files of their own. */
function writeRun(outputs: SegmentOutputs, group: MergeGroup, sources: readonly OffsetSource[], start: PartStart): void {
  const { range, pieceBytes = Number.POSITIVE_INFINITY } = group
  const inputs = sources.flatMap(({ reader, part }) => sourcesInRange(reader, part, range ?? {}))
  const merge = new RunMerge(inputs, { versioned: group.versioned, ...group.runs })
  writePieces(outputs, merge, start, { range, pieceBytes, filesMax: filesMax(group), replaced: replacedBy([group]) })
}

/** Where the merged part begins: whole batches below the log's start are left out, the batch that contains it stays. */
function firstKeptOffset(sources: readonly OffsetSource[], group: MergeGroup): number {
  for (const { reader, part } of sources) {
    const index = reader.batchIndex(part)
    const block = index.findByOffset(group.startOffset)
    if (block < index.blockCount)
      return Math.min(Math.max(group.firstOffset, index.baseOffset(block)), Math.max(group.firstOffset, group.startOffset))
  }
  return group.endOffset
}
