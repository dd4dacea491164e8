/**
 * Options of `VarveLevel`: those of abstract-level and those of Varve's `open` in one object, and what is taken from it.
 *
 * abstract-level hands all options of the constructor and of `open` to hooks, so users put their own there; names that Varve does not know are
 * therefore left alone here, other than at Varve's own `open`. Values of known names are checked by it.
 */
import type { AbstractDatabaseOptions } from 'abstract-level'
import { type OpenOptions, openOptionNames, type WriteStoreOptions } from '../engine/index.ts'

/** Options of the constructor: encodings, and everything that Varve's `open` takes. */
export interface VarveLevelOptions<K, V>
  extends AbstractDatabaseOptions<K, V>,
    Omit<OpenOptions, keyof AbstractDatabaseOptions<unknown, unknown>> {}

/** What `put`, `del`, `batch` and `clear` take besides abstract-level's options. */
export interface VarveLevelWriteOptions {
  /**
   * false: resolve when the write survives the end of the process (Varve's durability 'buffered'). true: when it survives power loss ('sync').
   * Default: the database's `durability`, which is 'sync' unless it was opened otherwise.
   */
  readonly sync?: boolean | undefined
}

const buffered: WriteStoreOptions = Object.freeze({ durability: 'buffered' })
const synced: WriteStoreOptions = Object.freeze({ durability: 'sync' })

/** The durability that `sync` asks for; undefined: the database's. */
export function durabilityOf(options: VarveLevelWriteOptions): WriteStoreOptions | undefined {
  const { sync } = options
  if (sync === undefined || sync === null) return undefined
  if (typeof sync !== 'boolean') throw new TypeError(`sync must be true or false, got ${String(sync)}`)
  return sync ? synced : buffered
}

/** What Varve's `open` gets of all that abstract-level collected. */
export function openOptionsOf(options: object): OpenOptions {
  const given = options as Record<string, unknown>
  const picked: Record<string, unknown> = {}
  for (const name of openOptionNames) if (given[name] !== undefined) picked[name] = given[name]
  return picked
}
