/** Numbers about a database, gathered when asked for. Bytes and counts; counters grow from the opening. */
import type { Catalog } from './catalog/catalog.ts'
import type { Manifest } from './catalog/manifest.ts'
import type { CommitLog } from './commit-log/commit-log.ts'
import type { RecoveryReport } from './commit-log/recovery.ts'
import type { StallStats } from './commit-log/stall-clock.ts'
import type { Leases } from './lease/leases.ts'
import type { Consolidator } from './maintenance/consolidator.ts'
import type { Flusher } from './maintenance/flusher.ts'
import type { FilterStats } from './store/store-stats.ts'
import type { Stores } from './store/stores.ts'

/** Numbers of `Database.stats`. docs/API.md describes them too. */
export interface DatabaseStats {
  /** Defined logs; each store, each index and each topic is one, and so is the expiry queue of a store. */
  readonly logs: number
  /** Commit sequence after the last commit. */
  readonly sequence: number
  /** The newest part of all logs: in memory, and in the files `commit-….log`. */
  readonly commitLog: {
    /** Position after the last frame. */
    readonly endLsn: number
    /** Everything below is on the disk. */
    readonly durableLsn: number
    /** Appended, not yet written. */
    readonly pendingBytes: number
    /** Memory of arenas that are not flushed yet. */
    readonly tailBytes: number
    /** Frames not in segments yet. */
    readonly unflushedBytes: number
    /** True while the tail is so large that acknowledgements wait for a flush. */
    readonly stalled: boolean
    /** Frames written: disk writes. */
    readonly frames: number
    /** Of them, those that were synced. */
    readonly syncs: number
    /** Bytes of the frames written. */
    readonly frameBytes: number
    readonly commits: number
    /** Commits larger than a frame, which took the way over a file of their own. */
    readonly stagedCommits: number
    /** Times that acknowledgements began to be held back for a flush, or that a write was refused because of `tailBytesMax`. */
    readonly stalls: number
  }
  /** Writers that wait for the disk. */
  readonly stall: StallStats
  /** Files `segment-….seg` that count. */
  readonly segments: {
    readonly count: number
    readonly bytes: number
    /** Bytes of parts that still count. */
    readonly liveBytes: number
    /** One for each log in each segment. */
    readonly parts: number
  }
  /** From the commit log into segments. */
  readonly flush: {
    readonly flushes: number
    /** Bytes of the segments written. */
    readonly flushedBytes: number
    /** Batches that could not be flushed yet and were written anew at the head of the commit log. */
    readonly carriedBatches: number
    /** Flushes that failed and were tried again. */
    readonly failures: number
    readonly lastError: string | undefined
  }
  /** Of segments, of runs, of topics by key. */
  readonly merge: {
    readonly merges: number
    /** Bytes read and written by all of them. */
    readonly bytesIn: number
    readonly bytesOut: number
    /** Merges that failed and were tried again. */
    readonly failures: number
    /** Of stores: merges of adjacent runs, and the bytes of runs that went in and came out. */
    readonly runCompactions: number
    readonly runBytesIn: number
    readonly runBytesOut: number
    /** Runs of which nobody could see anything: replaced without being read. */
    readonly runsDropped: number
    /** The same by level of the result, ascending; levels that nothing went into are left out. */
    readonly levels: readonly { readonly level: number; readonly bytesIn: number; readonly bytesOut: number }[]
    /** Logs of stores that are not merged, because the package of a codec of theirs is not installed. */
    readonly heldBack: readonly { readonly log: string; readonly codec: string }[]
    readonly lastError: string | undefined
  }
  /** Blocks of stores in memory. */
  readonly cache: {
    readonly bytes: number
    readonly bytesMax: number
    /** Blocks that were asked for by key and were there, or were not and had to be read. */
    readonly hits: number
    readonly misses: number
  }
  /** Of all stores that are open, with their indexes. */
  readonly filters: FilterStats
  /** Bytes written to disk (commit log, flushes, merges) by bytes written to the commit log. 1 while nothing was written. */
  readonly writeAmplification: number
  /** Leases that were not given back. */
  readonly leases: number
  /** What the opening found in the commit log. */
  readonly recovery: RecoveryReport
  /** Why nothing more is accepted; undefined while all is well. */
  readonly poison: string | undefined
}

export function collectStats(from: {
  readonly commitLog: CommitLog
  readonly catalog: Catalog
  readonly manifest: Manifest
  readonly flusher: Flusher
  readonly consolidator: Consolidator
  readonly leases: Leases
  readonly recovery: RecoveryReport
  readonly stores: Stores
}): DatabaseStats {
  const { commitLog, catalog, manifest, flusher, consolidator, leases, recovery, stores } = from
  const segments = { count: 0, bytes: 0, liveBytes: 0, parts: 0 }
  for (const { reader, row, liveBytes } of manifest.live()) {
    segments.count++
    segments.bytes += reader.bytes
    segments.liveBytes += liveBytes
    segments.parts += reader.directory.partCount - row.dropped.length
  }
  const { cache } = stores
  const { frameBytes } = commitLog.counters
  return {
    logs: catalog.definitions().length,
    sequence: commitLog.sequence,
    commitLog: {
      endLsn: commitLog.endLsn,
      durableLsn: commitLog.durableLsn,
      pendingBytes: commitLog.pendingBytes,
      tailBytes: commitLog.tailBytes,
      unflushedBytes: commitLog.unflushedBytes,
      stalled: commitLog.stalled,
      ...commitLog.counters,
    },
    stall: commitLog.stalls.stats(),
    segments,
    flush: { ...flusher.counters, lastError: flusher.lastError?.message },
    merge: {
      ...consolidator.counters,
      levels: levelsOf(consolidator),
      heldBack: consolidator.runs.heldBack(),
      lastError: consolidator.lastError?.message,
    },
    cache: { bytes: cache.bytes, bytesMax: cache.bytesMax, hits: cache.hits, misses: cache.misses },
    filters: stores.filterStats(),
    writeAmplification: frameBytes === 0 ? 1 : (frameBytes + flusher.counters.flushedBytes + consolidator.counters.bytesOut) / frameBytes,
    leases: leases.count,
    recovery,
    poison: commitLog.poison?.message,
  }
}

function levelsOf({ runs }: Consolidator): DatabaseStats['merge']['levels'] {
  const levels: { level: number; bytesIn: number; bytesOut: number }[] = []
  for (const [level, bytesIn] of runs.bytesInByLevel.entries())
    if (bytesIn > 0) levels.push({ level, bytesIn, bytesOut: runs.bytesOutByLevel[level] ?? 0 })
  return levels
}
