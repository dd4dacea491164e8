/**
 * Reads a lease in whatever thread it was sent to: the same reading verbs as a log or a store has, over the moment that the lease names. It opens segment
 * files by itself and reads tails in shared memory; it talks to nobody.
 */

import { loadChecksums } from '../codec/xxh64.ts'
import { Arena, type ArenaView } from '../commit-log/arena.ts'
import { type Files, nodeFiles } from '../env/index.ts'
import { VarveError } from '../errors.ts'
import { offsetForTimeInBatch } from '../log/batch-kinds.ts'
import { checkString } from '../log/check-arguments.ts'
import type { DefinedLog, LogSlice, ReadOptions, SealedBlock, SealedColumns } from '../log/log.ts'
import { blockInParts, columnsInParts, offsetForTimeInParts, type PartRef, partRef, readParts } from '../log/parts.ts'
import { Tail } from '../log/tail.ts'
import { SegmentReader } from '../segment/reader.ts'
import { BlockCache } from '../store/block-cache.ts'
import { ruleOf } from '../store/index-entries.ts'
import type { StoreKey } from '../store/key-codec.ts'
import type { LeasedIndexSource } from '../store/leased-index.ts'
import { LeasedStore, type LeasedStoreOptions } from '../store/leased-store.ts'
import { type LeasedSource, LeasedTable, leasedCacheBytesDefault } from '../store/leased-table.ts'
import { Memtable } from '../store/memtable.ts'
import type { Snapshot } from '../store/snapshots.ts'
import type { LeaseDescription, LeasedLogDescription, LeasedPart, LeasedTableDescription } from './leases.ts'

const bytesMaxDefault = 1 << 20

/** A log in a lease, read-only. */
export interface LeasedLog {
  /** As the log was defined when the lease was taken. */
  readonly definition: DefinedLog
  /** First offset, inclusive. */
  readonly startOffset: number
  /** Exclusive. */
  readonly endOffset: number
  /** As `Log.read`. */
  read(offset: number, options?: Pick<ReadOptions, 'bytesMax' | 'into' | 'fillChecksums'>): LogSlice
  /** As `LocalLog.blockAt`. */
  blockAt(offset: number): SealedBlock | undefined
  /** As `LocalLog.columnsAt`. */
  columnsAt(offset: number): SealedColumns | undefined
  /** As `Log.offsetForTime`. */
  offsetForTime(timestamp: number): number | undefined
}

/** A lease in the thread that reads it; release it, so that the owner may delete what it holds. */
export interface OpenedLease {
  /** Commit sequence of the moment: commits before it are seen. */
  readonly sequence: number
  /** Clock of the moment, ms since 1970. */
  readonly time: number
  /** In the order of the lease. */
  readonly logs: readonly LeasedLog[]
  /** Names of the stores, in the order of the lease. */
  readonly storeNames: readonly string[]
  /** NOT_FOUND when the lease has no such log. */
  log(name: string): LeasedLog
  /**
   * A store of the lease, read-only. NOT_FOUND when the lease has none of this name, CODEC_MISSING when values are encoded by a codec of the user's own
   * that is not given, DEFINITION_MISMATCH for another codec.
   */
  store<V = unknown, K extends StoreKey = StoreKey>(name: string, options?: LeasedStoreOptions<V>): LeasedStore<V, K>
  /** Closes files and lets the owner delete them. Idempotent. */
  release(): void
  [Symbol.dispose](): void
}

