/**
 * What all handles of one store in an opened lease read: runs and memtables of the store and of its indexes, as they were when the lease was taken.
 *
 * Made by `openLease`. Files are opened with the first read that needs them and closed with the lease. Invariant: nothing of a table changes, so cursors
 * never have to find their place anew.
 */
import { createKeyHash, hashKey } from '../batch/store-keys.ts'
import type { PartRef } from '../log/parts.ts'
import type { BlockCache } from './block-cache.ts'
import { KeyFinder } from './key-finder.ts'
import type { LeasedIndexSource } from './leased-index.ts'
import type { Memtable } from './memtable.ts'
import { Run, type SortedRun } from './run.ts'
import { newestFirst } from './run-level.ts'
import type { CursorTable, IdleCursors } from './store-cursor.ts'
import type { StoredStoreOptions } from './store-options.ts'
import type { ValueStructures } from './value-codec.ts'

/** Bytes of blocks that a thread keeps of a store, unless it is told otherwise. */
export const leasedCacheBytesDefault: number = 16 * 1024 * 1024

/** A store of a lease, for all its handles. */
export interface LeasedSource {
  readonly options: StoredStoreOptions
  readonly structures: ValueStructures
  /** Of the store and its indexes. */
  readonly cache: BlockCache
  readonly table: LeasedTable
  readonly indexes: readonly LeasedIndexSource[]
}

export class LeasedTable implements CursorTable {
  readonly version = 0
  /** Oldest first. */
  readonly memtables: readonly Memtable[]
  readonly finder: KeyFinder = new KeyFinder(this)
  readonly idle: IdleCursors = { forward: undefined, backward: undefined }
  readonly #openParts: () => readonly PartRef[]
  readonly #cache: BlockCache
  /** Newest first; undefined until they are asked for. */
  #runs: readonly SortedRun[] | undefined

  constructor(memtables: readonly Memtable[], openParts: () => readonly PartRef[], cache: BlockCache) {
    this.memtables = memtables
    this.#openParts = openParts
    this.#cache = cache
  }

  /** Newest first. */
  get runs(): readonly SortedRun[] {
    this.#runs ??= newestFirst(this.#openParts().map(part => new Run(part, this.#cache)))
    return this.#runs
  }

  /** Reads the blocks that a `find` of the key may need into the cache, without blocking the thread. */
  async warm(key: Uint8Array, start: number, size: number): Promise<void> {
    const hash = createKeyHash()
    hashKey(key, start, size, hash)
    for (const run of this.runs) await run.warm(key, start, size, hash)
  }
}
