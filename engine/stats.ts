/** Numbers about a database, gathered when asked for. Bytes and counts; counters grow from the opening. */
import type { Catalog } from './catalog/catalog.ts'
import type { Manifest } from './catalog/manifest.ts'
import type { CommitLog } from './commit-log/commit-log.ts'
import type { RecoveryReport } from './commit-log/recovery.ts'
import type { Leases } from './lease/leases.ts'
import type { Consolidator } from './maintenance/consolidator.ts'
import type { Flusher } from './maintenance/flusher.ts'

export interface DatabaseStats {
  /** Defined logs. */
  readonly logs: number
  /** Commit sequence after the last commit. */
  readonly sequence: number
  readonly commitLog: {
    readonly endLsn: number
    readonly durableLsn: number
    /** Appended, not yet written. */
    readonly pendingBytes: number
    /** Memory of arenas that are not flushed yet. */
    readonly tailBytes: number
    /** Frames not in segments yet. */
    readonly unflushedBytes: number
    /** True while acknowledgements wait for a flush. */
    readonly stalled: boolean
    readonly frames: number
    readonly syncs: number
    readonly frameBytes: number
    readonly commits: number
    readonly stagedCommits: number
    readonly stalls: number
  }
  readonly segments: {
    readonly count: number
    readonly bytes: number
    /** Bytes of parts that still count. */
    readonly liveBytes: number
    readonly parts: number
  }
  readonly flush: {
    readonly flushes: number
    readonly flushedBytes: number
    readonly carriedBatches: number
    readonly failures: number
    readonly lastError: string | undefined
  }
  readonly merge: {
    readonly merges: number
    readonly bytesIn: number
    readonly bytesOut: number
    readonly failures: number
    readonly lastError: string | undefined
  }
  readonly leases: number
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
}): DatabaseStats {
  const { commitLog, catalog, manifest, flusher, consolidator, leases, recovery } = from
  const segments = { count: 0, bytes: 0, liveBytes: 0, parts: 0 }
  for (const { reader, row, liveBytes } of manifest.live()) {
    segments.count++
    segments.bytes += reader.bytes
    segments.liveBytes += liveBytes
    segments.parts += reader.directory.partCount - row.dropped.length
  }
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
    segments,
    flush: { ...flusher.counters, lastError: flusher.lastError?.message },
    merge: { ...consolidator.counters, lastError: consolidator.lastError?.message },
    leases: leases.count,
    recovery,
    poison: commitLog.poison?.message,
  }
}
