/**
 * What goes from the tasks of one stage to those of the next. Each task of the first writes its rows into *buckets* by the hash of a key, 64 of them, so that a task of the next
 * stage takes some buckets of every output and nobody else sees these keys; an output of few rows is not cut up, and readers take out of it what is theirs.
 *
 * The first blocks are kept in memory; what is too much goes to a file of the job's folder, which is removed with the job. The file's blocks carry a checksum each. Blocks in memory are shared
 * between threads, so that they cross for nothing.
 */
import { mixedHash } from '../group/hash.ts'
import type { OperatorMeasure } from '../operator/meter.ts'

/** Keys fall into so many buckets by the top bits of their hash, while group tables use the low ones. */
export const BUCKETS = 64
const BUCKET_SHIFT = 26

/** `level` 0 is what goes between stages. What is divided once more goes by other bits at each level, which are as good as those of another hash until hashes are equal. */
export function bucketOf(hash: number, level: number): number {
  return (level === 0 ? hash : mixedHash(hash ^ Math.imul(level, 0x9e3779b1))) >>> BUCKET_SHIFT
}

/** An output with at most so many rows is not cut into buckets. */
export const WHOLE_ROWS_MAX = 8192

/** A block of an output that lies in its file. */
export interface StoredBlock {
  readonly position: number
  readonly size: number
  /** Low half of its xxh64. */
  readonly checksum: number
}

/** Blocks of one bucket, in the order in which they were written: first those in memory, then those of the file. */
export interface BucketOutput {
  /** -1: rows of all buckets. */
  readonly bucket: number
  readonly rows: number
  readonly blocks: readonly Uint8Array[]
  readonly stored: readonly StoredBlock[]
}

/**
 * Rows of a sorted output in order: blocks of `[keys, rows]`, the keys as `sort-key.ts` encodes them. A block in memory is shared, so that it crosses to other threads for nothing.
 */
export interface RunOutput {
  readonly blocks: readonly (StoredBlock | Uint8Array)[]
  /** What rows may be divided by of the first key of each block, and behind them of the last key of the run. */
  readonly cuts: PackedKeys
  /** The same of some rows at equal distances, each of which stands for `sampleRows` of them. */
  readonly samples: PackedKeys
  readonly sampleRows: number
}

/** Keys, or what they begin with, back to back: key i is `bytes[starts[i], starts[i + 1])`. */
export interface PackedKeys {
  readonly bytes: Uint8Array
  readonly starts: Int32Array
}

/** All that a task gave. Structured-clonable. */
export interface ExchangeOutput {
  /** undefined: nothing went to a file. */
  readonly file: string | undefined
  readonly rows: number
  readonly bytes: number
  readonly buckets: readonly BucketOutput[]
  /** Of an output in an order, instead of buckets; in the order in which equal rows of theirs count. */
  readonly runs: readonly RunOutput[]
  /** What the task counted. */
  readonly counters: Readonly<Record<string, number>>
  /** What its operators did, as `Meter.measures`. */
  readonly measures: readonly OperatorMeasure[]
}
