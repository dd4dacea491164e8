/** What a topic has on the disk and how it is used, partition by partition; see `Topic.stats`. */
import type { TopicCore } from '../topic/topic-core.ts'
import { isCompacted } from '../topic/topic-options.ts'
import { dirtyRatio } from './compaction-choice.ts'
import { compactionFacts } from './partition-upkeep.ts'

/** What one partition holds. */
export interface PartitionStats {
  /** Number of the partition. */
  readonly partition: number
  /** First offset that can be read. */
  readonly startOffset: number
  /** Offset of the next record. */
  readonly endOffset: number
  /** Readers see records below it. */
  readonly highWatermark: number
  /** Readers of 'read_committed' see records below it. */
  readonly lastStableOffset: number
  /** All below is in segments; the rest is in the commit log. */
  readonly sealedEnd: number
  /** In segments, as stored (compressed). Without what is hidden and not freed yet. */
  readonly sealedBytes: number
  /** Parts of segments. */
  readonly sealedParts: number
  /** Compacted topics: all below was compacted at least once. */
  readonly cleanedTo: number
  /** Compacted topics: share of the sealed bytes that compaction may clean and has not, 0 to 1; else 0. */
  readonly dirtyRatio: number
}

/** What a topic holds, partition by partition. */
export interface TopicStats {
  /** As it is named now. */
  readonly name: string
  /** By number. */
  readonly partitions: readonly PartitionStats[]
  /** Sums over the partitions. Offsets of a compacted topic have gaps: `offsets` is not a count of records there. */
  readonly offsets: number
  /** Of all partitions in segments. */
  readonly sealedBytes: number
  /** Of the index of keys, where there is one: records indexed since it was begun, and offsets that are not yet. */
  readonly keyIndex: { readonly entries: number; readonly behind: number } | undefined
}

export function topicStats(core: TopicCore): TopicStats {
  const now = core.host.environment.clock.now()
  const partitions = Array.from({ length: core.partitionCount }, (_, partition): PartitionStats => {
    const log = core.partition(partition)
    const { startOffset, endOffset, highWatermark, lastStableOffset, flushedEnd, cleanedTo } = log
    return {
      partition,
      startOffset,
      endOffset,
      highWatermark,
      lastStableOffset,
      sealedEnd: flushedEnd,
      sealedBytes: log.sealedBytes(startOffset),
      sealedParts: log.sealedParts().length,
      cleanedTo,
      dirtyRatio: isCompacted(core.options) ? dirtyRatio(compactionFacts(log, core.options, now, false)) : 0,
    }
  })
  return {
    name: core.name,
    partitions,
    offsets: partitions.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0),
    sealedBytes: partitions.reduce((sum, { sealedBytes }) => sum + sealedBytes, 0),
    keyIndex: core.keyIndex?.stats,
  }
}
