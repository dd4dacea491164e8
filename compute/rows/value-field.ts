/**
 * A field of a row that is a value. A path leads into the row ('address.city'), but a row may have a field of that very name: `select('address.city')` and keys give such rows, and files of CSV
 * may have such columns. Then that is meant.
 */
import { valueAtPath } from '../../engine/index.ts'

/** `names`: the path's parts. */
export function fieldOfValue(value: unknown, path: string, names: readonly string[]): unknown {
  return names.length > 1 && hasField(value, path) ? (value as Readonly<Record<string, unknown>>)[path] : valueAtPath(value, names)
}

/** Whether a row has a field of this very name. */
export function hasField(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
}
