/**
 * Which partition a record goes to.
 *
 * By default as Kafka's clients do it: a keyed record by murmur2 of its key's bytes, so that the records of a key stay in order; one without a key to the
 * partition that the producer sticks to until `stickyBytes` went there (KIP-794's uniform sticky partitioner), so that batches fill.
 */
import type { Environment } from '../../engine/index.ts'
import { murmur2, murmur2OfText, partitionForHash } from './murmur2.ts'

/** Bytes after which a producer moves on to another partition with its keyless records: Kafka's `batch.size`. */
const stickyBytes = 16 * 1024

/**
 * A partitioner of the user's. `key` and `value` are as given to `send`. Returns a partition from 0 to `partitions - 1`. Must give the same answer for the same key
 * while the number of partitions stays, or the order of a key's records is lost.
 */
export type Partitioner<V = unknown, K = unknown> = (key: K | null, value: V | null, partitions: number) => number

/** Spreads keyless records; one for each producer. */
export class StickyPartition {
  readonly #random: Environment['random']
  #partition = -1
  #bytes = 0
  /** Counts the records that it was asked for. */
  chosen = 0

  constructor(random: Environment['random']) {
    this.#random = random
  }

  /** The partition for a keyless record of this size. */
  next(partitions: number, bytes: number): number {
    this.chosen++
    if (this.#partition < 0 || this.#partition >= partitions || this.#bytes >= stickyBytes) {
      this.#partition = this.#another(partitions)
      this.#bytes = 0
    }
    this.#bytes += bytes
    return this.#partition
  }

  /** Any partition but the one it stuck to, where there is a choice. */
  #another(partitions: number): number {
    if (partitions === 1) return 0
    if (this.#partition < 0 || this.#partition >= partitions) return this.#random.below(partitions)
    const drawn = this.#random.below(partitions - 1)
    return drawn >= this.#partition ? drawn + 1 : drawn
  }
}

/** The partition of a key, as stored: text or bytes. */
export function partitionOfKey(key: string | Uint8Array, partitions: number): number {
  if (partitions === 1) return 0
  return partitionForHash(typeof key === 'string' ? murmur2OfText(key) : murmur2(key), partitions)
}
