/**
 * Random programs that can be repeated: `seeded` runs a body with a generator and, when it fails, says which seed to set to see it again.
 *
 * Set VARVE_SEED to a seed that a failure printed.
 */

export interface Random {
  /** An integer in [0, limit). */
  below(limit: number): number
  bytes(size: number): Uint8Array
  /** A safe integer whose number of bits is uniform, so that small and large ones are equally frequent; negative half the time if asked. */
  integer(bitsMax: number, signed: boolean): number
  pick<T>(choices: readonly T[]): T
}

/** mulberry32: small, and good enough to choose test inputs. */
export function makeRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    bytes: size => Uint8Array.from({ length: size }, () => below(256)),
    integer(bitsMax, signed) {
      const value = Math.min(Number.MAX_SAFE_INTEGER, Math.floor(next() * 2 ** below(bitsMax + 1)))
      return signed && next() < 0.5 ? 0 - value : value
    },
    pick: choices => choices[below(choices.length)] as (typeof choices)[number],
  }
}

export async function seeded(body: (random: Random) => void | Promise<void>): Promise<void> {
  const seed = Number(process.env.VARVE_SEED ?? Math.floor(Math.random() * 2 ** 32))
  try {
    await body(makeRandom(seed))
  } catch (cause) {
    throw new Error(`failed with VARVE_SEED=${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}

export function fromText(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