/** Opens a copy of a lease. `files` is for simulation; default: the file system. */
export async function openLease(description: LeaseDescription, files: Files = nodeFiles): Promise<OpenedLease> {
  if (!((description as Partial<LeaseDescription> | undefined)?.cells instanceof Int32Array))
    throw new TypeError(`description must be what \`share\` of a lease gave, got ${String(description)}`)
  await loadChecksums()
  if (Atomics.load(description.cells, description.copy) === 0) throw new VarveError('CLOSED', 'this copy of the lease was released')
  const readers = new Map<string, SegmentReader>()
  const arenas = new Map(description.arenas.map(view => [view.number, arenaOf(view)]))
  let released = false
  const assertOpen = (): void => {
    if (released) throw new VarveError('CLOSED', 'the lease was released')
  }
  const readerOf = (path: string): SegmentReader => {
    let reader = readers.get(path)
    if (reader === undefined) {
      reader = SegmentReader.open(files, path)
      readers.set(path, reader)
    }
    return reader
  }
  const partOf = ({ path, part }: LeasedPart): PartRef => partRef(readerOf(path), part)
  const logs = description.logs.map(log => openLog(log, arenas, partOf, assertOpen))
  const sources = new Map<string, LeasedSource>()
  const tableOf = ({ memtables, runs }: LeasedTableDescription, cache: BlockCache): LeasedTable =>
    new LeasedTable(
      memtables.map(memtable => Memtable.open(memtable.description, memtable.bytes)),
      () => runs.map(partOf),
      cache,
    )
  const sourceOf = (name: string): LeasedSource => {
    let source = sources.get(name)
    if (source === undefined) {
      const found = description.stores.find(store => store.name === name)
      if (found === undefined) throw new VarveError('NOT_FOUND', `store ${name} is not in this lease`, { details: { store: name } })
      const cache = new BlockCache(leasedCacheBytesDefault)
      const indexes = found.indexes.map(({ name: indexName, stored, builtSequence, ...index }): LeasedIndexSource => {
        return { name: indexName, rule: ruleOf(stored), builtSequence, failure: undefined, table: tableOf(index, cache) }
      })
      const { options, structures } = found
      source = { options, structures, cache, table: tableOf(found, cache), indexes }
      sources.set(name, source)
    }
    return source
  }
  const moment: Snapshot = {
    sequence: description.sequence,
    time: description.time,
    get isClosed() {
      return released
    },
    close: () => undefined, // the lease's own, which ends with it
    [Symbol.dispose]: () => undefined,
  }
  const release = (): void => {
    if (released) return
    released = true
    for (const reader of readers.values()) reader.close()
    Atomics.store(description.cells, description.copy, 0)
  }
  return {
    sequence: description.sequence,
    time: description.time,
    logs,
    storeNames: description.stores.map(({ name }) => name),
    log: name => {
      const found = logs.find(log => log.definition.name === name)
      if (found === undefined) throw new VarveError('NOT_FOUND', `log ${name} is not in this lease`, { details: { log: name } })
      return found
    },
    store: <V, K extends StoreKey>(name: string, options: LeasedStoreOptions<V> = {}) => {
      assertOpen()
      checkString(name, 'name')
      return new LeasedStore<V, K>(name, sourceOf(name), options, moment, assertOpen)
    },
    release,
    [Symbol.dispose]: release,
  }
}

function arenaOf(view: ArenaView): Arena {
  const arena = new Arena(view.number, view.bytes, 0, false)
  arena.index = view.index
  arena.indexCount = view.indexCount
  return arena
}

function openLog(
  description: LeasedLogDescription,
  arenas: ReadonlyMap<number, Arena>,
  partOf: (part: LeasedPart) => PartRef,
  assertOpen: () => void,
): LeasedLog {
  const { definition, startOffset, endOffset, flushedEnd } = description
  const { kind } = definition
  const tail = new Tail(number => arenas.get(number) as Arena)
  for (const slot of description.slots) tail.push(slot)
  let parts: PartRef[] | undefined
  const partRefs = (): PartRef[] => (parts ??= description.parts.map(partOf))
  return {
    definition,
    startOffset,
    endOffset,
    read(offset, options = {}) {
      assertOpen()
      if (!Number.isSafeInteger(offset) || offset < startOffset || offset > endOffset) {
        throw new VarveError(
          'OFFSET_OUT_OF_RANGE',
          `log ${definition.name} holds offsets ${startOffset} to ${endOffset} in this lease, asked for ${offset}`,
          {
            details: { log: definition.name, startOffset, endOffset, actual: offset },
          },
        )
      }
      const bytesMax = options.bytesMax ?? bytesMaxDefault
      if (offset < endOffset && offset < flushedEnd) {
        const slice = readParts(partRefs(), kind, offset, bytesMax, options.into)
        if (slice !== undefined) return slice
      }
      return tail.read(kind, offset, endOffset, bytesMax, options.fillChecksums === true, options.into)
    },
    blockAt(offset) {
      assertOpen()
      return offset < flushedEnd && offset < endOffset ? blockInParts(partRefs(), offset) : undefined
    },
    columnsAt(offset) {
      assertOpen()
      return offset < flushedEnd && offset < endOffset ? columnsInParts(partRefs(), offset) : undefined
    },
    offsetForTime(timestamp) {
      assertOpen()
      const inParts = offsetForTimeInParts(partRefs(), kind, timestamp, startOffset)
      if (inParts !== undefined) return inParts
      for (let i = 0; i < tail.length; i++) {
        if (tail.maxTimestamp(i) < timestamp || tail.endOffset(i) <= startOffset) continue
        const found = offsetForTimeInBatch(kind, tail.arena(i).bytes, tail.position(i), timestamp, startOffset)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}
