/**
 * Definitions of logs: which exist, under which names, with which options. Every change is one edit of the system log, so defining a thousand
 * logs costs one sync. Implements `Definitions` for the local database.
 */
import { VarveError } from '../errors.ts'
import { checkObject, checkString } from '../log/check-arguments.ts'
import type { DefinedLog, Definitions, LogDefinition, Redefinition } from '../log/log.ts'
import { type Catalog, toRow } from './catalog.ts'
import type { Manifest } from './manifest.ts'
import { packRow, type RowChange, rowKeys } from './rows.ts'

/** Options that `define` does not change once a log exists, with their defaults. */
const fixedOptions = { kind: undefined, highWatermark: 'auto', cleanup: 'delete', versioned: false, body: false } as const

const allowedValues: { readonly [name: string]: readonly unknown[] } = {
  kind: ['topic', 'store'],
  highWatermark: ['auto', 'owner'],
  cleanup: ['delete', 'compact'],
  versioned: [true, false],
  body: [true, false],
}

const nameLengthMax = 400
const loneSurrogate = /\p{Surrogate}/u

export class LogDefinitions implements Omit<Definitions, 'get' | 'list'> {
  readonly #catalog: Catalog
  readonly #manifest: Manifest
  /** Commits an edit; with no rows, waits until earlier ones are durable. */
  readonly #edit: (rows: readonly RowChange[]) => Promise<void>
  /** As `#edit` with rows; throws at once when the commit is refused. */
  readonly #editNow: (rows: readonly RowChange[]) => Promise<void>

  constructor(
    catalog: Catalog,
    manifest: Manifest,
    edit: (rows: readonly RowChange[]) => Promise<void>,
    editNow: (rows: readonly RowChange[]) => Promise<void>,
  ) {
    this.#catalog = catalog
    this.#manifest = manifest
    this.#edit = edit
    this.#editNow = editNow
  }

