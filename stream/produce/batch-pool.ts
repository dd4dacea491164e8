/** Batches that are filled again: their memory is the largest part of what a small one costs. */
import { TopicBatch } from '../../engine/index.ts'

/** Of all topics of the process, bytes. */
const keptBytesMax = 8 * 1024 * 1024
/** A batch that grew beyond this is left to the garbage collector, bytes. */
const batchBytesKept = 512 * 1024

const free: TopicBatch[] = []
/** Invariant: the capacities of `free`. */
let keptBytes = 0

/** A batch without records. */
export function takeBatch(): TopicBatch {
  const batch = free.pop()
  if (batch === undefined) return new TopicBatch()
  keptBytes -= batch.capacity
  return batch
}

/** The batch was committed, or never will be: nobody looks at it any more. */
export function giveBack(batch: TopicBatch): void {
  const { capacity } = batch
  if (capacity > batchBytesKept || keptBytes + capacity > keptBytesMax) return
  batch.clear()
  free.push(batch)
  keptBytes += capacity
}
