/**
 * Where rows come from. A source lives in the thread that builds the flow and knows handles; before a run it makes *splits*, plain data that any thread can read by a
 * `SplitReader`, each a part of the input of its own. Together the splits of a run are one moment of the input.
 */
import type { Chunk } from '../vector/chunk.ts'

/** What a job needs of each row. */
export interface Needs {
  /** Paths that expressions read, `META` included. */
  readonly paths: readonly string[]
  /** Whether rows are wanted as values. */
  readonly values: boolean
}

/** What a run asks of its sources. */
export interface SplitOptions {
  /** About how many splits are useful. */
  readonly parallelism: number
}

/** One part of an input, for one reader. Structured-clonable where the source can be read by other threads. */
export interface Split {
  /** As messages name it: the file and range, the partition and offsets. */
  readonly name: string
  /** Bytes of it, about, for progress and balance; 0: not known. */
  readonly bytes: number
  readonly input: unknown
}

/** The splits of one run, and what ends with it. */
export interface SplitSet {
  readonly splits: readonly Split[]
  /** Gives back leases and the like. Idempotent. */
  release(): void
}

/** Reads a split chunk by chunk. A chunk is valid until the next call. */
export interface SplitReader {
  /** Undefined after the last. */
  next(): Chunk | undefined | Promise<Chunk | undefined>
  /** Bytes of the split that were read so far, about. */
  readonly bytesRead: number
  /** Lets go of files and iterators; idempotent. */
  close(): void | Promise<void>
}

/** What a flow begins with. */
export interface Source {
  /** 'topic', 'store', 'iterable', … */
  readonly kind: string
  /** As `explain()` names it. */
  readonly name: string
  /** Whether the splits can be read in other threads. */
  readonly isPortable: boolean
  /** The input as it is now, in parts. */
  split(options: SplitOptions): Promise<SplitSet>
  /** Reads one of them. */
  open(split: Split, needs: Needs): SplitReader | Promise<SplitReader>
}
