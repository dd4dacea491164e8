/**
 * Where rows come from. A source lives in the thread that builds the flow and knows handles; before a run it makes *splits*, plain data, each a part of the input of its own.
 * Together the splits of a run are one moment of the input. Where other threads can read the input, the source says by which *reader* (`readers.ts`) and what it needs to know.
 */
import type { EndingThread, Files } from '../../engine/index.ts'
import type { Chunk } from '../vector/chunk.ts'
import type { SourceRange } from './source-range.ts'

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
  /** Whether other threads will read them. */
  readonly portable: boolean
  /** What of the input is wanted. Default: all. Sources other than topics and stores get none. */
  readonly range?: SourceRange | undefined
}

/** One part of an input, for one reader. Structured-clonable where the source can be read by other threads. */
export interface Split {
  /** As messages name it: the file and range, the partition and offsets. */
  readonly name: string
  /** Bytes of it, about, for progress and balance; 0: not known. */
  readonly bytes: number
  /** What the source reads it by. */
  readonly input: unknown
}

/** How another thread reads the splits of a source: a reader's name and what it has to know. Structured-clonable. */
export interface PortableSource {
  readonly reader: string
  readonly input: unknown
}

/** The splits of one run, and what ends with it. */
export interface SplitSet {
  /** All of the input, each part once. */
  readonly splits: readonly Split[]
  /** What a thread needs to read them; with the thread given, its end gives back what it holds. Undefined: they are read where they were made. */
  share?(thread?: EndingThread): PortableSource
  /** Gives back leases and the like. Idempotent. */
  release(): void
}

/** Reads a split chunk by chunk. A chunk is valid until the next call. */
export interface SplitReader {
  /** Undefined after the last. */
  next(): Chunk | undefined | Promise<Chunk | undefined>
  /** Bytes of the split that were read so far, about. */
  readonly bytesRead: number
  /** Records that were none and were left out, where the source was told to leave them out. */
  readonly badRecords?: number
  /** An error of a record of the chunk at hand, with the place in the input where the record lies; others as they are. */
  locate?(error: unknown): unknown
  /** Lets go of files and iterators; idempotent. */
  close(): void | Promise<void>
}

/** Opens the splits of a source in a thread that got what `SplitSet.share` gave. */
export interface SplitOpener {
  open(split: Split, needs: Needs): SplitReader | Promise<SplitReader>
  /** Gives back what the thread holds of the source. */
  close(): void
}

/** Makes an opener of what a source shared; by the name of the reader. */
export type OpenReader = (input: unknown, files: Files) => SplitOpener | Promise<SplitOpener>

/** What a flow begins with. */
export interface Source {
  /** 'topic', 'store', 'iterable', … */
  readonly kind: string
  /** As `explain()` names it. */
  readonly name: string
  /** Whether the splits can be read in other threads. */
  readonly isPortable: boolean
  /** About how many bytes there are to read; undefined: not known. */
  readonly bytes: number | undefined
  /** Fields that can be read without reading rows, mostly; others are taken out of rows. */
  readonly columns?: readonly string[]
  /** The input as it is now, in parts. */
  split(options: SplitOptions): Promise<SplitSet>
  /** Reads one of them, in the thread that made them. */
  open(split: Split, needs: Needs): SplitReader | Promise<SplitReader>
  /**
   * Of sources whose records are decoded only where their values are wanted, which may be after a sort or in another thread: decodes all records, some at a time, and throws the error of the
   * first that is none, with its place.
   */
  checkRecords?(): AsyncIterable<void>
}
