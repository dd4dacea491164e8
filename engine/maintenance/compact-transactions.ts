/**
 * What compaction must know about transactions as it walks a log: Kafka's CleanedTransactionMetadata. Says of each batch whether its
 * transaction was aborted, and of each marker whether all data of its transaction is gone, so that the marker may go too.
 *
 * Walk order is offset order; everything below the bound is decided (the caller's bound is at or below the last stable offset).
 */
import { CONTROL_ABORT, CONTROL_COMMIT, controlTypeOf } from '../batch/control-batch.ts'
import { NONE } from '../batch/format.ts'
import { batchLastOffset, batchProducerId, isTransactionalBatch } from '../batch/record-batch.ts'
import type { AbortedTransactionEntry } from '../segment/part.ts'

interface OngoingAbort {
  readonly entry: AbortedTransactionEntry
  /** A batch of it was seen, and its marker must therefore stay. */
  seen: boolean
}

export class CompactedTransactions {
  /** Aborted transactions in order of their first offset; those below `#next` have begun. */
  readonly #aborted: readonly AbortedTransactionEntry[]
  #next = 0
  /** By producer id. */
  readonly #ongoingAborts = new Map<number, OngoingAbort>()
  readonly #ongoingCommits = new Set<number>()
  /** Aborted transactions of which a batch was seen and whose marker was passed since the last `takeRetained`. */
  #retained: AbortedTransactionEntry[] = []

  constructor(aborted: readonly AbortedTransactionEntry[]) {
    this.#aborted = [...aborted].sort((left, right) => left.firstOffset - right.firstOffset)
  }

  /** True when the data batch belongs to an aborted transaction. */
  passData(buffer: Uint8Array, position: number): boolean {
    if (!isTransactionalBatch(buffer, position)) return false
    this.#begin(batchLastOffset(buffer, position))
    const producerId = batchProducerId(buffer, position)
    const abort = this.#ongoingAborts.get(producerId)
    if (abort === undefined) {
      this.#ongoingCommits.add(producerId)
      return false
    }
    abort.seen = true
    return true
  }

  /** True when no data of the marker's transaction is left, so that the marker may go. */
  passControl(buffer: Uint8Array, position: number): boolean {
    this.#begin(batchLastOffset(buffer, position))
    const type = controlTypeOf(buffer, position)
    if (type === NONE) return true
    const producerId = batchProducerId(buffer, position)
    if (type === CONTROL_COMMIT) return !this.#ongoingCommits.delete(producerId)
    if (type !== CONTROL_ABORT) return false
    const abort = this.#ongoingAborts.get(producerId)
    this.#ongoingAborts.delete(producerId)
    if (abort === undefined || !abort.seen) return true
    this.#retained.push(abort.entry)
    return false
  }

  /** Aborted transactions that readers of the output must still know, by their markers; each is returned once. */
  takeRetained(): AbortedTransactionEntry[] {
    const retained = this.#retained
    this.#retained = []
    return retained
  }

  #begin(offset: number): void {
    for (; this.#next < this.#aborted.length; this.#next++) {
      const entry = this.#aborted[this.#next]!
      if (entry.firstOffset > offset) break
      if (!this.#ongoingAborts.has(entry.producerId)) this.#ongoingAborts.set(entry.producerId, { entry, seen: false })
    }
  }
}
