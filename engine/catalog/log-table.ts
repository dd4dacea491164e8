/**
 * All logical logs of a database by id: made when somebody asks for them or when recovery finds batches of theirs; an idle log is only a row.
 *
 * Also the fold of recovery: `replay` turns the entries of the commit log, in order, back into tails, catalog rows and truncations.
 */
import { batchBaseOffset, batchLastOffset, batchMaxTimestamp, validateRecordBatch } from '../batch/record-batch.ts'
import { RecordCursor } from '../batch/record-cursor.ts'
import { checkStoreBatchHeader, storeBatchBaseOffset, storeBatchCount, storeBatchEpoch, storeBatchTimestamp } from '../batch/store-batch.ts'
import { placeDamage } from '../codec/damage.ts'
import { type Arena, STATE_CHECKSUM_OPEN, STATE_STORE } from '../commit-log/arena.ts'
import {
  ENTRY_FLAG_CARRIED,
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_RESET,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
  ENTRY_TRUNCATE,
} from '../commit-log/format.ts'
import { type Frame, readU64 } from '../commit-log/frame.ts'
import type { RecoveryVisitor } from '../commit-log/recovery.ts'
import { corrupt, VarveError } from '../errors.ts'
import { batchLeaderEpoch } from '../log/batch-kinds.ts'
import type { DefinedLog } from '../log/log.ts'
import { type LogHost, LogicalLog } from '../log/logical-log.ts'
import { flushedEndOf } from '../log/parts.ts'
import type { Catalog } from './catalog.ts'
import type { Manifest } from './manifest.ts'
import { parseRowKey, type RowChange, SYSTEM_LOG_ID } from './rows.ts'

export const systemLogDefinition: DefinedLog = { id: SYSTEM_LOG_ID, name: '$system', kind: 'topic', cleanup: 'compact' }

const decoder = new TextDecoder()

export class LogTable {
  readonly #host: LogHost
  readonly #catalog: Catalog
  readonly #manifest: Manifest
  readonly #logs = new Map<number, LogicalLog>()

  constructor(host: LogHost, catalog: Catalog, manifest: Manifest) {
    this.#host = host
    this.#catalog = catalog
    this.#manifest = manifest
  }

  /** Logs that want to hear of progress; a log that no longer does is dropped from the set when it is told next. */
  readonly watched: Set<LogicalLog> = new Set()

  /** Logs in use. */
  values(): IterableIterator<LogicalLog> {
    return this.#logs.values()
  }

  existing(id: number): LogicalLog | undefined {
    return this.#logs.get(id)
  }

