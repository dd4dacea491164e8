/**
 * `stats`: numbers about a closed database, from its files alone: sizes by kind of file, and for each log its offsets, parts, bytes and records.
 * Reads the catalog, the footers and the commit log, not the bodies of segments. An open database answers with `database.stats()`.
 */
import { Manifest } from '../catalog/manifest.ts'
import { codecNameOf } from '../codec/compression.ts'
import { corrupt } from '../errors.ts'
import { blockCodecOf } from '../log/block-codec.ts'
import type { PartRef } from '../log/parts.ts'
import { isPiece, regionsOf } from '../maintenance/bottom-level.ts'
import { PART_BODY } from '../segment/format.ts'
import { namedByCaller, type StoredStoreOptions } from '../store/store-options.ts'
import { type LevelStats, levelsOf, spaceAmplificationOf } from '../store/store-stats.ts'
import { storeLogPrefix } from '../store/stores.ts'
import { structuresIn } from '../store/value-structures.ts'
import { catalogOf, readView } from './catalog-check.ts'
import { damageError, followChain, loadLogFiles, proofOfDamage } from './commit-log-files.ts'
import { type NumberedFile, type ToolOptions, withFolder } from './folder.ts'
import { replayChain } from './replay.ts'
import { lostSlot, type OffsetRange, unpackRanges } from './system-log.ts'

/** Files of one kind. */
export interface FileStats {
  /** Files. */
  readonly count: number
  /** Of all of them. */
  readonly bytes: number
}

/** A log in the files of a closed database. */
export interface LogStats {
  /** Given once in the life of the database. */
  readonly id: number
  /** As the catalog has it. */
  readonly name: string
  /** What its batches are. */
  readonly kind: 'topic' | 'store'
  /** Offsets [start, end) that the log holds or, for a store, has held. */
  readonly startOffset: number
  /** Exclusive. */
  readonly endOffset: number
  /** Up to here it lies in segments. */
  readonly flushedOffset: number
  /** Parts of segments that are live. */
  readonly parts: number
  /** Of these parts, as stored. */
  readonly partBytes: number
  /** In parts; a store's body is not counted beside its runs. */
  readonly partRecords: number
  /** Batches in the commit log. */
  readonly tailBatches: number
  /** Of these batches. */
  readonly tailBytes: number
  /** Ranges that `repair` wrote down as lost. */
  readonly lost: readonly OffsetRange[]
}

/** A store: the log `store/<name>` as its user knows it. */
export interface StoreFileStats {
  /** As users know it. */
  readonly name: string
  /** How keys and values become bytes. */
  readonly keys: string
  /** Codec of values, as the option `value` names it. */
  readonly value: string
  /** Lists of keys that its values share; 0 where they do not. */
  readonly sharedStructures: number
  /** Codec that blocks are written with; older ones may have another. */
  readonly compression: string
  /** Records in runs and in the tail: superseded versions and deletes count until compaction. */
  readonly entriesEstimate: number
  /** Of all runs, as stored. */
  readonly bytes: number
  /** Ascending; level 0 is as flushed. */
  readonly levels: readonly LevelStats[]
  /** Runs, the bottom level as one: places on disk in which a missing key is looked for, filters aside. */
  readonly readAmplification: number
  /** Bytes of all runs by those of the largest; see `StoreStats.spaceAmplification`. */
  readonly spaceAmplification: number
}

/** What `stats` says of a closed database. */
export interface StatsReport {
  /** Folder of the database. */
  readonly path: string
  /** Hex. */
  readonly databaseId: string
  /** When the database was made, ms since 1970. */
  readonly createdMs: number
  /** Version of the format. */
  readonly format: number
  /** Of all files. */
  readonly bytes: number
  /** By kind of file. */
  readonly files: {
    readonly segments: FileStats
    readonly commits: FileStats
    readonly staged: FileStats
    readonly spares: FileStats
    readonly catalog: FileStats
  }
  /** Files that are live, their parts, their bytes, and bytes of the parts that still count. */
  readonly segments: { readonly count: number; readonly parts: number; readonly bytes: number; readonly liveBytes: number }
  /** Where it counts from and ends (LSN), whole frames, next commit sequence, and whether it was closed. */
  readonly commitLog: {
    readonly flushLsn: number
    readonly endLsn: number
    readonly frames: number
    readonly sequence: number
    readonly cleanClose: boolean
  }
  /** Sorted by name, those of stores and topics among them. */
  readonly logs: readonly LogStats[]
  /** Sorted by name. */
  readonly stores: readonly StoreFileStats[]
}

