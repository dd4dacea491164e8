/**
 * Rows of the catalog: what an *edit* of the system log consists of, and what the catalog view keeps.
 *
 * The system log (log 0) is a topic log compacted by key: a record's key names a row, its value is the row (null: the row is gone), one batch
 * is one edit, all or nothing. The catalog in memory and the view on disk are both the fold of it.
 *
 *   database            { format, id, createdMs }
 *   ids                 { log, edit }                 next log id and next edit id; never fall
 *   flush               { lsn, checksum, sequence }   the commit log counts from here
 *   log/<id>            definition
 *   state/<id>          { startOffset, resetLsn, endOffset, epoch, cleanedTo }
 *   meta/<id>/<slot>    bytes
 *   segment/<id>        { bytes, footer, parts, dropped }
 *   system              { applied }                   view only: edits below this offset of the system log are in the view
 *
 * Ids in keys have ten digits, so that byte order is number order.
 */
import { Packr } from 'msgpackr'
import { VarveError } from '../errors.ts'
import type { LogDefinition } from '../log/log.ts'

export const SYSTEM_LOG_ID = 0
export const CATALOG_FORMAT = 1

export interface DatabaseRow {
  readonly format: number
  /** 8 random bytes; stands in every segment. */
  readonly id: Uint8Array
  readonly createdMs: number
}

export interface IdsRow {
  readonly log: number
  readonly edit: number
}

export interface FlushRow {
  readonly lsn: number
  readonly checksum: Uint8Array
  readonly sequence: number
}

export interface StateRow {
  /** Records below are hidden. */
  readonly startOffset: number
  /** Entries of the log in earlier frames are void (see `Log.resetTo`). */
  readonly resetLsn: number
  /** The log ends here at least, even when no part and no batch says so. */
  readonly endOffset: number
  /** Leader epoch at the flushed end of a store log, whose runs do not keep epochs. */
  readonly epoch: number
  /** Compaction by key scanned everything below. Default 0. */
  readonly cleanedTo?: number
}

export interface SegmentRow {
  /** Size of the file. */
  readonly bytes: number
  /** xxh64 of the footer. */
  readonly footer: Uint8Array
  readonly parts: number
  /** Numbers of parts that are no longer part of their logs, ascending. */
  readonly dropped: readonly number[]
}

export type DefinitionRow = LogDefinition

/** One changed row of an edit; null removes it. */
export interface RowChange {
  readonly key: string
  readonly value: Uint8Array | null
}

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true })

export function packRow(value: unknown): Uint8Array {
  // msgpackr returns a view of its pool; a row is kept for long.
  return Uint8Array.from(packr.pack(value))
}

/** The row's value; CORRUPT (naming the row) when it is not msgpack. The caller knows the row's shape from its key. */
export function unpackRow<T>(key: string, value: Uint8Array): T {
  try {
    return packr.unpack(value) as T
  } catch (cause) {
    throw new VarveError('CORRUPT', `catalog row ${key} cannot be decoded`, { cause, details: { row: key } })
  }
}

const digits = (id: number): string => String(id).padStart(10, '0')

export const rowKeys = {
  database: 'database',
  ids: 'ids',
  flush: 'flush',
  system: 'system',
  log: (id: number): string => `log/${digits(id)}`,
  state: (id: number): string => `state/${digits(id)}`,
  meta: (id: number, slot: string): string => `meta/${digits(id)}/${slot}`,
  segment: (id: number): string => `segment/${digits(id)}`,
} as const

export type ParsedKey =
  | { readonly kind: 'database' | 'ids' | 'flush' | 'system' }
  | { readonly kind: 'log' | 'state' | 'segment'; readonly id: number }
  | { readonly kind: 'meta'; readonly id: number; readonly slot: string }

export function parseRowKey(key: string): ParsedKey | undefined {
  if (key === 'database' || key === 'ids' || key === 'flush' || key === 'system') return { kind: key }
  const match = /^(log|state|segment|meta)\/(\d{10,})(?:\/(.+))?$/s.exec(key)
  if (match === null) return undefined
  const id = Number(match[2])
  if (match[1] === 'meta') return match[3] === undefined ? undefined : { kind: 'meta', id, slot: match[3] }
  return match[3] === undefined ? { kind: match[1] as 'log' | 'state' | 'segment', id } : undefined
}
