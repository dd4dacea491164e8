/**
 * What the verbs on stores share: opening the database, finding a store without defining it by accident, and reading keys, values and ranges from
 * the command line.
 */
import { type Database, type KeyCodecName, open, type RangeOptions, type Store, type StoreKey, VarveError } from '../index.ts'
import { bytesOfHex, formatJson, parseJson } from './json-values.ts'

/** How keys on the command line are read. */
export type KeyNotation = 'auto' | 'json' | 'text' | 'hex'
/** How values are read and printed. */
export type ValueNotation = 'json' | 'text' | 'hex'

export const keyNotations: readonly KeyNotation[] = ['auto', 'json', 'text', 'hex']
export const valueNotations: readonly ValueNotation[] = ['json', 'text', 'hex']

/** What the options of a range come as; see `rangeOf`. */
export interface RangeArguments {
  readonly keysAs: KeyNotation
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
  readonly reverse?: boolean
  readonly limit?: number
}

/** A store with what its definition says about its keys. */
export interface FoundStore {
  readonly store: Store
  readonly keys: KeyCodecName
}

/** Opens the database, does the work, closes it. Without `create` a database that is not there is NOT_A_DATABASE, and nothing is made. */
export async function withDatabase<T>(path: string, options: { readonly create: boolean }, work: (db: Database) => Promise<T>): Promise<T> {
  const db = await open(path, { createIfMissing: options.create, autoConsolidate: options.create })
  let result: T
  try {
    result = await work(db)
  } catch (error) {
    await db.close().catch(() => undefined) // the first error is the one to report
    throw error
  }
  await db.close()
  return result
}

/** NOT_FOUND when there is no such store and none is to be made. */
export async function findStore(db: Database, name: string, options: { readonly create: boolean }): Promise<FoundStore> {
  if (!options.create && !db.storeNames({ internal: true }).includes(name)) {
    throw new VarveError('NOT_FOUND', `${describeMissing(db, name)}; \`varve stores ${db.path}\` lists the stores`, {
      details: { store: name },
    })
  }
  const store = db.store(name)
  await store.ready()
  return { store, keys: codecsOf(db, name).keys }
}

/** A log of another kind may have the name: then the message says what shows it. */
function describeMissing(db: Database, name: string): string {
  const kind = db.get(name)?.kind
  if (kind === undefined) return `no store is named ${name}`
  return `${name} is a ${kind} log, not a store: \`varve stats ${db.path}\` shows its offsets, \`varve dump\` on a segment file its records`
}

/** What the definition of a store says, as the options of a store name it. */
export function codecsOf(db: Database, name: string): { readonly keys: KeyCodecName; readonly value: string } {
  const stored = db.get(`store/${name}`)?.options?.store as { keys: KeyCodecName; value: string }
  return { keys: stored.keys, value: stored.value === 'msgpack-structures' ? 'msgpack' : stored.value }
}

/**
 * A key from the command line. 'auto': what the store takes: text for string keys, hex for bytes, and for tuples the JSON literal, or the text itself
 * when it is no JSON.
 */
export function parseKey(text: string, notation: KeyNotation, keys: KeyCodecName): StoreKey {
  if (notation === 'text' || (notation === 'auto' && keys === 'string')) return text
  if (notation === 'hex' || (notation === 'auto' && keys === 'bytes')) return bytesOfHex(text)
  if (notation === 'auto' && !isJson(text)) return text
  return parseJson(text, 'the key') as StoreKey
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

export function parseValue(text: string, notation: ValueNotation): unknown {
  if (notation === 'text') return text
  return notation === 'hex' ? bytesOfHex(text) : parseJson(text, 'the value')
}

/** One line, unless 'text' or 'hex' prints a value that has lines of its own. */
export function formatValue(value: unknown, notation: ValueNotation): string {
  if (notation === 'json' || (typeof value !== 'string' && !(value instanceof Uint8Array))) return formatJson(value)
  const bytes = Buffer.from(value as string | Uint8Array)
  return bytes.toString(notation === 'hex' ? 'hex' : 'utf8')
}

export function rangeOf(args: RangeArguments, keys: KeyCodecName): RangeOptions {
  const range: { -readonly [name in keyof RangeOptions]: RangeOptions[name] } = {}
  for (const name of ['gt', 'gte', 'lt', 'lte', 'prefix'] as const) {
    const text = args[name]
    if (text !== undefined) range[name] = parseKey(text, args.keysAs, keys)
  }
  if (args.reverse === true) range.reverse = true
  if (args.limit !== undefined) range.limit = args.limit
  return range
}
