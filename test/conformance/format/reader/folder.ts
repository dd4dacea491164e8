/** A whole folder: docs/FORMAT.md, sections 9 and 12. Changes nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { unpack } from 'msgpackr'
import { check, Newer, sameBytes } from './bytes.ts'
import { type Entry, type RecoveredLog, recoverCommitLog } from './commit-log.ts'
import { readCatalogView } from './lmdb.ts'
import { type Part, readSegment, type Segment } from './segment.ts'
import { readStoreBatch, type StoreBatch, type StoreRecord } from './store-batch.ts'
import { readTopicBatch, type TopicBatch, type TopicRecord } from './topic-batch.ts'

export interface LogRow {
  readonly name: string
  readonly kind: string
  readonly [option: string]: unknown
}

interface StateRow {
  readonly startOffset: number
  readonly resetLsn: number
  readonly endOffset: number
  readonly epoch: number
}

export interface ReadLog {
  readonly id: number
  readonly definition: LogRow
  readonly startOffset: number
  /** Where the tail begins. */
  readonly tailAt: number
  readonly endOffset: number
  readonly parts: readonly Part[]
  readonly topicTail: readonly TopicBatch[]
  readonly storeTail: readonly StoreBatch[]
}

export interface ReadFolder {
  readonly rows: ReadonlyMap<string, Buffer>
  readonly commitLog: RecoveredLog
  readonly segments: ReadonlyMap<number, Segment>
  readonly logs: ReadonlyMap<string, ReadLog>
}

const idKey = /^(log|state|segment)\/(\d{10,})$|^meta\/(\d{10,})\/(.+)$/s
const plainKeys = ['database', 'ids', 'flush', 'system']

export function readFolder(folder: string): ReadFolder {
  const viewPath = `${folder}/catalog/data.mdb`
  const rows = existsSync(viewPath) ? readCatalogView(readFileSync(viewPath)) : new Map<string, Buffer>()
  for (const key of rows.keys()) assertKnown(key)
  const row = <T>(key: string, fallback: T): T => ({ ...fallback, ...((rows.has(key) ? unpack(rows.get(key) as Buffer) : {}) as T) })
  const noFlush = { lsn: 0, checksum: new Uint8Array(8), sequence: 1 }
  const commitLog = recoverCommitLog(folder, row('flush', noFlush))
  foldEdits(rows, commitLog.entries, row('system', { applied: 0 }).applied)
  if (rows.has('database') && row('database', { format: 0 }).format > 1) throw new Newer('database format')

  const segments = readSegments(folder, rows)
  const nextLogId = row('ids', { log: 1 }).log
  const flushLsn = row('flush', noFlush).lsn
  const definitions = new Map<number, LogRow>([[0, { name: '$system', kind: 'topic', cleanup: 'compact' }]])
  for (const [key, value] of rows) if (key.startsWith('log/')) definitions.set(Number(key.slice(4)), unpack(value))
  for (const { logId } of commitLog.entries) check(definitions.has(logId) || logId < nextLogId, `an entry of log ${logId}, never defined`)
  const logs = new Map<string, ReadLog>()
  for (const [id, definition] of definitions) {
    const state = row<StateRow>(`state/${String(id).padStart(10, '0')}`, { startOffset: 0, resetLsn: 0, endOffset: 0, epoch: 0 })
    const parts = partsOf(id, rows, segments)
    const entries = commitLog.entries.filter(entry => entry.logId === id && entry.lsn >= flushLsn)
    logs.set(definition.name, readLog(id, definition, state, parts, entries))
  }
  check((logs.get('$system')?.endOffset ?? 0) >= row('system', { applied: 0 }).applied, 'the system log ends before the view')
  return { rows, commitLog, segments, logs }
}

function assertKnown(key: string): void {
  if (!plainKeys.includes(key) && !idKey.test(key)) throw new Newer(`row ${key}`)
}

function foldEdits(rows: Map<string, Buffer>, entries: readonly Entry[], applied: number): void {
  for (const entry of entries) {
    if (entry.logId !== 0 || entry.kind !== 1) continue
    const batch = readTopicBatch(entry.body, 0, entry.body.length, entry.checksumOpen)
    if (batch.baseOffset < applied) continue
    for (const { key, value } of batch.records) {
      if (key === null || key.length === 0) continue
      assertKnown(key.toString())
      if (value === null) rows.delete(key.toString())
      else rows.set(key.toString(), value)
    }
  }
}

