/**
 * The structures of a store's values: lists of the keys of objects, by number, that values of the codec 'msgpack-structures' refer to.
 *
 * Each is a slot of its own in the metadata of the store's log, `fields/<number>`, a JSON array of the keys: a row of the catalog, which is in the same commit as
 * the first value that may refer to it, or in an earlier one. So whatever keeps the log's definition keeps them (recovery, backup, rename; a drop drops them), and
 * merges, feeds, counts and histories never meet them. Owned by `StoreCore`.
 *
 * Invariants: a structure is never changed nor removed while the store lives; numbers are dense. What the codec knows beyond what is stored (of a commit that was
 * refused, of a transaction that was aborted) goes along with the next commit.
 */
import { damagedBytes } from '../codec/damage.ts'
import { isVarveError } from '../errors.ts'
import type { LocalCommit } from '../log/committer.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import { sharedStructuresMax, type ValueStructures } from './value-codec.ts'

const slotPrefix = 'fields/'
const slotOf = (index: number): string => `${slotPrefix}${index}`

/** The structures that the log's values may refer to. CORRUPT, naming the log, for a slot that holds none. */
export function storedStructures({ metadata, name }: LogicalLog): ValueStructures {
  return structuresIn(metadata, name)
}

/** As `storedStructures`, of the metadata of the log of this name. */
export function structuresIn(metadata: { get(slot: string): Uint8Array | undefined }, name: string): ValueStructures {
  const structures: string[][] = []
  for (let index = 0; index < sharedStructuresMax; index++) {
    const bytes = metadata.get(slotOf(index))
    if (bytes === undefined) break
    structures.push(decodeStructure(bytes, name, index))
  }
  return structures
}

/** What is wrong with the structures of the log of this name; undefined: nothing. */
export function structureProblem(metadata: ReadonlyMap<string, Uint8Array>, name: string): string | undefined {
  try {
    const found = [...metadata.keys()].filter(slot => slot.startsWith(slotPrefix)).length
    const { length } = structuresIn(metadata, name)
    return length === found ? undefined : `log ${name}: structure ${length} of its values is missing, ${found} are there`
  } catch (error) {
    if (isVarveError(error, 'CORRUPT')) return error.message
    throw error
  }
}

function decodeStructure(bytes: Uint8Array, log: string, index: number): string[] {
  let keys: unknown
  try {
    keys = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw damagedBytes(`log ${log}: structure ${index} of its values is not JSON`, 0, { log }, cause)
  }
  if (Array.isArray(keys) && keys.every(key => typeof key === 'string')) return keys
  throw damagedBytes(`log ${log}: structure ${index} of its values is not a list of keys`, 0, { log })
}

/** Keeps the structures of one store's codec. */
export class StructureKeeper {
  readonly #log: LogicalLog
  readonly #codec: { readonly structures: ValueStructures }
  /** How many are known to be stored. */
  #stored: number

  /** `codec` was made from what is stored. */
  constructor(log: LogicalLog, codec: { readonly structures: ValueStructures }) {
    this.#log = log
    this.#codec = codec
    this.#stored = codec.structures.length
  }

  /** Nothing new has come since the last commit that was looked at: `append` would add nothing. */
  get isStored(): boolean {
    return this.#codec.structures.length === this.#stored
  }

  /** Adds what is not stored yet to a commit whose values may refer to it. */
  append(commit: LocalCommit): void {
    const { structures } = this.#codec
    if (this.isStored) return
    // The commit before may have been refused, so only the log knows.
    while (this.#stored < structures.length && this.#log.metadata.get(slotOf(this.#stored)) !== undefined) this.#stored++
    for (let index = this.#stored; index < structures.length; index++) {
      commit.setMetadata(this.#log, slotOf(index), new TextEncoder().encode(JSON.stringify(structures[index])))
    }
  }
}
