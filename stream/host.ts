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
  Store,
  StoreKey,
  StoreOptions,
  Transaction,
  TransactionOptions,
} from '../engine/index.ts'

export interface StreamHost extends Committer, Definitions {
  readonly path: string
  readonly environment: Pick<Environment, 'clock' | 'random' | 'timers'>
  readonly options: { readonly durability: Durability; readonly retentionCheckMs: number }
  readonly isOpen: boolean
  /** The log of that name; NOT_FOUND when none is defined. The same object each time. */
  log(name: string): LocalLog
  /** Resolves when less than half of every bound of back-pressure is in use. */
  drain(): Promise<void>
  transaction<T>(body: (tx: Transaction) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T>
  /** A store for what topics keep beside their logs; names of theirs begin with two underscores. */
  store<V = unknown, K extends StoreKey = StoreKey>(name: string, options?: StoreOptions<V>): Store<V, K>
  /** Compacts a log by key now, records at and above `endOffset` excepted. */
  compactLog(name: string, options?: { readonly deleteRetentionMs?: number; readonly endOffset?: number }): Promise<void>
  /** Moves all tails into segments. */
  seal(): Promise<void>
  /** Frees the space of sealed parts that were trimmed. */
  reclaim(): Promise<void>
}