  /** The log of a defined id; undefined when no such log is defined. */
  get(id: number): LogicalLog | undefined {
    const known = this.#logs.get(id)
    if (known !== undefined) return known
    const definition = id === SYSTEM_LOG_ID ? systemLogDefinition : this.#catalog.definition(id)
    if (definition === undefined) return undefined
    const parts = this.#manifest.partsOf(id)
    const state = this.#catalog.state(id)
    const startOffset = state?.startOffset ?? 0
    const log = new LogicalLog(this.#host, {
      definition,
      parts,
      startOffset,
      // Not the start: a trim may reach into the tail.
      flushedEnd: Math.max(flushedEndOf(parts, definition.kind), state?.endOffset ?? 0),
      resetLsn: state?.resetLsn ?? 0,
      flushedEpoch: state?.epoch ?? 0,
    })
    this.#logs.set(id, log)
    return log
  }

  /** Definitions changed: tells the objects. */
  redefined(changes: readonly RowChange[]): void {
    for (const { key } of changes) {
      const parsed = parseRowKey(key)
      if (parsed?.kind !== 'log' && parsed?.kind !== 'state') continue
      const log = this.#logs.get(parsed.id)
      if (log === undefined) continue
      if (parsed.kind === 'state') {
        const state = this.#catalog.state(parsed.id)
        if (state !== undefined) log.setStartOffset(state.startOffset)
        continue
      }
      const definition = this.#catalog.definition(parsed.id)
      if (definition === undefined) {
        log.markDropped()
        this.#logs.delete(parsed.id)
      } else {
        log.redefine(definition)
      }
    }
  }

  /** The visitor that recovery drives. */
  replay(pathOf: (arena: Arena) => string): RecoveryVisitor {
    const cursor = new RecordCursor()
    let frame: Frame | undefined
    const entry = (kind: number, flags: number, logId: number, arena: Arena, start: number, end: number): void => {
      const log = this.get(logId)
      if (log === undefined) {
        if (logId < this.#catalog.ids.log) return // dropped by an edit that the view already has
        throw corrupt(`entry of log ${logId}, which was never defined`, pathOf(arena), start, { logId })
      }
      if (frame !== undefined && this.#isVoid(log, kind, frame)) return
      if (kind === ENTRY_TRUNCATE || kind === ENTRY_RESET) {
        const offset = readU64(arena.view, start)
        if (kind === ENTRY_TRUNCATE) log.cut(offset)
        else this.#recoverReset(log, offset, frame)
        return
      }
      if (kind !== ENTRY_TOPIC_BATCH && kind !== ENTRY_STORE_BATCH) {
        throw new VarveError('NEWER_FORMAT', `${pathOf(arena)}: entry kind ${kind} is not known to this version`, {
          details: { file: pathOf(arena), position: start },
        })
      }
      this.#recoverBatch(log, kind, flags, arena, start, end, pathOf)
      if (logId === SYSTEM_LOG_ID) this.#applySystemBatch(arena, start, end, cursor)
    }
    return {
      frame: next => {
        frame = next
      },
      entry,
      finish: () => this.#finish(),
    }
  }

  /** True for entries that a later reset made void, where the catalog view already knows of the reset. */
  #isVoid(log: LogicalLog, kind: number, frame: Frame): boolean {
    if (log.awaitedResetLsn <= 0) return false
    if (frame.lsn > log.awaitedResetLsn) {
      log.awaitedResetLsn = 0
      return false
    }
    if (frame.lsn === log.awaitedResetLsn && kind === ENTRY_RESET) {
      log.awaitedResetLsn = 0
      return false
    }
    return true
  }

  #recoverReset(log: LogicalLog, offset: number, frame: Frame | undefined): void {
    log.resetState(offset)
    // Its rows follow in the frame. When the view has them already they are not applied again, and neither are trims behind this reset.
    const inView = (this.get(SYSTEM_LOG_ID)?.endOffset ?? 0) < this.#catalog.viewApplied
    const state = this.#catalog.state(log.id)
    if (inView && state !== undefined && state.resetLsn === frame?.lsn) log.setStartOffset(state.startOffset)
  }

  #recoverBatch(
    log: LogicalLog,
    kind: number,
    flags: number,
    arena: Arena,
    start: number,
    end: number,
    pathOf: (arena: Arena) => string,
  ): void {
    const { bytes } = arena
    const topic = kind === ENTRY_TOPIC_BATCH
    try {
      // The frame's checksum vouches for the bytes; this guards against a batch that was framed wrongly.
      const size = topic ? validateRecordBatch(bytes, start, end, false) : checkStoreBatchHeader(bytes, start, end) - start
      if (size !== end - start) throw corrupt('batch does not fill its entry', pathOf(arena), start)
    } catch (error) {
      throw placeDamage(error, pathOf(arena), 0)
    }
    const baseOffset = topic ? batchBaseOffset(bytes, start) : storeBatchBaseOffset(bytes, start)
    const endOffset = topic ? batchLastOffset(bytes, start) + 1 : baseOffset + storeBatchCount(bytes, start)
    const timestamp = topic ? batchMaxTimestamp(bytes, start) : storeBatchTimestamp(bytes, start)
    const epoch = topic ? Math.max(0, batchLeaderEpoch('topic', bytes, start)) : storeBatchEpoch(bytes, start)
    const state = ((flags & ENTRY_FLAG_CHECKSUM_OPEN) !== 0 ? STATE_CHECKSUM_OPEN : 0) | (topic ? 0 : STATE_STORE)
    const row = arena.addIndexRow(log.id, start, end - start, baseOffset, endOffset, timestamp, epoch, state)
    const problem = log.recover(arena, row, baseOffset, endOffset, (flags & ENTRY_FLAG_CARRIED) !== 0)
    if (problem !== undefined) throw corrupt(`log ${log.name}: ${problem}`, pathOf(arena), start, { log: log.name })
  }

  /** Edits that the view does not have yet. */
  #applySystemBatch(arena: Arena, start: number, end: number, cursor: RecordCursor): void {
    if (batchBaseOffset(arena.bytes, start) < this.#catalog.viewApplied) return
    const changes = readEdit(arena.bytes, start, end, cursor)
    this.#catalog.apply(changes)
    this.redefined(changes)
  }

  #finish(): void {
    for (const log of this.#logs.values()) {
      const hole = log.findHole()
      if (hole !== undefined) {
        throw new VarveError('CORRUPT', `log ${log.name}: no batch for offset ${hole} in the commit log`, {
          details: { log: log.name, expected: hole },
        })
      }
    }
  }
}

/** The row changes of one batch of the system log. */
export function readEdit(bytes: Uint8Array, start: number, end: number, cursor: RecordCursor = new RecordCursor()): RowChange[] {
  const changes: RowChange[] = []
  try {
    cursor.open(bytes, start, end)
    while (cursor.next()) {
      const { data, keyStart, keySize, valueStart, valueSize } = cursor
      if (keySize <= 0) continue
      changes.push({
        // A TextDecoder does not take shared memory.
        key: decoder.decode(data.slice(keyStart, keyStart + keySize)),
        value: valueSize < 0 ? null : data.slice(valueStart, valueStart + valueSize),
      })
    }
  } finally {
    cursor.close()
  }
  return changes
}
