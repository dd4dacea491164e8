/**
 * Change feeds that are consumed by groups: what `Store.changes({ group })` takes and gives. Groups are made above the engine, which knows no more of them than
 * this; `Database.provideGroupFeeds` joins the two.
 */
import type { ChangeBatch } from './changes.ts'
import type { StoreKey } from './key-codec.ts'
import type { Store } from './store.ts'
import type { Transaction } from './transaction.ts'

/** How a member of a group reads a change feed. */
export interface GroupChangesOptions {
  // --- changes meaning -----------------------------------------------------------------------------------------------------------------
  /** Of the consumers that name it, one has the feed at a time and the others stand by; the group keeps the position. */
  readonly group: string
  /** A name for people. Default 'consumer'. */
  readonly clientId?: string | undefined
  /** Makes it a static member, which has its place again when it is back within its session timeout. Unique in the group. */
  readonly instanceId?: string | undefined
  /** Where to begin when the group has not committed anything. Default 'earliest': the first change that is kept. 'none': NO_OFFSET. */
  readonly autoOffsetReset?: 'earliest' | 'latest' | 'none' | { readonly time: number } | undefined
  /** Commits what was processed by itself, so often; `true` is every 5 s. A batch is processed when the next is asked for. Default false. */
  readonly autoCommit?: boolean | { readonly intervalMs: number } | undefined
  /** Called when the feed is this consumer's, before the first change. */
  readonly onAssigned?: (() => void | Promise<void>) | undefined
  /** Called when it gives the feed up, while it may still commit. */
  readonly onRevoked?: (() => void | Promise<void>) | undefined
  /** Called when the group has taken the feed from it. Default: `onRevoked`. */
  readonly onLost?: (() => void | Promise<void>) | undefined
  /** Ends the loop, without an error, and leaves the group. */
  readonly signal?: AbortSignal | undefined
  // --- changes speed, and how soon a dead consumer is noticed ----------------------------------------------------------------------------
  /** Changes of one batch at most; a commit is cut only when it alone has more. Default 1000. */
  readonly batchRecordsMax?: number | undefined
  /** A consumer that was not heard of for so long is removed, ms. Default 45,000. */
  readonly sessionTimeoutMs?: number | undefined
  /** How often it is heard of, ms. Default 5,000, or a third of the smaller timeout if that is less. */
  readonly heartbeatIntervalMs?: number | undefined
  /** A consumer that does not ask for more within this time, ms, is removed. Default 300,000. */
  readonly maxPollIntervalMs?: number | undefined
}

/** Changes in commit order, whose position can be committed for the group. */
export interface GroupChangeBatch<V = unknown, K extends StoreKey = StoreKey> extends ChangeBatch<V, K> {
  /**
   * Stores `position` as the group's: whoever has the feed next goes on there. Resolves when durable. FENCED_MEMBER, UNKNOWN_MEMBER or NOT_ASSIGNED when the feed is
   * not this consumer's any more.
   */
  commit(options?: { readonly metadata?: string | undefined }): Promise<void>
  /** As `commit`, as part of a transaction, fenced in the turn of its commit; `tx.offsets(batch)` does it. */
  commitWith(tx: Transaction, options?: { readonly metadata?: string | undefined }): void
}

/** A change feed that is shared with the other members of a group. Leaving the loop leaves the group. */
export interface GroupChangeFeed<V = unknown, K extends StoreKey = StoreKey> extends AsyncIterable<GroupChangeBatch<V, K>> {
  /** Name of the group. */
  readonly group: string
  /** undefined before it has joined. */
  readonly memberId: string | undefined
  /** Whether it has the feed now; the others stand by. */
  readonly isActive: boolean
  /** Changes that can be read now and were not handed out; 0 while it stands by. */
  readonly lag: number
  /** The next batch; undefined when none has come within `maxWaitMs` (default: waits for ever), or it was closed. OFFSET_OUT_OF_RANGE. */
  poll(options?: { readonly maxWaitMs?: number | undefined }): Promise<GroupChangeBatch<V, K> | undefined>
  /** Commits all that was handed out. Errors as `GroupChangeBatch.commit`. */
  commit(): Promise<void>
  /** As `commit`, as part of a transaction. */
  commitWith(tx: Transaction, options?: { readonly metadata?: string | undefined }): void
  /** Ends the loop and leaves the group. Idempotent. */
  close(): Promise<void>
  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Opens a feed for a group; the store has one. */
export type OpenGroupFeed = (store: Store<never, never>, options: GroupChangesOptions) => GroupChangeFeed<never, never>
