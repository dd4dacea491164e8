/**
 * Which fields of a log's values are also written as columns: an option of a definition that the engine reads itself, `columns: { fields, codec }` (see `LogDefinition.options`). Lists of keys
 * that values refer to by number are slots `fields/<n>` of the log's metadata (docs/FORMAT.md, "Values of stores").
 */
import { readsFields } from '../field/field-reader.ts'
import type { ColumnOptions } from '../segment/column-writer.ts'
import type { LogDefinition } from './log.ts'

const structuresMax = 64

/** Undefined: none, or in a form that this version does not know; columns can always be left out. */
export function columnOptionsOf({
  definition,
  metadata,
}: {
  readonly definition: Pick<LogDefinition, 'options'>
  readonly metadata: { get(slot: string): Uint8Array | undefined }
}): ColumnOptions | undefined {
  const columns = definition.options?.columns as { readonly fields?: unknown; readonly codec?: unknown } | undefined
  if (typeof columns !== 'object' || columns === null) return undefined
  const { fields, codec } = columns
  if (!Array.isArray(fields) || !fields.every(field => typeof field === 'string') || typeof codec !== 'string') return undefined
  return codec === 'msgpack-structures' ? { fields, codec, structures: structuresIn(metadata) } : { fields, codec }
}

/** As far as they can be read: of values that refer to others no column is made. */
function structuresIn(metadata: { get(slot: string): Uint8Array | undefined }): string[][] {
  const structures: string[][] = []
  for (let number = 0; number < structuresMax; number++) {
    const bytes = metadata.get(`fields/${number}`)
    if (bytes === undefined) break
    try {
      structures.push(JSON.parse(new TextDecoder().decode(bytes)) as string[])
    } catch {
      break
    }
  }
  return structures
}

const columnsMax = 100
const pathLengthMax = 1000

/** The option `columns` as a caller gives it, for values of the codec of this name. TypeError and RangeError naming the option. */
export function checkColumns(columns: unknown, codec: string): void {
  if (!Array.isArray(columns)) throw new TypeError(`columns must be an array of field paths, got ${String(columns)}`)
  if (columns.length > columnsMax) throw new RangeError(`columns must have at most ${columnsMax} field paths`)
  const seen = new Set<unknown>()
  for (const path of columns as readonly unknown[]) {
    if (typeof path !== 'string' || path.startsWith('@') || path.split('.').includes('') || seen.has(path)) {
      throw new TypeError(`columns must be different field paths, got ${String(path)}`)
    }
    if (path.length > pathLengthMax) throw new RangeError(`columns must have at most ${pathLengthMax} characters each`)
    seen.add(path)
  }
  if (columns.length > 0 && !readsFields(codec))
    throw new TypeError(`columns are of values that are 'msgpack' or 'json', these are '${codec}'`)
}

/** The option as a log's definition has it; nothing where no field is declared. */
export function columnsOption(fields: readonly string[] | undefined, codec: string): { readonly columns?: ColumnOptions } {
  return fields === undefined || fields.length === 0 ? {} : { columns: { fields: [...fields], codec } }
}
