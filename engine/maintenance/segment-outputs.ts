/**
 * The segment files that one task writes, one after the other. Each says "output i of n" in its footer; where n is known only when the last one is written
 * (pieces of a store's bottom level are cut by what they turn out to hold), finished files wait with their index sections in memory.
 *
 * Used by flushes and merges, in the worker. Files that were begun are removed by whoever fails.
 */
import type { File, TaskPlace } from '../env/environment.ts'
import { assert } from '../errors.ts'
import type { ReplacedPart } from '../segment/footer.ts'
import type { KeyRange } from '../segment/key-range.ts'
import type { PartStart } from '../segment/part.ts'
import { type SegmentSummary, SegmentWriter } from '../segment/writer.ts'
import type { RunMerge } from './merge-runs.ts'

/** Names for the files, in the order in which they are used; there may be too many. */
export interface OutputNames {
  readonly segmentIds: readonly number[]
  readonly paths: readonly string[]
  readonly databaseId: Uint8Array
  readonly editId: number
}

interface Output {
  readonly writer: SegmentWriter
  readonly file: File
  readonly replaced: readonly ReplacedPart[]
}

export class SegmentOutputs {
  readonly #place: TaskPlace
  readonly #names: OutputNames
  readonly #count: number | undefined
  readonly #summaries: SegmentSummary[] = []
  #waiting: Output[] = []
  #begun = 0

  /** `count`: how many files there will be; undefined when nobody knows yet. */
  constructor(place: TaskPlace, names: OutputNames, count: number | undefined) {
    this.#place = place
    this.#names = names
    this.#count = count
  }

  /** The file that is written. */
  get writer(): SegmentWriter {
    const last = this.#waiting.at(-1)
    assert(last !== undefined, 'a file was begun')
    return last.writer
  }

  /** Begins a file; its footer names the parts that it replaces. */
  next(replaced: readonly ReplacedPart[] = []): void {
    const { segmentIds, paths, databaseId, editId } = this.#names
    const index = this.#begun
    assert(index < segmentIds.length, 'enough segment ids were given', index, segmentIds.length)
    if (this.#count !== undefined) this.#finishWaiting(this.#count)
    this.#begun++
    const file = this.#place.files.openSync(paths[index] as string, 'create')
    const meta = { segmentId: segmentIds[index] as number, databaseId, editId, createdMs: this.#place.clock.now() }
    const writer = new SegmentWriter(file, meta, { durable: true })
    this.#waiting.push({ writer, file, replaced: replaced.map(({ segmentId, part }) => ({ segmentId, part })) })
  }

  /** Ends all files. */
  finish(): SegmentSummary[] {
    this.#finishWaiting(this.#begun)
    return this.#summaries
  }

  #finishWaiting(outputCount: number): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { writer, file, replaced } = next
      this.#summaries.push(writer.finish({ outputIndex: this.#summaries.length, outputCount, replaced }))
      this.#waiting.shift()
      file.closeSync()
    }
  }

  /** Closes what a failure left open. */
  close(): void {
    for (const { file } of this.#waiting) file.closeSync()
    this.#waiting = []
  }

  /** Takes back what was begun. */
  async remove(): Promise<void> {
    this.close()
    for (const path of this.#names.paths.slice(0, this.#begun)) await this.#place.files.remove(path).catch(() => undefined)
  }
}

export interface Pieces {
  /** Keys that are merged; the pieces say so. Undefined: a run above the bottom, in one piece. */
  readonly range: KeyRange | undefined
  /** A piece of this size is cut. */
  readonly pieceBytes: number
  /** So many files at most. */
  readonly filesMax: number
  /** See `SegmentOutputs.next`. */
  readonly replaced: readonly ReplacedPart[]
}

/** Writes a merge into the file that is begun, and pieces behind the first into files of their own. */
export function writePieces(outputs: SegmentOutputs, merge: RunMerge, start: PartStart, pieces: Pieces): void {
  const { range, pieceBytes, filesMax, replaced } = pieces
  let from = range?.from
  for (let file = 1; ; file++) {
    const { writer } = outputs
    writer.beginPart(start)
    const isDone = merge.write(writer, file < filesMax ? pieceBytes : Number.POSITIVE_INFINITY)
    if (range !== undefined) writer.setKeyRange({ from, to: isDone ? range.to : merge.cutKey })
    writer.endPart()
    if (isDone) return
    from = merge.cutKey
    outputs.next(replaced)
  }
}
