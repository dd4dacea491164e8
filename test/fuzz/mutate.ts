/** Ways to damage a file, drawn from a seed: the same seed damages the same bytes. Pure functions over bytes. */
import type { SimRandom } from '../../engine/env/index.ts'

export type MutationKind =
  | 'flip'
  | 'flips'
  | 'byte'
  | 'zeros'
  | 'noise'
  | 'repeat'
  | 'truncate'
  | 'extend'
  | 'swap'
  | 'random'
  | 'empty'
  | 'remove'

/** Flips are the most common damage in the field and here. */
const weights: readonly (readonly [kind: MutationKind, weight: number])[] = [
  ['flip', 10],
  ['flips', 3],
  ['byte', 3],
  ['zeros', 3],
  ['noise', 2],
  ['repeat', 2],
  ['truncate', 4],
  ['extend', 2],
  ['swap', 2],
  ['random', 1],
  ['empty', 1],
  ['remove', 1],
]

export function drawMutation(random: SimRandom): MutationKind {
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
  let drawn = random.below(total)
  for (const [kind, weight] of weights) {
    if (drawn < weight) return kind
    drawn -= weight
  }
  return 'flip'
}

/** True for damage that hits a few bytes in one place; the others may take away what would prove the loss. */
export function isSmall(kind: MutationKind): boolean {
  return kind === 'flip' || kind === 'byte'
}

/** The damaged bytes; undefined when the file shall be gone. `other` is another file of the folder, for 'swap'. */
export function mutate(bytes: Uint8Array, kind: MutationKind, random: SimRandom, other: Uint8Array): Uint8Array | undefined {
  const size = bytes.length
  const result = bytes.slice()
  const at = random.below(Math.max(1, size))
  // A range that is mostly short and sometimes long.
  const length = Math.min(size - at, 1 + random.below(random.chance(0.7) ? 16 : 4096))
  switch (kind) {
    case 'flip':
      if (size > 0) result[at] = (result[at] as number) ^ (1 << random.below(8))
      return result
    case 'flips':
      for (let i = 2 + random.below(6); size > 0 && i > 0; i--) {
        const place = random.below(size)
        result[place] = (result[place] as number) ^ (1 << random.below(8))
      }
      return result
    case 'byte':
      if (size > 0) result[at] = random.chance(0.5) ? [0, 255, 127, 128][random.below(4)]! : random.below(256)
      return result
    case 'zeros':
      return result.fill(0, at, at + length)
    case 'noise':
      for (let i = at; i < at + length; i++) result[i] = random.below(256)
      return result
    case 'repeat':
      if (size > 0) result.copyWithin(random.below(size), at, at + length)
      return result
    case 'truncate':
      return result.slice(0, random.chance(0.3) ? Math.floor(at / 512) * 512 : at)
    case 'extend': {
      const longer = new Uint8Array(size + length + 1)
      longer.set(result)
      if (random.chance(0.5)) for (let i = size; i < longer.length; i++) longer[i] = random.below(256)
      return longer
    }
    case 'swap':
      return other.slice()
    case 'random':
      for (let i = 0; i < size; i++) result[i] = random.below(256)
      return result
    case 'empty':
      return new Uint8Array(0)
    case 'remove':
      return undefined
  }
}