/** Errors: LOCKED, NOT_A_DATABASE, CORRUPT (run `verify`, then `repair`), NEWER_FORMAT, IO. */
export function stats(path: string, options: ToolOptions = {}): Promise<StatsReport> {
  return withFolder(path, options, async (folder, environment): Promise<StatsReport> => {
    const { files } = environment
    const view = await readView(environment, folder)
    const problem = view.problems[0]
    if (problem !== undefined) throw corrupt(problem.message, view.path, 0)
    const catalog = catalogOf(view.rows, view.applied)
    const manifest = new Manifest(files, folder.path)
    try {
      const sync = (): void => manifest.sync(catalog.segments())
      sync()
      const logFiles = await loadLogFiles(files, folder.commits)
      const chain = followChain(logFiles, catalog.flush, catalog.flush.sequence)
      const proof = proofOfDamage(logFiles, chain)
      if (proof !== undefined) throw damageError(chain, proof)
      const { logs, problems } = await replayChain(files, folder.path, chain, catalog, manifest, sync)
      const first = problems[0]
      if (first !== undefined) throw corrupt(first.message, first.file, first.position ?? 0)
      const segments = { count: 0, parts: 0, bytes: 0, liveBytes: 0 }
      for (const { reader, row, liveBytes } of manifest.live()) {
        segments.count++
        segments.parts += row.parts - row.dropped.length
        segments.bytes += reader.bytes
        segments.liveBytes += liveBytes
      }
      const logStats = catalog.definitions().map(({ id, name, kind }): LogStats => {
        const log = logs.get(id)
        const counted = (log?.parts ?? []).filter(part => part.type !== PART_BODY)
        let tailBytes = 0
        for (let i = 0; i < (log?.tail.length ?? 0); i++) tailBytes += log?.tail.bytes(i) ?? 0
        return {
          id,
          name,
          kind,
          startOffset: log?.trimmedTo ?? 0,
          endOffset: log?.endOffset ?? 0,
          flushedOffset: log?.flushedEnd ?? 0,
          parts: log?.parts.length ?? 0,
          partBytes: (log?.parts ?? []).reduce((sum, part) => sum + part.bytes, 0),
          partRecords: counted.reduce((sum, part) => sum + part.recordCount, 0),
          tailBatches: log?.tail.length ?? 0,
          tailBytes,
          lost: unpackRanges(catalog.metadata(id).get(lostSlot)),
        }
      })
      const id = catalog.database?.id ?? new Uint8Array(0)
      return {
        path: folder.path,
        databaseId: Buffer.from(id).toString('hex'),
        createdMs: catalog.database?.createdMs ?? 0,
        format: catalog.database?.format ?? 0,
        bytes: folder.bytes,
        files: {
          segments: sum(folder.segments),
          commits: sum(folder.commits),
          staged: sum(folder.staged),
          spares: sum(folder.spares),
          catalog: { count: folder.catalogBytes === undefined ? 0 : 1, bytes: folder.catalogBytes ?? 0 },
        },
        segments,
        commitLog: {
          flushLsn: catalog.flush.lsn,
          endLsn: chain.endLsn,
          frames: chain.frames.length,
          sequence: chain.sequence,
          cleanClose: chain.closed,
        },
        logs: logStats,
        stores: catalog
          .definitions()
          .filter(({ kind, name }) => kind === 'store' && name.startsWith(storeLogPrefix))
          .map(({ id, name, options: defined }) => {
            const log = logs.get(id)
            const runs = (log?.parts ?? []).filter(part => part.type !== PART_BODY)
            const stored = defined?.store as Partial<StoredStoreOptions> | undefined
            return {
              name: name.slice(storeLogPrefix.length),
              keys: stored?.keys ?? '',
              value: namedByCaller(stored?.value ?? ''),
              sharedStructures: structuresIn(catalog.metadata(id), name).length,
              compression: codecNameOf(blockCodecOf({ options: defined ?? {} })) ?? 'none',
              entriesEstimate: runs.reduce((sum, run) => sum + run.recordCount, 0) + (log?.endOffset ?? 0) - (log?.flushedEnd ?? 0),
              bytes: runs.reduce((sum, run) => sum + run.bytes, 0),
              levels: levelsOf(runs),
              readAmplification: placesIn(runs),
              spaceAmplification: spaceAmplificationOf(runs),
            }
          }),
      }
    } finally {
      manifest.close()
    }
  })
}

/** Runs with records, where the pieces of the bottom level are one: a key lies in one of them at most. */
function placesIn(runs: readonly PartRef[]): number {
  const filled = runs.filter(({ recordCount }) => recordCount > 0)
  const pieces = filled.filter(isPiece)
  const isLevel = pieces.length > 0 && regionsOf(pieces) !== undefined
  return filled.length - (isLevel ? pieces.length - 1 : 0)
}

function sum(files: readonly NumberedFile[]): FileStats {
  return { count: files.length, bytes: files.reduce((bytes, file) => bytes + file.bytes, 0) }
}
