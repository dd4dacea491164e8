/**
 * What topics need of the database below them: logs, one committer, definitions, and an environment. The engine's `Database` is one; a node of a cluster
 * will be another. Nothing in `stream/` knows more of either.
 */
import type {
  Committer,
  Definitions,
  Durability,
  Environment,
  LocalLog,
  OpenGroupFeed,
  OwnedLease,
  Store,
  StoreKey,
  StoreOptions,
  Transaction,
  TransactionOptions,
} from '../engine/index.ts'

/** A database as topics see it. */
export interface StreamHost extends Committer, Definitions {
  /** Folder of the database. */
  readonly path: string
  /** Time, randomness and delays. */
  readonly environment: Pick<Environment, 'clock' | 'random' | 'timers'>
  /** Of the database. */
  readonly options: { readonly durability: Durability; readonly retentionCheckMs: number; readonly storage: 'disk' | 'memory' }
  /** False once closing has begun. */
  readonly isOpen: boolean
  /** The log of that name; NOT_FOUND when none is defined. The same object each time. */
  log(name: string): LocalLog
  /** Resolves when less than half of every bound of back-pressure is in use. */
  drain(): Promise<void>
  /** Stores and logs in one commit. */
  transaction<T>(body: (tx: Transaction) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T>
  /** A store for what topics keep beside their logs; names of theirs begin with two underscores. */
  store<V = unknown, K extends StoreKey = StoreKey>(name: string, options?: StoreOptions<V>): Store<V, K>
  /** What `store.changes({ group })` opens. */
  provideGroupFeeds(open: OpenGroupFeed): void
  /** Compacts a log by key now, records at and above `endOffset` excepted. */
  compactLog(name: string, options?: { readonly deleteRetentionMs?: number; readonly endOffset?: number }): Promise<void>
  /** A moment of logs for other threads; with storage 'disk' only. */
  lease(options: { readonly logs: readonly string[] }): OwnedLease
  /** Moves all tails into segments. */
  seal(): Promise<void>
  /** Frees the space of sealed parts that were trimmed. */
  reclaim(): Promise<void>
}