  /** Defines one log that is not defined yet, in this turn: throws when its commit is refused. Resolves when durable. */
  defineNow(definition: LogDefinition): Promise<void> {
    checkDefinition(definition)
    const id = this.#catalog.ids.log
    return this.#editNow([
      { key: rowKeys.log(id), value: packRow(storedDefinition(definition)) },
      { key: rowKeys.ids, value: packRow({ ...this.#catalog.ids, log: id + 1 }) },
    ])
  }

  async define(definitions: readonly LogDefinition[]): Promise<DefinedLog[]> {
    if (!Array.isArray(definitions)) throw new TypeError('definitions must be an array')
    const rows: RowChange[] = []
    const fresh = new Map<string, number>()
    let nextId = this.#catalog.ids.log
    for (const definition of definitions as readonly LogDefinition[]) {
      checkDefinition(definition)
      const stored = this.#catalog.definitionByName(definition.name)
      if (stored !== undefined) {
        checkAgrees(stored, definition)
        continue
      }
      if (fresh.has(definition.name)) throw new TypeError(`log ${definition.name} is defined twice in one call`)
      fresh.set(definition.name, nextId)
      rows.push({ key: rowKeys.log(nextId), value: packRow(storedDefinition(definition)) })
      nextId++
    }
    // A name that is there already may be of a call that is not durable yet.
    if (rows.length > 0) rows.push({ key: rowKeys.ids, value: packRow({ ...this.#catalog.ids, log: nextId }) })
    const durable = this.#edit(rows)
    // The answer is that of this edit, whatever later ones do before it is durable.
    const defined = definitions.map(definition => this.#catalog.definitionByName(definition.name))
    await durable
    return defined as DefinedLog[]
  }

  async redefine(name: string, options: { readonly [name: string]: unknown }): Promise<DefinedLog> {
    const [redefined] = await this.redefineAll([{ name, options }])
    return redefined as DefinedLog
  }

  async redefineAll(changes: readonly Redefinition[]): Promise<DefinedLog[]> {
    const redefined = changes.map(({ name, options, cleanup }): DefinedLog => {
      checkString(name, 'name')
      if (options === null || typeof options !== 'object') throw new TypeError('options must be an object')
      checkPlain(options, 'options')
      const stored = this.#get(name)
      if (cleanup === undefined) return { ...stored, options }
      checkCleanup({ ...stored, cleanup })
      return { ...stored, options, cleanup }
    })
    await this.#edit(redefined.map(log => ({ key: rowKeys.log(log.id), value: packRow(toRow(log)) })))
    return redefined
  }

  async rename(from: string, to: string): Promise<DefinedLog> {
    checkString(from, 'from')
    const [renamed] = await this.renameAll([[from, to]])
    return renamed as DefinedLog
  }

  async renameAll(pairs: readonly (readonly [from: string, to: string])[]): Promise<DefinedLog[]> {
    const leaving = new Set(pairs.map(([from]) => from))
    const renamed = new Map<string, DefinedLog>()
    for (const [from, to] of pairs) {
      checkName(to)
      const stored = this.#get(from)
      if (renamed.has(to) || (this.#catalog.definitionByName(to) !== undefined && !leaving.has(to)))
        throw new VarveError('EXISTS', `log ${to} exists already`, { details: { log: to } })
      renamed.set(to, { ...stored, name: to })
    }
    await this.#edit([...renamed.values()].map(log => ({ key: rowKeys.log(log.id), value: packRow(toRow(log)) })))
    return [...renamed.values()]
  }

  async drop(names: readonly string[]): Promise<void> {
    if (!Array.isArray(names)) throw new TypeError('names must be an array')
    for (const name of names) checkString(name, 'each of names')
    const stored = (names as readonly string[]).map(name => this.#get(name))
    const ids = stored.map(log => log.id)
    const rows: RowChange[] = []
    for (const id of ids) {
      rows.push({ key: rowKeys.log(id), value: null })
      if (this.#catalog.state(id) !== undefined) rows.push({ key: rowKeys.state(id), value: null })
      for (const slot of this.#catalog.metadata(id).keys()) rows.push({ key: rowKeys.meta(id, slot), value: null })
    }
    rows.push(...this.dropPartsRows(ids))
    await this.#edit(rows)
  }

  /** Rows of the segments that hold parts of these logs, with those parts dropped; a segment without any other part is removed. */
  dropPartsRows(ids: readonly number[]): RowChange[] {
    return this.droppedRows((reader, part) => ids.includes(reader.directory.logId(part)))
  }

  /** As `dropPartsRows` for whatever parts `isDropped` names. */
  droppedRows(isDropped: (reader: import('../segment/reader.ts').SegmentReader, part: number) => boolean): RowChange[] {
    const rows: RowChange[] = []
    // By the catalog, which knows edits that are not durable yet, and of them segments that are not live yet.
    for (const [id, row] of this.#catalog.segments()) {
      const reader = this.#manifest.openReader(id)
      const dropped = new Set(row.dropped)
      const before = dropped.size
      for (let part = 0; part < reader.directory.partCount; part++) if (isDropped(reader, part)) dropped.add(part)
      if (dropped.size === before) continue
      const value = dropped.size === reader.directory.partCount ? null : packRow({ ...row, dropped: [...dropped].sort((a, b) => a - b) })
      rows.push({ key: rowKeys.segment(id), value })
    }
    return rows
  }

  #get(name: string): DefinedLog {
    const stored = this.#catalog.definitionByName(name)
    if (stored === undefined) throw new VarveError('NOT_FOUND', `no log is named ${name}`, { details: { log: name } })
    return stored
  }
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name.length === 0 || name.length > nameLengthMax) {
    throw new TypeError(`name must be a string of 1 to ${nameLengthMax} characters`)
  }
  if (loneSurrogate.test(name)) throw new TypeError('name must be well-formed Unicode')
  if (name.includes('\u0000')) throw new TypeError('name must not contain the character NUL')
  if (name.startsWith('$')) throw new TypeError(`name must not begin with $, got ${name}`)
}

/** The definition as it is stored: without options that are undefined. */
function storedDefinition(definition: LogDefinition): LogDefinition {
  return Object.fromEntries(Object.entries(definition).filter(([, value]) => value !== undefined)) as unknown as LogDefinition
}

/** What msgpack gives back as it was: null, booleans, numbers, strings, bytes, arrays and plain objects of these. */
function checkPlain(value: unknown, path: string): void {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string' || value instanceof Uint8Array)
    return
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkPlain(item, `${path}[${index}]`)
    return
  }
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const [name, item] of Object.entries(value)) checkPlain(item, `${path}.${name}`)
    return
  }
  throw new TypeError(`${path} must be plain data (null, booleans, numbers, strings, bytes, arrays, objects)`)
}

function checkDefinition(definition: LogDefinition): void {
  if (definition === null || typeof definition !== 'object') throw new TypeError('a definition must be an object')
  checkName(definition.name)
  for (const [option, value] of Object.entries(definition)) {
    if (option === 'options' && value !== undefined) checkPlain(value, 'options')
    if (option === 'name' || option === 'options') continue
    if (allowedValues[option] === undefined) throw new TypeError(`unknown option of log ${definition.name}: ${option}`)
    if (value !== undefined || option === 'kind') checkAllowed(definition.name, option, value)
  }
  if (definition.options !== undefined) checkObject(definition.options, `options of log ${definition.name}`)
  if (definition.kind === undefined) throw new TypeError(`kind of log ${definition.name} must be 'topic' or 'store'`)
  checkCleanup(definition)
  if (definition.kind === 'topic' && (definition.versioned === true || definition.body === true)) {
    throw new TypeError(`versioned and body are options of store logs, log ${definition.name} is a topic`)
  }
}

function checkAllowed(log: string, option: string, value: unknown): void {
  const allowed = allowedValues[option] as readonly unknown[]
  if (!allowed.includes(value)) throw new TypeError(`${option} of log ${log} must be one of ${allowed.join(', ')}, got ${String(value)}`)
}

function checkCleanup({ name, kind, cleanup }: LogDefinition): void {
  if (cleanup !== undefined) checkAllowed(name, 'cleanup', cleanup)
  if (kind === 'store' && cleanup === 'compact') {
    throw new TypeError(`cleanup 'compact' is an option of topic logs, log ${name} is a store`)
  }
}

function checkAgrees(stored: DefinedLog, definition: LogDefinition): void {
  for (const [option, fallback] of Object.entries(fixedOptions)) {
    const name = option as keyof typeof fixedOptions
    const expected = stored[name] ?? fallback
    const actual = definition[name] ?? fallback
    if (expected !== actual) {
      throw new VarveError(
        'DEFINITION_MISMATCH',
        `log ${definition.name} was defined with ${option} ${String(expected)}, now ${String(actual)}`,
        {
          details: { log: definition.name, option, expected, actual },
        },
      )
    }
  }
}
