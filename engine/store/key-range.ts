/**
 * Encoded bounds of a range delete as the range that a caller would write: the way back from `StoreCore.bounds`.
 *
 * A bound is the bytes of a key, of a key and 00 (the first key behind it), or the end of a prefix; in the raw codecs the first two are keys alike.
 */
import { isVarveError, VarveError } from '../errors.ts'
import type { KeyCodec, StoreKey } from './key-codec.ts'
import type { RangeOptions } from './store-options.ts'

/** The range whose keys are those from `start`, inclusive, to `end`, exclusive. CORRUPT when no range has these bounds. */
export function rangeOfKeys<K extends StoreKey>(codec: KeyCodec, start: Uint8Array, end: Uint8Array): RangeOptions<K> {
  const lower = start.length === 0 ? { key: undefined, isBehind: false } : boundOf<K>(codec, start)
  const upper = boundOf<K>(codec, end)
  if (lower !== undefined && upper !== undefined) {
    const from = lower.key === undefined ? {} : lower.isBehind ? { gt: lower.key } : { gte: lower.key }
    return { ...from, ...(upper.isBehind ? { lte: upper.key } : { lt: upper.key }) }
  }
  const prefix = keyOf<K>(codec, start, start.length)
  if (prefix !== undefined && isPrefixOf(codec, prefix, start, end)) return { prefix }
  throw new VarveError('CORRUPT', 'a range delete has bounds that no keys have')
}

/** The key that the bytes are, or that they are the first bytes behind; undefined when they are neither. */
function boundOf<K extends StoreKey>(codec: KeyCodec, bytes: Uint8Array): { readonly key: K; readonly isBehind: boolean } | undefined {
  const key = keyOf<K>(codec, bytes, bytes.length)
  if (key !== undefined) return { key, isBehind: false }
  const before = bytes.at(-1) === 0 ? keyOf<K>(codec, bytes, bytes.length - 1) : undefined
  return before === undefined ? undefined : { key: before, isBehind: true }
}

/** The key in the first `size` bytes; undefined when they are none. */
function keyOf<K extends StoreKey>(codec: KeyCodec, bytes: Uint8Array, size: number): K | undefined {
  try {
    return codec.decode(bytes, 0, size) as K
  } catch (error) {
    if (isVarveError(error, 'CORRUPT')) return undefined
    throw error
  }
}

function isPrefixOf(codec: KeyCodec, prefix: StoreKey, start: Uint8Array, end: Uint8Array): boolean {
  if (typeof prefix !== 'string' && !(prefix instanceof Uint8Array) && !Array.isArray(prefix)) return false
  const range = codec.prefixRange(prefix)
  return Buffer.compare(range.start, start) === 0 && range.end !== undefined && Buffer.compare(range.end, end) === 0
}
