/**
 * The merge task: writes parts of old segments into new ones. One task serves consolidation (fewer, larger segments; dead parts left out), the
 * compaction of a topic by key, and the merging of runs; they differ only in how the records of a group are joined. Runs in the worker.
 *
 * A group is the parts of one log and type that become one part; groups arrive sorted by (log, type, offset). Small groups share an output,
 * large ones get their own.
 */
import { loadChecksums } from '../codec/xxh64.ts'
import type { TaskPlace } from '../env/environment.ts'
import { assert } from '../errors.ts'
import type { ReplacedPart } from '../segment/footer.ts'
import { PART_RUN } from '../segment/format.ts'
import type { AbortedTransactionEntry } from '../segment/part.ts'
import { SegmentReader } from '../segment/reader.ts'
import { RunCursor } from '../segment/run-reader.ts'
import { type SegmentSummary, SegmentWriter } from '../segment/writer.ts'
import { TopicCompaction } from './compact-topic.ts'
import { mergeOffsets, type OffsetSource } from './merge-offsets.ts'
import { type MergeSource, mergeRuns, type RunMergeOptions } from './merge-runs.ts'

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
  /** In offset order. */
  readonly parts: readonly MergePart[]
  /** Batches wholly below it are left out. */
  readonly startOffset: number
  /** Bytes of the parts: decides about a segment of its own. */
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

export async function merge(input: MergeInput, place: TaskPlace): Promise<MergeOutput> {
  await loadChecksums()
  const readers = new Map<number, SegmentReader>()
  const written: string[] = []
  const segments: SegmentSummary[] = []
  const cleaned: { logId: number; end: number }[] = []
  const outputs = planOutputs(input.groups, input.ownSegmentBytes)
  assert(outputs.length <= input.segmentIds.length, 'enough segment ids were given', outputs.length, input.segmentIds.length)
  const total = input.groups.reduce((sum, group) => sum + group.bytes, 0)
  let done = 0
  try {
    for (const { id, path } of input.sources) readers.set(id, SegmentReader.open(place.files, path))
    for (const [index, groups] of outputs.entries()) {
      const path = input.paths[index] as string
      written.push(path)
      const file = place.files.openSync(path, 'create')
      try {
        const writer = new SegmentWriter(file, {
          segmentId: input.segmentIds[index] as number,
          databaseId: input.databaseId,
          editId: input.editId,
          createdMs: place.clock.now(),
        })
        for (const group of groups) {
          writeGroup(writer, group, readers, input.seed, place.clock.now(), cleaned)
          done += group.bytes
          place.report(done, total)
        }
        const replaced: ReplacedPart[] = groups.flatMap(group => group.parts.map(({ segmentId, part }) => ({ segmentId, part })))
        segments.push(writer.finish({ outputIndex: index, outputCount: outputs.length, replaced, sync: true }))
      } finally {
        file.closeSync()
      }
    }
    await place.files.syncDirectory(input.folder)
  } catch (error) {
    for (const path of written) await place.files.remove(path).catch(() => undefined) // half an edit is no edit; what stays is swept at opening
    throw error
  } finally {
    for (const reader of readers.values()) reader.close()
  }
  return { segments, bytesIn: total, cleaned }
}

function planOutputs(groups: readonly MergeGroup[], ownSegmentBytes: number): MergeGroup[][] {
  const own = groups.filter(group => group.bytes >= ownSegmentBytes).map(group => [group])
  const shared = groups.filter(group => group.bytes < ownSegmentBytes)
  return shared.length > 0 ? [...own, shared] : own
}

function writeGroup(
  writer: SegmentWriter,
  group: MergeGroup,
  readers: ReadonlyMap<number, SegmentReader>,
  seed: number,
  now: number,
  cleaned: { logId: number; end: number }[],
): void {
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
    firstOffset: Math.max(group.firstOffset, Math.min(group.startOffset, endOffset)),
    endOffset,
  }
  if (type === PART_RUN) {
    writer.beginPart({ ...start, level: group.level ?? 0 })
    const cursors: MergeSource[] = sources.map(({ reader, part }) => new RunCursor(reader, part))
    mergeRuns(cursors, writer, { versioned, ...group.runs })
  } else if (group.compact === undefined) {
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
