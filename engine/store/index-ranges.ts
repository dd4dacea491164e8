/**
 * From the arguments of queries to bytes of an index, and whether an index can be read at a moment: what `StoreIndex`, indexes within transactions and
 * indexes of leases have in common.
 */
import { VarveError } from '../errors.ts'
import { type EntryRule, endOf, indexedValues, prefixBounds, startOf } from './index-entries.ts'
import type { Index } from './indexes.ts'
import type { StoreKey } from './key-codec.ts'
import type { KeyBounds, StoreCore } from './store-core.ts'
import type { RangeOptions } from './store-options.ts'

/** What the entries of a range of indexed values lie between. TypeError for values that cannot be indexed. */
export function boundsOfIndex(rule: EntryRule, { gt, gte, lt, lte, prefix }: Omit<RangeOptions, 'snapshot'>): KeyBounds {
  if (prefix !== undefined) return boundsOfPrefix(rule, prefix)
  let start: Uint8Array | undefined
  let end: Uint8Array | undefined
  if (gte !== undefined) start = startOf(indexTuple(rule, gte, 'gte'))
  else if (gt !== undefined) start = endOf(indexTuple(rule, gt, 'gt'))
  if (lt !== undefined) end = startOf(indexTuple(rule, lt, 'lt'))
  else if (lte !== undefined) end = endOf(indexTuple(rule, lte, 'lte'))
  return { start, end, isEmpty: start !== undefined && end !== undefined && Buffer.compare(start, end) >= 0 }
}

/** What the entries of one indexed value lie between. TypeError for one that cannot be indexed. */
export function boundsOfValue(rule: EntryRule, value: StoreKey): KeyBounds {
  const values = indexTuple(rule, value, 'value')
  return { start: startOf(values), end: endOf(values), isEmpty: false }
}

/** The values of the index that an argument stands for. */
export function indexTuple({ paths }: EntryRule, value: StoreKey, option: string): readonly StoreKey[] {
  const isCompound = paths.length > 1
  if (isCompound && (!Array.isArray(value) || value.length === 0 || value.length > paths.length))
    throw new TypeError(`${option} must be an array of 1 to ${paths.length} values, in the order of the index's paths`)
  const values: readonly unknown[] = isCompound ? (value as readonly unknown[]) : [value]
  for (const each of values) {
    if (indexedValues(anyValue, each).length === 0)
      throw new TypeError(`${option} must hold what can be indexed: a string, number, bigint, boolean, null, Date or bytes`)
  }
  return values as readonly StoreKey[]
}

/** CLOSED, or NOT_FOUND when the store or the index was dropped. */
export function assertIndexUsable(core: StoreCore, index: Index): void {
  core.assertUsable()
  if (!index.log.dropped) return
  throw new VarveError('NOT_FOUND', `index ${index.name} was dropped`, { details: { store: core.name, index: index.name } })
}

/** As above, and NOT_READY when the index was not built yet at the moment. */
export function assertIndexReadable(core: StoreCore, index: Index, sequence: number): void {
  assertIndexUsable(core, index)
  assertBuilt(core.name, index, sequence)
}

/** NOT_READY when the index was not built yet at the moment. */
export function assertBuilt(
  store: string,
  index: { readonly name: string; readonly builtSequence: number | undefined; readonly failure: VarveError | undefined },
  sequence: number,
): void {
  const { name, builtSequence, failure } = index
  if (builtSequence !== undefined && sequence >= builtSequence) return
  const why =
    builtSequence !== undefined
      ? 'was built after this moment'
      : failure === undefined
        ? 'is not built yet'
        : `could not be built: ${failure.message}`
  throw new VarveError('NOT_READY', `store ${store}: index ${name} ${why}`, {
    ...(failure === undefined ? {} : { cause: failure }),
    details: { store, index: name },
  })
}

function boundsOfPrefix(rule: EntryRule, prefix: StoreKey): KeyBounds {
  if (rule.paths.length > 1) {
    const values = indexTuple(rule, prefix, 'prefix')
    return { start: startOf(values), end: endOf(values), isEmpty: false }
  }
  if (typeof prefix !== 'string' && !(prefix instanceof Uint8Array))
    throw new TypeError('prefix must be a string or a Uint8Array: the index has one field')
  indexTuple(rule, prefix, 'prefix')
  return { ...prefixBounds(prefix), isEmpty: false }
}

/** A rule under which a value makes an entry if it can be indexed at all. */
const anyValue = { paths: [[]], multi: false } as const
