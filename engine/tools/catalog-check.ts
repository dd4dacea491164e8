/**
 * The catalog view on disk, read and judged row by row: is each row one that this version knows, decodable and of the right shape, and do the
 * rows agree with each other. Used by `verify`, `repair` and `stats`; the view is opened for reading only.
 */
import { Catalog } from '../catalog/catalog.ts'
import {
  CATALOG_FORMAT,
  type DatabaseRow,
  type DefinitionRow,
  type FlushRow,
  type IdsRow,
  parseRowKey,
  type SegmentRow,
  type StateRow,
  unpackRow,
} from '../catalog/rows.ts'
import type { CatalogRow, Environment } from '../env/environment.ts'
import { VarveError } from '../errors.ts'
import { catalogDataName, type Folder } from './folder.ts'

export interface ReadView {
  /** Good rows by key, without `system`. */
  readonly rows: ReadonlyMap<string, Uint8Array>
  /** Edits of the system log below this offset are in the view. */
  readonly applied: number
  /** What is wrong, row by row or as a whole. */
  readonly problems: readonly { readonly message: string; readonly code: 'CORRUPT' | 'NEWER_FORMAT' }[]
  /** False: there is no view, or it cannot be read at all. */
  readonly readable: boolean
  readonly path: string
}

/** Never throws for what is in the view. Errors: IO. */
export async function readView(environment: Environment, folder: Folder): Promise<ReadView> {
  const path = `${folder.catalogPath}/${catalogDataName}`
  const rows = new Map<string, Uint8Array>()
  const problems: { message: string; code: 'CORRUPT' | 'NEWER_FORMAT' }[] = []
  if (folder.catalogBytes === undefined) {
    problems.push({ message: 'the catalog is missing', code: 'CORRUPT' })
    return { rows, applied: 0, problems, readable: false, path }
  }
  let stored: CatalogRow[]
  try {
    const view = await environment.catalogs.open(folder.catalogPath, { readOnly: true })
    try {
      stored = view.rows()
    } finally {
      await view.close()
    }
  } catch (error) {
    if (!(error instanceof VarveError) || (error.code !== 'CORRUPT' && error.code !== 'NEWER_FORMAT')) throw error
    problems.push({ message: `the catalog cannot be read: ${error.message}`, code: error.code })
    return { rows, applied: 0, problems, readable: false, path }
  }
  let applied = 0
  const decoder = new TextDecoder()
  for (const { key, value } of stored) {
    const name = decoder.decode(key)
    const problem = rowProblem(name, value)
    if (problem !== undefined) problems.push(problem)
    else if (name === 'system') applied = unpackRow<{ applied: number }>(name, value).applied
    else rows.set(name, value)
  }
  return { rows, applied, problems, readable: true, path }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
const isBytes = (value: unknown, size: number): boolean => value instanceof Uint8Array && value.byteLength === size

/** What is wrong with one row; undefined when it is one that this version would write. */
export function rowProblem(
  key: string,
  value: Uint8Array,
): { readonly message: string; readonly code: 'CORRUPT' | 'NEWER_FORMAT' } | undefined {
  const parsed = parseRowKey(key)
  if (parsed === undefined) return { message: `row ${printable(key)} is not known to this version`, code: 'NEWER_FORMAT' }
  if (parsed.kind === 'meta') return undefined
  let row: unknown
  try {
    row = unpackRow<unknown>(key, value)
  } catch {
    return { message: `row ${key} cannot be decoded`, code: 'CORRUPT' }
  }
  if (row === null || typeof row !== 'object') return { message: `row ${key} is not an object`, code: 'CORRUPT' }
  const wrong = shapeProblem(parsed.kind, row)
  if (wrong !== undefined) return { message: `row ${key} has an impossible ${wrong}`, code: 'CORRUPT' }
  if (parsed.kind === 'database' && (row as DatabaseRow).format > CATALOG_FORMAT) {
    return { message: `the database has format ${(row as DatabaseRow).format}, this version knows ${CATALOG_FORMAT}`, code: 'NEWER_FORMAT' }
  }
  return undefined
}

/** The first field that cannot be; undefined when all can. */
function shapeProblem(kind: string, row: object): string | undefined {
  switch (kind) {
    case 'database': {
      const { format, id, createdMs } = row as Partial<DatabaseRow>
      return !isCount(format) ? 'format' : !isBytes(id, 8) ? 'id' : !isCount(createdMs) ? 'creation time' : undefined
    }
    case 'ids': {
      const { log, edit } = row as Partial<IdsRow>
      return isCount(log) && isCount(edit) ? undefined : 'id'
    }
    case 'flush': {
      const { lsn, checksum, sequence } = row as Partial<FlushRow>
      return !isCount(lsn) ? 'LSN' : !isBytes(checksum, 8) ? 'checksum' : !isCount(sequence) ? 'sequence' : undefined
    }
    case 'system':
      return isCount((row as { applied?: unknown }).applied) ? undefined : 'offset'
    case 'log': {
      const { name, kind: logKind } = row as Partial<DefinitionRow>
      return typeof name !== 'string' || name === '' ? 'name' : logKind !== 'topic' && logKind !== 'store' ? 'kind' : undefined
    }
    case 'state': {
      const { startOffset, resetLsn, endOffset, epoch, cleanedTo } = row as Partial<StateRow>
      return isCount(startOffset) && isCount(resetLsn) && isCount(endOffset) && isCount(epoch) && isCount(cleanedTo ?? 0)
        ? undefined
        : 'offset'
    }
    default: {
      const { bytes, footer, parts, dropped } = row as Partial<SegmentRow>
      if (!isCount(bytes) || !isCount(parts)) return 'size'
      if (!isBytes(footer, 8)) return 'footer checksum'
      const ascending =
        Array.isArray(dropped) && dropped.every((part, i) => isCount(part) && part < parts && (i === 0 || part > dropped[i - 1]!))
      return ascending ? undefined : 'list of dropped parts'
    }
  }
}

/** A catalog of these rows. They were checked with `rowProblem`. */
export function catalogOf(rows: ReadonlyMap<string, Uint8Array>, applied: number): Catalog {
  const catalog = new Catalog()
  const encoder = new TextEncoder()
  catalog.load([...rows].map(([key, value]) => ({ key: encoder.encode(key), value })))
  catalog.viewApplied = applied
  return catalog
}

/** How rows contradict each other. */
export function contradictions(catalog: Catalog): string[] {
  const found: string[] = []
  const names = new Map<string, number>()
  for (const { id, name } of catalog.definitions()) {
    const other = names.get(name)
    if (other !== undefined) found.push(`logs ${other} and ${id} have the same name ${name}`)
    names.set(name, id)
    if (id >= catalog.ids.log) found.push(`log ${id} (${name}) has an id that was not given out yet (next is ${catalog.ids.log})`)
  }
  if (catalog.database === undefined && (catalog.segmentCount > 0 || names.size > 0)) found.push('there is no row of the database')
  return found
}

export function printable(text: string): string {
  return JSON.stringify(text)
}

export function sameBytes(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  if (left === undefined || right === undefined) return left === right
  if (left.byteLength !== right.byteLength) return false
  for (let i = 0; i < left.byteLength; i++) if (left[i] !== right[i]) return false
  return true
}

/** Keys whose rows differ, sorted. */
export function differingKeys(left: ReadonlyMap<string, Uint8Array>, right: ReadonlyMap<string, Uint8Array>): string[] {
  const keys = new Set([...left.keys(), ...right.keys()])
  return [...keys].filter(key => !sameBytes(left.get(key), right.get(key))).sort()
}
