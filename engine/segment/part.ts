/**
 * What a caller says about a part when it begins one, and what is known about it when it ends; shared by the writers of both kinds.
 */
import type { Extension } from '../batch/extension.ts'
import type { ColumnOptions } from './column-writer.ts'

export interface PartStart {
  readonly logId: number
  /** Name and kind of the log go into the footer, for repair; once per log. */
  readonly name: string
  /** u8, as the catalog numbers kinds of logs. */
  readonly kind: number
  /** PART_TOPIC, PART_RUN or PART_BODY. */
  readonly type: number
  /** Level of a run. Default 0. */
  readonly level?: number
  /** Runs: records of one key are in version order. Default false. */
  readonly versioned?: boolean
  /** Runs: id of the codec that blocks are compressed with. Default 0, none. */
  readonly codec?: number
  /**
   * The range of offsets that the part stands for. Runs: required. Topic and body: default from the first batch to the end of the last one;
   * a wider range says that compaction left nothing there. A first batch that begins before `firstOffset` moves it down.
   */
  readonly firstOffset?: number
  readonly endOffset?: number
  /** Topic parts and runs: fields that are also written as columns. Default: none. */
  readonly columns?: ColumnOptions | undefined
  /** Runs: default -1, unknown. Topic and body parts find it in their batches. */
  readonly minTimestamp?: number
  readonly maxTimestamp?: number
  /** Topic parts: commit sequences, as far as the caller knows them; default 0. Others find them in their records. */
  readonly minSequence?: number
  readonly maxSequence?: number
}

/** Where a leader epoch begins in a log. */
export interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

/** An aborted transaction, as Kafka's transaction index keeps it. Offsets inclusive; `lastOffset` is that of the marker. */
export interface AbortedTransactionEntry {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly lastStableOffset: number
}

export interface PartTables {
  /** Default: as the batches say. */
  readonly epochs?: readonly EpochStart[]
  readonly aborted?: readonly AbortedTransactionEntry[]
  /** Opaque; the producer state at the end of the part. */
  readonly producerState?: Uint8Array
}

/** What a part writer found; the segment writer makes the directory entry of it. */
export interface PartFacts {
  readonly firstOffset: number
  readonly endOffset: number
  readonly recordCount: number
  readonly batchCount: number
  readonly minTimestamp: number
  readonly maxTimestamp: number
  readonly minSequence: number
  readonly maxSequence: number
  readonly blockCount: number
  /** Index section without its tables. */
  readonly index: Uint8Array
  readonly tables: readonly Extension[]
}
