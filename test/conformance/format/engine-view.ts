/**
 * A folder as the engine sees it and as the second reader sees it, in one shape, so that a test can compare them: every log with its definition,
 * bounds and records, every run with its records, the definitions and the commit sequence.
 *
 * Also the environment of these tests: Node's, with background tasks run inline, so that no compiled worker is needed.
 */

import { isControlBatch } from '../../../engine/batch/record-batch.ts'
import { decodeRecords } from '../../../engine/batch/record-batch-codec.ts'
import { openStoreBatch, storeBatchBaseOffset } from '../../../engine/batch/store-batch.ts'
import { StoreRecordCursor } from '../../../engine/batch/store-record.ts'
import { type Database, openDatabase } from '../../../engine/database.ts'
import { createNodeEnvironment, type Environment, nodeFiles } from '../../../engine/env/index.ts'
import { runTask } from '../../../engine/env/run-task.ts'
import { batchLeaderEpoch, batchLength } from '../../../engine/log/batch-kinds.ts'
import type { LocalLog } from '../../../engine/log/log.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'
import type { OpenOptions } from '../../../engine/options.ts'
import { PART_RUN } from '../../../engine/segment/format.ts'
import { RunCursor } from '../../../engine/segment/run-reader.ts'
import { internals } from '../../support/internals.ts'
import { offsetRecords, type ReadFolder, topicRecords } from './reader/folder.ts'
import type { StoreRecord } from './reader/store-batch.ts'

export interface FolderView {
  readonly sequence: number
  readonly logs: { readonly [name: string]: unknown }
}

const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'))

export function testEnvironment(): Environment {
  const node = createNodeEnvironment({ worker: new URL('file:///no-worker') })
  let queue: Promise<unknown> = Promise.resolve()
  return {
    ...node,
    createExecutor: () => ({
      run: <T>({ kind, input }: { kind: string; input: unknown }) => {
        const place = { files: nodeFiles, catalogs: node.catalogs, clock: node.clock, report: () => undefined }
        const result = queue.then(() => runTask(taskRunners, kind, input, place))
        queue = result.catch(() => undefined)
        return result as Promise<T>
      },
      close: async () => {
        await queue
      },
    }),
  }
}

/** Small files, so that a few kilobytes recycle, stage and flush. */
export const smallOptions: OpenOptions = {
  commitLogFileBytes: 64 * 1024,
  commitLogFileBytesFirst: 8 * 1024,
  frameBytesMax: 8 * 1024,
  ownSegmentBytes: 16 * 1024,
  closeTailBytesMax: 1024 * 1024,
  autoConsolidate: false,
}

export function openTest(folder: string, options: OpenOptions = {}): Promise<Database> {
  return openDatabase(folder, { ...smallOptions, ...options, environment: testEnvironment() })
}

export function viewOfEngine(database: Database): FolderView {
  const logs: { [name: string]: unknown } = {}
  for (const { id, name, ...definition } of database.list()) {
    const log = database.log(name)
    const bounds = { id, startOffset: internals(log).trimmedTo, endOffset: log.endOffset, tailAt: log.flushedEnd }
    const records = log.kind === 'topic' ? engineTopicRecords(log) : engineStoreRecords(log)
    logs[name] = { ...bounds, definition: clean({ name, ...definition }), records, runs: engineRuns(log) }
  }
  return { sequence: database.stats().sequence, logs }
}

export function viewOfReader(folder: ReadFolder): FolderView {
  const logs: { [name: string]: unknown } = {}
  for (const [name, log] of folder.logs) {
    if (name === '$system') continue
    const { id, startOffset, endOffset, tailAt, definition } = log
    const records = definition.kind === 'topic' ? topicRecords(log).map(toTopicRow) : offsetRecords(log).map(toOffsetRow)
    const runs = log.parts.filter(part => part.type === 2).map(part => part.run.map(toStoreRow))
    logs[name] = { id, startOffset, endOffset, tailAt, definition: clean(definition), records, runs }
  }
  return { sequence: folder.commitLog.sequence, logs }
}

function clean(definition: object): object {
  return Object.fromEntries(Object.entries(definition).filter(([, value]) => value !== undefined && value !== null))
}

function toTopicRow({ offset, timestamp, key, value, headers, epoch, control }: ReturnType<typeof topicRecords>[number]): unknown {
  const named = headers.map(header => ({ key: header.key, value: hex(header.value) }))
  return { offset, timestamp, key: hex(key), value: hex(value), headers: named, epoch, control }
}

function toOffsetRow({ offset, epoch, record }: ReturnType<typeof offsetRecords>[number]): unknown {
  return { offset, epoch, record: toStoreRow(record) }
}

function toStoreRow({ kind, sequence, expiry, version, key, value }: StoreRecord): unknown {
  return { kind, sequence, expiry, version, key: hex(key), value: hex(value) }
}

function cursorRow(cursor: StoreRecordCursor): unknown {
  const { buffer, kind, sequence, expiry, keyStart, keyBytes, valueStart, valueBytes } = cursor
  const version = cursor.hasVersion ? { ms: cursor.versionMs, counter: cursor.versionCounter, node: cursor.versionNode } : undefined
  const bytes = (start: number, size: number): string | null => hex(buffer.slice(start, start + size))
  return { kind, sequence, expiry, version, key: bytes(keyStart, keyBytes), value: bytes(valueStart, valueBytes) }
}

function engineTopicRecords(log: LocalLog): unknown[] {
  const rows: unknown[] = []
  const { trimmedTo } = internals(log)
  visitBatches(log, trimmedTo, (bytes, position, end) => {
    const epoch = Math.max(0, batchLeaderEpoch('topic', bytes, position))
    const control = isControlBatch(bytes, position)
    for (const { offset, timestamp, key, value, headers } of decodeRecords(bytes, position, end)) {
      if (offset < trimmedTo) continue
      const named = headers.map(header => ({ key: header.key, value: hex(header.value) }))
      rows.push({ offset, timestamp, key: hex(key), value: hex(value), headers: named, epoch, control })
    }
  })
  return rows
}

function engineStoreRecords(log: LocalLog): unknown[] {
  const rows: unknown[] = []
  const { trimmedTo } = internals(log)
  const cursor = new StoreRecordCursor()
  visitBatches(log, log.startOffset, (bytes, position) => {
    openStoreBatch(cursor, bytes, position)
    const epoch = batchLeaderEpoch('store', bytes, position)
    for (let offset = storeBatchBaseOffset(bytes, position); cursor.next(); offset++)
      if (offset >= trimmedTo) rows.push({ offset, epoch, record: cursorRow(cursor) })
  })
  return rows
}

function visitBatches(log: LocalLog, from: number, visit: (bytes: Uint8Array, position: number, end: number) => void): void {
  for (let offset = from; ; ) {
    const slice = log.read(offset, { bound: 'end' })
    for (const position of slice.positions) visit(slice.bytes, position, position + batchLength(log.kind, slice.bytes, position))
    if (slice.nextOffset === offset) return
    offset = slice.nextOffset
  }
}

function engineRuns(log: LocalLog): unknown[][] {
  return internals(log)
    .parts.filter(part => part.type === PART_RUN)
    .map(part => {
      const cursor = new RunCursor(part.reader, part.part)
      const rows: unknown[] = []
      while (cursor.next()) rows.push(cursorRow(cursor.record))
      return rows
    })
}
