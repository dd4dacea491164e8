/** How a sink finds the key of a row: by fields, by a function, or as the flow was grouped. */
import type { StoreKey } from '../../engine/index.ts'
import { fieldOfValue } from '../rows/value-field.ts'

/** Field paths (several make a tuple) or a function. */
export type SinkKey<T> = string | readonly string[] | ((row: T) => StoreKey)

export function keyFunction<T>(given: SinkKey<T>, option: string): (row: T) => StoreKey {
  if (typeof given === 'function') return given
  const paths = typeof given === 'string' ? [given] : given
  if (!Array.isArray(paths) || paths.length === 0 || paths.some(path => typeof path !== 'string' || path === '')) {
    throw new TypeError(`${option} must be a field path, a list of them or a function, got ${String(given)}`)
  }
  const read = (row: T, path: string): StoreKey => fieldOfValue(row, path, path.split('.')) as StoreKey
  if (typeof given === 'string') return row => read(row, given)
  return row => paths.map(path => read(row, path))
}
