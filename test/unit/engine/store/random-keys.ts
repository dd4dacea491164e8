/** Random store keys of every type, with the values that break codecs made likely, and the order of keys said as plainly as possible. */
import type { StoreKey } from '../../../../engine/store/key-codec.ts'
import type { Random } from '../codec/random.ts'

const texts = [
  '',
  '\0',
  '\0\0',
  '\0\u0001',
  'a',
  'a\0',
  'a\0b',
  'ab',
  'b',
  '\x7f',
  '\u0080',
  '\u00ff',
  '\u07ff',
  '\u0800',
  '\ud7ff',
  '\ue000',
  '\uffee',
  '\uffff',
  '😀',
  '\u{10000}',
  '\u{10ffff}',
  'é'.repeat(40),
  'x'.repeat(63),
  'x'.repeat(64),
  'x'.repeat(65),
  `${'x'.repeat(70)}\0`,
  '\ufeffx',
]
const characters = [...'\0\u0001abz\x7fé\u07ff\u0800\uffee\uffff😀\u{10ffff}']
const numbers = [
  0,
  -0,
  0.5,
  -0.5,
  1,
  -1,
  1.5,
  -1.5,
  Math.PI,
  -Math.PI,
  1e-300,
  -1e-300,
  5e-324,
  -5e-324,
  2.2250738585072014e-308,
  1 - 2 ** -53,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  1e21,
  -1e21,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2 ** 51 + 0.5,
  -(2 ** 51) - 0.5,
]

function randomNumber(random: Random): number {
  switch (random.below(5)) {
    case 0:
      return random.pick(numbers)
    case 1:
      return random.integer(53, true)
    case 2: {
      const power = 2 ** (random.below(2098) - 1074)
      return (random.below(2) === 0 ? power : -power) * random.pick([1, 1 + Number.EPSILON, 1 - Number.EPSILON / 2])
    }
    case 3:
      return 2 ** random.below(66) * random.pick([1, -1]) + random.pick([-1, 0, 1, 0.5, -0.5])
    default: {
      const value = new DataView(random.bytes(8).buffer as ArrayBuffer).getFloat64(0)
      return Number.isNaN(value) ? 0 : value
    }
  }
}

function randomBigint(random: Random): bigint {
  const bits = BigInt(random.pick([0, 8, 31, 32, 52, 53, 63, 64, 65, 72, 500, 1023, 1024, 2039]))
  const value = (1n << bits) + BigInt(random.pick([-1, 0, 1]))
  return random.below(2) === 0 ? value : -value
}

export function randomText(random: Random): string {
  if (random.below(3) === 0) return random.pick(texts)
  return Array.from({ length: random.below(random.pick([3, 8, 90])) }, () => random.pick(characters)).join('')
}

function randomBytes(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.below(random.pick([3, 20])) }, () => random.pick([0, 1, 127, 254, 255, random.below(256)]))
}

export function randomKey(random: Random, depth = 0): StoreKey {
  switch (random.below(depth < 4 ? 10 : 8)) {
    case 0:
      return random.pick([null, false, true])
    case 1:
    case 2:
      return randomNumber(random)
    case 3:
      return randomBigint(random)
    case 4:
      return new Date(random.pick([0, 1, -1, 8.64e15, -8.64e15, random.integer(50, true)]))
    case 5:
    case 6:
      return randomText(random)
    case 7:
      return randomBytes(random)
    default:
      return Array.from({ length: random.below(4) }, () => randomKey(random, depth + 1))
  }
}

function kind(key: StoreKey): number {
  if (key === null) return 0
  if (key === false) return 1
  if (key === true) return 2
  if (typeof key === 'number' || typeof key === 'bigint') return 3
  if (key instanceof Date) return 4
  if (typeof key === 'string') return 5
  return key instanceof Uint8Array ? 6 : 7
}

/** The documented order, with nothing clever in it: -1, 0 or 1. */
export function naiveOrder(a: StoreKey, b: StoreKey): number {
  if (kind(a) !== kind(b)) return kind(a) < kind(b) ? -1 : 1
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b as string, 'utf8'))
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array)
  if (Array.isArray(a)) {
    const other = b as readonly StoreKey[]
    for (const [i, element] of a.entries()) {
      if (i >= other.length) return 1
      const order = naiveOrder(element, other[i] as StoreKey)
      if (order !== 0) return order
    }
    return a.length === other.length ? 0 : -1
  }
  if (kind(a) < 3) return 0
  const [left, right] = [a, b] as [number, number]
  return left < right ? -1 : left > right ? 1 : 0
}

/** What a key decodes as: -0 as 0, and integers beyond 2^53 - 1 as bigints, all others as numbers. */
export function decodedForm(key: StoreKey): StoreKey {
  if (Array.isArray(key)) return key.map(decodedForm)
  if (typeof key === 'bigint') return Number.isSafeInteger(Number(key)) ? Number(key) : key
  if (typeof key === 'number') return Number.isInteger(key) ? decodedForm(BigInt(key)) : key
  return key
}