function readSegments(folder: string, rows: ReadonlyMap<string, Buffer>): Map<number, Segment> {
  const files = new Map<number, string>()
  for (const name of readdirSync(folder)) if (/^segment-\d{10,}\.seg$/.test(name)) files.set(Number(name.slice(8, -4)), `${folder}/${name}`)
  const databaseId = rows.has('database') ? (unpack(rows.get('database') as Buffer) as { id: Uint8Array }).id : undefined
  const segments = new Map<number, Segment>()
  for (const [key, value] of rows) {
    if (!key.startsWith('segment/')) continue
    const id = Number(key.slice(8))
    const row = unpack(value) as { bytes: number; footer: Uint8Array; parts: number }
    const path = files.get(id)
    check(path !== undefined, `segment ${id} is missing`)
    const bytes = readFileSync(path)
    const segment = readSegment(bytes)
    const agrees = bytes.length === row.bytes && segment.id === id && segment.parts.length === row.parts
    check(agrees && sameBytes(segment.footerChecksum, row.footer), `segment ${id} differs from its row`)
    check(databaseId !== undefined && sameBytes(segment.databaseId, databaseId), `segment ${id} is of another database`)
    segments.set(id, segment)
  }
  return segments
}

function partsOf(logId: number, rows: ReadonlyMap<string, Buffer>, segments: ReadonlyMap<number, Segment>): Part[] {
  const parts: Part[] = []
  for (const [id, segment] of segments) {
    const { dropped } = unpack(rows.get(`segment/${String(id).padStart(10, '0')}`) as Buffer) as { dropped: number[] }
    for (const [number, part] of segment.parts.entries()) if (part.logId === logId && !dropped.includes(number)) parts.push(part)
  }
  return parts.sort((left, right) => left.firstOffset - right.firstOffset || left.endOffset - right.endOffset)
}

interface TailBatch {
  readonly baseOffset: number
  readonly endOffset: number
  readonly topic: TopicBatch | undefined
  readonly store: StoreBatch | undefined
}

function readLog(id: number, definition: LogRow, state: StateRow, parts: readonly Part[], entries: readonly Entry[]): ReadLog {
  const isTopic = definition.kind === 'topic'
  let tailAt = Math.max(state.endOffset, ...parts.filter(part => (part.type === 1) === isTopic).map(part => part.endOffset))
  let end = tailAt
  let tail: TailBatch[] = []
  const resetAt = entries.findLastIndex(entry => entry.lsn === state.resetLsn && entry.kind === 4)
  for (const [index, entry] of entries.entries()) {
    if (entry.lsn < state.resetLsn || (entry.lsn === state.resetLsn && index < resetAt)) continue
    if (entry.kind === 3 || entry.kind === 4) {
      check(entry.body.length === 8, 'an entry without an offset')
      const offset = Number(entry.body.readBigUInt64LE())
      tail = entry.kind === 3 ? tail.filter(batch => batch.baseOffset < offset) : []
      if (entry.kind === 4) tailAt = offset
      end = entry.kind === 4 ? offset : Math.max(tailAt, Math.min(end, offset))
      continue
    }
    check((entry.kind === 1) === isTopic, 'a batch of the other kind')
    const batch = isTopic
      ? readTopicBatch(entry.body, 0, entry.body.length, entry.checksumOpen)
      : readStoreBatch(entry.body, 0, entry.body.length)
    check(batch.size === entry.body.length, 'a batch does not fill its entry')
    const { baseOffset, endOffset } = batch
    const placed = 'count' in batch ? { topic: batch, store: undefined } : { topic: undefined, store: batch }
    if (entry.carried) tail = tail.filter(other => other.baseOffset !== baseOffset)
    else check(baseOffset >= end, `log ${id}: a batch at ${baseOffset} behind ${end}`)
    tail.push({ baseOffset, endOffset, ...placed })
    end = Math.max(end, endOffset)
  }
  tail.sort((left, right) => left.baseOffset - right.baseOffset)
  let expected = tailAt
  for (const batch of tail) {
    check(batch.baseOffset === expected, `log ${id}: a hole at ${expected}`)
    expected = batch.endOffset
  }
  check(expected === end, `log ${id}: a hole at ${expected}`)
  const topicTail = tail.map(batch => batch.topic).filter(batch => batch !== undefined)
  const storeTail = tail.map(batch => batch.store).filter(batch => batch !== undefined)
  return { id, definition, startOffset: state.startOffset, tailAt, endOffset: end, parts, topicTail, storeTail }
}

/** All records of a topic log, from its start on. */
export function topicRecords(log: ReadLog): TopicRecord[] {
  const batches = [...log.parts.flatMap(part => part.topicBatches), ...log.topicTail]
  return batches.flatMap(batch => batch.records).filter(record => record.offset >= log.startOffset)
}

/** All records of a store log that have an offset: its bodies and its tail. */
export function offsetRecords(log: ReadLog): { readonly offset: number; readonly epoch: number; readonly record: StoreRecord }[] {
  const batches = [...log.parts.flatMap(part => part.storeBatches), ...log.storeTail]
  return batches
    .flatMap(({ baseOffset, epoch, records }) => records.map((record, index) => ({ offset: baseOffset + index, epoch, record })))
    .filter(({ offset }) => offset >= log.startOffset)
}
