/** Batches that are filled again: their memory is the largest part of what a small one costs. */
import { TopicBatch } from '../../engine/index.ts'

/** Of all topics of the process. */
const batchesMax = 64
/** A batch that grew beyond this is left to the garbage collector, bytes. */
const batchBytesKept = 256 * 1024

const free: TopicBatch[] = []

/** A batch without records. */
export function takeBatch(): TopicBatch {
  return free.pop() ?? new TopicBatch()
}

/** The batch was committed, or never will be: nobody looks at it any more. */
export function giveBack(batch: TopicBatch): void {
  if (free.length === batchesMax || batch.size > batchBytesKept) return
  batch.clear()
  free.push(batch)
}
