/**
 * Entries of an index: which a value makes, and their bytes.
 *
 * An entry is a record of the index's log without a value, its key the tuple [indexed value(s) …, primary key as the store encodes it], its expiry that of
 * the store's record: so entries sort by value, then by primary key, and expire with what they point to. Entries are made from the record's *stored*
 * bytes, decoded again: what a codec changes (a Date in JSON) is changed alike when an entry is made, removed and built.
 */

import { hasLoneSurrogate } from '../codec/text.ts'
import { assert } from '../errors.ts'
import { parseFieldPath, valueAtPath } from './field-path.ts'
import { decodeKey, encodeKey, type StoreKey } from './key-codec.ts'
import { KEY_END, KEY_MORE } from './tuple-format.ts'

export interface EntryRule {
  /** Parsed paths; several for a compound index. */
  readonly paths: readonly (readonly string[])[]
  readonly multi: boolean
}

/** The rule of an index as it is declared. */
export function ruleOf({ paths, multi }: { readonly paths: readonly string[]; readonly multi: boolean }): EntryRule {
  return { paths: paths.map(path => parseFieldPath(path, 'path')), multi }
}

/**
 * Indexed values of a stored value, each a tuple of one element a path. A field that is absent, or holds anything but a string, number, bigint, boolean,
 * null, Date or bytes, makes no entry; nor do NaN, invalid dates and text with lone surrogates, which are no keys.
 */
export function indexedValues(rule: EntryRule, value: unknown): StoreKey[][] {
  const { paths, multi } = rule
  if (multi) {
    const found = valueAtPath(value, paths[0] as readonly string[])
    const elements: readonly unknown[] = Array.isArray(found) ? found : [found]
    return elements.filter(isIndexable).map(element => [element])
  }
  const tuple: StoreKey[] = []
  for (const path of paths) {
    const found = valueAtPath(value, path)
    if (!isIndexable(found)) return []
    tuple.push(found)
  }
  return [tuple]
}

function isIndexable(value: unknown): value is StoreKey {
  switch (typeof value) {
    case 'string':
      return !hasLoneSurrogate(value)
    case 'number':
      return !Number.isNaN(value)
    case 'bigint':
    case 'boolean':
      return true
    case 'object':
      return value === null || value instanceof Uint8Array || (value instanceof Date && !Number.isNaN(value.getTime()))
    default:
      return false
  }
}

/** TOO_LARGE (limit `key`) when value and primary key together are larger than a key may be. */
export function entryKey(values: readonly StoreKey[], primaryKey: Uint8Array): Uint8Array {
  return encodeKey([...values, primaryKey])
}

/** Entries that a value makes: text of the bytes -> bytes. TOO_LARGE as `entryKey`. */
export function entriesOfValue(rule: EntryRule, value: unknown, primaryKey: Uint8Array): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>()
  for (const values of indexedValues(rule, value)) {
    const entry = entryKey(values, primaryKey)
    entries.set(keyText(entry), entry)
  }
  return entries
}

/** The last element of an entry's key. */
export function primaryKeyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const primaryKey = (decodeKey(bytes, start, end) as readonly StoreKey[]).at(-1)
  assert(primaryKey instanceof Uint8Array, 'an index entry ends with a primary key')
  return primaryKey
}

/** Indexed value (compound: all of them, in an array) and primary key of an entry. */
export function entryParts(
  { paths }: EntryRule,
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly value: StoreKey; readonly primaryKey: Uint8Array } {
  const elements = decodeKey(bytes, start, end) as readonly StoreKey[]
  const primaryKey = elements.at(-1)
  assert(primaryKey instanceof Uint8Array, 'an index entry ends with a primary key')
  return { value: paths.length === 1 ? (elements[0] as StoreKey) : elements.slice(0, -1), primaryKey }
}

/** Bytes as text that is equal when they are: keys of maps. */
export function keyText(bytes: Uint8Array, start: number = 0, end: number = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}

// --- bounds: from values to bytes ----------------------------------------------------------------------------------------------------------

/** First bytes of all entries whose values begin with these. */
export function startOf(values: readonly StoreKey[]): Uint8Array {
  return encodeKey(values)
}

/** The first bytes behind all entries whose values begin with these. */
export function endOf(values: readonly StoreKey[]): Uint8Array {
  const start = encodeKey(values)
  const end = new Uint8Array(start.length + 1)
  end.set(start)
  end[start.length] = KEY_MORE
  return end
}

/** Bounds of the entries whose first value is a text or bytes that begin with `prefix`. */
export function prefixBounds(prefix: string | Uint8Array): { readonly start: Uint8Array; readonly end: Uint8Array } {
  const whole = encodeKey([prefix])
  assert(whole.at(-1) === KEY_END, 'text and bytes end within a tuple')
  const start = whole.slice(0, -1)
  // The tag alone is below FF, so there is a next one.
  let size = start.length
  while (start[size - 1] === KEY_MORE) size--
  const end = start.slice(0, size)
  end[size - 1] = (end[size - 1] as number) + 1
  return { start, end }
}
