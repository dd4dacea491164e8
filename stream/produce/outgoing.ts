/** What is sent, and what comes back. */
import type { RecordHeader } from '../../engine/index.ts'

/**
 * A record to send. `send` also takes a bare value: an object counts as a record when it has a `value` and no fields but these, so a value of that very shape
 * must be sent as `{ value: … }`.
 */
export interface Outgoing<V = unknown, K = unknown> {
  /** null: a tombstone, which deletes the key in a compacted topic. */
  readonly value: V | null
  /** Default: what the topic's option `key` finds in the value; null for none. */
  readonly key?: K | null | undefined
  /** Names and values, text as UTF-8; the array form allows a name twice. */
  readonly headers?: { readonly [key: string]: string | Uint8Array | null } | readonly RecordHeader[] | undefined
  /** Milliseconds since 1970. Default: now. Ignored by topics with `timestamps: 'append'`. */
  readonly timestamp?: number | undefined
  /** Overrules the partitioner. */
  readonly partition?: number | undefined
  /** Queues deliver the record no earlier than so many milliseconds from now. Ordinary consumers ignore it. Not with `deliverAt`. */
  readonly delayMs?: number | undefined
  /** Queues deliver the record no earlier, milliseconds since 1970. Kept as the header `varve.deliver-at`. */
  readonly deliverAt?: number | undefined
  /** Readers do not hand the record out when so many milliseconds from now are over. Not with `expiresAt`. */
  readonly ttlMs?: number | undefined
  /** Readers do not hand it out from then on, milliseconds since 1970. Kept as the header `varve.expires-at`. */
  readonly expiresAt?: number | undefined
}

/** Where a record went. Kafka's RecordMetadata. */
export interface Sent {
  /** Where the record lies. */
  readonly partition: number
  /** Its place there. */
  readonly offset: number
  /** Milliseconds. */
  readonly timestamp: number
  /** True when the record was there already: nothing was written, the offset is the old one. Only of idempotent producers. */
  readonly duplicate: boolean
}
