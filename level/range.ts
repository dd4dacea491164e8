/** abstract-level's range options as the store's, and the question whether a key lies in a range. */
import type { RangeOptions } from '../engine/index.ts'
import { bytesOf, type Formatted } from './format.ts'

/** Range options as abstract-level hands them to implementations: encoded, `limit` -1 for none. */
export interface LevelRange {
  readonly gt?: Formatted
  readonly gte?: Formatted
  readonly lt?: Formatted
  readonly lte?: Formatted
  readonly reverse: boolean
  readonly limit: number
}

/** Bounds in bytes; gte goes before gt, and lte before lt. */
export interface Bounds {
  gt?: Uint8Array
  gte?: Uint8Array
  lt?: Uint8Array
  lte?: Uint8Array
}

export function boundsOf({ gt, gte, lt, lte }: LevelRange): Bounds & RangeOptions<Uint8Array> {
  const bounds: Bounds = {}
  if (gte !== undefined) bounds.gte = bytesOf(gte)
  else if (gt !== undefined) bounds.gt = bytesOf(gt)
  if (lte !== undefined) bounds.lte = bytesOf(lte)
  else if (lt !== undefined) bounds.lt = bytesOf(lt)
  return bounds
}

export function isInside(key: Uint8Array, { gt, gte, lt, lte }: Bounds): boolean {
  if (gte !== undefined && Buffer.compare(key, gte) < 0) return false
  if (gt !== undefined && Buffer.compare(key, gt) <= 0) return false
  if (lte !== undefined && Buffer.compare(key, lte) > 0) return false
  return lt === undefined || Buffer.compare(key, lt) < 0
}
