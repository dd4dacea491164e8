/**
 * Field paths: which part of a value an index is about, as text that is stored with the index and that any process can evaluate.
 *
 * A path is names joined by dots (`address.city`); an element of an array is named by its number (`lines.0.sku`). Only own fields count, so that no path
 * reaches into prototypes; bytes have none; a name with a dot in it has no path. Pure functions, used by `index-entries.ts`.
 */
const pathLengthMax = 1000
const arrayNumber = /^(0|[1-9]\d*)$/

/** Names of a path, in order. TypeError or RangeError naming `option` for what is no path. */
export function parseFieldPath(path: unknown, option: string): string[] {
  if (typeof path !== 'string') throw new TypeError(`${option} must be a field path, got ${String(path)}`)
  if (path.length > pathLengthMax) throw new RangeError(`${option} must have at most ${pathLengthMax} characters`)
  const names = path.split('.')
  if (names.includes('')) throw new TypeError(`${option} must be names joined by dots, got '${path}'`)
  return names
}

/** What lies at the path; undefined when there is nothing. */
export function valueAtPath(value: unknown, names: readonly string[]): unknown {
  let at = value
  for (const name of names) {
    if (typeof at !== 'object' || at === null || ArrayBuffer.isView(at) || !Object.hasOwn(at, name)) return undefined
    if (Array.isArray(at) && !arrayNumber.test(name)) return undefined
    at = (at as { readonly [name: string]: unknown })[name]
  }
  return at
}
