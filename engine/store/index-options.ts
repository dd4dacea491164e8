/**
 * Declarations of secondary indexes: as users write them in `StoreOptions.indexes`, checked by name, and as they are stored.
 *
 * An index is a store log of its own, named `index/<id of the store's log>/<index>`: ids are never given twice and have no slash, so names of stores
 * and indexes cannot collide, and a renamed store keeps its indexes. The declaration lies in the options of that log; an index exists if its log does.
 */
import { VarveError } from '../errors.ts'
import { checkNames, checkObject } from '../log/check-arguments.ts'
import type { LogDefinition } from '../log/log.ts'
import { parseFieldPath } from './field-path.ts'

/** An index as it is declared when a store is opened. */
export interface IndexDeclaration {
  /** Field path of the indexed value: names joined by dots, elements of arrays by number. Several make a compound index, in their order. */
  readonly path: string | readonly string[]
  /** No two keys of the store have the same value: such a put is refused with UNIQUE. Default false. */
  readonly unique?: boolean | undefined
  /** The value at the path may be an array: each different element makes an entry. Not for compound indexes. Default false. */
  readonly multi?: boolean | undefined
}

/** A path, several (a compound index), or a whole declaration. */
export type IndexOptions = string | readonly string[] | IndexDeclaration

/** What the options of an index's log carry. */
export interface StoredIndex {
  readonly paths: readonly string[]
  readonly unique: boolean
  readonly multi: boolean
  /** The store was empty when the index was defined: nothing was to be built. */
  readonly complete: boolean
}

const declarationNames: ReadonlySet<string> = new Set(['path', 'unique', 'multi'])
const nameBytesMax = 200
const pathsMax = 16
const loneSurrogate = /\p{Surrogate}/u

/** Index name -> declaration as it is stored. TypeError or RangeError naming the option. */
export function resolveIndexes(indexes: { readonly [name: string]: IndexOptions }): Map<string, Omit<StoredIndex, 'complete'>> {
  checkObject(indexes, 'indexes')
  if (Array.isArray(indexes)) throw new TypeError('indexes must be an object of declarations by name, got an array')
  const resolved = new Map<string, Omit<StoredIndex, 'complete'>>()
  for (const [name, given] of Object.entries(indexes)) {
    checkIndexName(name)
    resolved.set(name, resolveIndex(given, `indexes.${name}`))
  }
  return resolved
}

function checkIndexName(name: string): void {
  if (name === '') throw new TypeError('indexes must not have an empty name')
  if (Buffer.byteLength(name) > nameBytesMax) throw new RangeError(`names of indexes must have at most ${nameBytesMax} bytes of UTF-8`)
  if (loneSurrogate.test(name) || name.includes('\u0000')) throw new TypeError('names of indexes must be well-formed Unicode without NUL')
}

function resolveIndex(given: IndexOptions, option: string): Omit<StoredIndex, 'complete'> {
  const declaration: IndexDeclaration = typeof given === 'string' || Array.isArray(given) ? { path: given } : (given as IndexDeclaration)
  checkObject(declaration, option)
  checkNames(declaration, declarationNames)
  const { path, unique = false, multi = false } = declaration
  for (const [name, value] of Object.entries({ unique, multi })) {
    if (typeof value !== 'boolean') throw new TypeError(`${option}.${name} must be true or false, got ${String(value)}`)
  }
  const paths: readonly unknown[] = Array.isArray(path) ? path : [path]
  if (paths.length === 0) throw new TypeError(`${option}.path must name at least one field`)
  if (paths.length > pathsMax) throw new RangeError(`${option}.path must name at most ${pathsMax} fields`)
  for (const each of paths) parseFieldPath(each, `${option}.path`)
  if (multi && paths.length > 1) throw new TypeError(`${option}.multi is for indexes of one field`)
  return { paths: paths as readonly string[], unique, multi }
}

/** TypeError when values of this codec have no fields. */
export function checkIndexable(valueCodec: string): void {
  if (valueCodec !== 'string' && valueCodec !== 'bytes') return
  throw new TypeError(`indexes need values with fields: the store's values are '${valueCodec}'`)
}

/** Throws DEFINITION_MISMATCH when an index of this name was declared otherwise. */
export function checkSameIndex(
  storeName: string,
  name: string,
  stored: Omit<StoredIndex, 'complete'>,
  wanted: Omit<StoredIndex, 'complete'>,
): void {
  const expected = textOf(stored)
  const actual = textOf(wanted)
  if (expected === actual) return
  throw new VarveError('DEFINITION_MISMATCH', `store ${storeName}: index ${name} is ${expected}, not ${actual}`, {
    details: { option: `indexes.${name}`, expected, actual },
  })
}

function textOf({ paths, unique, multi }: Omit<StoredIndex, 'complete'>): string {
  return `${paths.join(' + ')}${unique ? ', unique' : ''}${multi ? ', multi' : ''}`
}

const indexLogPrefix = 'index/'

export function indexLogName(storeLogId: number, name: string): string {
  return `${indexLogPrefix}${storeLogId}/${name}`
}

/** Id of the store's log and name of the index; undefined for any other log. */
export function parseIndexLogName(logName: string): { readonly storeLogId: number; readonly name: string } | undefined {
  if (!logName.startsWith(indexLogPrefix)) return undefined
  const slash = logName.indexOf('/', indexLogPrefix.length)
  const storeLogId = Number(logName.slice(indexLogPrefix.length, slash))
  return slash > 0 && Number.isSafeInteger(storeLogId) ? { storeLogId, name: logName.slice(slash + 1) } : undefined
}

export function indexDefinition(storeLogId: number, name: string, index: StoredIndex): LogDefinition {
  return { name: indexLogName(storeLogId, name), kind: 'store', options: { index } }
}
