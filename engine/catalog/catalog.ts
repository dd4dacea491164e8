/**
 * The catalog in memory: definitions, states, metadata and live segments, as the fold of the system log's edits.
 *
 * Owned by the database, which appends every change to the system log first and applies it here in the same turn; the view on disk follows at
 * flush time (`takeViewChange`). Reading is synchronous and cheap; nothing here does I/O.
 *
 * Invariant: applying the edits of the system log from offset 0 to an empty catalog gives this catalog.
 */
import type { CatalogChange, CatalogRow } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import type { DefinedLog } from '../log/log.ts'
import {
  CATALOG_FORMAT,
  type DatabaseRow,
  type DefinitionRow,
  type FlushRow,
  type IdsRow,
  packRow,
  parseRowKey,
  type RowChange,
  rowKeys,
  type SegmentRow,
  type StateRow,
  unpackRow,
} from './rows.ts'

const noSlots: ReadonlyMap<string, Uint8Array> = new Map()

export class Catalog {
  database: DatabaseRow | undefined
  ids: IdsRow = { log: 1, edit: 1 }
  flush: FlushRow = { lsn: 0, checksum: new Uint8Array(8), sequence: 1 }
  /** Offset in the system log: edits below are in the view on disk. */
  viewApplied = 0
  readonly #definitions = new Map<number, DefinedLog>()
  readonly #byName = new Map<string, DefinedLog>()
  readonly #states = new Map<number, StateRow>()
  readonly #metadata = new Map<number, Map<string, Uint8Array>>()
  readonly #segments = new Map<number, SegmentRow>()
  /** Rows that differ from the view on disk. */
  readonly #dirty = new Map<string, Uint8Array | null>()

  definition(id: number): DefinedLog | undefined {
    return this.#definitions.get(id)
  }
  definitionByName(name: string): DefinedLog | undefined {
    return this.#byName.get(name)
  }
  definitions(): DefinedLog[] {
    return [...this.#definitions.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
  state(id: number): StateRow | undefined {
    return this.#states.get(id)
  }
  metadata(id: number): ReadonlyMap<string, Uint8Array> {
    return this.#metadata.get(id) ?? noSlots
  }
  segment(id: number): SegmentRow | undefined {
    return this.#segments.get(id)
  }
  /** Live segments, in order of their ids. */
  segments(): [number, SegmentRow][] {
    return [...this.#segments].sort((a, b) => a[0] - b[0])
  }
  get segmentCount(): number {
    return this.#segments.size
  }

  /** Rows read from the view on disk. Throws NEWER_FORMAT, CORRUPT. */
  load(rows: readonly CatalogRow[]): void {
    const decoder = new TextDecoder()
    for (const row of rows) this.#apply(decoder.decode(row.key), row.value)
    this.#dirty.clear()
  }

  /** Applies one edit. */
  apply(changes: readonly RowChange[]): void {
    for (const { key, value } of changes) {
      this.#apply(key, value)
      this.#dirty.set(key, value)
    }
  }

  /**
   * What the view on disk lacks, given that it will contain the edits below `applied`. When writing it fails, give it back with
   * `returnViewChange`.
   */
  takeViewChange(applied: number): { readonly change: CatalogChange; readonly rows: ReadonlyMap<string, Uint8Array | null> } {
    const rows = new Map(this.#dirty)
    rows.set(rowKeys.system, packRow({ applied }))
    this.#dirty.clear()
    return { change: toChange(rows), rows }
  }

  returnViewChange(rows: ReadonlyMap<string, Uint8Array | null>): void {
    for (const [key, value] of rows) if (key !== rowKeys.system && !this.#dirty.has(key)) this.#dirty.set(key, value)
  }

  /** All rows, for a view or a system log that is written anew. */
  rows(): RowChange[] {
    const rows: RowChange[] = [
      { key: rowKeys.ids, value: packRow(this.ids) },
      { key: rowKeys.flush, value: packRow(this.flush) },
    ]
    if (this.database !== undefined) rows.push({ key: rowKeys.database, value: packRow(this.database) })
    for (const [id, definition] of this.#definitions) rows.push({ key: rowKeys.log(id), value: packRow(toRow(definition)) })
    for (const [id, state] of this.#states) rows.push({ key: rowKeys.state(id), value: packRow(state) })
    for (const [id, row] of this.#segments) rows.push({ key: rowKeys.segment(id), value: packRow(row) })
    for (const [id, slots] of this.#metadata) for (const [slot, value] of slots) rows.push({ key: rowKeys.meta(id, slot), value })
    return rows
  }

  #apply(key: string, value: Uint8Array | null): void {
    const parsed = parseRowKey(key)
    if (parsed === undefined)
      throw new VarveError('NEWER_FORMAT', `catalog row ${key} is not known to this version`, { details: { row: key } })
    switch (parsed.kind) {
      case 'database':
        if (value !== null) this.database = checkFormat(unpackRow<DatabaseRow>(key, value))
        return
      case 'ids':
        if (value !== null) this.ids = unpackRow<IdsRow>(key, value)
        return
      case 'flush':
        if (value !== null) this.flush = unpackRow<FlushRow>(key, value)
        return
      case 'system':
        if (value !== null) this.viewApplied = unpackRow<{ applied: number }>(key, value).applied
        return
      case 'log': {
        const before = this.#definitions.get(parsed.id)
        if (before !== undefined) this.#byName.delete(before.name)
        if (value === null) {
          this.#definitions.delete(parsed.id)
        } else {
          const definition: DefinedLog = { ...unpackRow<DefinitionRow>(key, value), id: parsed.id }
          this.#definitions.set(parsed.id, definition)
          this.#byName.set(definition.name, definition)
        }
        return
      }
      case 'state':
        if (value === null) this.#states.delete(parsed.id)
        else this.#states.set(parsed.id, unpackRow<StateRow>(key, value))
        return
      case 'segment':
        if (value === null) this.#segments.delete(parsed.id)
        else this.#segments.set(parsed.id, unpackRow<SegmentRow>(key, value))
        return
      case 'meta': {
        let slots = this.#metadata.get(parsed.id)
        if (value === null) {
          slots?.delete(parsed.slot)
          if (slots?.size === 0) this.#metadata.delete(parsed.id)
          return
        }
        if (slots === undefined) {
          slots = new Map()
          this.#metadata.set(parsed.id, slots)
        }
        slots.set(parsed.slot, value)
      }
    }
  }
}

/** A definition as it is stored: without its id, which is in the key. */
export function toRow(definition: DefinedLog): DefinitionRow {
  const { id: _id, ...row } = definition
  return row
}

export function toChange(rows: ReadonlyMap<string, Uint8Array | null>): CatalogChange {
  const encoder = new TextEncoder()
  const puts: CatalogRow[] = []
  const deletes: Uint8Array[] = []
  for (const [key, value] of rows) {
    if (value === null) deletes.push(encoder.encode(key))
    else puts.push({ key: encoder.encode(key), value })
  }
  return { puts, deletes }
}

function checkFormat(row: DatabaseRow): DatabaseRow {
  if (row.format > CATALOG_FORMAT) {
    throw new VarveError('NEWER_FORMAT', `the database has format ${row.format}, this version knows ${CATALOG_FORMAT}`, {
      details: { expected: CATALOG_FORMAT, actual: row.format },
    })
  }
  return row
}
