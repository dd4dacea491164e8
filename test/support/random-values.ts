/** Random values of rows, for tests of jobs: all that a field may hold, with what is awkward more frequent than it is in life. */
import type { Random } from '../unit/engine/codec/random.ts'

/** Which values a codec or a test can have. */
export interface ValueKinds {
  /** Dates, bytes, bigints and undefined, which JSON has not. */
  readonly rich: boolean
}

const names = ['a', 'b', 'c', 'ünï', '0', '1', 'quo"te\\', 'tab\t', 'a name that is longer than thirty-one bytes', '日本', '😀']
const texts = [
  '',
  'a',
  'b',
  'ab',
  'é',
  'z',
  '\u{ff5e}',
  '😀',
  'Zürich',
  'with "quotes" and \\',
  'line\nline',
  '\u0000',
  'x'.repeat(31),
  'y'.repeat(40),
]
const numbers = [
  0,
  1,
  -1,
  63,
  64,
  100,
  127,
  128,
  255,
  256,
  -32,
  -33,
  -128,
  -129,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32,
  -(2 ** 31),
  2 ** 53,
  1e21,
]
const fractions = [0.5, -0.25, 0.1, 1 / 3, 1e-7, 5e-324, 1.7976931348623157e308, 123_456_789.123]
const bigints = [0n, 1n, -1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n + 1n, -(2n ** 80n), 123n]

/** A number: whole, fractional, rarely NaN or infinite where the codec has them. */
export function randomNumber(random: Random, { rich }: ValueKinds): number {
  const kind = random.below(10)
  if (kind < 4) return random.pick(numbers)
  if (kind < 6) return random.pick(fractions)
  if (kind === 6 && rich) return random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
  return random.integer(53, true)
}

export function randomText(random: Random): string {
  if (random.below(3) > 0) return random.pick(texts)
  return Array.from({ length: random.below(random.below(20) === 0 ? 400 : 12) }, () => random.pick(texts)).join('')
}

/** One value that is neither list nor object. */
export function randomScalar(random: Random, kinds: ValueKinds): unknown {
  switch (random.below(kinds.rich ? 10 : 6)) {
    case 0:
      return null
    case 1:
      return random.below(2) === 0
    case 2:
    case 3:
      return randomNumber(random, kinds)
    case 4:
    case 5:
      return randomText(random)
    case 6:
      return random.pick(bigints)
    case 7:
      return new Date(random.pick([0, 1, -1, 1.5e12, -1e12, Number.NaN]))
    case 8:
      return random.bytes(random.below(20))
    default:
      return undefined
  }
}

/** Any value, nested at most `depth` deep. */
export function randomValue(random: Random, kinds: ValueKinds, depth: number): unknown {
  const kind = depth === 0 ? 9 : random.below(10)
  if (kind < 4) return randomObject(random, kinds, depth)
  if (kind < 6)
    return Array.from({ length: random.below(random.below(10) === 0 ? 40 : 4) }, () => randomValue(random, kinds, depth - 1) ?? null)
  return randomScalar(random, kinds)
}

export function randomObject(random: Random, kinds: ValueKinds, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  const size = random.below(random.below(10) === 0 ? 30 : 6)
  for (let i = 0; i < size; i++) object[i < 8 ? random.pick(names) : `more ${i}`] = randomValue(random, kinds, Math.max(0, depth - 1))
  return object
}

/** Paths that such values may have something at, no two alike. */
export function randomPaths(random: Random): string[] {
  const paths = new Set<string>()
  for (let i = 1 + random.below(5); i > 0; i--) {
    paths.add(
      Array.from({ length: 1 + random.below(random.below(3) + 1) }, () => random.pick(names.filter(name => !name.includes('.')))).join('.'),
    )
  }
  return [...paths]
}
