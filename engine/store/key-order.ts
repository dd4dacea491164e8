/**
 * The order of store keys, said without their bytes: what memcmp of two encoded keys gives, for users who sort or merge keys themselves.
 *
 *   null < false < true < numbers and bigints by value < Date < string by UTF-8 bytes < bytes < tuple, element by element, a prefix before what it begins
 *
 * Invariant: `compareStoreKeys(a, b)` has the sign of `compareBytes(encodeKey(a), encodeKey(b))` for every two keys; a test holds it.
 */

import { notAKey } from './key-encoder.ts'
import type { StoreKey } from './tuple-format.ts'

/** Negative, zero or positive as `a` sorts before, with or after `b` in a store with tuple keys. TypeError for what is no key. */
export function compareStoreKeys(a: StoreKey, b: StoreKey): number {
  const rank = rankOf(a)
  const difference = rank - rankOf(b)
  if (difference !== 0) return difference
  if (typeof a === 'string') return compareText(a, b as string)
  if (typeof a === 'number' || typeof a === 'bigint') return a < (b as number) ? -1 : a > (b as number) ? 1 : 0
  if (a instanceof Date) return a.getTime() - (b as Date).getTime()
  if (a instanceof Uint8Array) return compareUnits(a, b as Uint8Array)
  if (Array.isArray(a)) return compareTuples(a, b as readonly StoreKey[])
  return 0
}

function rankOf(key: StoreKey): number {
  if (key === null) return 0
  switch (typeof key) {
    case 'boolean':
      return key ? 2 : 1
    case 'number':
      if (Number.isNaN(key)) throw new TypeError('key must not be NaN')
      return 3
    case 'bigint':
      return 3
    case 'string':
      return 5
  }
  if (key instanceof Uint8Array) return 6
  if (Array.isArray(key)) return 7
  if (!(key instanceof Date)) throw notAKey(key)
  if (Number.isNaN(key.getTime())) throw new TypeError('key must not be an invalid Date')
  return 4
}

/** UTF-8 orders by code point, JavaScript by UTF-16 unit: they differ where a surrogate meets a unit above the surrogates. */
function compareText(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return pointOrder(left) - pointOrder(right)
  }
  return a.length - b.length
}

function pointOrder(unit: number): number {
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

function compareUnits(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

function compareTuples(a: readonly StoreKey[], b: readonly StoreKey[]): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) {
    const difference = compareStoreKeys(a[i] as StoreKey, b[i] as StoreKey)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
