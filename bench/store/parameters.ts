/**
 * What a run of the store benchmark is made of: the few numbers that a person sets, and the counts of operations that follow from them.
 * Everything is a plain object, since it crosses to the child process and is stored with the results.
 */

import type { Parameters } from '../workload.ts'

/** What values are in JavaScript, on every engine alike. */
export type ValueKind = 'string' | 'buffer'

export interface StoreParameters {
  /** Keys in the database. */
  readonly n: number
  /** Characters of a key. */
  readonly keyBytes: number
  /** Size of a value; half of it is compressible away. */
  readonly valueBytes: number
  readonly values: ValueKind
  /** Records of one write. */
  readonly batch: number
  /** Batches given to an asynchronous engine and not yet acknowledged. */
  readonly window: number
  readonly seed: number
}

export const largeParameters: StoreParameters = {
  n: 1_000_000,
  keyBytes: 16,
  valueBytes: 100,
  values: 'string',
  batch: 1000,
  window: 4,
  seed: 1,
}

/** For tests: each run well below a second. */
export const smallParameters: StoreParameters = { ...largeParameters, n: 2000, batch: 100 }

/** db_bench's fill100K: one value of 100 KB for each thousand keys. */
export const bigValueBytes = 100_000

/** Throws a RangeError that names the parameter. */
export function checkParameters(parameters: StoreParameters): void {
  const { n, keyBytes, valueBytes, values, batch, window, seed } = parameters
  const whole = (name: string, value: number, least: number, most: number): void => {
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw new RangeError(`${name} ${value}: a whole number from ${least} to ${most}`)
    }
  }
  whole('n', n, 200, 100_000_000)
  whole('key-bytes', keyBytes, 10, 1000)
  whole('value-bytes', valueBytes, 16, 10_000_000)
  whole('batch', batch, 1, 1_000_000)
  whole('window', window, 1, 1000)
  whole('seed', seed, 0, 2 ** 32 - 1)
  if (values !== 'string' && values !== 'buffer') throw new RangeError(`values ${String(values)}: string or buffer`)
}

/** A part of n, but enough to mean something with few keys. */
export function share(n: number, divisor: number, least: number): number {
  return Math.max(Math.min(n, least), Math.floor(n / divisor))
}

/** Bytes of keys and values of the whole database. */
export function rawBytes({ n, keyBytes, valueBytes }: StoreParameters): number {
  return n * (keyBytes + valueBytes)
}

/** The numbers of `parameters`, for the table of workloads. */
export function asNumbers({ values: _, seed: __, ...numbers }: StoreParameters): Parameters {
  return { ...numbers }
}
